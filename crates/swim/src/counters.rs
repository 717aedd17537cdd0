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
    /// Answers that came after their probe had failed.
    pub probes_answered_late: u64,
    /// Helpers of failed probes that did not say so: the own ill-health shows in it.
    pub nacks_missing: u64,
    /// Pings on behalf of others.
    pub relays: u64,
    /// Suspicions raised by own probes.
    pub suspicions: u64,
    /// Suspicions of others that own probes confirmed.
    pub confirmations: u64,
    /// Words of the own suspicion, death or departure that were refuted.
    pub refutations: u64,
    /// Suspects whose death was left to the host.
    pub unreachables: u64,
    /// Members called dead by the own clock.
    pub deaths: u64,
    /// Times at which the host was late.
    pub lags: u64,
    /// Transmissions that the peer refused.
    pub sends_refused: u64,
    /// Transmissions without a reply in time.
    pub sends_timed_out: u64,
    /// Transmissions whose link broke.
    pub sends_closed: u64,
    /// Exchanges of state begun.
    pub syncs: u64,
    /// Pages of state sent and asked for.
    pub sync_pages: u64,
    /// Messages of news sent on their own.
    pub gossips: u64,
    /// Records that changed what is known.
    pub updates_applied: u64,
    /// Records in a state that this version does not know.
    pub updates_unknown: u64,
    /// Records that no member may say: accusations without a known accuser, leaps of an epoch or an incarnation, and in a
    /// book those beyond the limits.
    pub updates_refused: u64,
    /// Members that were dead or departed and are known no more, since others took their places.
    pub members_evicted: u64,
    /// Records of further members for which there was no room within `members_max`.
    pub members_refused: u64,
    /// Members that were dead or departed for long and are known no more.
    pub members_forgotten: u64,
    /// Messages and records of another live process under the local id, or above all that it can say.
    pub conflicts: u64,
    /// Own broadcasts that were taken to be told.
    pub broadcasts_offered: u64,
    /// Broadcasts of others that the host was told of.
    pub broadcasts_received: u64,
    /// Sendings of broadcasts, own and others'.
    pub broadcasts_sent: u64,
    /// Broadcasts, own and others', that are no longer told on, or never were, for want of room.
    pub broadcasts_dropped: u64,
    /// Broadcasts that were not taken: of a member or a process that is not known here, malformed or too long, more in
    /// one message than are held, or so late that it is forgotten whether they were taken before.
    pub broadcasts_refused: u64,
}
