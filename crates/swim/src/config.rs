//! Every rhythm and limit, with the relations between them.

use std::time::Duration;

use crate::broadcast::{BROADCAST_KEY_BYTES_MAX, BROADCAST_PAYLOAD_BYTES_MAX};
use crate::codec::{
    BROADCAST_BYTES_MAX, HEAD_BYTES_MAX, MESSAGE_BYTES_MAX, PING_HEAD_BYTES_MAX, RECORD_BYTES_MAX,
};
use crate::error::ConfigError;

/// Rhythms and limits. All members of a cluster should share the rhythms.
///
/// The defaults promise: a crashed member is suspected within 3 s (by 6 s where messages are lost), and called dead not before 10 s after the newest
/// direct evidence of its life that anyone holds, by about 11 s where the cluster agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// One member is probed per interval. At least `probe_timeout`; 1 s. Shorter finds failures sooner and costs
    /// two messages per member and interval; the first suspicion comes within three intervals.
    pub probe_interval: Duration,
    /// After this time without an answer others are asked to try. At most `probe_interval`; 500 ms. It should be
    /// well above the round trip: too short asks helpers all the time, too long leaves them no time.
    pub probe_timeout: Duration,
    /// How many others are asked to try. 0 to 16; 3. More tell a lost message from a lost member more surely.
    pub indirect_probes: usize,
    /// The highest score of the own ill-health; each point makes the own probes slower by one interval. 0 to 16; 8.
    /// 0 switches it off, and members that are slow suspect others.
    pub awareness_max: u32,
    /// The least time between a suspicion and the death. At least `2 * probe_interval`; 4 s, in which a live
    /// suspect hears of it and refutes. Too short kills members that are merely slow.
    pub suspicion_min: Duration,
    /// The least silence before a member is called dead. At least `suspicion_min`; 10 s, [`Config::fast`] 6 s.
    pub dead_after: Duration,
    /// The silence before a member is called dead on the word of a single accuser. At least `dead_after`; 24 s.
    /// It is multiplied with the own awareness, up to `2.5 * suspicion_max`.
    pub suspicion_max: Duration,
    /// Who calls a member dead whose time is over: this member by its own clock, or its host. All members of a cluster
    /// should agree on it: one that is `Auto` decides for all.
    pub dead_policy: DeadPolicy,
    /// So many further accusers shorten `suspicion_max` to `dead_after`. 0 to 2; 2, and 0 in clusters below four.
    pub confirmations: usize,
    /// While there is news, it is sent this often. 10 ms to `probe_interval`; 200 ms.
    pub burst_interval: Duration,
    /// To so many members at a time. 1 to 16; 3.
    pub burst_fanout: usize,
    /// A piece of news is sent `retransmit_factor * ceil(log10(N + 1))` times by each member that hears it.
    /// 1 to 16; 4. Fewer leaves more for the exchanges of state, more costs bytes.
    pub retransmit_factor: u32,
    /// Where digests differ an exchange of state is begun at most this often. 10 ms to an hour; 2 s. Shorter ends
    /// differences sooner, and costs more while there is much news.
    pub sync_interval: Duration,
    /// A dead member or a silent seed is contacted this often, for ever. At least `probe_interval`; 10 s. It bounds
    /// how long a healed partition stays two clusters.
    pub reach_out_interval: Duration,
    /// A member that knows nobody tries its seeds after this time, then after twice as long, up to
    /// `reach_out_interval`. At least 10 ms; 1 s.
    pub join_backoff: Duration,
    /// A departure counts as told after this time at the latest. 10 ms to an hour; 2 s.
    pub leave_timeout: Duration,
    /// A member that is dead or has left is forgotten after this time. At least `6 * dead_after`, at most a year;
    /// 24 h. A partition that lasts longer needs seeds to heal.
    pub forget_after: Duration,
    /// How many members are remembered, dead ones included. Where there are more, those that are up take the places
    /// of those that are not: the departed go first, then the dead that started earliest. What has no room is
    /// counted. Equal at all members, or those with less refuse for ever what the others tell them. 2 to 65,536;
    /// 4,096, well above twice the members that are up at a time: what has gone is contacted, and told that it has,
    /// only while it is known.
    pub members_max: usize,
    /// The longest message but for pages of state, in bytes. 1,320 to `page_bytes_max`; 1,400, for one datagram.
    pub gossip_bytes_max: usize,
    /// The longest page of state, in bytes. At most 1 MiB; 48 KiB. Shorter needs more round trips for an exchange.
    pub page_bytes_max: usize,
    /// How many pings may be under way on behalf of others; more are refused. 1 to 1,024; 64.
    pub relays_max: usize,
    /// Above so many transmissions without an answer only probes are sent. 16 to 4,096; 256.
    pub in_flight_max: usize,
    /// How many broadcasts are held to be told on, own and others', and how many are taken of one message. 0 to 65,536;
    /// 256. With 0 there are none: own ones are refused, and those of others neither reported nor told on.
    pub broadcasts_max: usize,
    /// How many bytes of their keys and payloads are held. 1,088, which is the longest, to 64 MiB; 256 KiB. A member
    /// tells about `burst_fanout * gossip_bytes_max` bytes per `burst_interval`, 21 KB/s, and each broadcast as often as
    /// a piece of news: holding more than that takes in some seconds makes broadcasts late and no more of them heard.
    pub broadcast_bytes_max: usize,
    /// How many broadcasts of others are remembered, so that none is taken twice. `broadcasts_max`, or at least 1, to
    /// 65,536; 4,096, at some 200 bytes each. When more come than this while one travels, that one may be missed.
    pub broadcasts_remembered_max: usize,
}

