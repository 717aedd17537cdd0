//! Limits of the nodes and the state of the network over a whole history.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use trellis_node::core::CaptureLimits;
use trellis_replication::Config as ReplicationConfig;
use trellis_storage::Config as StorageConfig;
use trellis_swim::Config as SwimConfig;
use trellis_wal::Config as WalConfig;

use crate::sim::agenda::Micros;
use crate::sim::dice::Dice;

/// What kind of trouble a history has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// None, but that everything takes its time.
    Calm,
    /// Of the network.
    Lossy,
    /// Of the disks.
    Disk,
    /// Of processes that come and go.
    Churn,
    /// Everything at once.
    Mixed,
    /// One of the others, by the seed.
    All,
}

impl Profile {
    /// The profiles that a seed of `All` is one of.
    pub const EACH: [Self; 5] = [Self::Calm, Self::Lossy, Self::Disk, Self::Churn, Self::Mixed];

    pub(super) fn resolve(self, dice: &mut Dice) -> Self {
        if self == Self::All {
            dice.pick(&[
                Self::Calm,
                Self::Lossy,
                Self::Lossy,
                Self::Disk,
                Self::Disk,
                Self::Churn,
                Self::Churn,
                Self::Mixed,
                Self::Mixed,
                Self::Mixed,
            ])
        } else {
            self
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Lossy => "lossy",
            Self::Disk => "disk",
            Self::Churn => "churn",
            Self::Mixed => "mixed",
            Self::All => "all",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::EACH.into_iter().chain([Self::All]).find(|profile| profile.name() == text);
        found.ok_or_else(|| format!("no profile {text:?}: calm, lossy, disk, churn, mixed or all"))
    }
}

/// Limits and rhythms of every node of a history; drawn small, so that a few hundred operations meet all of them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Shards of a node.
    pub shards: usize,
    /// Of the keyspace.
    pub storage: StorageConfig,
    /// Of replication.
    pub replication: ReplicationConfig,
    /// Of membership.
    pub swim: SwimConfig,
    /// Of the log.
    pub wal: WalConfig,
    /// Time that a sync of the log takes, from and to.
    pub sync_micros: (Micros, Micros),
    /// How snapshots are taken; `None` for none.
    pub snapshots: Option<SnapshotRhythm>,
}

/// When and in which steps snapshots are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotRhythm {
    /// Time between two of them, from and to.
    pub every_micros: (Micros, Micros),
    /// Time between two steps of one.
    pub step_micros: (Micros, Micros),
    /// Of each step.
    pub capture: CaptureLimits,
}

impl SnapshotRhythm {
    pub(super) fn draw(dice: &mut Dice) -> Option<Self> {
        let every_micros = dice.pick(&[(200_000, 1_500_000), (500_000, 4_000_000), (3_000_000, 12_000_000)]);
        let step_micros = dice.pick(&[(50, 400), (500, 6_000), (2_000, 60_000)]);
        let step_bytes = dice.pick(&[1, 100, 4_096]);
        let chunk_bytes = dice.pick(&[60, 400, 4_096]);
        let has_snapshots = dice.per_mille(850);
        let capture = CaptureLimits { step_bytes, chunk_bytes };
        has_snapshots.then_some(Self { every_micros, step_micros, capture })
    }
}

impl Limits {
    pub(super) fn draw(dice: &mut Dice, snapshots: Option<SnapshotRhythm>) -> Self {
        let ring_bytes = dice.pick(&[1_500, 6_000, 64 << 10]);
        let replication = ReplicationConfig {
            ring_bytes,
            window_bytes: (ring_bytes / 2).min(dice.pick(&[700, 3_000, 32 << 10])),
            batch_bytes: dice.pick(&[300, 700]),
            chunk_bytes: dice.pick(&[200, 600, 4_096]),
            donations_max: dice.pick(&[1, 2, 4]),
            anti_entropy_interval: Duration::from_secs(dice.pick(&[5, 10, 20])),
            wanted_max: dice.pick(&[1, 2, 256]),
            ..ReplicationConfig::default()
        };
        let sync_micros = dice.pick(&[(60, 150), (100, 2_000), (1_000, 15_000)]);
        Self {
            shards: dice.pick(&[1, 1, 2]),
            storage: StorageConfig {
                early_max_per_slot: dice.pick(&[2, 8, 1024]),
                delete_elements_max: dice.pick(&[1, 2, 512]),
            },
            replication,
            swim: SwimConfig::default(),
            wal: WalConfig { segment_bytes: dice.pick(&[11 << 10, 11 << 10, 14 << 10, 32 << 10]), ..WAL },
            sync_micros,
            snapshots,
        }
    }

    /// Limits that nothing meets.
    pub fn roomy() -> Self {
        Self {
            shards: 2,
            storage: StorageConfig::default(),
            replication: ReplicationConfig::default(),
            swim: SwimConfig::default(),
            wal: WAL,
            sync_micros: (100, 300),
            snapshots: None,
        }
    }

    /// Limits of replication so small that a few operations pass all of them.
    pub fn cramped() -> Self {
        let replication = ReplicationConfig {
            ring_bytes: 2_000,
            window_bytes: 800,
            batch_bytes: 400,
            chunk_bytes: 300,
            ..ReplicationConfig::default()
        };
        Self { replication, ..Self::roomy() }
    }
}

/// A log whose segments are full after some hundred records.
const WAL: WalConfig = WalConfig {
    segment_bytes: 32 << 10,
    record_bytes_max: 5 << 10,
    pending_bytes_max: 6 << 10,
    batch_bytes_max: 6 << 10,
};

/// What the network does to messages all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Time that a message takes, from and to.
    pub delay_micros: (Micros, Micros),
    /// Messages in a thousand that take fifty times as long.
    pub late_per_mille: u64,
    /// Of messages that may be lost: so many in a thousand are.
    pub lost_per_mille: u64,
    /// Of messages that may come twice.
    pub doubled_per_mille: u64,
    /// Of messages that may overtake others on their stream.
    pub overtaking_per_mille: u64,
    /// Messages in a thousand that break their stream in place of arriving.
    pub breaking_per_mille: u64,
}

impl Weather {
    /// Nothing is lost, nothing is late.
    pub const FAIR: Self = Self {
        delay_micros: (200, 800),
        late_per_mille: 0,
        lost_per_mille: 0,
        doubled_per_mille: 0,
        overtaking_per_mille: 0,
        breaking_per_mille: 0,
    };

    pub(super) fn draw(profile: Profile, dice: &mut Dice) -> Self {
        let delay_micros = dice.pick(&[(100, 400), (500, 1_500), (2_000, 20_000)]);
        if matches!(profile, Profile::Calm | Profile::Disk) {
            return Self { delay_micros, ..Self::FAIR };
        }
        Self {
            delay_micros,
            late_per_mille: dice.pick(&[0, 10, 50]),
            lost_per_mille: dice.pick(&[0, 10, 50, 200]),
            doubled_per_mille: dice.pick(&[0, 20, 100]),
            overtaking_per_mille: dice.pick(&[0, 50, 200]),
            breaking_per_mille: dice.pick(&[0, 0, 5, 20]),
        }
    }
}
