//! One machine of the simulated cluster, and the process that runs on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use trellis_crdt::{Hlc, ReplicaId};
use trellis_node::core::{Core, Now, Phase, Recovery, Settings};
use trellis_replication::{FoundingId, Identity, LinkId, NodeId, Owner, Roster};
use trellis_wal::{
    Lsn, MemoryDisk, OpenError, OpenSeed, Recovered as Opened, RecoveryReport, SnapshotDamage,
    SnapshotReader, Syncer,
};

use super::agenda::Micros;
use super::dice::Dice;
use super::directory::{Archive, CLUSTER, Directory, Lists, Noted};
use super::plan::{Limits, Rot};
use super::snapshotting::Snapshotting;

/// A machine with a disk, an address and a certificate for a name.
#[derive(Debug)]
pub(crate) struct Host {
    /// The certified name, and by default the address.
    pub(crate) name: &'static str,
    pub(crate) address: String,
    pub(crate) seeds: Vec<String>,
    pub(crate) directory: Directory,
    pub(crate) process: Option<Process>,
    /// Milliseconds that its wall clock is ahead.
    pub(crate) wall_ahead: i64,
    /// Its wall clock was set at some time, forth or back.
    pub(crate) has_jumped: bool,
    /// Until then its process does nothing.
    pub(crate) paused_until: Micros,
    pub(crate) inbox_delay: Micros,
    /// How many faults make it refuse connections.
    pub(crate) refusing: u32,
    pub(crate) sync_delay: Micros,
    pub(crate) backup: Option<Backup>,
    /// The disk that was taken out last.
    pub(crate) attic: Option<Backup>,
    /// The disk as it was before it rotted, and where it did.
    pub(crate) rotten: Option<(MemoryDisk, Rot)>,
    /// What earlier processes appended and nobody knows to be durable.
    pub(crate) submitted: Vec<Noted>,
    /// What the disk attested when the last process ended.
    pub(crate) attested: Lsn,
    /// Writes of several records of the last process.
    pub(crate) batches: Vec<(Lsn, Lsn)>,
    /// Runs under the name of another host, from a copy of its disk.
    pub(crate) is_twin: bool,
    /// Something was to fail at its disk, and may be still to come.
    pub(crate) has_faulty_disk: bool,
    /// Its disk takes nothing for the time being.
    pub(crate) is_stalled: bool,
    /// Its pings and its gossip are lost, and those to it.
    pub(crate) loses_calls: bool,
    /// Its disk came from elsewhere: what it holds is taken as it is found.
    pub(crate) has_unknown_disk: bool,
    /// What was durable where its disk came from, of which a snapshot tells only what came of it.
    pub(crate) copied: Archive,
    /// It is not to be started again by itself.
    pub(crate) is_retired: bool,
}

/// A copy of a disk that was put aside.
#[derive(Debug)]
pub(crate) struct Backup {
    pub(crate) disk: MemoryDisk,
    pub(crate) node: NodeId,
    pub(crate) records: Archive,
}

impl Host {
    pub(crate) fn new(name: &'static str, directory: Directory) -> Self {
        Self {
            name,
            address: name.to_owned(),
            seeds: Vec::new(),
            directory,
            process: None,
            wall_ahead: 0,
            has_jumped: false,
            paused_until: 0,
            inbox_delay: 0,
            refusing: 0,
            sync_delay: 0,
            backup: None,
            attic: None,
            rotten: None,
            submitted: Vec::new(),
            attested: Lsn::ZERO,
            batches: Vec::new(),
            is_twin: false,
            has_faulty_disk: false,
            is_stalled: false,
            loses_calls: false,
            has_unknown_disk: false,
            copied: Archive::new(),
            is_retired: false,
        }
    }

    /// What was durable on its disk, or where that came from.
    pub(crate) fn archive(&self) -> Archive {
        if self.has_unknown_disk { self.copied.clone() } else { self.directory.durable.records.clone() }
    }

    pub(crate) fn core(&self) -> Option<&Core> {
        self.process.as_ref().map(|process| &process.core)
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.core().map(Core::phase)
    }

