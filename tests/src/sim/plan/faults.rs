//! What goes wrong.

use super::settings::Profile;
use crate::sim::agenda::Micros;
use crate::sim::dice::Dice;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its place in the plan.
    pub index: usize,
    /// When it begins.
    pub at: Micros,
    /// How long it lasts, where it lasts.
    pub lasts: Micros,
    /// What.
    pub kind: FaultKind,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Messages from one host to another do not arrive.
    OneWayCut {
        /// From here.
        from: u8,
        /// To there.
        to: u8,
    },
    /// Hosts whose bit is set and the others do not hear each other.
    Partition {
        /// A bit for each host.
        side: u16,
    },
    /// Every stream of a host breaks.
    BreakLinks {
        /// Which.
        host: u8,
    },
    /// Streams of transfers break after this many of their chunks.
    CutTransfers {
        /// Chunks that still arrive.
        after: u8,
    },
    /// The entries of transfers arrive as nonsense.
    GarbleTransfers,
    /// A host accepts no connection.
    RefuseConnections {
        /// Which.
        host: u8,
    },
    /// What a host receives waits this long before it is looked at.
    SlowInbox {
        /// Which.
        host: u8,
        /// How long.
        micros: Micros,
    },
    /// A process does nothing.
    Pause {
        /// Which.
        host: u8,
    },
    /// Many messages are lost, doubled and reordered.
    Storm,
    /// A process is killed, or its machine loses power, and starts again when the fault ends.
    Crash {
        /// Which.
        host: u8,
        /// What becomes of what its disk had not synced.
        how: Crash,
    },
    /// All processes are killed at one moment.
    CrashAll {
        /// What becomes of what the disks had not synced.
        how: Crash,
    },
    /// A sync of the log fails.
    FailSync {
        /// Which.
        host: u8,
        /// Every later one would fail as well.
        is_for_good: bool,
    },
    /// A write to the log fails.
    FailWrite {
        /// Which.
        host: u8,
    },
    /// There is no room on a disk.
    FillDisk {
        /// Which.
        host: u8,
    },
    /// A sync takes this long.
    SlowDisk {
        /// Which.
        host: u8,
        /// How long.
        micros: Micros,
    },
    /// A process crashes, and its log cannot be read at the next start.
    FailRead {
        /// Which.
        host: u8,
    },
    /// A process crashes, and bits of its log have rotted at the next start.
    Rot {
        /// Which.
        host: u8,
        /// Where.
        place: Rot,
    },
    /// A bit of the snapshot that a process writes goes wrong on its way to the disk.
    SpoilSnapshot {
        /// Which.
        host: u8,
    },
    /// A process crashes and its disk is gone.
    LoseDisk {
        /// Which.
        host: u8,
    },
    /// A copy of a disk is put aside.
    Backup {
        /// Which.
        host: u8,
    },
    /// A process crashes and starts from the copy that was put aside.
    Restore {
        /// Which.
        host: u8,
    },
    /// A process crashes and starts from the disk that had been taken out, whose node another has replaced.
    ReturnDisk {
        /// Which.
        host: u8,
    },
    /// A second process starts from a copy of a running one's disk.
    Clone {
        /// Which.
        host: u8,
    },
    /// A wall clock jumps.
    WallJump {
        /// Which.
        host: u8,
        /// By so much.
        millis: i64,
    },
    /// A host leaves with goodbye, and comes back when the fault ends.
    Leave {
        /// Which.
        host: u8,
    },
    /// A host that was not there joins.
    Join,
}

/// What a power cut does to what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// All of it is gone.
    LosesAll,
    /// All of it was written after all: the process died, and not the machine.
    LosesNothing,
    /// Some of its sectors and names survive, in the middle of writing.
    TearsSectors,
    /// Some of its 4 KiB pages survive.
    TearsPages,
}

/// Where bits rot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rot {
    /// In the header of a segment.
    Header,
    /// Anywhere among the records.
    Middle,
    /// Near the end of what was written.
    Tail,
    /// Anywhere in the newest snapshot, or in the last segment where there is none.
    Snapshot,
}

impl FaultKind {
    /// What it is called in counts and traces.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OneWayCut { .. } => "one-way cut",
            Self::Partition { .. } => "partition",
            Self::BreakLinks { .. } => "broken streams",
            Self::CutTransfers { .. } => "cut transfers",
            Self::GarbleTransfers => "garbled transfers",
            Self::RefuseConnections { .. } => "refused connections",
            Self::SlowInbox { .. } => "slow inbox",
            Self::Pause { .. } => "pause",
            Self::Storm => "storm",
            Self::Crash { how: Crash::LosesAll, .. } => "crash that loses all",
            Self::Crash { how: Crash::LosesNothing, .. } => "crash that loses nothing",
            Self::Crash { how: Crash::TearsSectors, .. } => "crash that tears sectors",
            Self::Crash { how: Crash::TearsPages, .. } => "crash that tears pages",
            Self::CrashAll { .. } => "crash of all",
            Self::FailSync { is_for_good: false, .. } => "sync that fails once",
            Self::FailSync { is_for_good: true, .. } => "sync that fails for good",
            Self::FailWrite { .. } => "write that fails",
            Self::FillDisk { .. } => "full disk",
            Self::SlowDisk { .. } => "slow disk",
            Self::FailRead { .. } => "read that fails",
            Self::Rot { place: Rot::Header, .. } => "rot in a header",
            Self::Rot { place: Rot::Middle, .. } => "rot in the middle",
            Self::Rot { place: Rot::Tail, .. } => "rot at the tail",
            Self::Rot { place: Rot::Snapshot, .. } => "rot in the newest snapshot",
            Self::SpoilSnapshot { .. } => "spoiled snapshot",
            Self::LoseDisk { .. } => "lost disk",
            Self::Backup { .. } => "backup",
            Self::Restore { .. } => "restored disk",
            Self::ReturnDisk { .. } => "old disks returned",
            Self::Clone { .. } => "cloned disk",
            Self::WallJump { millis: 0.., .. } => "wall clock forth",
            Self::WallJump { .. } => "wall clock back",
            Self::Leave { .. } => "leave",
            Self::Join => "join",
        }
    }
}

