//! What is removed when newer snapshots make it needless, and what never is.

use std::io::ErrorKind;

use trellis_wal::{Disk, Fault, Lsn, MemoryDisk, OpenError, Operation, RetainError, SyncError};

use crate::support::{Store, records_to, segments, snapshots};

#[test]
fn two_snapshots_are_kept_and_the_log_back_to_the_older() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    for last in [40, 80, 120, 160] {
        store.write_and_snapshot(last).unwrap();
        let retained = store.snapshots.retain().unwrap();
        let kept: Vec<_> =
            [last, last - 40].into_iter().filter(|&start| start > 0).map(Lsn::from_u64).collect();
        assert_eq!(retained.kept, kept);
        let first = first_lsn(&disk);
        match last {
            40 => assert_eq!((retained.removed.len(), first), (0, 1), "one snapshot removes nothing"),
            _ => {
                let older = last - 40;
                assert!(!retained.removed.is_empty());
                assert!(first <= older && older - first < 40, "the log goes back to {first}");
                let follows = &segments(&disk)[1];
                assert!(lsn_in(follows) > older, "{follows} is the first that was not needed");
            }
        }
        assert_eq!(store.snapshots.retain().unwrap().removed, Vec::<String>::new());
    }
    store.node.write_to(170);
    drop(store);
    let store = Store::open(&disk.crash(0, |_| false)).unwrap();
    assert_eq!((store.node.held, store.node.report.start.as_u64()), (records_to(170), 160));
}

#[test]
fn the_older_snapshot_and_its_log_are_still_there_when_the_newest_is_damaged() {
    let disk = retained_at(&[40, 80, 120]);
    for name in snapshots(&disk) {
        let copy = disk.duplicate();
        copy.overwrite(&name, b"rot");
        assert_eq!(Store::open(&copy).unwrap().node.held, records_to(130), "{name}");
    }
    for name in snapshots(&disk) {
        disk.overwrite(&name, b"rot");
    }
    let refused = Store::open(&disk).map(|_| ());
    let Err(OpenError::NoSnapshot { first, rejected }) = refused else { panic!("{refused:?}") };
    assert_eq!((first.as_u64(), rejected.len()), (first_lsn(&disk), 2));
}

#[test]
fn a_damaged_snapshot_counts_for_nothing_until_two_newer_ones_are_whole() {
    let disk = retained_at(&[40, 80]);
    disk.overwrite(&snapshots(&disk)[1], b"rot");
    let mut store = Store::open(&disk).unwrap();
    let starts = |disk: &MemoryDisk| snapshots(disk).iter().map(|name| lsn_in(name)).collect::<Vec<_>>();
    assert_eq!(store.snapshots.retain().unwrap().removed, Vec::<String>::new());
    store.write_and_snapshot(160).unwrap();
    let kept = store.snapshots.retain().unwrap().kept;
    assert_eq!((kept, starts(&disk)), (vec![Lsn::from_u64(160), Lsn::from_u64(40)], vec![40, 80, 160]));
    store.write_and_snapshot(200).unwrap();
    store.snapshots.retain().unwrap();
    assert_eq!(starts(&disk), [160, 200]);
    drop(store);
    assert_eq!(Store::open(&disk).unwrap().node.held, records_to(200));
}

#[test]
fn a_power_cut_after_any_removal_leaves_a_log_that_opens() {
    let mut changes = 0;
    loop {
        let disk = MemoryDisk::new();
        let mut store = Store::open(&disk).unwrap();
        store.write_and_snapshot(40).unwrap();
        store.write_and_snapshot(80).unwrap();
        store.write_and_snapshot(160).unwrap();
        store.node.write_to(170);
        disk.cut_power_after(changes);
        let is_done = store.snapshots.retain().is_ok();
        drop(store);
        for names_kept in 0..=disk.unsynced_names() {
            let cut = disk.crash(names_kept, |_| false);
            assert_eq!(Store::open(&cut).unwrap().node.held, records_to(170), "{changes} changes");
            cut.overwrite(&snapshots(&cut)[snapshots(&cut).len() - 1], b"rot");
            assert_eq!(Store::open(&cut).unwrap().node.held, records_to(170), "{changes} changes, then rot");
        }
        if is_done {
            break;
        }
        changes += 1;
    }
    assert!(changes >= 6, "{changes} changes");
}