    /// Whether it is kept from being called.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        self.refusing > 0 || self.loses_calls
    }

    /// Whether its process is a member as any other, as far as it and the simulator know.
    pub(crate) fn is_in_good_standing(&self) -> bool {
        self.process.as_ref().is_some_and(|process| {
            let is_over = process.is_leaving || process.has_failed || process.is_poisoned || process.is_stale;
            !is_over && !matches!(process.core.phase(), Phase::Failed | Phase::Removed)
        })
    }

    /// What the host's two clocks say.
    pub(crate) fn now(&self, axis: Instant, now: Micros) -> Now {
        let wall = WALL_MILLIS + now / 1_000;
        Now {
            instant: axis + Duration::from_micros(now),
            wall_millis: wall.saturating_add_signed(self.wall_ahead),
        }
    }
}

/// A node as it runs.
#[derive(Debug)]
pub(crate) struct Process {
    /// Unique within the history.
    pub(crate) number: u32,
    pub(crate) core: Core,
    pub(crate) syncer: Syncer<MemoryDisk>,
    pub(crate) snapshotting: Snapshotting,
    pub(crate) replica: ReplicaId,
    /// Records that are not known to be durable.
    pub(crate) undurable: VecDeque<Noted>,
    pub(crate) seen: Lsn,
    /// The last record that its start found.
    pub(crate) began: Lsn,
    /// Up to where the disk itself says that its log is durable.
    pub(crate) attested: Lsn,
    /// First and last record of each write that has several: they become durable together.
    pub(crate) batches: Vec<(Lsn, Lsn)>,
    /// Of memory, what is not durable included.
    pub(crate) lists: Lists,
    /// For the timer that is set.
    pub(crate) wakes_at: Micros,
    pub(crate) is_syncing: bool,
    pub(crate) last_sync: Micros,
    /// When it started.
    pub(crate) started_at: Micros,
    pub(crate) links: BTreeMap<LinkId, (u32, usize)>,
    /// Its log failed, and its core has been told.
    pub(crate) has_failed: bool,
    /// Its log failed.
    pub(crate) is_poisoned: bool,
    pub(crate) was_guest: bool,
    pub(crate) is_leaving: bool,
    /// Its peers know of a newer process of its node.
    pub(crate) is_stale: bool,
}

/// What a start found.
#[derive(Debug)]
pub(crate) struct Booted {
    pub(crate) process: Process,
    pub(crate) report: RecoveryReport,
    pub(crate) is_fresh: bool,
    /// Every record that the log gave back behind the snapshot.
    pub(crate) records: Vec<(Lsn, Vec<u8>)>,
    pub(crate) facts: Facts,
}

/// What a start knows besides the slots.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) roster: Roster,
    pub(crate) guest_of: Option<BTreeSet<u8>>,
    pub(crate) addresses: BTreeMap<String, String>,
    pub(crate) hlc: Hlc,
}

impl Facts {
    pub(crate) fn of(recovery: &Recovery) -> Self {
        Self {
            roster: recovery.roster().clone(),
            guest_of: recovery.guest_of().cloned(),
            addresses: recovery.addresses().clone(),
            hlc: recovery.hlc(),
        }
    }
}

/// Why a process did not start.
#[derive(Debug)]
pub(crate) enum BootError {
    Open(OpenError),
    /// A snapshot that was whole cannot be read any more.
    Snapshot(SnapshotDamage),
    /// A record cannot be read or replayed: what was durable is not what it was.
    Replay(String),
    /// The first records could not be made durable: what the log gave back, and what was appended to it.
    FirstWrite(Box<FirstWrite>),
}

/// A log that was read, and could not be written.
#[derive(Debug)]
pub(crate) struct FirstWrite {
    pub(crate) report: RecoveryReport,
    pub(crate) records: Vec<(Lsn, Vec<u8>)>,
    pub(crate) appended: Vec<Noted>,
}

/// What a process is started with.
pub(crate) struct Boot<'a> {
    pub(crate) number: u32,
    pub(crate) axis: Instant,
    pub(crate) at: Micros,
    pub(crate) limits: &'a Limits,
    pub(crate) founds: bool,
}

