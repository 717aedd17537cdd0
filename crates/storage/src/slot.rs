//! One slot: its atoms, and what is known of the dots that made them.
//!
//! Invariants, kept by every change ([`SlotState::open`] to [`SlotState::close`]) and by collection: the log of an origin holds of each atom the seq that
//! its list names, the ceiling is at least every list and the clock, and digest and counts are those of the atoms.

use std::collections::VecDeque;

use trellis_crdt::{Dot, Kind, ReplicaId, VersionVector};

use crate::atoms::{Atoms, Handle};
use crate::batch::Undo;
use crate::digest::KeyedHash;
use crate::early_set::EarlySet;
use crate::origins::{HandleSet, Origins};
use crate::table::Table;
use crate::usage::KindUsage;

mod change;
mod lookup;
mod standing;

pub(crate) use change::{Opened, each_news};
pub(crate) use lookup::{Held, Subject};
pub(crate) use standing::{Standing, exists};

/// The unit of clocks, catch-up and digests: one of 256 parts of the keyspace.
#[derive(Debug)]
pub(crate) struct SlotState {
    pub(crate) hash: KeyedHash,
    /// Keys to what they hold: atoms, and sets whose elements are atoms.
    pub(crate) table: Table,
    pub(crate) atoms: Atoms,
    pub(crate) origins: Origins,
    /// Of each origin the contiguous prefix merged.
    pub(crate) clock: VersionVector,
    pub(crate) early: EarlySet,
    /// Of each origin the greatest seq merged, however it came.
    pub(crate) ceiling: VersionVector,
    /// The join of the lists, as they were, of the atoms of which collection dropped anything.
    pub(crate) floor: VersionVector,
    /// Atoms of which something could be dropped when they were changed, each once. A handle stays until its turn
    /// comes, whatever has become of it.
    pub(crate) collectable: VecDeque<Handle>,
    /// What is in the queue.
    pub(crate) queued: HandleSet,
    /// How often something was dropped: a scan that this happens to is void.
    pub(crate) drops: u64,
    pub(crate) digest: u128,
    /// Bytes of the tables of sets.
    pub(crate) element_bytes: usize,
    pub(crate) usage: [KindUsage; Kind::ALL.len()],
    /// What a batch that is under way has written, in order.
    pub(crate) undo: Option<Vec<Undo>>,
    /// Where pieces are spelled to be hashed, and a changed atom before it is known how many bytes it takes.
    scratch: Vec<u8>,
    /// Where the dots that a change brings wait to be indexed.
    news: Vec<(Dot, bool)>,
}

impl SlotState {
    pub(crate) fn new(hash: KeyedHash) -> Self {
        Self {
            hash,
            table: Table::default(),
            atoms: Atoms::default(),
            origins: Origins::default(),
            clock: VersionVector::new(),
            early: EarlySet::default(),
            ceiling: VersionVector::new(),
            floor: VersionVector::new(),
            collectable: VecDeque::new(),
            queued: HandleSet::default(),
            drops: 0,
            digest: 0,
            element_bytes: 0,
            usage: Default::default(),
            undo: None,
            scratch: Vec::new(),
            news: Vec::new(),
        }
    }

    /// Takes over a clock up to which everything has been merged, and closes the gaps that this leaves none of.
    pub(crate) fn adopt(&mut self, noted: &VersionVector) {
        self.clock.merge(noted);
        self.early.settle(&mut self.clock);
        self.ceiling.merge(&self.clock);
    }

    /// True when nothing beyond the clock has been merged.
    pub(crate) fn is_settled(&self) -> bool {
        self.clock.dominates(&self.ceiling)
    }

    /// The seq of the next operation of `origin`; `None` when one beyond its prefix is known already.
    pub(crate) fn next_seq(&self, origin: ReplicaId) -> Option<u64> {
        let prefix = self.clock.get(origin);
        if self.ceiling.get(origin) > prefix { None } else { prefix.checked_add(1) }
    }
}
