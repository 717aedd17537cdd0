//! Scanning a slot for a peer that lacks some of it (R3, R4).

use trellis_crdt::{ReplicaId, VersionVector};

use crate::atom::Handle;
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
    is_done: bool,
}

impl ScanCursor {
    /// Starts a scan of `slot` for every atom with a seq beyond `beyond`, the clock of who asks; empty for all atoms.
    ///
    /// The durable clock that the receiver adopts in the end is to be noted no later than the first step.
    pub fn new(slot: u8, beyond: VersionVector) -> Self {
        Self { slot, beyond, position: None, sent: HandleSet::default(), is_done: false }
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
}

impl SlotState {
    /// Goes on with a scan until the entries pass `bytes_max` or the heads are met.
    ///
    /// Why nothing is missed while atoms change between steps: an atom that had a seq of some origin beyond `beyond`
    /// when the scan started was in that origin's index then, and moves only forward there, so the scan, which leaves
    /// an origin only at its head, meets the atom at its place or at a later one. An origin that turns up behind the
    /// scan has nothing that was there when the scan started.
    ///
    /// Why no atom need be sent twice: the receiver adopts the donor's clock as of the start of the scan. Whenever an
    /// atom is sent, it holds every operation on it that this clock covers, since it held them at the start and
    /// merging only adds. What it takes up after it was sent lies beyond that clock, so the receiver's clock never
    /// claims it, and push or the next catch-up brings it. The same holds under whichever origin it was met.
    pub(crate) fn scan(&self, cursor: &mut ScanCursor, bytes_max: usize) -> ScanStep {
        let mut entries = Vec::new();
        let mut bytes = 0;
        while bytes <= bytes_max && !cursor.is_done {
            let Some(handle) = self.next_met(cursor) else {
                cursor.is_done = true;
                break;
            };
            if cursor.sent.insert(handle) {
                let entry = self.atom(handle).encode();
                bytes += entry.len();
                entries.push(entry);
            }
        }
        ScanStep { entries, is_done: cursor.is_done }
    }

    /// The next atom in the order of the index, origin by origin.
    fn next_met(&self, cursor: &mut ScanCursor) -> Option<Handle> {
        loop {
            if let Some((origin, seq)) = cursor.position
                && let Some((seq, handle)) = self.index.next_seq(origin, seq)
            {
                cursor.position = Some((origin, seq));
                return Some(handle);
            }
            let origin = self.index.next_origin(cursor.position.map(|(origin, _)| origin))?;
            cursor.position = Some((origin, cursor.beyond.get(origin)));
        }
    }
}

/// A set of atoms of one slot, as bits.
#[derive(Clone, Debug, Default)]
struct HandleSet {
    words: Vec<u64>,
}

impl HandleSet {
    /// Adds a handle; returns whether it was not there.
    fn insert(&mut self, handle: Handle) -> bool {
        let (word, bit) = (handle.index() / 64, 1_u64 << (handle.index() % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_first = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_first
    }
}
