//! Scanning a slot for a peer that lacks some of it (R3, R4).

use std::borrow::Cow;

use trellis_crdt::{Atom, Entry, ReplicaId, VersionVector};

use crate::atoms::Handle;
use crate::origins::HandleSet;
use crate::slot::SlotState;

/// How far the scan of one slot for one peer has come.
///
/// Belongs to the process and the [`Keyspace`](crate::Keyspace) that it was used with first. Costs one bit for each
/// atom of the slot.
#[derive(Clone, Debug)]
pub struct ScanCursor {
    slot: u8,
    beyond: VersionVector,
    /// The origin being scanned and the seq up to which that is done; origins before it are done.
    position: Option<(ReplicaId, u64)>,
    sent: HandleSet,
    /// How often something had been dropped from the slot at the first step.
    drops: Option<u64>,
    is_done: bool,
}

impl ScanCursor {
    /// Starts a scan of `slot` for every atom with a seq beyond `beyond`, the clock of who asks; empty for all atoms.
    ///
    /// The durable clock that the receiver adopts in the end is to be noted no later than the first step.
    pub fn new(slot: u8, beyond: VersionVector) -> Self {
        Self { slot, beyond, position: None, sent: HandleSet::default(), drops: None, is_done: false }
    }

    /// The slot that is scanned.
    pub fn slot(&self) -> u8 {
        self.slot
    }
}

/// What one step of a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanStep {
    /// Whole atoms with their whole lists, in the codec of trellis-crdt.
    pub entries: Vec<Vec<u8>>,
    /// True when the head of every origin was met: the noted clock may follow these entries.
    pub is_done: bool,
    /// True when collection dropped something from the slot since the first step (R10): nothing that was scanned may
    /// be followed by the noted clock, and there are no entries.
    pub is_void: bool,
}

impl SlotState {
    /// Goes on with a scan until the entries pass `bytes_max` or the heads are met.
    ///
    /// Why nothing is missed while atoms change between steps: an atom that had a seq of some origin beyond `beyond`
    /// when the scan started was in that origin's log then, and moves only forward there, so the scan, which leaves
    /// an origin only at its head, meets the atom at its place or at a later one. An origin that turns up behind the
    /// scan has nothing that was there when the scan started.
    ///
    /// Why no atom need be sent twice: the receiver adopts the donor's clock as of the start of the scan. Whenever an
    /// atom is sent, it holds every operation on it that this clock covers, since it held them at the start and
    /// merging only adds. What it takes up after it was sent lies beyond that clock, so the receiver's clock never
    /// claims it, and push or the next catch-up brings it. The same holds under whichever origin it was met.
    pub(crate) fn scan(&self, cursor: &mut ScanCursor, bytes_max: usize) -> ScanStep {
        if *cursor.drops.get_or_insert(self.drops) != self.drops {
            return ScanStep { entries: Vec::new(), is_done: false, is_void: true };
        }
        let mut entries = Vec::new();
        let mut bytes = 0;
        while !cursor.is_done {
            let (origin, seq) = match cursor.position {
                Some(position) => position,
                None => match self.origin_after(None, &cursor.beyond) {
                    Some(first) => first,
                    None => break,
                },
            };
            let place = self.origins.place(origin).expect("an origin keeps its place");
            for (seq, atom) in self.origins.log(place).beyond(seq) {
                if bytes > bytes_max {
                    return ScanStep { entries, is_done: false, is_void: false };
                }
                cursor.position = Some((origin, seq));
                // Asked in this order, an atom with many origins has its list read a few times only.
                if !cursor.sent.contains(atom) && self.is_named(atom, place, seq) {
                    cursor.sent.insert(atom);
                    let entry = self.encode_entry(atom);
                    bytes += entry.len();
                    entries.push(entry);
                }
            }
            cursor.position = self.origin_after(Some(origin), &cursor.beyond);
            cursor.is_done = cursor.position.is_none();
        }
        cursor.is_done = true;
        ScanStep { entries, is_done: true, is_void: false }
    }

    /// The first origin, or the first after `origin`, and where its scan begins.
    fn origin_after(&self, origin: Option<ReplicaId>, beyond: &VersionVector) -> Option<(ReplicaId, u64)> {
        let next = self.origins.id(self.origins.next(origin)?);
        Some((next, beyond.get(next)))
    }

    /// Encodes an atom whole, as catch-up and snapshots carry it. The pieces go over as they are spelled.
    pub(crate) fn encode_entry(&self, atom: Handle) -> Vec<u8> {
        let record = self.atoms.record(atom);
        let (list, pieces) = record.list_and_pieces(&self.origins);
        let key = std::str::from_utf8(self.atoms.key_of(&record)).expect("keys are UTF-8 where they enter");
        let element = record.set.map(|_| Cow::Borrowed(record.name));
        let atom = Atom { key: Cow::Borrowed(key), kind: record.kind, element };
        Entry::encode_parts(&atom, &list, pieces)
    }
}
