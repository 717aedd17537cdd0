//! Callers that wait for their records and sync by themselves, beside the thread of the syncer.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

use trellis_wal::{
    AppendError, Disk, EnqueueError, Fault, Log, Lsn, MemoryDisk, Operation, PoisonCause, SyncError, Syncer,
    open,
};

use crate::slow_disk::SlowDisk;
use crate::support::{CONFIG, Node, SEED, payload, records_to};

#[test]
fn a_caller_that_waits_syncs_by_itself_and_the_end_is_told_in_order() {
    let disk = MemoryDisk::new();
    let node = Node::open(&disk).unwrap();
    let (tell, told) = channel();
    let syncer = node.syncer;
    let thread = thread::spawn(move || {
        syncer.run(move |synced| tell.send((synced.unwrap(), thread::current().id())).unwrap());
    });
    for number in 1..=300 {
        assert_eq!(node.log.append(&payload(number)), Ok(Lsn::from_u64(number)));
        assert!(node.log.durable() >= Lsn::from_u64(number));
    }
    node.log.close();
    thread.join().unwrap();
    let told: Vec<_> = told.iter().collect();
    assert!(told.is_sorted_by_key(|(lsn, _)| *lsn));
    assert_eq!(told.last().unwrap().0, Lsn::from_u64(300));
    // The thread had the first, as nothing was lent before, and one now and then while it attested.
    let own = told.iter().filter(|(_, by)| *by == thread::current().id()).count();
    assert!(own > 100, "{own} of {}", told.len());
    assert_eq!(Node::open(&disk).unwrap().held, records_to(300));
}

#[test]
fn the_thread_syncs_what_nobody_waits_for_behind_a_caller_that_syncs() {
    let (disk, gate) = SlowDisk::new(MemoryDisk::new());
    let (log, told, thread) = running(&disk);
    gate_opens_for_segment(&gate);
    let leader = append_in_thread(&log, 1);
    await_last(&log, 1);
    log.enqueue(&payload(2)).unwrap();
    drop(gate);
    // Nobody waits for the second record but who listens.
    assert_eq!(told.iter().find(|synced| *synced == Ok(Lsn::from_u64(2))), Some(Ok(Lsn::from_u64(2))));
    leader.join().unwrap().unwrap();
    log.close();
    thread.join().unwrap();
}

#[test]
fn a_failure_of_one_who_syncs_reaches_all_who_wait_and_is_told_once() {
    let memory = MemoryDisk::new();
    let (disk, gate) = SlowDisk::new(memory.clone());
    let (log, told, thread) = running(&disk);
    gate_opens_for_segment(&gate);
    let mut callers = vec![append_in_thread(&log, 1)];
    gate.send(()).unwrap();
    callers.remove(0).join().unwrap().unwrap();
    for number in 2..=6 {
        callers.push(append_in_thread(&log, number));
        await_last(&log, number);
    }
    // One of them is in its sync, or in the thread's; the others wait for it or for the next.
    memory.inject(Fault { operation: Operation::Sync, after: 0, kind: ErrorKind::Other });
    drop(gate);
    thread.join().unwrap();
    let failure = log.poisoned().unwrap();
    for caller in callers {
        assert_eq!(caller.join().unwrap(), Err(AppendError::Unknown(failure.clone())));
    }
    let errors: Vec<_> = told.iter().filter(Result::is_err).collect();
    assert_eq!(errors, [Err(SyncError::Poisoned(failure.clone()))]);
    assert_eq!(log.append(b"late"), Err(AppendError::Refused(EnqueueError::Poisoned(failure))));
}

#[test]
fn a_panic_of_who_is_told_fails_the_log_for_all() {
    let (disk, gate) = SlowDisk::new(MemoryDisk::new());
    let opened = open(disk, CONFIG, SEED).unwrap();
    let (log, syncer) = (opened.log, opened.syncer);
    let thread = thread::spawn(move || {
        syncer.run(|synced| {
            assert!(synced.unwrap() < Lsn::from_u64(2), "told to panic");
        });
    });
    drop(gate);
    log.append(b"first").unwrap();
    let panicked = append_in_thread(&log, 2).join();
    let ended = thread.join();
    // Whichever of them synced; the other is told, and so is everybody after.
    assert!(panicked.is_err() || ended.is_err());
    assert_eq!(log.poisoned().unwrap().cause, PoisonCause::Abandoned);
    assert!(log.append(b"late").is_err());
}