/// Starts a process on a host as the runtime does: opens the log, replays it, logs and syncs who it is, and makes the
/// core.
pub(crate) fn boot(host: &Host, boot: &Boot<'_>, dice: &mut Dice) -> Result<Booted, BootError> {
    let mut log_uuid = [0; 16];
    log_uuid[..8].copy_from_slice(&dice.bits().to_le_bytes());
    let seed = OpenSeed { log_uuid, salt: dice.bits() };
    let (disk, wal) = (host.directory.disk.clone(), boot.limits.wal.clone());
    let recovered = trellis_wal::recover(disk, wal, seed, |_| {}).map_err(BootError::Open)?;
    let Opened { opened, snapshot, snapshots } = recovered;
    let mut recovery = Recovery::new(boot.limits.shards, CLUSTER, &boot.limits.storage);
    snapshot.map_or(Ok(()), |snapshot| restore(snapshot, &mut recovery))?;
    let mut records = Vec::new();
    for record in opened.records {
        let (lsn, bytes) = record.map_err(BootError::Open)?;
        recovery
            .replay(lsn, &bytes)
            .map_err(|error| BootError::Replay(format!("{error}: {}", error.cause)))?;
        records.push((lsn, bytes));
    }
    let facts = Facts::of(&recovery);
    let now = host.now(boot.axis, boot.at);
    let (node, replica) = (host.directory.node, ReplicaId::from_u64(dice.bits()));
    let epoch = recovery.epoch(node).saturating_add(1).max(now.wall_millis);
    let is_fresh = recovery.is_fresh();
    let founding = (is_fresh && boot.founds).then(|| FoundingId::from_u64(dice.bits()));
    let mut syncer = opened.syncer;
    for record in recovery.start(host.name, replica, Owner { node, epoch }, founding) {
        opened.log.enqueue(&record.encode()).expect("a log that was just opened takes three records");
    }
    let mut undurable = VecDeque::new();
    let before = opened.report.last;
    opened.log.look_at_pending(before, |lsn, bytes| {
        undurable.extend(Noted::read(lsn, bytes.to_vec()));
    });
    if syncer.sync_once().is_err() {
        let (report, appended) = (opened.report, undurable.into());
        return Err(BootError::FirstWrite(Box::new(FirstWrite { report, records, appended })));
    }
    let settings = Settings {
        cluster: CLUSTER.to_owned(),
        local: Identity { name: host.name.to_owned(), node, replica, epoch, boot_nonce: dice.bits().max(1) },
        peer_address: host.address.clone(),
        client_address: format!("{}-client", host.address),
        seeds: host.seeds.clone(),
        replication: boot.limits.replication.clone(),
        swim: boot.limits.swim.clone(),
        gossip_interval: Duration::from_secs(2),
        gossip_fanout: 3,
        clock_skew_max: Duration::from_millis(500),
        seed: dice.bits(),
    };
    let was_guest = recovery.guest_of().is_some();
    let seen = opened.log.last();
    let core =
        Core::new(settings, recovery.finish(), opened.log, now).expect("the limits of a plan are valid");
    let process = Process {
        number: boot.number,
        core,
        syncer,
        snapshotting: Snapshotting::new(snapshots),
        replica,
        undurable,
        seen,
        began: before,
        attested: before,
        batches: Vec::new(),
        lists: Lists::new(),
        wakes_at: Micros::MAX,
        is_syncing: false,
        last_sync: boot.at,
        started_at: boot.at,
        links: BTreeMap::new(),
        has_failed: false,
        is_poisoned: false,
        was_guest,
        is_leaving: false,
        is_stale: false,
    };
    Ok(Booted { process, report: opened.report, is_fresh, records, facts })
}

fn restore(mut snapshot: SnapshotReader<MemoryDisk>, recovery: &mut Recovery) -> Result<(), BootError> {
    while let Some(chunk) = snapshot.next_chunk().map_err(BootError::Snapshot)? {
        recovery.restore(chunk).map_err(|error| BootError::Replay(format!("{error}")))?;
    }
    Ok(())
}

/// What all wall clocks showed when the history began.
const WALL_MILLIS: u64 = 1_700_000_000_000;
