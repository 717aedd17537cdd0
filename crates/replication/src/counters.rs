//! What replication counts.

/// Counts since start, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Deltas sent, repeats included.
    pub deltas_sent: u64,
    /// Deltas sent again because they stayed unacknowledged.
    pub deltas_offered_again: u64,
    /// Deltas that came in.
    pub deltas_received: u64,
    /// Ranges asked for.
    pub ranges_wanted: u64,
    /// Ranges answered from the ring.
    pub ranges_answered: u64,
    /// Ranges that were no longer in the ring.
    pub ranges_gone: u64,
    /// Transfers completed as the receiving side, in-sync rounds included.
    pub pulls_done: u64,
    /// Rounds in which both had the same.
    pub pulls_in_sync: u64,
    /// Transfers given up as the receiving side.
    pub pulls_failed: u64,
    /// Entries received in transfers.
    pub entries_received: u64,
    /// Entries sent in transfers.
    pub entries_sent: u64,
    /// Hellos refused here.
    pub hellos_refused: u64,
}
