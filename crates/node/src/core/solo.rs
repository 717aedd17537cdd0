//! A core without peers on a disk in memory, for tests of what one node does alone.

use std::time::{Duration, Instant};

use trellis_crdt::{Kind, ReplicaId};
use trellis_replication::{
    Config as ReplicationConfig, FoundingId, Hello, Identity, NodeClock, NodeId, Owner, Roster,
};
use trellis_storage::{Config as StorageConfig, ElementCursor, Operation, ReadValue};
use trellis_swim::Config as SwimConfig;
use trellis_wal::{Config as WalConfig, Lsn, MemoryDisk, OpenSeed, RecoveryReport, Snapshots, Syncer};

use super::{Core, Now, Recovery, Settings, Written};

/// A node whose log is synced when the test says so, at one moment of time.
pub(crate) struct Solo {
    pub(crate) core: Core,
    pub(crate) syncer: Syncer<MemoryDisk>,
    pub(crate) disk: MemoryDisk,
    /// What its log was opened with, for whoever takes snapshots.
    pub(crate) snapshots: Option<Snapshots<MemoryDisk>>,
    pub(crate) report: RecoveryReport,
    pub(crate) now: Now,
}

impl Solo {
    /// Makes a member: it has founded a cluster of its own.
    pub(crate) fn founder(moment: Instant) -> Self {
        Self::founder_with(moment, ReplicationConfig::default())
    }

    /// The same, with these limits of replication.
    pub(crate) fn founder_with(moment: Instant, replication: ReplicationConfig) -> Self {
        Self::start(moment, Some(FoundingId::from_u64(1)), replication, &[])
    }

    /// The same, with these seeds.
    pub(crate) fn founder_of(moment: Instant, seeds: &[&str]) -> Self {
        Self::start(moment, Some(FoundingId::from_u64(1)), ReplicationConfig::default(), seeds)
    }

    /// Makes a guest that has found nobody.
    pub(crate) fn guest(moment: Instant) -> Self {
        Self::guest_of(moment, &[])
    }

    /// The same, with these seeds.
    pub(crate) fn guest_of(moment: Instant, seeds: &[&str]) -> Self {
        Self::start(moment, None, ReplicationConfig::default(), seeds)
    }

    fn start(
        moment: Instant,
        founding: Option<FoundingId>,
        replication: ReplicationConfig,
        seeds: &[&str],
    ) -> Self {
        let now = Now { instant: moment, wall_millis: 1_700_000_000_000 };
        let seed = OpenSeed { log_uuid: [1; 16], salt: 1 };
        let disk = MemoryDisk::new();
        let recovered = trellis_wal::recover(disk.clone(), WAL, seed, |_| {}).expect("an empty disk opens");
        let opened = recovered.opened;
        let mut recovery = Recovery::new(2, CLUSTER, &StorageConfig::default());
        let (node, replica) = (NodeId::from_u64(1), ReplicaId::from_u64(1));
        let owner = Owner { node, epoch: now.wall_millis };
        for record in recovery.start("n1", replica, owner, founding) {
            opened.log.enqueue(&record.encode()).expect("an empty log has room");
        }
        let mut syncer = opened.syncer;
        syncer.sync_once().expect("a disk in memory syncs");
        let settings = Settings {
            cluster: CLUSTER.to_owned(),
            local: Identity { name: "n1".to_owned(), node, replica, epoch: owner.epoch, boot_nonce: 1 },
            peer_address: "n1".to_owned(),
            client_address: "n1-client".to_owned(),
            seeds: seeds.iter().map(|seed| (*seed).to_owned()).collect(),
            replication,
            swim: SwimConfig::default(),
            gossip_interval: Duration::from_secs(2),
            gossip_fanout: 3,
            clock_skew_max: Duration::from_millis(500),
            seed: 1,
        };
        let core = Core::new(settings, recovery.finish(), opened.log, now).expect("defaults are valid");
        let (snapshots, report) = (Some(recovered.snapshots), opened.report);
        Self { core, syncer, disk, snapshots, report, now }
    }

    /// Makes everything durable that was logged.
    pub(crate) fn sync(&mut self) {
        self.syncer.sync_once().expect("a disk in memory syncs");
        self.core.handle_durable(self.now);
    }

    pub(crate) fn increment(&self, key: &str, amount: i64) -> Written {
        let increment = Operation::Increment { key, kind: Kind::PnCounter, amount };
        self.core.write(&increment, self.now).expect("a member takes writes")
    }

    pub(crate) fn delete(&self, key: &str) -> Written {
        let delete = Operation::Delete { key, kind: None, from: ElementCursor::START };
        self.core.write(&delete, self.now).expect("a member takes writes")
    }

    /// What its log says.
    pub(crate) fn replay(&self) -> Recovery {
        self.replay_behind(&[], Lsn::ZERO)
    }

    /// What a snapshot says and its log behind it.
    pub(crate) fn replay_behind(&self, chunks: &[Vec<u8>], start: Lsn) -> Recovery {
        let seed = OpenSeed { log_uuid: [1; 16], salt: 2 };
        let opened = trellis_wal::open(self.disk.crash(0, |_| false), WAL, seed).expect("the disk is whole");
        let mut recovery = Recovery::new(2, CLUSTER, &StorageConfig::default());
        for chunk in chunks {
            recovery.restore(chunk).expect("what was captured is restored");
        }
        let records = opened.records.map(|record| record.expect("what was synced is read"));
        for (lsn, bytes) in records.filter(|(lsn, _)| *lsn > start) {
            recovery.replay(lsn, &bytes).expect("what was logged is replayed");
        }
        recovery
    }

    /// What a counter shows, 0 when it is not there.
    pub(crate) fn value(&self, key: &str) -> i64 {
        match self.core.read(key, None).expect("a member answers reads").0.value {
            Some(ReadValue::Counter(total)) => total.value,
            _ => 0,
        }
    }
}

/// A process of another node, n2.
pub(crate) fn stranger() -> Identity {
    Identity {
        name: "n2".to_owned(),
        node: NodeId::from_u64(2),
        replica: ReplicaId::from_u64(2),
        epoch: 1,
        boot_nonce: 2,
    }
}

/// What a process says first that knows nothing.
pub(crate) fn hello(identity: Identity) -> Box<Hello> {
    Box::new(Hello {
        cluster: CLUSTER.to_owned(),
        protocol_min: 1,
        protocol_max: 1,
        identity,
        is_guest: false,
        supersedes: None,
        durable_lsn: 1,
        roster: Roster::default(),
        clock: NodeClock::new(),
        hlc: trellis_crdt::Hlc::ZERO,
    })
}

pub(crate) const CLUSTER: &str = "garden";

const WAL: WalConfig = WalConfig {
    segment_bytes: 256 << 10,
    record_bytes_max: 32 << 10,
    pending_bytes_max: 64 << 10,
    batch_bytes_max: 64 << 10,
};