impl Config {
    /// The defaults, but dead after 6 s of silence: for those who prefer a quick verdict to patience with slow
    /// members.
    #[must_use]
    pub fn fast() -> Self {
        Self { dead_after: Duration::from_secs(6), suspicion_max: Duration::from_secs(14), ..Self::default() }
    }

    /// For round trips of 300 ms to a second, as by satellite: probes every 3 s, dead after 25 s of silence. Up to 300
    /// ms the defaults do.
    #[must_use]
    pub fn wan() -> Self {
        Self {
            probe_interval: Duration::from_secs(3),
            probe_timeout: Duration::from_secs(1),
            suspicion_min: Duration::from_secs(10),
            dead_after: Duration::from_secs(25),
            suspicion_max: Duration::from_secs(60),
            sync_interval: Duration::from_secs(5),
            leave_timeout: Duration::from_secs(5),
            ..Self::default()
        }
    }

    /// Checks every range and relation.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { probe_interval, suspicion_min, dead_after, .. } = *self;
        within("probe_timeout", self.probe_timeout, TICK_MIN, probe_interval)?;
        within("probe_interval", probe_interval, TICK_MIN, HOUR)?;
        within("suspicion_min", suspicion_min, 2 * probe_interval, HOUR)?;
        within("dead_after", dead_after, suspicion_min, HOUR)?;
        within("suspicion_max", self.suspicion_max, dead_after, HOUR)?;
        within("burst_interval", self.burst_interval, TICK_MIN, probe_interval)?;
        within("sync_interval", self.sync_interval, TICK_MIN, HOUR)?;
        within("reach_out_interval", self.reach_out_interval, probe_interval, HOUR)?;
        within("join_backoff", self.join_backoff, TICK_MIN, self.reach_out_interval)?;
        within("leave_timeout", self.leave_timeout, TICK_MIN, HOUR)?;
        within("forget_after", self.forget_after, 6 * dead_after, 366 * 24 * HOUR)?;
        between("indirect_probes", self.indirect_probes, 0, 16)?;
        between("awareness_max", self.awareness_max as usize, 0, 16)?;
        between("confirmations", self.confirmations, 0, CONFIRMATIONS_MAX)?;
        between("burst_fanout", self.burst_fanout, 1, 16)?;
        between("retransmit_factor", self.retransmit_factor as usize, 1, 16)?;
        between("members_max", self.members_max, 2, 1 << 16)?;
        between("page_bytes_max", self.page_bytes_max, GOSSIP_BYTES_MIN, MESSAGE_BYTES_MAX)?;
        between("gossip_bytes_max", self.gossip_bytes_max, GOSSIP_BYTES_MIN, self.page_bytes_max)?;
        between("relays_max", self.relays_max, 1, 1024)?;
        between("in_flight_max", self.in_flight_max, 16, 4096)?;
        between("broadcasts_max", self.broadcasts_max, 0, 1 << 16)?;
        between("broadcast_bytes_max", self.broadcast_bytes_max, BROADCAST_CONTENT_MAX, 64 << 20)?;
        let remembered_min = self.broadcasts_max.max(1);
        between("broadcasts_remembered_max", self.broadcasts_remembered_max, remembered_min, 1 << 16)?;
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            indirect_probes: 3,
            awareness_max: 8,
            suspicion_min: Duration::from_secs(4),
            dead_after: Duration::from_secs(10),
            suspicion_max: Duration::from_secs(24),
            dead_policy: DeadPolicy::Auto,
            confirmations: 2,
            burst_interval: Duration::from_millis(200),
            burst_fanout: 3,
            retransmit_factor: 4,
            sync_interval: Duration::from_secs(2),
            reach_out_interval: Duration::from_secs(10),
            join_backoff: Duration::from_secs(1),
            leave_timeout: Duration::from_secs(2),
            forget_after: 24 * HOUR,
            members_max: 4096,
            gossip_bytes_max: 1400,
            page_bytes_max: 48 << 10,
            relays_max: 64,
            in_flight_max: 256,
            broadcasts_max: 256,
            broadcast_bytes_max: 256 << 10,
            broadcasts_remembered_max: 4096,
        }
    }
}

