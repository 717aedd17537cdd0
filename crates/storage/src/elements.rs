//! The elements of a set, page by page.

use trellis_crdt::Kind;

use crate::atoms::{Handle, SetEntry};
use crate::error::ReadError;
use crate::slot::{Held, SlotState};

/// Where to go on among the elements of a set: a position in the order of their hashes.
///
/// Means the same on every node of a cluster and after a restart, since the hash is keyed by the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ElementCursor(u32);

impl ElementCursor {
    /// Before the first element.
    pub const START: Self = Self(0);

    /// Reads what [`to_bytes`](Self::to_bytes) made.
    ///
    /// # Errors
    /// [`ReadError::InvalidCursor`] when the length is another one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        let position = <[u8; 4]>::try_from(bytes).map_err(|_| ReadError::InvalidCursor)?;
        Ok(Self(u32::from_be_bytes(position)))
    }

    /// Most significant byte first: cursors order as their bytes do.
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    pub(crate) const fn new(position: u32) -> Self {
        Self(position)
    }

    pub(crate) const fn position(self) -> u32 {
        self.0
    }
}

/// Part of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementsPage {
    /// Elements that are in the set, in the order of their hashes; may be empty before the end.
    pub elements: Vec<Box<[u8]>>,
    /// Where to go on; `None` at the end.
    pub next: Option<ElementCursor>,
}

impl SlotState {
    /// The elements of a set from a cursor on, until `examine_max` were looked at or those found pass `bytes_max`.
    ///
    /// Elements that share a position are taken together, since a cursor cannot point between them.
    pub(crate) fn elements(
        &self,
        key: &str,
        kind: Kind,
        from: ElementCursor,
        examine_max: usize,
        bytes_max: usize,
    ) -> ElementsPage {
        let mut page = ElementsPage { elements: Vec::new(), next: None };
        let hash = self.hash.of_name(key.as_bytes());
        let found = self.entries_of(key, hash).find(|(_, held)| held.kind() == kind);
        let Some((_, Held::Set(set))) = found else { return page };
        let (mut last, mut examined, mut bytes) = (None, 0, 0);
        for (position, handle) in set.elements.beginning_at(from.position()) {
            let is_full = examined >= examine_max || bytes > bytes_max;
            if is_full && last.is_some_and(|last| last != position) {
                page.next = Some(ElementCursor::new(position));
                break;
            }
            (last, examined) = (Some(position), examined + 1);
            let record = self.atoms.record(handle);
            if !record.value(&self.origins).is_empty() {
                bytes += record.name.len() + ELEMENT_OVERHEAD_BYTES;
                page.elements.push(record.name.into());
            }
        }
        page
    }
}

/// The elements of several sets from a cursor on, about `count` of them in the order of their hashes, and where to go
/// on. A cursor cannot point between elements of one position, so those are taken together.
pub(crate) fn elements_of(
    sets: &[&SetEntry],
    from: ElementCursor,
    count: usize,
) -> (Vec<(Kind, Handle)>, Option<ElementCursor>) {
    let mut elements: Vec<(u32, Kind, Handle)> =
        sets.iter().flat_map(|set| first_elements(set, from, count)).collect();
    elements.sort_unstable();
    // Where one set or several have more, it ends before the first position that there is no room for.
    let next = match (elements.first(), elements.get(count)) {
        (Some((first, ..)), Some((beyond, ..))) => first.checked_add(1).map(|second| second.max(*beyond)),
        _ => None,
    };
    elements.retain(|(position, ..)| next.is_none_or(|next| *position < next));
    let elements = elements.into_iter().map(|(_, kind, handle)| (kind, handle)).collect();
    (elements, next.map(ElementCursor::new))
}

/// The first elements from a position on: one more than `count`, to tell where the next step begins, and all that share
/// the last one's position, since a cursor cannot point between them.
fn first_elements(set: &SetEntry, from: ElementCursor, count: usize) -> Vec<(u32, Kind, Handle)> {
    let mut first: Vec<(u32, Kind, Handle)> = Vec::new();
    for (position, handle) in set.elements.beginning_at(from.position()) {
        if first.len() > count && first.last().is_some_and(|(last, ..)| *last != position) {
            break;
        }
        first.push((position, set.kind, handle));
    }
    first
}

/// What an element takes in an answer beside its own bytes, roughly.
const ELEMENT_OVERHEAD_BYTES: usize = 8;
