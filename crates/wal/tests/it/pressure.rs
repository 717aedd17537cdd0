//! Disks that are slow or full, callers that give up, and clocks: nothing is lost, nothing hangs, nothing grows.

use std::io::ErrorKind;
use std::thread;

use trellis_wal::{EnqueueError, Fault, Lsn, MemoryDisk, Operation, SyncError, open};

use crate::slow_disk::SlowDisk;
use crate::support::{CONFIG, Node, SEED, payload, records_to};

#[test]
fn an_allocation_that_finds_no_space_loses_nothing_and_poisons_nothing() {
    let mut met = 0;
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        for after in 0..8 {
            let disk = MemoryDisk::new();
            let mut node = Node::open(&disk).unwrap();
            disk.inject(Fault { operation: Operation::Allocate, after, kind });
            for last in (5..=100).step_by(5) {
                node.append_to(last);
                if node.syncer.sync_once() == Err(SyncError::DiskFull) {
                    met += 1;
                    assert!(node.log.durable().as_u64() < last && node.log.poisoned().is_none());
                    node.syncer.sync_once().unwrap();
                }
                assert_eq!(node.log.durable().as_u64(), last);
            }
            drop(node);
            assert_eq!(Node::open(&disk.crash(0, |_| false)).unwrap().held, records_to(100));
        }
    }
    assert!(met >= 10, "{met}");
}

#[test]
fn a_disk_of_any_size_keeps_what_was_acknowledged_and_goes_on_when_there_is_room() {
    for limit in (0..40_000).step_by(700) {
        let disk = MemoryDisk::new();
        let mut node = Node::open(&disk).unwrap();
        disk.limit_bytes(Some(limit));
        let mut acknowledged = 0;
        for last in (5..=100).step_by(5) {
            node.append_to(last);
            match node.syncer.sync_once() {
                Ok(synced) => acknowledged = synced.durable.as_u64(),
                Err(SyncError::DiskFull) => break,
                Err(other) => panic!("{other}"),
            }
        }
        let cut = disk.crash(0, |_| false);
        let held = Node::open(&cut).unwrap().held;
        assert!(held.len() as u64 >= acknowledged && held == records_to(held.len() as u64), "{limit} bytes");
        disk.limit_bytes(None);
        let last = node.log.last().as_u64();
        assert_eq!(node.syncer.sync_once().unwrap().durable.as_u64(), last);
        node.syncer.seal().unwrap();
        drop(node.log);
        disk.limit_bytes(Some(0));
        assert_eq!(Node::open(&disk).unwrap().held, records_to(last), "reopened with no byte free");
    }
}

#[test]
fn a_write_that_fails_in_any_way_poisons_the_log() {
    for kind in [ErrorKind::Other, ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::WriteZero] {
        let disk = MemoryDisk::new();
        let mut node = Node::open(&disk).unwrap();
        node.write_to(10);
        node.append_to(15);
        // Half of the bytes are written before the error.
        disk.inject(Fault { operation: Operation::Write, after: 0, kind });
        assert!(matches!(node.syncer.sync_once(), Err(SyncError::Poisoned(_))), "{kind}");
        assert!(matches!(node.syncer.sync_once(), Err(SyncError::Poisoned(_))), "{kind}");
        drop(node);
        for cut in [disk.crash(0, |_| false), disk.crash(0, |_| true), disk.duplicate()] {
            let held = Node::open(&cut).unwrap().held;
            assert!((10..=15).contains(&held.len()) && held == records_to(held.len() as u64), "{kind}");
        }
    }
}

#[test]
fn what_waits_for_a_slow_disk_is_bounded() {
    let (disk, gate) = SlowDisk::new(MemoryDisk::new());
    let opened = open(disk, CONFIG, SEED).unwrap();
    let (log, syncer) = (opened.log, opened.syncer);
    let thread = thread::spawn(move || syncer.run(|outcome| assert!(outcome.is_ok())));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let log = log.clone();
            thread::spawn(move || {
                let (mut accepted, mut busy) = (0, 0);
                while busy < 100 {
                    match log.try_enqueue(&payload(40)) {
                        Ok(_) => accepted += 1,
                        Err(EnqueueError::Busy { pending_bytes, limit }) => {
                            assert!(pending_bytes >= limit);
                            busy += 1;
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
                accepted
            })
        })
        .collect();
    let accepted: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    let record = 24 + payload(40).len().next_multiple_of(8);
    assert!(log.pending_bytes() <= CONFIG.pending_bytes_max + record, "{} bytes", log.pending_bytes());
    assert!(!log.has_room());
    drop(gate);
    log.wait_durable_blocking(Lsn::from_u64(accepted)).unwrap();
    assert!(log.has_room());
    log.close();
    thread.join().unwrap();
}

#[test]
fn callers_that_wait_while_the_log_is_closed_or_fails_all_leave_and_know_what_is_durable() {
    for round in 0..60u64 {
        let disk = MemoryDisk::new();
        let node = Node::open(&disk).unwrap();
        if round % 3 == 0 {
            disk.inject(Fault {
                operation: Operation::Sync,
                after: round as usize / 3,
                kind: ErrorKind::Other,
            });
        }
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let log = node.log.clone();
                thread::spawn(move || {
                    let mut acknowledged = Vec::new();
                    while let Ok(lsn) = log.enqueue(b"record") {
                        // Every third caller does not wait: its record is written all the same.
                        if lsn.as_u64().is_multiple_of(3) {
                            continue;
                        }
                        match log.wait_durable_blocking(lsn) {
                            Ok(()) => acknowledged.push(lsn),
                            Err(_) => break,
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        let log = node.log.clone();
        let syncer = node.syncer;
        let thread = thread::spawn(move || {
            let mut groups = 0;
            syncer.run(move |_| {
                groups += 1;
                if groups == round / 2 {
                    log.close();
                }
            });
        });
        if round < 2 {
            node.log.close();
        }
        thread.join().unwrap();
        let acknowledged = writers.into_iter().flat_map(|writer| writer.join().unwrap()).max();
        drop(node.log);
        let held = Node::open(&disk.crash(0, |_| false)).unwrap().held;
        assert!(acknowledged <= held.last().map(|(lsn, _)| *lsn), "round {round}");
    }
}

#[test]
fn no_code_of_the_log_reads_a_clock() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            files += 1;
            for clock in ["Instant", "SystemTime", "UNIX_EPOCH", "clock_gettime"] {
                assert!(!text.contains(clock), "{} mentions {clock}", path.display());
            }
        }
    }
    assert!(files > 25, "{files} files");
}