#[test]
fn removals_that_reach_the_disk_in_another_order_do_not_matter() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.write_and_snapshot(40).unwrap();
    store.write_and_snapshot(120).unwrap();
    store.node.write_to(130);
    drop(store);
    let old: Vec<_> = segments(&disk).into_iter().filter(|name| lsn_in(name) < 40).collect();
    let removable = &old[..old.len() - 1];
    assert!(removable.len() >= 2, "{old:?}");
    for chosen in 0..1u32 << removable.len() {
        let copy = disk.duplicate();
        for (index, name) in removable.iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1) {
            if index % 2 == 0 { copy.delete(name) } else { copy.overwrite(name, b"half removed") }
        }
        copy.overwrite(&snapshots(&copy)[1], b"rot");
        assert_eq!(Store::open(&copy).unwrap().node.held, records_to(130), "{chosen:b}");
    }
}

#[test]
fn a_segment_that_is_needed_is_missed() {
    let disk = retained_at(&[40, 80]);
    for name in segments(&disk) {
        let copy = disk.duplicate();
        copy.delete(&name);
        copy.overwrite(&snapshots(&copy)[1], b"rot");
        assert!(Store::open(&copy).is_err(), "{name}");
    }
}

#[test]
fn any_failed_step_of_a_removal_loses_nothing_and_a_failed_sync_ends_all_removing() {
    for operation in [Operation::Read, Operation::Remove, Operation::SyncDirectory] {
        for after in 0..6 {
            let disk = MemoryDisk::new();
            let mut store = Store::open(&disk).unwrap();
            for last in [40, 80, 160] {
                store.write_and_snapshot(last).unwrap();
            }
            disk.inject(Fault { operation, after, kind: ErrorKind::Other });
            let Err(error) = store.snapshots.retain() else { continue };
            assert!(
                matches!(error, RetainError::Disk { operation: failed, .. } if failed == operation),
                "{error}"
            );
            let again = store.snapshots.retain();
            match again {
                Err(RetainError::Distrusted) => assert_eq!(operation, Operation::SyncDirectory),
                Err(other) => panic!("{operation} {after}: {other}"),
                Ok(again) => assert!(operation != Operation::SyncDirectory || again.removed.is_empty()),
            }
            drop(store);
            for names_kept in 0..=disk.unsynced_names() {
                let cut = disk.crash(names_kept, |_| false);
                assert_eq!(Store::open(&cut).unwrap().node.held, records_to(160), "{operation} {after}");
            }
        }
    }
}

#[test]
fn nothing_is_removed_after_a_failed_publication() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.write_and_snapshot(40).unwrap();
    store.write_and_snapshot(80).unwrap();
    disk.inject(Fault { operation: Operation::SyncDirectory, after: 0, kind: ErrorKind::Other });
    store.snapshot(80).unwrap_err();
    let before = disk.list().unwrap();
    assert!(matches!(store.snapshots.retain(), Err(RetainError::Distrusted)));
    assert_eq!(disk.list().unwrap(), before);
    drop(store);
    let mut store = Store::open(&disk).unwrap();
    assert!(!store.snapshots.retain().unwrap().removed.is_empty());
}

#[test]
fn nothing_is_removed_beside_a_log_that_has_failed() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.write_and_snapshot(40).unwrap();
    store.write_and_snapshot(80).unwrap();
    store.node.append_to(81);
    disk.inject(Fault { operation: Operation::Sync, after: 0, kind: ErrorKind::Other });
    assert!(matches!(store.node.syncer.sync_once(), Err(SyncError::Poisoned(_))));
    let before = disk.list().unwrap();
    assert!(matches!(store.snapshots.retain(), Err(RetainError::Poisoned(_))));
    assert_eq!(disk.list().unwrap(), before);
}

/// A log that goes on ten records behind the last of these snapshots, each of which was followed by a removal.
fn retained_at(starts: &[u64]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    for &start in starts {
        store.write_and_snapshot(start).unwrap();
        store.snapshots.retain().unwrap();
    }
    store.node.write_to(starts[starts.len() - 1] + 10);
    store.node.syncer.seal().unwrap();
    disk
}

fn first_lsn(disk: &MemoryDisk) -> u64 {
    lsn_in(&segments(disk)[0])
}

/// The number in the name of a segment or of a snapshot.
fn lsn_in(name: &str) -> u64 {
    name.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
}
