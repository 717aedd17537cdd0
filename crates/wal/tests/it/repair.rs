//! Cutting a log: what is kept opens, what is taken away is kept elsewhere, and nothing happens by accident.

use std::io::ErrorKind;

use trellis_wal::tools::{DataLoss, RepairError, Verdict, repair, verify};
use trellis_wal::{Disk, Fault, Lsn, MemoryDisk, OpenError, Operation};

use crate::support::{End, Node, Store, flip, framed_bytes, log_of_sixty, records_to, segments, snapshots};

#[test]
fn a_log_is_cut_behind_any_whole_unit_and_what_was_cut_off_is_kept() {
    for end in [End::Unattested, End::Attested, End::Sealed] {
        let disk = log_of_sixty(end);
        for last in 0..=60 {
            let copy = disk.duplicate();
            let outcome = repair(copy.clone(), Lsn::from_u64(last), DataLoss::Accepted);
            if (31..35).contains(&last) {
                let before = Lsn::from_u64(30);
                assert!(matches!(outcome, Err(RepairError::InsideBatch { before: b, .. }) if b == before));
                assert_eq!(copy.list().unwrap(), disk.list().unwrap());
                continue;
            }
            let plan = outcome.unwrap();
            assert_eq!(plan.taken.is_empty(), last == 60, "{plan}");
            check_nothing_is_lost(&disk, &copy, last);
            let node = Node::open(&copy).unwrap();
            assert_eq!(node.held, records_to(last), "{end:?} {last}");
            assert_eq!(node.report.tail_certain, last == 60 && end != End::Unattested, "{end:?} {last}");
            drop(node);
            assert_eq!(repaired_again(&copy, last), records_to(last + 5));
        }
    }
}

#[test]
fn without_consent_nothing_is_done_and_all_that_would_be_is_told() {
    let disk = log_of_sixty(End::Sealed);
    let copy = disk.duplicate();
    let Err(RepairError::WouldLose(plan)) = repair(copy.clone(), Lsn::from_u64(20), DataLoss::Refused) else {
        panic!("records would be lost");
    };
    assert_eq!(copy.list().unwrap(), disk.list().unwrap());
    assert!(copy.quarantined().is_empty());
    assert_eq!(repair(copy, Lsn::from_u64(20), DataLoss::Accepted).unwrap(), plan);
    let printed = plan.to_string();
    assert!(printed.starts_with("all behind LSN 20 goes\nwal-"), "{printed}");
    assert_eq!(printed.lines().count(), plan.taken.len() + 1);
}

#[test]
fn a_damaged_log_opens_again_behind_the_last_record_that_verification_could_read() {
    let disk = log_of_sixty(End::Attested);
    for name in segments(&disk) {
        let used = disk.contents(&name).unwrap().iter().rposition(|&byte| byte != 0).unwrap();
        for offset in (4096..used).step_by(56) {
            let copy = disk.duplicate();
            flip(&copy, &name, offset);
            let readable = verify(&copy, |_| {}).readable_to;
            if Node::open(&copy).is_ok() {
                continue;
            }
            let beyond = repair(copy.clone(), readable.next(), DataLoss::Accepted);
            assert!(beyond.is_err(), "{name} at {offset}");
            repair(copy.clone(), readable, DataLoss::Accepted).unwrap();
            let found = verify(&copy, |_| {});
            assert_eq!((found.verdict(), found.readable_to), (Verdict::TornTail, readable), "{found}");
            let node = Node::open(&copy).unwrap();
            assert_eq!((node.held, node.report.tail_certain), (records_to(readable.as_u64()), false));
        }
    }
}

#[test]
fn a_power_cut_in_a_repair_is_mended_by_the_same_repair() {
    for last in [0, 7, 20, 45] {
        let mut changes = 0;
        loop {
            let disk = log_of_sixty(End::Sealed);
            disk.cut_power_after(changes);
            let is_done = repair(disk.clone(), Lsn::from_u64(last), DataLoss::Accepted).is_ok();
            for names_kept in 0..=disk.unsynced_names() {
                let cut = disk.crash(names_kept, |sector| sector.index % 2 == 0);
                match repair(cut.clone(), Lsn::from_u64(last), DataLoss::Accepted) {
                    Ok(_) => {}
                    Err(error) => panic!("{last}, {changes} changes: {error}"),
                }
                assert_eq!(Node::open(&cut).unwrap().held, records_to(last), "{changes} changes");
            }
            if is_done {
                break;
            }
            changes += 1;
        }
        assert!(changes >= 6, "{changes} changes");
    }
}

#[test]
fn a_step_that_fails_leaves_a_log_that_the_same_repair_mends() {
    let last = Lsn::from_u64(20);
    let mut failures = 0;
    for operation in [
        Operation::Read,
        Operation::Create,
        Operation::Allocate,
        Operation::Write,
        Operation::Sync,
        Operation::Quarantine,
        Operation::Rename,
        Operation::SyncDirectory,
    ] {
        for (after, kind) in
            (0..4).flat_map(|after| [(after, ErrorKind::Other), (after, ErrorKind::StorageFull)])
        {
            let disk = log_of_sixty(End::Sealed);
            disk.inject(Fault { operation, after, kind });
            if repair(disk.clone(), last, DataLoss::Accepted).is_ok() {
                continue;
            }
            failures += 1;
            repair(disk.clone(), last, DataLoss::Accepted).unwrap();
            assert_eq!(Node::open(&disk).unwrap().held, records_to(20), "{operation} {after}");
        }
    }
    assert!(failures >= 18, "{failures} failures");
}

