//! What a keyspace holds and what it has done, for metrics.

use std::ops::AddAssign;

use trellis_crdt::Kind;

/// What a [`Keyspace`](crate::Keyspace) holds, and what it has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Entries that exist: pairs of key and kind with content.
    pub keys: usize,
    /// Atoms, those without content included.
    pub atoms: usize,
    /// Seqs in the dot index that are of use: one for each atom and each origin that its list names.
    pub index_entries: usize,
    /// Bytes that index and tables occupy, beside those of the atoms.
    pub index_bytes: usize,
    /// Dots beyond the contiguous prefixes.
    pub early: usize,
    /// What is held of each kind, in the order of [`Kind::ALL`].
    pub kinds: [KindUsage; Kind::ALL.len()],
    /// What was done.
    pub counters: Counters,
}

impl Usage {
    /// What is held of one kind.
    pub fn of(&self, kind: Kind) -> &KindUsage {
        &self.kinds[usize::from(kind.code()) - 1]
    }
}

/// The sum over keyspaces, as of a node that keeps its slots in several.
impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let Self { keys, atoms, index_entries, index_bytes, early, kinds, counters } = other;
        self.keys += keys;
        self.atoms += atoms;
        self.index_entries += index_entries;
        self.index_bytes += index_bytes;
        self.early += early;
        self.kinds.iter_mut().zip(kinds).for_each(|(sum, kind)| *sum += kind);
        self.counters += counters;
    }
}

/// What is held of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindUsage {
    /// Keys that hold content of the kind.
    pub keys: usize,
    /// Atoms of the kind, those without content included: of a set its elements.
    pub atoms: usize,
    /// Records of removals: atoms without content, kept until every member has heard of them.
    pub deletions: usize,
    /// Bytes of the atoms, names included.
    pub bytes: usize,
    /// Slots of counters: one for each replica that wrote a counter and is not forgotten.
    pub counter_slots: usize,
}

impl AddAssign for KindUsage {
    fn add_assign(&mut self, other: Self) {
        let Self { keys, atoms, deletions, bytes, counter_slots } = other;
        self.keys += keys;
        self.atoms += atoms;
        self.deletions += deletions;
        self.bytes += bytes;
        self.counter_slots += counter_slots;
    }
}

/// Events since the keyspace was made. Each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Dots minted here.
    pub operations: u64,
    /// Local operations that were refused.
    pub operations_refused: u64,
    /// Deltas that moved a clock.
    pub deltas_in_order: u64,
    /// Deltas that were merged beyond the prefix.
    pub deltas_early: u64,
    /// Deltas that had been merged before.
    pub deltas_duplicate: u64,
    /// Deltas that were dropped because the early set was full.
    pub deltas_dropped: u64,
    /// Catch-up entries that changed something.
    pub entries_changed: u64,
    /// Catch-up entries that changed nothing.
    pub entries_unchanged: u64,
    /// Clocks adopted.
    pub adoptions: u64,
    /// Deltas and entries that were refused as malformed, misplaced or contradictory.
    pub refused: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        let Self {
            operations,
            operations_refused,
            deltas_in_order,
            deltas_early,
            deltas_duplicate,
            deltas_dropped,
            entries_changed,
            entries_unchanged,
            adoptions,
            refused,
        } = other;
        self.operations += operations;
        self.operations_refused += operations_refused;
        self.deltas_in_order += deltas_in_order;
        self.deltas_early += deltas_early;
        self.deltas_duplicate += deltas_duplicate;
        self.deltas_dropped += deltas_dropped;
        self.entries_changed += entries_changed;
        self.entries_unchanged += entries_unchanged;
        self.adoptions += adoptions;
        self.refused += refused;
    }
}
