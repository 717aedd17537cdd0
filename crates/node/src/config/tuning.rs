//! Settings that a node runs well without: log, membership, replication, limits.

use std::time::Duration;

/// The write-ahead log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalConfig {
    /// Bytes of one segment file, allocated ahead. Default 64 MiB; at most 4 GiB, and at least 64 KiB more than
    /// `batch_bytes_max`. Too low: many files and rotations; too high: space is freed late.
    pub segment_bytes: u64,
    /// Bytes of one record at most. Default 16 MiB; 2 MiB, so that the largest value fits with its key and context,
    /// to 1 GiB. Too high: one record delays all others that wait for the disk.
    pub record_bytes_max: u64,
    /// Bytes that one sync writes at most. Default 32 MiB; at least 1 KiB more than `record_bytes_max`. Too low: more
    /// syncs under load; too high: the first record of a batch waits for the last.
    pub batch_bytes_max: u64,
    /// Bytes that wait to be written at most, which one record may overshoot. Default 64 MiB; at least
    /// `batch_bytes_max`. Too low: writers wait during a slow sync; too high: memory, and a long last sync.
    pub pending_bytes_max: u64,
    /// Time after which a snapshot is taken, if anything was logged meanwhile. Default 5 min; 1 s to 24 h. Too low:
    /// the disk writes the whole state again and again; too high: a start replays much.
    pub snapshot_interval: Duration,
    /// Bytes of log behind the newest snapshot at which the next is taken at once. Default 500 MB; 1 MiB to 1 TiB. Too
    /// low: as above; too high: disk space, and a start replays much.
    pub snapshot_log_bytes: u64,
    /// Bytes a second that a snapshot writes at most while clients are served. Default 64 MiB; 1 MiB to 1 TiB. Too
    /// low: a snapshot takes long, and the log grows meanwhile; too high: syncs of the log wait for it.
    pub snapshot_rate: u64,
}

impl Default for WalConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * MIB,
            record_bytes_max: 16 * MIB,
            batch_bytes_max: 32 * MIB,
            pending_bytes_max: 64 * MIB,
            snapshot_interval: Duration::from_secs(300),
            snapshot_log_bytes: 500_000_000,
            snapshot_rate: 64 * MIB,
        }
    }
}

/// Who is alive: the rhythm of probes. What is not set follows the preset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwimConfig {
    /// The situation that the other values start from. Default [`SwimPreset::Standard`].
    pub preset: SwimPreset,
    /// Time between two probes. Preset: 1 s (wan: 3 s); 200 ms to 5 s. Too low: traffic and false alarms; too high: a
    /// dead member is noticed late, after up to three of them.
    pub probe_interval: Option<Duration>,
    /// Time that a probe has before others are asked to try. Preset: 500 ms (wan: 1 s); 10 ms to `probe_interval`.
    /// Sensible: above the slowest round trip.
    pub probe_timeout: Option<Duration>,
    /// Silence after which a member that nobody reaches is dead. Preset: 10 s (fast: 6 s, wan: 25 s); 4 s and two
    /// probe intervals, in which a live member hears of its suspicion and denies it, to 10 minutes. Too low: a pause
    /// counts as a death; too high: writes with `replicas` wait for a ghost.
    pub dead_after: Option<Duration>,
}

/// A set of membership settings named after where it fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SwimPreset {
    /// Dead after 10 s: round trips of up to 300 ms, busy machines.
    #[default]
    Standard,
    /// Dead after 6 s: one quiet network, at the price of more false alarms.
    Fast,
    /// Dead after 25 s: round trips of up to a second.
    Wan,
}

impl SwimPreset {
    pub(crate) fn settings(self) -> trellis_swim::Config {
        match self {
            Self::Standard => trellis_swim::Config::default(),
            Self::Fast => trellis_swim::Config::fast(),
            Self::Wan => trellis_swim::Config::wan(),
        }
    }
}

/// How deltas reach the other members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationConfig {
    /// Bytes of encoded deltas kept for members that are a little behind. Default 64 MiB; at least `window_bytes`.
    /// Too low: a short pause of a member costs it a catch-up; too high: memory.
    pub ring_bytes: u64,
    /// Bytes sent to one member and not acknowledged, at most. Default 4 MiB; at least `batch_bytes`. Too low: the
    /// link idles for a round trip; too high: more to send again after a loss.
    pub window_bytes: u64,
    /// Bytes of deltas in one message, which one larger delta may overshoot. Default 64 KiB; 1 byte to 8 MiB. Too
    /// low: more messages; too high: one slow message holds up the rest.
    pub batch_bytes: u64,
    /// How long a delta waits for company while others are on their way to the same member. Default 1 ms, at most
    /// 100 ms; an idle stream never waits. Too high: lag.
    pub coalesce: Duration,
    /// Time between two rounds of anti-entropy, give or take a quarter. Default 60 s; at least 1 s. Too low: idle
    /// traffic; too high: what the streams lost is repaired late.
    pub anti_entropy_interval: Duration,
    /// Time between two gossip rounds. Default 2 s; at least 100 ms. Too low: idle traffic; too high: stability,
    /// and with it collection, moves late.
    pub gossip_interval: Duration,
    /// Members told in each gossip round: 1 to 16. Default 3. Too low: news spreads slowly; too high: every
    /// member hears everything many times.
    pub gossip_fanout: usize,
    /// Transfers given to other members at the same time. Default 4; at least 1. Too low: several joining members
    /// queue; too high: they slow down clients.
    pub donations_max: usize,
}

impl Default for ReplicationConfig {
    fn default() -> Self {
        Self {
            ring_bytes: 64 * MIB,
            window_bytes: 4 * MIB,
            batch_bytes: 64 * KIB,
            coalesce: Duration::from_millis(1),
            anti_entropy_interval: Duration::from_secs(60),
            gossip_interval: Duration::from_secs(2),
            gossip_fanout: 3,
            donations_max: 4,
        }
    }
}

/// What clients and peers may ask for at most. What is beyond is refused with a reason, never queued without end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Bytes of memory beyond which writes are refused. Default none; at least 16 MiB. Sensible: three quarters of what the
    /// machine gives the process. Too low: refusals; none: the machine's limit kills the process.
    pub memory: Option<u64>,
    /// Connections open at a time, on each listener. Default 1024; at least 1. Too low: clients are turned away;
    /// too high: file descriptors and buffers.
    pub connections: usize,
    /// Requests in work on one connection. Default 1024; at least 1. Too low: a client with many calls in flight
    /// waits for itself; too high: one client can take all the memory of requests.
    pub requests_per_connection: usize,
    /// The longest that a request may take, whatever deadline its client names, but for one that has a snapshot
    /// taken. Default 30 s; at least 1 s. Too low: writes with `replicas` fail during a short cut; too high: waiting
    /// requests pile up.
    pub request_timeout: Duration,
    /// How long a stopping node lets requests finish, and then has for its last snapshot. Default 10 s. Too low: clients
    /// see broken calls, and the next start replays the log; too high: a stop takes long.
    pub drain_timeout: Duration,
    /// How far the wall clock may be from the other members' median before last-writer-wins writes are refused.
    /// Default 500 ms; at least 10 ms. Too low: refusals; too high: a fast clock wins over later writes.
    pub clock_skew: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            memory: None,
            connections: 1024,
            requests_per_connection: 1024,
            request_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            clock_skew: Duration::from_millis(500),
        }
    }
}

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