#[test]
fn a_full_disk_is_met_before_anything_is_moved() {
    let disk = log_of_sixty(End::Sealed);
    disk.limit_bytes(Some(0));
    let before = disk.list().unwrap();
    let refused = repair(disk.clone(), Lsn::from_u64(20), DataLoss::Accepted);
    assert!(matches!(refused, Err(RepairError::DiskFull)));
    assert_eq!((disk.list().unwrap(), disk.quarantined().len()), (before, 0));
}

#[test]
fn snapshots_that_hold_more_than_is_kept_go_as_well() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.write_and_snapshot(40).unwrap();
    store.write_and_snapshot(80).unwrap();
    store.node.write_to(100);
    store.node.syncer.seal().unwrap();
    drop((store.snapshots, store.node.log));
    for (last, left) in [(90, 2), (80, 2), (79, 1), (40, 1), (39, 0), (0, 0)] {
        for is_damaged in [false, true] {
            let copy = disk.duplicate();
            if is_damaged {
                flip(&copy, &snapshots(&copy)[1], 5000);
            }
            repair(copy.clone(), Lsn::from_u64(last), DataLoss::Accepted).unwrap();
            assert_eq!(snapshots(&copy).len(), left, "{last}");
            let store = Store::open(&copy).unwrap();
            assert_eq!(store.node.held, records_to(last), "{last}");
            assert!(!store.node.report.tail_certain);
        }
    }
}

#[test]
fn a_log_that_would_have_no_beginning_is_not_cut() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    for last in [40, 80, 120] {
        store.write_and_snapshot(last).unwrap();
        store.snapshots.retain().unwrap();
    }
    drop((store.snapshots, store.node));
    let before = disk.list().unwrap();
    for last in [79, 50, 0] {
        let refused = repair(disk.clone(), Lsn::from_u64(last), DataLoss::Accepted);
        assert!(matches!(refused, Err(RepairError::NoSnapshot { .. })), "{last}: {refused:?}");
        assert_eq!(disk.list().unwrap(), before);
    }
    repair(disk.clone(), Lsn::from_u64(80), DataLoss::Accepted).unwrap();
    assert_eq!(Store::open(&disk).unwrap().node.held, records_to(80));
}

#[test]
fn a_log_is_not_cut_where_it_cannot_be_read_nor_while_it_is_open() {
    let disk = log_of_sixty(End::Sealed);
    let beyond = repair(disk.clone(), Lsn::from_u64(61), DataLoss::Accepted);
    assert!(matches!(beyond, Err(RepairError::NotReadable { readable_to }) if readable_to.as_u64() == 60));
    let first = segments(&disk)[0].clone();
    flip(&disk, &first, 4096 + framed_bytes(1..=3));
    let behind = repair(disk.clone(), Lsn::from_u64(50), DataLoss::Accepted);
    assert!(matches!(behind, Err(RepairError::Damaged(OpenError::Corrupt { .. }))), "{behind:?}");
    let at = repair(disk.clone(), Lsn::from_u64(9), DataLoss::Accepted);
    assert!(
        matches!(at, Err(RepairError::NotReadable { readable_to }) if readable_to.as_u64() == 3),
        "{at:?}"
    );
    let none = repair(MemoryDisk::new(), Lsn::ZERO, DataLoss::Accepted);
    assert!(matches!(none, Err(RepairError::NotReadable { .. })));

    let disk = log_of_sixty(End::Sealed);
    let node = Node::open(&disk).unwrap();
    let refused = repair(disk.clone(), Lsn::from_u64(20), DataLoss::Accepted);
    assert!(matches!(refused, Err(RepairError::Locked)));
    drop(node);
}

#[test]
fn a_second_copy_never_replaces_the_first() {
    let disk = log_of_sixty(End::Sealed);
    for round in 1..=3 {
        repair(disk.clone(), Lsn::from_u64(20), DataLoss::Accepted).unwrap();
        let mut node = Node::open(&disk).unwrap();
        assert_eq!(node.held, records_to(20));
        node.write_to(60);
        node.syncer.seal().unwrap();
        drop(node.log);
        let cuts = disk.quarantined().keys().filter(|name| name.contains(".cut")).count();
        assert_eq!(cuts, round);
    }
}

/// Appends five records to a log that was cut, and reads it after a power cut.
fn repaired_again(disk: &MemoryDisk, last: u64) -> Vec<(Lsn, Vec<u8>)> {
    let mut node = Node::open(disk).unwrap();
    node.write_to(last + 5);
    drop(node);
    Node::open(&disk.crash(0, |_| false)).unwrap().held
}

/// Whether every byte that is not in the log any more is in the quarantine.
fn check_nothing_is_lost(before: &MemoryDisk, after: &MemoryDisk, last: u64) {
    let quarantined = after.quarantined();
    for name in segments(before) {
        let bytes = before.contents(&name).unwrap();
        if after.contents(&name).as_ref() == Some(&bytes) || quarantined.get(&name) == Some(&bytes) {
            continue;
        }
        let cut = quarantined.iter().find(|(copy, _)| copy.starts_with(&name)).unwrap();
        let offset: usize = cut.0[name.len() + 1..].trim_end_matches(".cut").parse().unwrap();
        let end = offset + cut.1.len();
        assert_eq!(bytes[offset..end], cut.1[..], "{name}, cut behind {last}");
        assert!(bytes[end..].iter().all(|&byte| byte == 0));
        assert_eq!(bytes[4096..offset], after.contents(&name).unwrap()[4096..offset]);
    }
}
