//! Writes and syncs that fail, and disks that are full.

use std::io::ErrorKind;
use std::sync::mpsc;
use std::thread;

use trellis_wal::{
    Disk, EnqueueError, Fault, Lsn, MemoryDisk, OpenError, Operation, PoisonCause, Poisoned, SyncError,
    Syncer,
};

use crate::support::{CONFIG, Node, records_to, segments};

#[test]
fn any_failed_change_poisons_the_log_and_no_acknowledged_record_is_lost() {
    let mut poisoned = 0;
    for operation in CHANGES {
        for after in 0..30 {
            let disk = MemoryDisk::new();
            let mut node = Node::open(&disk).unwrap();
            disk.inject(Fault { operation, after, kind: ErrorKind::Other });
            let Some(failure) = write_until_failure(&mut node) else { continue };
            poisoned += 1;
            let durable = node.log.durable();
            let cause = PoisonCause::Disk { operation, kind: ErrorKind::Other, os_error: None };
            assert_eq!(failure, Poisoned { durable, cause });
            assert_eq!(node.log.enqueue(b"late"), Err(EnqueueError::Poisoned(failure.clone())));
            assert_eq!(node.log.wait_durable_blocking(durable.next()), Err(failure.clone()));

            let image = disk.duplicate();
            assert_eq!(node.syncer.sync_once(), Err(failure.clone().into()));
            assert_eq!(node.syncer.attest(), Err(failure.clone().into()));
            assert_eq!(node.syncer.seal(), Err(failure.into()));
            assert_eq!(disk.list().unwrap(), image.list().unwrap(), "nothing is written after a failure");
            for name in segments(&disk) {
                assert_eq!(disk.contents(&name), image.contents(&name), "nothing is written after a failure");
            }
            drop(node.log);
            check_reopened(&disk, durable);
        }
    }
    assert!(poisoned > 40, "{poisoned} failures");
}

#[test]
fn every_waiter_is_told_of_a_failure() {
    let disk = MemoryDisk::new();
    let node = Node::open(&disk).unwrap();
    node.append_to(8);
    disk.inject(Fault { operation: Operation::Sync, after: 1, kind: ErrorKind::Other });
    let waiters: Vec<_> = (1..=8)
        .map(|number| {
            let log = node.log.clone();
            thread::spawn(move || log.wait_durable_blocking(Lsn::from_u64(number)))
        })
        .collect();
    let told = run(node.syncer);
    let failure = node.log.poisoned().unwrap();
    assert_eq!(told, [Err(SyncError::Poisoned(failure.clone()))]);
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), Err(failure.clone()));
    }
}

#[test]
fn those_who_wait_are_told_when_the_syncer_is_gone() {
    let node = Node::open(&MemoryDisk::new()).unwrap();
    let lsn = node.log.enqueue(b"never written").unwrap();
    drop(node.syncer);
    let failure = Poisoned { durable: Lsn::ZERO, cause: PoisonCause::Abandoned };
    assert_eq!(node.log.wait_durable_blocking(lsn), Err(failure.clone()));
    assert_eq!(node.log.enqueue(b"late"), Err(EnqueueError::Poisoned(failure)));
}

#[test]
fn a_full_disk_keeps_records_pending_until_there_is_room() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    disk.limit_bytes(Some(CONFIG.segment_bytes));
    node.append_to(60);
    assert_eq!(node.syncer.sync_once(), Err(SyncError::DiskFull));
    let durable = node.log.durable();
    assert!(Lsn::ZERO < durable && durable < Lsn::from_u64(60), "{durable}");
    assert_eq!(node.syncer.sync_once(), Err(SyncError::DiskFull));
    assert_eq!((node.log.poisoned(), node.log.durable()), (None, durable));
    assert_eq!(disk.list().unwrap().len(), 1, "the unfinished segment is removed");

    disk.limit_bytes(None);
    node.append_to(65);
    assert_eq!(node.syncer.sync_once().unwrap().durable, Lsn::from_u64(65));
    assert_eq!(node.log.pending_bytes(), 0);
    drop(node);
    assert_eq!(Node::open(&disk.crash(0, |_| false)).unwrap().held, records_to(65));
}

