//! Snapshots of a node on a disk in memory that can be broken.

use std::thread::JoinHandle as Thread;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use trellis_crdt::Kind;
use trellis_wal::{Disk, Fault, MemoryDisk, Operation};

use super::*;
use crate::core::solo::Solo;
use crate::runtime::clock;
use crate::runtime::log_thread::{self, LogSignal};
use crate::runtime::waiters::Waiters;

#[tokio::test]
async fn a_snapshot_that_is_asked_for_holds_what_was_written_before() {
    let node = Node::start(LIMITS);
    let written = node.write(3).await;
    let taken = node.snapshots.take().await.unwrap();
    assert!(taken.info.start >= written);
    let told = node.snapshots.told();
    assert_eq!((told.taken, told.failed, &told.failure), (1, 0, &None));
    let newest = told.newest.unwrap();
    assert_eq!((newest.start, newest.duration), (taken.info.start, Some(taken.duration)));
    assert!(newest.age().is_some_and(|age| age < PATIENCE));
    assert_eq!(node.snapshots.log_bytes(), 0, "the note of a snapshot makes no other one due");
    assert_eq!(node.files(".snap"), [taken.info.name]);
    node.stop().await;
}

#[tokio::test]
async fn a_log_that_has_grown_long_has_one_taken_and_what_it_makes_needless_removed() {
    let node = Node::start(Limits { log_bytes: 256 << 10, ..LIMITS });
    let first = node.files(".log");
    for count in 1..=3 {
        while node.snapshots.log_bytes() < 256 << 10 {
            node.write(100).await;
        }
        node.snapshots.look_at_log();
        node.await_told(|told| told.taken == count).await;
    }
    assert_eq!(node.files(".snap").len(), 2);
    assert!(!node.files(".log").contains(&first[0]), "the first segment is not needed any more");
    node.stop().await;
}

#[tokio::test]
async fn one_is_taken_every_interval_in_which_something_was_logged() {
    let node = Node::start(Limits { interval: Duration::from_millis(1), ..LIMITS });
    for count in 1..=2 {
        node.write(1).await;
        node.await_told(|told| told.taken >= count).await;
    }
    let taken = node.snapshots.told().taken;
    node.snapshots.finish().await;
    assert_eq!(node.snapshots.told().taken, taken, "nothing was logged since");
    node.stop().await;
}

#[tokio::test]
async fn the_last_one_is_taken_at_the_end_and_none_after_it() {
    let node = Node::start(LIMITS);
    node.write(1).await;
    node.snapshots.finish().await;
    assert_eq!(node.snapshots.told().taken, 1);
    let refused = node.snapshots.take().await.unwrap_err();
    assert!(matches!(*refused, TakeError::Stopping), "{refused}");
    node.snapshots.finish().await;
    node.stop().await;
}

#[tokio::test]
async fn one_that_is_under_way_hurries_when_the_node_stops() {
    let node = Node::start(Limits { bytes_per_second: 1, ..LIMITS });
    node.write(100).await;
    let snapshots = node.snapshots.clone();
    let taking = tokio::spawn(async move { snapshots.take().await });
    // Whichever the duty hears of first: at a byte a second it would take hours.
    timeout(PATIENCE, node.snapshots.finish()).await.unwrap();
    let _ = timeout(PATIENCE, taking).await.unwrap();
    assert!(node.snapshots.told().taken >= 1);
    node.stop().await;
}

#[tokio::test]
async fn all_who_ask_are_answered_and_too_many_are_turned_away() {
    let node = Node::start(LIMITS);
    node.write(1).await;
    let asking: Vec<_> = (0..ASKS_MAX * 2)
        .map(|_| {
            let snapshots = node.snapshots.clone();
            tokio::spawn(async move { snapshots.take().await })
        })
        .collect();
    let mut taken = 0;
    for asked in asking {
        match asked.await.unwrap() {
            Ok(_) => taken += 1,
            Err(refused) => assert!(matches!(*refused, TakeError::TooMany), "{refused}"),
        }
    }
    assert!(taken >= ASKS_MAX);
    assert!(node.snapshots.told().taken < taken as u64, "those who wait together share one");
    node.stop().await;
}

#[tokio::test]
async fn a_disk_without_room_leaves_log_and_snapshots_as_they_were() {
    let node = Node::start(LIMITS);
    node.write(10).await;
    let older = node.snapshots.take().await.unwrap();
    node.write(10).await;
    node.disk.limit_bytes(Some(node.bytes() + 5000));
    let refused = node.snapshots.take().await.unwrap_err();
    assert!(matches!(*refused, TakeError::Snapshot(trellis_wal::SnapshotError::DiskFull)), "{refused}");
    let told = node.snapshots.told();
    assert_eq!((told.taken, told.failed), (1, 1));
    assert!(told.failure.is_some());
    assert_eq!(told.newest.unwrap().start, older.info.start);
    assert_eq!((node.files(".snap"), node.files(".tmp")), (vec![older.info.name], vec![]));
    node.write(1).await;

    node.disk.limit_bytes(None);
    node.snapshots.take().await.unwrap();
    assert_eq!(node.snapshots.told().failure, None, "what failed once and went well later is no warning");
    node.stop().await;
}

