//! Listing keys page by page.

use trellis_crdt::Kind;

use crate::error::ReadError;
use crate::slot::{Held, SlotState};

/// Where a listing goes on: a slot, and a position in the order of hashes there.
///
/// Means the same on every node of a cluster and after a restart, since the hash is keyed by the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    slot: u8,
    position: u32,
}

impl Cursor {
    /// The beginning of all slots.
    pub const START: Self = Self::at_slot(0);

    /// The beginning of `slot`.
    pub const fn at_slot(slot: u8) -> Self {
        Self::new(slot, 0)
    }

    /// Reads what [`Cursor::to_bytes`] made.
    ///
    /// # Errors
    /// [`ReadError::InvalidCursor`] when the length is another one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        let Ok([slot, position @ ..]) = <[u8; 5]>::try_from(bytes) else {
            return Err(ReadError::InvalidCursor);
        };
        Ok(Self { slot, position: u32::from_be_bytes(position) })
    }

    /// The slot, then the position, most significant byte first: cursors order as their bytes do.
    pub fn to_bytes(self) -> [u8; 5] {
        let [a, b, c, d] = self.position.to_be_bytes();
        [self.slot, a, b, c, d]
    }

    /// The slot in which the listing goes on.
    pub const fn slot(self) -> u8 {
        self.slot
    }

    pub(crate) const fn new(slot: u8, position: u32) -> Self {
        Self { slot, position }
    }

    pub(crate) const fn position(self) -> u32 {
        self.position
    }
}

/// Part of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// Entries that exist, in the order of slots and hashes; may be empty before the end.
    pub keys: Vec<(String, Kind)>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// Which entries are wanted, and how much of a page is still free.
#[derive(Debug)]
pub(crate) struct PageBuilder<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) kind: Option<Kind>,
    pub(crate) examine_left: usize,
    pub(crate) out_max: usize,
    pub(crate) keys: Vec<(String, Kind)>,
}

impl PageBuilder<'_> {
    pub(crate) fn is_full(&self) -> bool {
        self.examine_left == 0 || self.keys.len() >= self.out_max
    }
}

impl SlotState {
    /// Adds entries to `page` from `position` on until it is full; returns the position to go on from, if any.
    ///
    /// Atoms that share a position are taken together, since a cursor cannot point between them.
    pub(crate) fn list(&self, position: u32, page: &mut PageBuilder<'_>) -> Option<u32> {
        let mut last = None;
        for (position, handle) in self.table.beginning_at(position) {
            if last.is_some_and(|last| last != position) && page.is_full() {
                return Some(position);
            }
            last = Some(position);
            page.examine_left = page.examine_left.saturating_sub(1);
            let Some(held) = Held::of(self.atoms.get(handle)) else { continue };
            let is_wanted = page.kind.is_none_or(|kind| kind == held.kind())
                && held.key().starts_with(page.prefix.as_bytes());
            if is_wanted && self.exists(&held) {
                let key = String::from_utf8_lossy(held.key()).into_owned();
                page.keys.push((key, held.kind()));
            }
        }
        None
    }
}