#[test]
fn the_running_syncer_tries_again_after_a_full_disk() {
    let disk = MemoryDisk::new();
    let node = Node::open(&disk).unwrap();
    disk.limit_bytes(Some(0));
    node.append_to(3);
    let (outcomes, told) = mpsc::channel();
    let syncer = node.syncer;
    let thread = thread::spawn(move || syncer.run(move |outcome| outcomes.send(outcome).unwrap()));
    assert_eq!(told.recv().unwrap(), Err(SyncError::DiskFull));
    disk.limit_bytes(None);
    node.log.wait_durable_blocking(Lsn::from_u64(3)).unwrap();
    node.log.close();
    thread.join().unwrap();
    assert_eq!(told.iter().last(), Some(Ok(Lsn::from_u64(3))));
}

#[test]
fn a_log_that_is_closed_on_a_full_disk_tells_who_waits() {
    let disk = MemoryDisk::new();
    let node = Node::open(&disk).unwrap();
    disk.limit_bytes(Some(0));
    node.append_to(3);
    node.log.close();
    assert_eq!(run(node.syncer), [Err(SyncError::DiskFull)]);
    assert_eq!(node.log.wait_durable_blocking(Lsn::from_u64(3)).unwrap_err().cause, PoisonCause::Abandoned);
}

#[test]
fn no_space_for_bytes_that_were_allocated_poisons_the_log() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.write_to(5);
    node.append_to(6);
    disk.inject(Fault { operation: Operation::Write, after: 0, kind: ErrorKind::StorageFull });
    assert!(matches!(node.syncer.sync_once(), Err(SyncError::Poisoned(_))));
}

#[test]
fn a_log_opens_on_a_full_disk_and_all_it_serves_is_durable() {
    for (is_attested, is_torn) in [(true, false), (true, true), (false, false), (false, true)] {
        let disk = MemoryDisk::new();
        let mut node = Node::open(&disk).unwrap();
        node.write_to(10);
        if is_attested {
            node.syncer.attest().unwrap();
        } else {
            // The last group is readable and, as far as the disk is concerned, was never written.
            node.append_to(15);
            disk.inject(Fault { operation: Operation::Sync, after: 0, kind: ErrorKind::Other });
            node.syncer.sync_once().unwrap_err();
        }
        drop(node);
        let last = if is_attested { 10 } else { 15 };
        if is_torn {
            let name = &segments(&disk)[0];
            let mut bytes = disk.contents(name).unwrap();
            let end = bytes.iter().rposition(|&byte| byte != 0).unwrap().next_multiple_of(8);
            bytes[end + 8] = 1;
            disk.overwrite(name, &bytes);
            disk.inject(Fault { operation: Operation::Quarantine, after: 0, kind: ErrorKind::StorageFull });
        }
        disk.limit_bytes(Some(0));
        for opening in 0..2 {
            let node = Node::open(&disk).unwrap();
            assert_eq!((node.held, node.report.tail_certain), (records_to(last), is_attested && !is_torn));
            assert_eq!(node.report.torn_bytes > 0, is_torn);
            assert_eq!(node.report.quarantined.is_some(), is_torn && opening == 1);
            assert_eq!(Node::open(&disk.crash(0, |_| false)).unwrap().held, records_to(last));
        }
        let mut node = Node::open(&disk).unwrap();
        node.append_to(20);
        assert_eq!(node.syncer.sync_once(), Err(SyncError::DiskFull));
        disk.limit_bytes(None);
        node.syncer.sync_once().unwrap();
        drop(node);
        assert_eq!(Node::open(&disk.crash(0, |_| false)).unwrap().held, records_to(20));
    }
}

#[test]
fn a_power_cut_or_a_failure_while_the_tail_is_written_again_loses_nothing() {
    for operation in [None, Some(Operation::Write), Some(Operation::Sync)] {
        for changes in 0..4 {
            let disk = MemoryDisk::new();
            let mut node = Node::open(&disk).unwrap();
            node.write_to(10);
            node.append_to(13);
            disk.cut_power_after(1);
            node.syncer.sync_once().unwrap_err();
            drop(node);
            // The group of three is torn in all ways, and what is left is read on a full disk.
            let sectors = disk.unsynced_sectors();
            for chosen in 0..1usize << sectors.len() {
                let place = |sector: &_| sectors.iter().position(|other| other == sector);
                let torn =
                    disk.crash(0, |sector| place(sector).is_some_and(|place| chosen >> place & 1 == 1));
                torn.limit_bytes(Some(0));
                match operation {
                    None => torn.cut_power_after(changes),
                    Some(operation) => torn.inject(Fault { operation, after: 0, kind: ErrorKind::Other }),
                }
                let opened = Node::open(&torn);
                if let (Err(error), Some(operation)) = (&opened, operation) {
                    assert!(
                        matches!(error, OpenError::Write { operation: o, .. } if *o == operation),
                        "{error}"
                    );
                }
                drop(opened);
                for parity in 0..3 {
                    let cut = torn.crash(0, |sector| sector.index % 2 == parity);
                    cut.limit_bytes(Some(0));
                    let held = Node::open(&cut).unwrap().held;
                    assert!((10..=13).contains(&held.len()) && held == records_to(held.len() as u64));
                    assert_eq!(Node::open(&cut.crash(0, |_| false)).unwrap().held, held);
                }
            }
        }
    }
}

