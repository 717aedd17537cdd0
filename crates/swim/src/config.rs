//! Every rhythm and limit, with the relations between them.

use std::time::Duration;

use crate::codec::RECORD_BYTES_MAX;
use crate::error::ConfigError;

/// Rhythms and limits. All members of a cluster should share the rhythms.
///
/// The defaults promise: a crashed member is suspected by 6 s, and called dead not before 10 s after the newest
/// direct evidence of its life that anyone holds, by about 11 s where the cluster agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// One member is probed per interval. At least `probe_timeout`; 1 s. Shorter finds failures sooner and costs
    /// two messages per member and interval; longer delays the first suspicion.
    pub probe_interval: Duration,
    /// After this time without an answer others are asked to try. At most `probe_interval`; 500 ms. It should be
    /// well above the round trip: too short asks helpers all the time, too long leaves them no time.
    pub probe_timeout: Duration,
    /// How many others are asked to try. 0 to 16; 3. More tell a lost message from a lost member more surely.
    pub indirect_probes: usize,
    /// The least time between a suspicion and the death. At least `2 * probe_interval`; 4 s, in which a live
    /// suspect hears of it and refutes. Too short kills members that are merely slow.
    pub suspicion_min: Duration,
    /// The least silence before a member is called dead. At least `suspicion_min`; 10 s, [`Config::fast`] 6 s.
    pub dead_after: Duration,
    /// While there is news, it is sent this often. 10 ms to `probe_interval`; 200 ms.
    pub burst_interval: Duration,
    /// To so many members at a time. 1 to 16; 3.
    pub burst_fanout: usize,
    /// A piece of news is sent `retransmit_factor * ceil(log10(N + 1))` times by each member that hears it.
    /// 1 to 16; 4. Fewer leaves members that have not heard, more costs bytes.
    pub retransmit_factor: u32,
    /// A dead member or a silent seed is contacted this often, for ever. At least `probe_interval`; 10 s. It bounds
    /// how long a healed partition stays two clusters.
    pub reach_out_interval: Duration,
    /// A member that knows nobody tries its seeds after this time, then after twice as long, up to
    /// `reach_out_interval`. At least 10 ms; 1 s.
    pub join_backoff: Duration,
    /// A departure counts as told after this time at the latest. 10 ms to an hour; 2 s.
    pub leave_timeout: Duration,
    /// How many members are remembered, dead ones included; records of others are ignored and counted.
    /// 2 to 65,536; 4,096.
    pub members_max: usize,
    /// The longest message but for exchanges of the whole state, in bytes. 2,048 to `message_bytes_max`; 2,048.
    pub gossip_bytes_max: usize,
    /// The longest message that is taken, in bytes. It must hold `members_max` records; 4 MiB.
    pub message_bytes_max: usize,
    /// How many pings may be under way on behalf of others; more are refused. 1 to 1,024; 64.
    pub relays_max: usize,
    /// Above so many transmissions without an answer only probes are sent. 16 to 4,096; 128.
    pub in_flight_max: usize,
}

impl Config {
    /// The defaults, but dead after 6 s of silence: for those who prefer a quick verdict to patience with slow
    /// members.
    #[must_use]
    pub fn fast() -> Self {
        Self { dead_after: Duration::from_secs(6), ..Self::default() }
    }

    /// Checks every range and relation.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { probe_interval, suspicion_min, .. } = *self;
        within("probe_timeout", self.probe_timeout, TICK_MIN, probe_interval)?;
        within("probe_interval", probe_interval, TICK_MIN, HOUR)?;
        within("suspicion_min", suspicion_min, 2 * probe_interval, HOUR)?;
        within("dead_after", self.dead_after, suspicion_min, HOUR)?;
        within("burst_interval", self.burst_interval, TICK_MIN, probe_interval)?;
        within("reach_out_interval", self.reach_out_interval, probe_interval, HOUR)?;
        within("join_backoff", self.join_backoff, TICK_MIN, self.reach_out_interval)?;
        within("leave_timeout", self.leave_timeout, TICK_MIN, HOUR)?;
        between("indirect_probes", self.indirect_probes, 0, 16)?;
        between("burst_fanout", self.burst_fanout, 1, 16)?;
        between("retransmit_factor", self.retransmit_factor as usize, 1, 16)?;
        between("members_max", self.members_max, 2, 1 << 16)?;
        between("gossip_bytes_max", self.gossip_bytes_max, 2048, self.message_bytes_max)?;
        between("relays_max", self.relays_max, 1, 1024)?;
        between("in_flight_max", self.in_flight_max, 16, 4096)?;
        let needed = (self.members_max + 1) * RECORD_BYTES_MAX;
        if self.message_bytes_max < needed {
            let Self { members_max, message_bytes_max, .. } = *self;
            return Err(ConfigError::StateExceedsMessage { members_max, message_bytes_max, needed });
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            indirect_probes: 3,
            suspicion_min: Duration::from_secs(4),
            dead_after: Duration::from_secs(10),
            burst_interval: Duration::from_millis(200),
            burst_fanout: 3,
            retransmit_factor: 4,
            reach_out_interval: Duration::from_secs(10),
            join_backoff: Duration::from_secs(1),
            leave_timeout: Duration::from_secs(2),
            members_max: 4096,
            gossip_bytes_max: 2048,
            message_bytes_max: 4 << 20,
            relays_max: 64,
            in_flight_max: 128,
        }
    }
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

const TICK_MIN: Duration = Duration::from_millis(10);
const HOUR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_settings_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(Config::fast().validate(), Ok(()));
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
    fn a_message_must_hold_all_members() {
        let config = Config { members_max: 60_000, ..Config::default() };
        assert!(matches!(
            config.validate(),
            Err(ConfigError::StateExceedsMessage { members_max: 60_000, .. })
        ));
    }
}