#[test]
fn the_thread_leaves_when_who_failed_has_told_and_has_given_up_the_disk() {
    for _ in 0..100 {
        let disk = MemoryDisk::new();
        let (log, syncer) = {
            let opened = open(disk.clone(), CONFIG, SEED).unwrap();
            (opened.log, opened.syncer)
        };
        let is_told = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let is_told = Arc::clone(&is_told);
            move || {
                syncer.run(move |synced| {
                    // Time enough for a thread that would not wait.
                    (0..100).for_each(|_| thread::yield_now());
                    is_told.store(synced.is_err(), Ordering::SeqCst);
                });
            }
        });
        log.append(b"first").unwrap();
        disk.inject(Fault { operation: Operation::Sync, after: 0, kind: ErrorKind::Other });
        let caller = append_in_thread(&log, 2);
        thread.join().unwrap();
        assert!(is_told.load(Ordering::SeqCst));
        Node::open(&disk).unwrap();
        caller.join().unwrap().unwrap_err();
    }
}

#[test]
fn callers_wait_on_a_full_disk_and_go_on_when_there_is_room() {
    let disk = MemoryDisk::new();
    disk.limit_bytes(Some(0));
    let (log, told, thread) = running(&disk);
    let callers: Vec<_> = (0..4).map(|_| append_in_thread(&log, 40)).collect();
    assert_eq!(told.recv().unwrap(), Err(SyncError::DiskFull));
    assert_eq!(log.poisoned(), None);
    disk.limit_bytes(None);
    for caller in callers {
        caller.join().unwrap().unwrap();
    }
    log.close();
    thread.join().unwrap();
}

#[test]
fn callers_that_wait_for_room_never_hold_more_than_the_limit() {
    let (disk, gate) = SlowDisk::new(MemoryDisk::new());
    let (log, told, thread) = running(&disk);
    let callers: Vec<_> = (0..200).map(|_| append_in_thread(&log, 40)).collect();
    let record = 24 + payload(40).len().next_multiple_of(8);
    // The disk is stuck: what can be held is held, and not a byte more.
    let full = CONFIG.pending_bytes_max / record * record;
    while log.pending_bytes() < full {
        thread::yield_now();
    }
    assert_eq!((log.pending_bytes(), log.last().as_u64()), (full, (full / record) as u64));
    // All others are let in as the disk goes on, in small steps.
    while told.try_recv() != Ok(Ok(Lsn::from_u64(200))) {
        assert!(log.pending_bytes() <= CONFIG.pending_bytes_max);
        let _ = gate.try_send(());
        thread::yield_now();
    }
    callers.into_iter().for_each(|caller| assert!(caller.join().unwrap().is_ok()));
    drop(gate);
    log.close();
    thread.join().unwrap();
}

#[test]
fn callers_that_wait_for_room_are_told_that_the_log_was_closed() {
    let (disk, gate) = SlowDisk::new(MemoryDisk::new());
    let (log, _told, thread) = running(&disk);
    let callers: Vec<_> = (0..200).map(|_| append_in_thread(&log, 40)).collect();
    while log.pending_bytes() + 200 < CONFIG.pending_bytes_max {
        thread::yield_now();
    }
    log.close();
    drop(gate);
    let ended: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    let kept = ended.iter().filter(|appended| appended.is_ok()).count();
    let refused = ended.iter().filter(|appended| **appended == Err(EnqueueError::Closed.into())).count();
    assert_eq!((kept + refused, log.durable()), (200, Lsn::from_u64(kept as u64)));
    thread.join().unwrap();
}

type Told = Receiver<Result<Lsn, SyncError>>;

fn running<D: Disk>(disk: &D) -> (Log, Told, JoinHandle<()>) {
    let opened = open(disk.clone(), CONFIG, SEED).unwrap();
    let (syncer, (tell, told)): (Syncer<D>, _) = (opened.syncer, channel());
    // Who does not listen is not told.
    let thread = thread::spawn(move || syncer.run(move |synced| drop(tell.send(synced))));
    (opened.log, told, thread)
}

fn append_in_thread(log: &Log, number: u64) -> JoinHandle<Result<Lsn, AppendError>> {
    let log = log.clone();
    thread::spawn(move || log.append(&payload(number)))
}

fn await_last(log: &Log, last: u64) {
    while log.last() < Lsn::from_u64(last) {
        thread::yield_now();
    }
}

/// Lets the header of the first segment be synced, as soon as there is a record.
fn gate_opens_for_segment(gate: &std::sync::mpsc::SyncSender<()>) {
    let gate = gate.clone();
    thread::spawn(move || gate.send(()));
}
