//! What a keyspace holds and what it has done, for metrics.

/// What a [`Keyspace`](crate::Keyspace) holds, and what it has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Entries that exist: pairs of key and kind with content.
    pub keys: usize,
    /// Atoms, those without content included.
    pub atoms: usize,
    /// Seqs in the dot index: one for each atom and each origin that wrote it.
    pub index_entries: usize,
    /// Dots beyond the contiguous prefixes.
    pub early: usize,
    /// What was done.
    pub counters: Counters,
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