#[test]
fn a_torn_tail_alone_in_its_segment_is_not_lost_for_lack_of_space() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.append_to(3);
    disk.cut_power_after(6);
    node.syncer.sync_once().unwrap_err();
    drop(node);
    let torn = disk.crash(disk.unsynced_names(), |sector| sector.index == 8);
    let name = segments(&torn)[0].clone();
    let mut bytes = torn.contents(&name).unwrap();
    bytes[4100] ^= 1;
    torn.overwrite(&name, &bytes);
    torn.inject(Fault { operation: Operation::Quarantine, after: 0, kind: ErrorKind::StorageFull });
    assert!(matches!(Node::open(&torn), Err(OpenError::DiskFull)));
    assert_eq!(torn.contents(&name), Some(bytes));
    assert_eq!(Node::open(&torn).unwrap().report.quarantined.unwrap(), format!("{name}-4096"));
}

#[test]
fn a_failure_while_the_tail_is_logged_again_refuses_the_log_and_loses_nothing() {
    for operation in CHANGES {
        for after in 0..2 {
            let disk = MemoryDisk::new();
            Node::open(&disk).unwrap().write_to(10);
            disk.inject(Fault { operation, after, kind: ErrorKind::Other });
            match Node::open(&disk) {
                Ok(node) => assert_eq!(node.held, records_to(10)),
                Err(OpenError::Write { operation: failed, .. }) => assert_eq!(failed, operation),
                Err(other) => panic!("{other}"),
            }
            for names_kept in 0..=disk.unsynced_names() {
                let crashed = disk.crash(names_kept, |_| false);
                assert_eq!(Node::open(&crashed).unwrap().held, records_to(10));
            }
            assert_eq!(Node::open(&disk.crash(0, |_| false)).unwrap().held, records_to(10));
        }
    }
}

/// Runs the syncer to its end and returns what it told.
fn run(syncer: Syncer<MemoryDisk>) -> Vec<Result<Lsn, SyncError>> {
    let (outcomes, told) = mpsc::channel();
    syncer.run(move |outcome| outcomes.send(outcome).unwrap());
    told.iter().collect()
}

/// Appends five records at a time until the log fails, or has sixty.
fn write_until_failure(node: &mut Node) -> Option<Poisoned> {
    while node.log.last() < Lsn::from_u64(60) {
        node.append_to(node.log.last().as_u64() + 5);
        match node.syncer.sync_once() {
            Ok(_) => {}
            Err(SyncError::Poisoned(failure)) => return Some(failure),
            Err(other) => panic!("{other}"),
        }
    }
    None
}

/// Opens the log as a process does that starts again: the page cache still shows what no sync has written,
/// and all that is served must survive a power cut from then on.
fn check_reopened(disk: &MemoryDisk, durable: Lsn) {
    let node = Node::open(disk).unwrap();
    assert!(node.held.len() as u64 >= durable.as_u64());
    assert_eq!(node.held, records_to(node.held.len() as u64));
    let after_cut = Node::open(&disk.crash(0, |_| false)).unwrap();
    assert_eq!(after_cut.held, node.held);
}

const CHANGES: [Operation; 7] = [
    Operation::Create,
    Operation::Allocate,
    Operation::Write,
    Operation::Sync,
    Operation::Rename,
    Operation::SyncDirectory,
    Operation::Truncate,
];

/// Found by simulation: a seal whose sync failed is readable until the power goes.
#[test]
fn a_seal_that_was_never_durable_hides_nothing_after_a_power_cut() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.write_to(10);
    node.syncer.attest().unwrap();
    disk.inject(Fault { operation: Operation::Sync, after: 0, kind: ErrorKind::Other });
    node.syncer.seal().unwrap_err();
    drop(node.log);
    // The process starts again, the machine does not: the seal is still read.
    let mut node = Node::open(&disk).unwrap();
    assert_eq!(node.held, records_to(10));
    node.write_to(12);
    let cut = disk.crash(0, |_| false);
    assert_eq!(Node::open(&cut).unwrap().held, records_to(12));
}
