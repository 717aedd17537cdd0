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

/// How much waits in every queue and buffer of replication. The limits are those of [`Config`](crate::Config).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Peers of which anything is known: members of the roster, and whom the host has not had
    /// [forgotten](crate::Replicator::forget_peers).
    pub peers: usize,
    /// Streams that are open or being opened.
    pub links: usize,
    /// Outputs that nobody has polled yet.
    pub outputs: usize,
    /// Writes that wait for other nodes; bounded by the requests that the host lets in.
    pub concerns: usize,
    /// Bytes of the ring of deltas; at most `ring_bytes`, or one larger delta.
    pub ring_bytes: usize,
    /// Bytes sent and not acknowledged, of the peer with the most; at most `window_bytes` and one larger delta.
    pub in_flight_bytes_max: usize,
    /// Ranges asked for, of the peer with the most; at most `wanted_max`.
    pub wanted_max: usize,
    /// Transfers given, refused ones that are being closed included; at most `donations_max` and those.
    pub donations: usize,
    /// Transfers taken; at most one.
    pub pulls: usize,
}
