//! The segment that is made ahead: whatever happens to it, the log has what it had.

use std::io::ErrorKind;
use std::thread;

use trellis_wal::{Disk, Fault, Lsn, MemoryDisk, Operation};

use crate::crash::check_power_cuts;
use crate::slow_disk::SlowDisk;
use crate::support::{CONFIG, Node, records_to, segments};

#[test]
fn a_power_cut_after_any_change_loses_nothing_acknowledged_with_spares_either() {
    check_power_cuts(|syncer| {
        syncer.make_spare();
    });
}

#[test]
fn a_rotation_with_a_spare_makes_and_allocates_nothing() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    assert!(!node.syncer.make_spare(), "nothing is filled yet");
    node.write_to(5);
    assert!(node.syncer.make_spare() && node.syncer.make_spare());
    let count = segments(&disk).len();
    for operation in [Operation::Create, Operation::Allocate] {
        disk.inject(Fault { operation, after: 0, kind: ErrorKind::Other });
    }
    while segments(&disk).len() == count {
        node.write_to(node.log.last().as_u64() + 5);
    }
    assert_eq!(node.log.poisoned(), None);
    let last = node.log.last().as_u64();
    drop(node);
    assert_eq!(Node::open(&disk.crash(0, |_| false)).unwrap().held, records_to(last));
}

#[test]
fn a_spare_that_cannot_be_made_harms_nothing_and_is_made_later() {
    for operation in [Operation::Create, Operation::Allocate, Operation::Sync] {
        for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
            let disk = MemoryDisk::new();
            let mut node = Node::open(&disk).unwrap();
            node.write_to(5);
            disk.inject(Fault { operation, after: 0, kind });
            assert!(!node.syncer.make_spare());
            assert!(!disk.list().unwrap().contains(&SPARE.to_owned()), "what is of no use takes no space");
            node.write_to(10);
            assert!(node.syncer.make_spare());
            node.write_to(60);
            drop(node);
            assert_eq!(Node::open(&disk.crash(0, |_| false)).unwrap().held, records_to(60));
        }
    }
}

#[test]
fn a_disk_that_has_room_for_one_segment_is_full_at_the_rotation_and_goes_on_by_itself() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.write_to(5);
    disk.limit_bytes(Some(CONFIG.segment_bytes));
    assert!(!node.syncer.make_spare());
    node.append_to(60);
    node.syncer.sync_once().unwrap_err();
    assert!(node.log.poisoned().is_none() && node.log.durable() >= Lsn::from_u64(5));
    disk.limit_bytes(None);
    node.syncer.sync_once().unwrap();
    assert!(node.syncer.make_spare());
    node.syncer.seal().unwrap();
    assert!(!disk.list().unwrap().contains(&SPARE.to_owned()), "a spare goes with the log");
    drop(node.log);
    assert_eq!(Node::open(&disk).unwrap().held, records_to(60));
}

#[test]
fn a_failure_at_any_step_of_a_rotation_with_a_spare_poisons_the_log_and_loses_nothing() {
    let mut poisoned = 0;
    for operation in [Operation::Write, Operation::Sync, Operation::Rename, Operation::SyncDirectory] {
        for after in 0..20 {
            let disk = MemoryDisk::new();
            let mut node = Node::open(&disk).unwrap();
            node.write_to(5);
            node.syncer.make_spare();
            disk.inject(Fault { operation, after, kind: ErrorKind::Other });
            while node.log.poisoned().is_none() && node.log.last() < Lsn::from_u64(60) {
                node.append_to(node.log.last().as_u64() + 5);
                let _ = node.syncer.sync_once();
            }
            if node.log.poisoned().is_none() {
                continue;
            }
            poisoned += 1;
            let durable = node.log.durable().as_u64();
            drop(node);
            for cut in [disk.crash(0, |_| false), disk.crash(disk.unsynced_names(), |_| true), disk.clone()] {
                let held = Node::open(&cut).unwrap().held;
                assert!(held.len() as u64 >= durable && held == records_to(held.len() as u64));
            }
        }
    }
    assert!(poisoned > 30, "{poisoned}");
}

#[test]
fn a_thread_that_makes_spares_ends_with_the_log_and_leaves_none() {
    let disk = MemoryDisk::new();
    let node = Node::open(&disk).unwrap();
    let (maker, syncer) = (node.syncer.spare_maker(), node.syncer);
    let threads = [thread::spawn(move || maker.run()), thread::spawn(move || syncer.run(|_| {}))];
    for number in 1..=400 {
        node.log.append(&crate::support::payload(number)).unwrap();
    }
    node.log.close();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(segments(&disk).len() > 15 && !disk.list().unwrap().contains(&SPARE.to_owned()));
    assert_eq!(Node::open(&disk).unwrap().held, records_to(400));
}

#[test]
fn who_waits_is_told_that_the_syncer_is_gone_while_a_spare_is_still_made() {
    let memory = MemoryDisk::new();
    let (disk, gate) = SlowDisk::new(memory.clone());
    let mut node = Node::open(&disk).unwrap();
    node.append_to(1);
    let two_syncs = thread::spawn(move || {
        (0..2).for_each(|_| gate.send(()).unwrap());
        gate
    });
    node.syncer.sync_once().unwrap();
    let gate = two_syncs.join().unwrap();
    let maker = node.syncer.spare_maker();
    let making = thread::spawn(move || maker.run());
    while !memory.list().unwrap().contains(&SPARE.to_owned()) {
        thread::yield_now();
    }
    let dropping = thread::spawn(move || drop(node.syncer));
    node.log.wait_durable_blocking(Lsn::from_u64(2)).unwrap_err();
    drop(gate);
    [making, dropping].into_iter().for_each(|thread| thread.join().unwrap());
    assert!(!memory.list().unwrap().contains(&SPARE.to_owned()));
}

/// The file that a segment is made in ahead of its use.
pub(crate) const SPARE: &str = "spare.tmp";
