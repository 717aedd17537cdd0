//! From dots to atoms: the log of deltas of one slot, compacted by construction.
//!
//! Invariant: of each (atom, origin) exactly one seq is held, the one in the atom's list.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use trellis_crdt::{Dot, ReplicaId};

use crate::atom::Handle;

/// Origin → seq → atom, of each (atom, origin) only the newest seq.
#[derive(Debug, Default)]
pub(crate) struct DotIndex {
    origins: BTreeMap<ReplicaId, BTreeMap<u64, Handle>>,
}

impl DotIndex {
    /// Moves `atom` to where `dot` puts it, away from `superseded`, its former seq of that origin (0 for none).
    pub(crate) fn advance(&mut self, dot: Dot, superseded: u64, atom: Handle) {
        let seqs = self.origins.entry(dot.actor).or_default();
        seqs.remove(&superseded);
        let taken = seqs.insert(dot.seq, atom);
        assert!(taken.is_none(), "two atoms are kept from sharing a dot before either is changed");
    }

    /// The atom whose newest operation of that origin has this dot.
    pub(crate) fn get(&self, dot: Dot) -> Option<Handle> {
        self.origins.get(&dot.actor)?.get(&dot.seq).copied()
    }

    /// The first atom of `origin` with a seq beyond `seq`.
    pub(crate) fn next_seq(&self, origin: ReplicaId, seq: u64) -> Option<(u64, Handle)> {
        let mut beyond = self.origins.get(&origin)?.range((Excluded(seq), Unbounded));
        beyond.next().map(|(seq, atom)| (*seq, *atom))
    }

    /// The first origin, or the first after `origin`.
    pub(crate) fn next_origin(&self, origin: Option<ReplicaId>) -> Option<ReplicaId> {
        let start = origin.map_or(Unbounded, Excluded);
        self.origins.range((start, Unbounded)).next().map(|(origin, _)| *origin)
    }

    /// Number of (atom, origin) pairs. Linear in the number of origins.
    pub(crate) fn len(&self) -> usize {
        self.origins.values().map(BTreeMap::len).sum()
    }
}
