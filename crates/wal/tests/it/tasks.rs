//! The asynchronous front: futures that are dropped, tasks that are cancelled, runtimes that end.

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use tokio::runtime::{Builder, Runtime};
use trellis_wal::{
    AppendError, AsyncLog, EnqueueError, Fault, Log, Lsn, MemoryDisk, Operation, PoisonCause, SyncError, open,
};

use crate::slow_disk::SlowDisk;
use crate::support::{CONFIG, Node, SEED, payload, records_to};

#[test]
fn many_tasks_append_and_each_has_its_record_when_it_is_told() {
    let disk = MemoryDisk::new();
    let node = Node::open(&disk).unwrap();
    let (log, syncer) = (AsyncLog::from(&node.log), node.syncer);
    let thread = thread::spawn(move || syncer.run(|synced| assert!(synced.is_ok())));
    let runtime = runtime();
    let tasks: Vec<_> = (0..256)
        .map(|_| {
            let (log, plain) = (log.clone(), node.log.clone());
            runtime.spawn(async move {
                for _ in 0..5 {
                    let lsn = log.append(&payload(40)).await.unwrap();
                    assert!(plain.durable() >= lsn);
                }
                // More than the limit in one go for all of them, so that many wait for room.
                log.append_batch(&[&payload(40), &payload(41)]).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    node.log.close();
    thread.join().unwrap();
    assert_eq!(Node::open(&disk).unwrap().held.len(), 256 * 7);
}

#[test]
fn a_dropped_future_does_not_withdraw_its_record() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    let log = AsyncLog::from(&node.log);
    for number in 1..=3 {
        let bytes = payload(number);
        let mut future = Box::pin(log.append(&bytes));
        assert!(poll(future.as_mut()).is_pending());
    }
    node.syncer.sync_once().unwrap();
    drop(node);
    assert_eq!(Node::open(&disk).unwrap().held, records_to(3));
}

#[test]
fn a_future_that_is_dropped_before_there_is_room_appends_nothing_and_lets_the_next_in() {
    let mut node = Node::open(&MemoryDisk::new()).unwrap();
    let log = AsyncLog::from(&node.log);
    let held = fill(&node.log);
    let long = vec![1; 200];
    let mut first = Box::pin(log.enqueue(&long));
    let mut second = Box::pin(log.append(&long));
    let mut third = pin!(log.enqueue(b"short"));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(third.as_mut()).is_pending(), "nobody overtakes");
    assert_eq!((node.log.last().as_u64(), node.log.pending_bytes()), (held, CONFIG.pending_bytes_max));
    drop(first);
    node.syncer.sync_once().unwrap();
    // Promised, and dropped all the same.
    assert!(node.log.pending_bytes() > 0);
    drop(second);
    assert!(poll(third.as_mut()).is_ready());
    assert_eq!((node.log.last().as_u64(), node.log.pending_bytes()), (held + 1, 32));
}

#[test]
fn tasks_that_wait_for_room_never_hold_more_than_the_limit() {
    let mut node = Node::open(&MemoryDisk::new()).unwrap();
    let log = AsyncLog::from(&node.log);
    let record = payload(40);
    let mut futures: Vec<_> = (0..500).map(|_| Box::pin(log.append(&record))).collect();
    while !futures.is_empty() {
        futures.retain_mut(|future| poll(future.as_mut()).is_pending());
        assert!(node.log.pending_bytes() <= CONFIG.pending_bytes_max);
        node.syncer.sync_once().unwrap();
    }
    assert_eq!(node.log.durable(), Lsn::from_u64(500));
}

#[test]
fn a_failure_reaches_all_tasks_those_without_room_as_well() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    let log = AsyncLog::from(&node.log);
    let record = payload(40);
    let mut futures: Vec<_> = (0..300).map(|_| Box::pin(log.append(&record))).collect();
    futures.iter_mut().for_each(|future| assert!(poll(future.as_mut()).is_pending()));
    let mut watch = log.watch();
    let mut changed = Box::pin(watch.changed());
    assert!(poll(changed.as_mut()).is_pending());
    let appended = node.log.last().as_u64() as usize;
    disk.inject(Fault { operation: Operation::Sync, after: 1, kind: ErrorKind::Other });
    node.syncer.sync_once().unwrap_err();
    let failure = node.log.poisoned().unwrap();
    let mut unknown = 0;
    for mut future in futures {
        match poll(future.as_mut()) {
            Poll::Ready(Err(AppendError::Unknown(told))) if told == failure => unknown += 1,
            Poll::Ready(Err(AppendError::Refused(EnqueueError::Poisoned(told)))) if told == failure => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(unknown, appended);
    assert_eq!(poll(changed.as_mut()), Poll::Ready(Err(failure)));
    assert_eq!(node.log.pending_bytes(), record_bytes(40) * appended);
}

#[test]
fn a_panic_of_who_is_told_leaves_nobody_asleep_neither_for_records_nor_for_room() {
    let node = Node::open(&MemoryDisk::new()).unwrap();
    let log = AsyncLog::from(&node.log);
    let record = payload(40);
    let mut futures: Vec<_> = (0..300).map(|_| Box::pin(log.append(&record))).collect();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    for future in &mut futures {
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    let syncer = node.syncer;
    thread::spawn(move || syncer.run(|synced| panic!("told of {synced:?} to panic"))).join().unwrap_err();
    // Each of them once: whose record was synced, whose was not, and who waited for room.
    assert_eq!(woken.0.load(Ordering::Relaxed), futures.len());
    let durable = node.log.durable().as_u64() as usize;
    let ended: Vec<_> = futures.iter_mut().map(|future| poll(future.as_mut())).collect();
    let kept = ended.iter().filter(|ended| matches!(ended, Poll::Ready(Ok(_)))).count();
    assert!(kept == durable && kept > 0 && ended.iter().all(Poll::is_ready), "{kept} of {durable}");
}

#[test]
fn nobody_who_looks_for_room_overtakes_those_who_wait_for_it() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    // The first record is taken alone, and meets a full disk.
    node.log.enqueue(&[0; 200]).unwrap();
    disk.limit_bytes(Some(0));
    node.syncer.sync_once().unwrap_err();
    fill(&node.log);
    let log = AsyncLog::from(&node.log);
    let long: [&[u8]; 3] = [&[1; 200]; 3];
    let mut waiting = Box::pin(log.enqueue_batch(&long));
    assert!(poll(waiting.as_mut()).is_pending());
    // Its room is free when the disk takes one segment: too little for who waits, and not for others.
    disk.limit_bytes(Some(CONFIG.segment_bytes));
    node.syncer.sync_once().unwrap_err();
    assert_eq!((node.log.pending_bytes(), node.log.has_room()), (CONFIG.pending_bytes_max - 224, false));
    assert!(matches!(node.log.try_enqueue(b"later"), Err(EnqueueError::Busy { .. })));
    disk.limit_bytes(None);
    node.syncer.sync_once().unwrap();
    assert!(poll(waiting.as_mut()).is_ready());
    node.log.try_enqueue(b"later").unwrap();
}

#[test]
fn a_runtime_that_ends_in_the_middle_of_a_commit_leaves_the_log_whole() {
    let memory = MemoryDisk::new();
    let (disk, gate) = SlowDisk::new(memory.clone());
    let opened = open(disk, CONFIG, SEED).unwrap();
    let (log, syncer) = (opened.log, opened.syncer);
    drop(opened.records);
    let thread = thread::spawn(move || syncer.run(|synced| assert!(synced.is_ok())));
    let runtime = runtime();
    for _ in 0..300 {
        let log = AsyncLog::from(&log);
        runtime.spawn(async move { log.append(&payload(40)).await });
    }
    while log.pending_bytes() + record_bytes(40) <= CONFIG.pending_bytes_max {
        thread::yield_now();
    }
    let appended = log.last();
    drop(runtime);
    drop(gate);
    // The disk goes on, and callers of another kind find the room that the tasks have left.
    let lsn = log.append(b"after").unwrap();
    assert_eq!(lsn, appended.next());
    assert_eq!((log.durable(), log.pending_bytes()), (lsn, 0));
    log.close();
    thread.join().unwrap();
    assert_eq!(Node::open(&memory).unwrap().held.len() as u64, lsn.as_u64());
}

#[test]
fn tasks_wait_on_a_full_disk_and_go_on_when_there_is_room() {
    let disk = MemoryDisk::new();
    disk.limit_bytes(Some(0));
    let node = Node::open(&disk).unwrap();
    let (log, syncer) = (AsyncLog::from(&node.log), node.syncer);
    let (tell, told) = channel();
    let thread = thread::spawn(move || syncer.run(move |synced| drop(tell.send(synced))));
    let runtime = runtime();
    let task = runtime.spawn(async move { log.append(b"patient").await });
    assert_eq!(told.recv().unwrap(), Err(SyncError::DiskFull));
    disk.limit_bytes(None);
    assert_eq!(runtime.block_on(task).unwrap(), Ok(Lsn::from_u64(1)));
    node.log.close();
    thread.join().unwrap();
}

#[test]
fn a_watch_tells_what_is_durable_and_then_that_the_log_has_ended() {
    let mut node = Node::open(&MemoryDisk::new()).unwrap();
    let mut watch = AsyncLog::from(&node.log).watch();
    node.write_to(5);
    node.write_to(10);
    assert_eq!(poll(pin!(watch.changed())), Poll::Ready(Ok(Lsn::from_u64(10))));
    assert!(poll(pin!(watch.changed())).is_pending());
    node.append_to(12);
    let mut changed = Box::pin(watch.changed());
    assert!(poll(changed.as_mut()).is_pending());
    node.syncer.seal().unwrap();
    assert_eq!(poll(changed.as_mut()), Poll::Ready(Ok(Lsn::from_u64(12))));
    drop(changed);
    let Poll::Ready(Err(ended)) = poll(pin!(watch.changed())) else { panic!("it has ended") };
    assert_eq!(ended.cause, PoisonCause::Abandoned);
}

/// Fills the room to the last byte and returns how many records that took.
fn fill(log: &Log) -> u64 {
    while log.pending_bytes() < CONFIG.pending_bytes_max {
        let room = (CONFIG.pending_bytes_max - log.pending_bytes()).min(24 + 200);
        let next = if room == 24 + 200 { room.min(24 + 104) } else { room };
        log.try_enqueue(&vec![0; next - 24]).unwrap();
    }
    log.last().as_u64()
}

/// Counts the tasks that were woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn record_bytes(number: u64) -> usize {
    24 + payload(number).len().next_multiple_of(8)
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().unwrap()
}