#[tokio::test]
async fn one_under_way_is_given_up_when_the_log_waits_for_the_disk() {
    // At a byte a second it would take hours, and writers would wait as long for the room that it takes.
    let node = Node::start(Limits { bytes_per_second: 1, ..LIMITS });
    node.write(10).await;
    let snapshots = node.snapshots.clone();
    let taking = tokio::spawn(async move { snapshots.take().await });
    let has_begun = || node.files(".tmp").iter().any(|name| node.file_bytes(name) > HEADER_BYTES);
    while !has_begun() {
        tokio::task::yield_now().await;
    }
    node.disk.limit_bytes(Some(node.bytes()));
    let stuck = node.write_until_full().await;
    node.core.handle_disk_full(true);
    let refused = timeout(PATIENCE, taking).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(*refused, TakeError::DiskFull), "{refused}");
    assert_eq!((node.files(".snap"), node.files(".tmp")), (vec![], vec![]));

    node.disk.limit_bytes(None);
    node.waiters.durable(stuck).await.unwrap();
    node.core.handle_disk_full(false);
    node.stop().await;
}

#[tokio::test]
async fn any_step_of_the_disk_that_fails_leaves_the_node_at_work() {
    // Steps that the log itself does not take meanwhile.
    for operation in [Operation::Create, Operation::Rename] {
        let node = Node::start(LIMITS);
        node.write(10).await;
        node.disk.inject(failing(operation));
        node.snapshots.take().await.unwrap_err();
        assert_eq!(node.files(".tmp"), Vec::<String>::new());
        node.write(1).await;
        node.snapshots.take().await.unwrap();
        node.stop().await;
    }
}

#[tokio::test]
async fn nothing_is_taken_beside_a_log_that_failed() {
    let node = Node::start(LIMITS);
    node.write(1).await;
    node.disk.inject(failing(Operation::Sync));
    let lsn = node.enqueue("doomed");
    node.waiters.durable(lsn).await.unwrap_err();
    let refused = node.snapshots.take().await.unwrap_err();
    assert!(matches!(*refused, TakeError::LogFailed(_)), "{refused}");
    node.snapshots.finish().await;
    assert_eq!((node.files(".snap"), node.files(".tmp")), (vec![], vec![]));
    node.stop().await;
}

/// A node without peers and clients.
struct Node {
    core: Arc<Core>,
    disk: MemoryDisk,
    waiters: Waiters,
    signal: LogSignal,
    snapshots: Snapshots,
    duty: JoinHandle<()>,
    log_thread: Thread<()>,
}

impl Node {
    fn start(limits: Limits) -> Self {
        let Solo { core, syncer, disk, snapshots, report, .. } = Solo::founder(clock::now().instant);
        let core = Arc::new(core);
        let waiters = Waiters::new(core.log().clone());
        let signal = LogSignal::default();
        let log_thread = log_thread::spawn(syncer, waiters.clone(), signal.clone()).unwrap();
        let found = Found { report: &report, written: None, replayed_bytes: 0 };
        let snapshots = snapshots.expect("nobody else takes them");
        let (duty, snapshots) = Duty::new(Arc::clone(&core), waiters.clone(), snapshots, found, limits);
        Self { core, disk, waiters, signal, snapshots, duty: tokio::spawn(duty.run()), log_thread }
    }

    /// Makes so many changes, each to a key of its own, durable and returns the last one's place.
    async fn write(&self, count: usize) -> Lsn {
        let mut last = Lsn::ZERO;
        for number in 0..count {
            last = self.enqueue(&format!("{} {number}", self.core.log().last()));
        }
        self.waiters.durable(last).await.unwrap();
        last
    }

    /// Makes changes until the log has no room for one, and returns its place.
    async fn write_until_full(&self) -> Lsn {
        loop {
            let lsn = self.enqueue(&format!("{}", self.core.log().last()));
            while self.core.log().durable() < lsn {
                if self.signal.is_disk_full() {
                    return lsn;
                }
                self.signal.progress.notified().await;
            }
        }
    }

    fn enqueue(&self, key: &str) -> Lsn {
        let increment = trellis_storage::Operation::Increment { key, kind: Kind::PnCounter, amount: 1 };
        self.core.write(&increment, clock::now()).unwrap().lsn.expect("a change is logged")
    }

    async fn await_told(&self, is_wanted: impl FnMut(&Told) -> bool) {
        let mut told = self.snapshots.shared.told.subscribe();
        timeout(PATIENCE, told.wait_for(is_wanted)).await.unwrap().unwrap();
    }

    fn files(&self, ending: &str) -> Vec<String> {
        let mut names = self.disk.list().unwrap();
        names.retain(|name| name.ends_with(ending));
        names
    }

    fn bytes(&self) -> u64 {
        self.disk.list().unwrap().iter().map(|name| self.file_bytes(name)).sum()
    }

    fn file_bytes(&self, name: &str) -> u64 {
        self.disk.contents(name).map_or(0, |bytes| bytes.len() as u64)
    }

    async fn stop(self) {
        self.snapshots.finish().await;
        self.core.log().close();
        tokio::task::spawn_blocking(|| self.log_thread.join()).await.unwrap().unwrap();
        timeout(PATIENCE, self.duty).await.unwrap().unwrap();
    }
}

fn failing(operation: Operation) -> Fault {
    Fault { operation, after: 0, kind: std::io::ErrorKind::Other }
}

const LIMITS: Limits =
    Limits { interval: Duration::from_secs(3600), log_bytes: u64::MAX, bytes_per_second: 1 << 40 };
/// Of a snapshot without a chunk.
const HEADER_BYTES: u64 = 4096;
const PATIENCE: Duration = Duration::from_secs(60);
