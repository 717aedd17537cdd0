//! What has happened since the start, for a status page.

/// Counts since the start; none of them ever falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that were taken.
    pub messages_received: u64,
    /// Requests and replies that were refused.
    pub messages_refused: u64,
    /// Probes begun.
    pub probes: u64,
    /// Probes in which others were asked to try.
    pub probes_indirect: u64,
    /// Probes that nobody answered.
    pub probes_failed: u64,
    /// Pings on behalf of others.
    pub relays: u64,
    /// Suspicions raised by own probes.
    pub suspicions: u64,
    /// Words of the own suspicion, death or departure that were refuted.
    pub refutations: u64,
    /// Members called dead by the own clock.
    pub deaths: u64,
    /// Transmissions that the peer refused.
    pub sends_refused: u64,
    /// Transmissions without a reply in time.
    pub sends_timed_out: u64,
    /// Transmissions whose link broke.
    pub sends_closed: u64,
    /// Exchanges of the whole state begun.
    pub exchanges: u64,
    /// Messages of news sent on their own.
    pub gossips: u64,
    /// Records that changed what is known.
    pub updates_applied: u64,
    /// Records in a state that this version does not know.
    pub updates_unknown: u64,
    /// Records of further members beyond `members_max`.
    pub members_refused: u64,
    /// Messages and records of another live process under the local id.
    pub conflicts: u64,
}