pub(super) fn draw(
    profile: Profile,
    hosts: u8,
    count: usize,
    from: Micros,
    to: Micros,
    dice: &mut Dice,
) -> Vec<Fault> {
    if profile == Profile::Calm {
        return Vec::new();
    }
    let mut times: Vec<Micros> = (0..count).map(|_| dice.between(from, to - SECOND)).collect();
    times.sort_unstable();
    let draw_one = |(index, at): (usize, Micros)| {
        let kind = draw_kind(profile, hosts, dice);
        let lasts = match kind {
            FaultKind::Pause { .. } => dice.pick(&[20_000, 300_000, 2 * SECOND, 8 * SECOND]),
            FaultKind::Crash { .. } | FaultKind::CrashAll { .. } => {
                dice.pick(&[1_000, 300_000, 2 * SECOND, 12 * SECOND])
            }
            _ => dice.pick(&[50_000, 500_000, 3 * SECOND, 10 * SECOND]),
        };
        Fault { index, at, lasts, kind }
    };
    times.into_iter().enumerate().map(draw_one).collect()
}

fn draw_kind(profile: Profile, hosts: u8, dice: &mut Dice) -> FaultKind {
    match profile {
        Profile::Lossy => draw_network(hosts, dice),
        Profile::Disk => draw_disk(hosts, dice),
        Profile::Churn => draw_churn(hosts, dice),
        _ => match dice.below(3) {
            0 => draw_network(hosts, dice),
            1 => draw_disk(hosts, dice),
            _ => draw_churn(hosts, dice),
        },
    }
}

fn draw_network(hosts: u8, dice: &mut Dice) -> FaultKind {
    let host = draw_host(hosts, dice);
    match dice.below(10) {
        0 | 1 => FaultKind::OneWayCut { from: host, to: draw_host(hosts, dice) },
        2 => FaultKind::Partition { side: dice.below(1 << hosts) as u16 },
        3 => FaultKind::BreakLinks { host },
        4 => FaultKind::CutTransfers { after: dice.below(4) as u8 },
        5 => FaultKind::RefuseConnections { host },
        6 => FaultKind::SlowInbox { host, micros: dice.pick(&[5_000, 100_000, 900_000]) },
        7 => FaultKind::Pause { host },
        8 => FaultKind::GarbleTransfers,
        _ => FaultKind::Storm,
    }
}

fn draw_disk(hosts: u8, dice: &mut Dice) -> FaultKind {
    let host = draw_host(hosts, dice);
    let how = dice.pick(&[
        Crash::LosesAll,
        Crash::LosesNothing,
        Crash::TearsSectors,
        Crash::TearsSectors,
        Crash::TearsPages,
    ]);
    match dice.below(19) {
        0..=3 => FaultKind::Crash { host, how },
        16 => FaultKind::SpoilSnapshot { host },
        17 => FaultKind::Leave { host },
        18 => FaultKind::Rot { host, place: Rot::Snapshot },
        4 => FaultKind::CrashAll { how },
        5 => FaultKind::FailSync { host, is_for_good: dice.per_mille(500) },
        6 => FaultKind::FailWrite { host },
        7 => FaultKind::FillDisk { host },
        8 => FaultKind::SlowDisk { host, micros: dice.pick(&[5_000, 60_000, 700_000, 6 * SECOND]) },
        9 => FaultKind::FailRead { host },
        10 => FaultKind::Rot { host, place: dice.pick(&[Rot::Header, Rot::Middle, Rot::Middle, Rot::Tail]) },
        11 => FaultKind::LoseDisk { host },
        12 | 13 => FaultKind::Backup { host },
        _ => FaultKind::Restore { host },
    }
}

fn draw_churn(hosts: u8, dice: &mut Dice) -> FaultKind {
    let host = draw_host(hosts, dice);
    let how = dice.pick(&[Crash::LosesAll, Crash::LosesNothing]);
    match dice.below(15) {
        0..=3 => FaultKind::Crash { host, how },
        4 => FaultKind::CrashAll { how },
        5 | 6 => FaultKind::Leave { host },
        7 | 8 => FaultKind::Join,
        9 => FaultKind::LoseDisk { host },
        10 => FaultKind::Clone { host },
        14 => FaultKind::ReturnDisk { host },
        11 | 12 => FaultKind::WallJump {
            host,
            millis: dice.pick(&[-300_000, -2_000, -300, 200, 400, 5_000, 3_600_000]),
        },
        _ => FaultKind::Pause { host },
    }
}

fn draw_host(hosts: u8, dice: &mut Dice) -> u8 {
    dice.below(u64::from(hosts)) as u8
}

const SECOND: Micros = 1_000_000;