/// Who calls a member dead that was silent for too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadPolicy {
    /// The own clock does.
    #[default]
    Auto,
    /// A host does, by [`Swim::confirm_dead`](crate::Swim::confirm_dead). It hears of the silence by
    /// [`Event::Unreachable`](crate::Event::Unreachable); until it has decided, or another member's word of the
    /// death has come, the member stays suspected. It is not probed meanwhile and gets no news, but is contacted as
    /// the dead are. For hosts that know more than silence tells, and for whom a false death costs more than a late
    /// one.
    Manual,
}

fn within(setting: &'static str, value: Duration, min: Duration, max: Duration) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::Duration { setting, value, min, max })
}

pub(crate) fn between(
    setting: &'static str,
    value: usize,
    min: usize,
    max: usize,
) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::Number { setting, value: value as u64, min: min as u64, max: max as u64 })
}

/// More accusers than one and these are not told of.
pub(crate) const CONFIRMATIONS_MAX: usize = 2;
const TICK_MIN: Duration = Duration::from_millis(10);
const HOUR: Duration = Duration::from_secs(3600);
/// It holds a head and the longest record, or a head and the longest broadcast.
const GOSSIP_BYTES_MIN: usize = 1320;
const _: () = assert!(HEAD_BYTES_MAX + RECORD_BYTES_MAX <= GOSSIP_BYTES_MIN);
const _: () = assert!(PING_HEAD_BYTES_MAX + BROADCAST_BYTES_MAX <= GOSSIP_BYTES_MIN);
const BROADCAST_CONTENT_MAX: usize = BROADCAST_KEY_BYTES_MAX + BROADCAST_PAYLOAD_BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_settings_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(Config::fast().validate(), Ok(()));
        assert_eq!(Config::wan().validate(), Ok(()));
        assert_eq!(Config::fast().dead_after, Duration::from_secs(6));
    }

    #[test]
    fn a_probe_timeout_above_the_probe_interval_is_refused() {
        let config = Config { probe_timeout: Duration::from_secs(2), ..Config::default() };
        let Err(ConfigError::Duration { setting, value, max, .. }) = config.validate() else {
            panic!("a timeout of two intervals passed");
        };
        assert_eq!((setting, value, max), ("probe_timeout", Duration::from_secs(2), Duration::from_secs(1)));
    }

    #[test]
    fn each_relation_between_settings_is_checked() {
        let second = Duration::from_secs(1);
        let refused = |config: Config| match config.validate() {
            Err(ConfigError::Duration { setting, .. } | ConfigError::Number { setting, .. }) => setting,
            Ok(()) => "nothing",
        };
        let base = Config::default;
        assert_eq!(refused(Config { suspicion_min: second, ..base() }), "suspicion_min");
        assert_eq!(refused(Config { dead_after: 3 * second, ..base() }), "dead_after");
        assert_eq!(refused(Config { suspicion_max: 9 * second, ..base() }), "suspicion_max");
        assert_eq!(refused(Config { burst_interval: 2 * second, ..base() }), "burst_interval");
        assert_eq!(refused(Config { reach_out_interval: second / 2, ..base() }), "reach_out_interval");
        assert_eq!(refused(Config { join_backoff: 11 * second, ..base() }), "join_backoff");
        assert_eq!(refused(Config { forget_after: 50 * second, ..base() }), "forget_after");
        assert_eq!(refused(Config { gossip_bytes_max: 50 << 10, ..base() }), "gossip_bytes_max");
        assert_eq!(refused(Config { page_bytes_max: 2 << 20, ..base() }), "page_bytes_max");
        assert_eq!(refused(Config { confirmations: 3, ..base() }), "confirmations");
        assert_eq!(refused(Config { broadcast_bytes_max: 1087, ..base() }), "broadcast_bytes_max");
        assert_eq!(refused(Config { broadcasts_max: 5000, ..base() }), "broadcasts_remembered_max");
    }
}
