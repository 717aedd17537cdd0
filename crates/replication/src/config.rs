//! Limits and rhythms of replication.

use std::time::Duration;

/// Every bound of the replicator. All nodes of a cluster may differ in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of encoded deltas kept for peers that are a little behind. Default 64 MiB. Too low: a short pause
    /// of a peer costs it a catch-up; too high: memory.
    pub ring_bytes: usize,
    /// Bytes sent to one peer and not acknowledged, at most. Default 4 MiB; at least `batch_bytes`. Too low: the
    /// link idles for a round trip; too high: more to send again after a loss.
    pub window_bytes: usize,
    /// Bytes of deltas in one message, which one larger delta may overshoot. Default 64 KiB.
    pub batch_bytes: usize,
    /// How long a delta waits for company while others are on their way to the same peer. Default 1 ms; an idle
    /// stream never waits.
    pub coalesce: Duration,
    /// The shortest time after which unacknowledged deltas are offered again; the usual one is four round trips.
    /// Default 20 ms.
    pub retry_min: Duration,
    /// The longest time between two offers of the same delta, and between two dials of a peer. Default 1 s.
    pub retry_max: Duration,
    /// Bytes of one chunk of a transfer, which its last entry overshoots. Default 1 MiB.
    pub chunk_bytes: usize,
    /// Transfers given at the same time. Default 4; a further peer is told to try another donor.
    pub donations_max: usize,
    /// Without a message for this long a transfer is given up. Default 10 s.
    pub transfer_timeout: Duration,
    /// Time between two rounds of anti-entropy, give or take a quarter. Default 60 s.
    pub anti_entropy_interval: Duration,
    /// Ranges asked of one peer at the same time. Default 256, one a slot.
    pub wanted_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ring_bytes: 64 << 20,
            window_bytes: 4 << 20,
            batch_bytes: 64 << 10,
            coalesce: Duration::from_millis(1),
            retry_min: Duration::from_millis(20),
            retry_max: Duration::from_secs(1),
            chunk_bytes: 1 << 20,
            donations_max: 4,
            transfer_timeout: Duration::from_secs(10),
            anti_entropy_interval: Duration::from_secs(60),
            wanted_max: 256,
        }
    }
}

impl Config {
    /// Checks the relations between the limits.
    ///
    /// # Errors
    ///
    /// Names the first relation that does not hold.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let holds =
            |holds: bool, relation: &'static str| if holds { Ok(()) } else { Err(ConfigError { relation }) };
        holds(self.batch_bytes > 0, "batch_bytes > 0")?;
        holds(self.batch_bytes <= self.window_bytes, "batch_bytes <= window_bytes")?;
        holds(self.window_bytes <= self.ring_bytes, "window_bytes <= ring_bytes")?;
        holds(self.retry_min <= self.retry_max, "retry_min <= retry_max")?;
        holds(!self.retry_min.is_zero(), "retry_min > 0")?;
        holds((1..=8 << 20).contains(&self.chunk_bytes), "0 < chunk_bytes <= 8 MiB")?;
        holds(self.donations_max > 0, "donations_max > 0")?;
        holds(!self.anti_entropy_interval.is_zero(), "anti_entropy_interval > 0")
    }
}

/// A relation between limits that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the replication settings must satisfy {relation}")]
pub struct ConfigError {
    /// The relation, in terms of the fields of [`Config`].
    pub relation: &'static str,
}
