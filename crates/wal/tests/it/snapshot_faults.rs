//! Snapshots under power cuts, failing and full disks, rot and noise: the log never suffers, and what is used is whole.

use std::io::ErrorKind;

use trellis_wal::{
    Damage, Disk, Fault, Lsn, MemoryDisk, OpenError, OpenSeed, Operation, SnapshotDamage, SnapshotError,
    SnapshotReader, recover,
};

use crate::support::{CONFIG, Node, SEED, Store, records_to, segments, snapshots};

#[test]
fn a_power_cut_after_any_change_leaves_a_whole_snapshot_or_none() {
    let mut changes = 0;
    let mut found = [0; 3];
    loop {
        let disk = MemoryDisk::new();
        let mut store = Store::open(&disk).unwrap();
        store.write_and_snapshot(20).unwrap();
        store.node.write_to(40);
        disk.cut_power_after(changes);
        let published = store.snapshot(40).is_ok();
        drop(store);
        for names_kept in 0..=disk.unsynced_names() {
            for phase in 0..4 {
                let cut = disk.crash(names_kept, |sector| phase == 3 || sector.index % 2 == phase);
                let store = Store::open(&cut).unwrap();
                assert_eq!(store.node.held, records_to(40), "{changes} changes");
                assert_eq!(store.node.report.rejected, []);
                let start = store.node.report.start.as_u64();
                assert!(start == 40 || !published && start == 20, "{changes} changes: {start}");
                found[start as usize / 20] += 1;
            }
        }
        if published {
            break;
        }
        changes += 1;
    }
    assert!(changes >= 11 && found[1] > 40 && found[2] >= 4, "{changes} changes, {found:?}");
}

#[test]
fn a_flipped_bit_anywhere_in_the_newest_snapshot_falls_back_to_the_older_one() {
    let disk = two_snapshots();
    let [older, newer] = &snapshots(&disk)[..] else { panic!("two snapshots were taken") };
    let bytes = disk.contents(newer).unwrap();
    for offset in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[offset] ^= 1 << (offset % 8);
        let copy = disk.duplicate();
        copy.overwrite(newer, &damaged);
        let store = Store::open(&copy).unwrap();
        assert_eq!(store.node.held, records_to(60), "offset {offset}");
        let report = store.node.report;
        assert_eq!(&report.snapshot.unwrap().name, older, "offset {offset}");
        assert_eq!((report.rejected.len(), &report.rejected[0].name), (1, newer), "offset {offset}");
        assert_eq!(copy.contents(newer).unwrap(), damaged, "what is damaged is left as it is");
    }
}

#[test]
fn a_snapshot_that_was_cut_or_has_grown_falls_back_to_the_older_one() {
    let disk = two_snapshots();
    let newer = &snapshots(&disk)[1];
    let bytes = disk.contents(newer).unwrap();
    for length in (0..bytes.len()).chain([bytes.len() + 1, bytes.len() + 8, bytes.len() + 4096]) {
        let mut changed = bytes.clone();
        changed.resize(length, 0);
        let copy = disk.duplicate();
        copy.overwrite(newer, &changed);
        let store = Store::open(&copy).unwrap();
        assert_eq!(
            (store.node.held, store.node.report.rejected.len()),
            (records_to(60), 1),
            "{length} bytes"
        );
    }
}

#[test]
fn what_is_damaged_in_a_snapshot_is_told_with_its_place() {
    let disk = two_snapshots();
    let newer = &snapshots(&disk)[1];
    let bytes = disk.contents(newer).unwrap();
    let damage_of = |name: &str, bytes: &[u8]| {
        let copy = disk.duplicate();
        copy.overwrite(name, bytes);
        SnapshotReader::open(&copy, name).unwrap_err()
    };
    let flipped = |offset: usize| {
        let mut damaged = bytes.clone();
        damaged[offset] ^= 1;
        damaged
    };
    let second = 4096 + (24 + chunk_bytes(0)).next_multiple_of(8);
    let chunk = SnapshotDamage::Chunk { index: 1, offset: second as u64 };
    assert_eq!(damage_of(newer, &flipped(second + 30)), chunk);
    assert_eq!(damage_of(newer, &flipped(99)), SnapshotDamage::Header);
    let footer = bytes.len() - 24 - 32;
    let unfinished = SnapshotDamage::Unfinished { offset: footer as u64 };
    assert_eq!(damage_of(newer, &bytes[..footer]), unfinished);
    let trailing = SnapshotDamage::Trailing { offset: bytes.len() as u64 };
    assert_eq!(damage_of(newer, &[&bytes[..], b"x"].concat()), trailing);
    let misnamed = SnapshotDamage::Misnamed { start: Lsn::from_u64(40) };
    assert_eq!(damage_of("snap-00000000000000000041.snap", &bytes), misnamed);
    disk.make_unreadable(newer, second as u64);
    assert!(matches!(SnapshotReader::open(&disk, newer), Err(SnapshotDamage::Unreadable { .. })));
    assert_eq!(Store::open(&disk).unwrap().node.held, records_to(60));
}

#[test]
fn a_chunk_that_rots_after_it_was_verified_is_not_handed_out() {
    let disk = MemoryDisk::new();
    let store = Store::open(&disk).unwrap();
    let mut writer = store.snapshots.begin(Lsn::ZERO).unwrap();
    for _ in 0..4 {
        writer.append_chunk(&[5; 1 << 20]).unwrap();
    }
    let info = writer.finish(&store.node.log, Lsn::ZERO).unwrap();
    let mut snapshot = SnapshotReader::open(&disk, &info.name).unwrap();
    assert_eq!(snapshot.next_chunk().unwrap().map(<[u8]>::len), Some(1 << 20));
    disk.make_unreadable(&info.name, 3 << 20);
    assert!(snapshot.next_chunk().is_ok());
    for _ in 0..2 {
        assert!(matches!(snapshot.next_chunk(), Err(SnapshotDamage::Unreadable { .. })));
    }
}

#[test]
fn any_failed_step_abandons_the_snapshot_and_leaves_the_log_alone() {
    let mut failures = 0;
    let steps = [
        Operation::Create,
        Operation::Write,
        Operation::Sync,
        Operation::Read,
        Operation::Rename,
        Operation::SyncDirectory,
    ];
    for operation in steps {
        for after in 0..10 {
            for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
                let disk = MemoryDisk::new();
                let mut store = Store::open(&disk).unwrap();
                store.write_and_snapshot(20).unwrap();
                store.node.write_to(40);
                disk.inject(Fault { operation, after, kind });
                let Err(error) = store.snapshot(40) else { continue };
                failures += 1;
                match error {
                    SnapshotError::Disk { operation: failed, .. } => assert_eq!(failed, operation),
                    SnapshotError::DiskFull => assert_eq!(kind, ErrorKind::StorageFull),
                    SnapshotError::NotVerified(_) => assert_eq!(operation, Operation::Read),
                    other => panic!("{operation} {after}: {other}"),
                }
                let names = disk.list().unwrap();
                assert!(names.iter().all(|name| !name.ends_with(".tmp")), "{names:?}");
                store.node.write_to(50);
                for cut in [disk.crash(0, |_| false), disk.crash(disk.unsynced_names(), |_| true)] {
                    assert_eq!(Store::open(&cut).unwrap().node.held, records_to(50), "{operation} {after}");
                }
                store.snapshot(50).unwrap();
            }
        }
    }
    assert!(failures >= 2 * 12, "{failures} failures");
}

#[test]
fn a_writer_that_failed_says_so_from_then_on() {
    let disk = MemoryDisk::new();
    let store = Store::open(&disk).unwrap();
    let mut writer = store.snapshots.begin(Lsn::ZERO).unwrap();
    disk.inject(Fault { operation: Operation::Write, after: 0, kind: ErrorKind::Other });
    assert!(matches!(writer.append_chunk(b"1"), Err(SnapshotError::Disk { .. })));
    assert!(matches!(writer.append_chunk(b"2"), Err(SnapshotError::Abandoned)));
    assert!(matches!(writer.finish(&store.node.log, Lsn::ZERO), Err(SnapshotError::Abandoned)));
    assert_eq!(disk.list().unwrap(), Vec::<String>::new());
}

#[test]
fn a_snapshot_that_finds_no_space_gives_back_what_it_took() {
    let disk = two_snapshots();
    let mut store = Store::open(&disk).unwrap();
    store.node.write_to(62);
    let used =
        || disk.list().unwrap().iter().map(|name| disk.contents(name).unwrap().len() as u64).sum::<u64>();
    let before = (used(), disk.list().unwrap());
    for spare in (0..9000).step_by(300) {
        disk.limit_bytes(Some(before.0 + spare));
        match store.snapshot(60) {
            Err(SnapshotError::DiskFull) => assert_eq!((used(), disk.list().unwrap()), before, "{spare}"),
            Err(other) => panic!("{other}"),
            Ok(_) => {
                assert!(spare > 4096);
                return;
            }
        }
    }
    panic!("there was space in the end");
}

#[test]
fn a_snapshot_attests_what_the_log_alone_could_not() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.write_and_snapshot(20).unwrap();
    drop(store);
    // Nothing in the log says that its last group was durable: without the snapshot its rot is a torn tail.
    let name = segments(&disk).pop().unwrap();
    let mut bytes = disk.contents(&name).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    bytes[end] ^= 1;
    disk.overwrite(&name, &bytes);
    assert!(Node::open(&disk.duplicate()).is_ok());
    let refused = Store::open(&disk).map(|_| ());
    let Err(OpenError::Corrupt { lsns, damage: Damage::Record { valid_after: 0 }, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((lsns.start().as_u64(), lsns.end().as_u64()), (20, 20));

    bytes[4096..].fill(0);
    disk.overwrite(&name, &bytes);
    let refused = Store::open(&disk).map(|_| ());
    assert!(
        matches!(refused, Err(OpenError::EndMissing { durable, .. }) if durable.as_u64() == 20),
        "{refused:?}"
    );
    segments(&disk).iter().for_each(|name| disk.delete(name));
    assert!(matches!(Store::open(&disk), Err(OpenError::EndMissing { .. })));
    disk.overwrite(&snapshots(&disk)[0], b"rot");
    assert!(matches!(Store::open(&disk), Err(OpenError::EndMissing { .. })), "its name still tells");
}

#[test]
fn a_snapshot_of_another_log_is_not_used() {
    let (disk, other) = (two_snapshots(), MemoryDisk::new());
    let seed = OpenSeed { log_uuid: [8; 16], ..SEED };
    let recovered = recover(other.clone(), CONFIG, seed, |_| {}).unwrap();
    let writer = recovered.snapshots.begin(Lsn::ZERO).unwrap();
    let foreign = writer.finish(&recovered.opened.log, Lsn::ZERO).unwrap().name;
    let copy = disk.duplicate();
    copy.overwrite(&foreign, &other.contents(&foreign).unwrap());
    for name in snapshots(&disk) {
        copy.delete(&name);
    }
    let store = Store::open(&copy).unwrap();
    assert_eq!(store.node.held, records_to(60));
    assert_eq!(store.node.report.rejected[0].damage, SnapshotDamage::Foreign { log_uuid: [8; 16] });
}

#[test]
fn any_bytes_in_place_of_a_snapshot_are_passed_over_or_right() {
    fn never_panics(noise: Vec<u8>, at: u16) -> bool {
        let disk = two_snapshots();
        let newer = &snapshots(&disk)[1];
        let mut bytes = disk.contents(newer).unwrap();
        let start = usize::from(at) % bytes.len();
        bytes.iter_mut().skip(start).zip(noise).for_each(|(byte, noise)| *byte = noise);
        disk.overwrite(newer, &bytes);
        Store::open(&disk).is_ok_and(|store| store.node.held == records_to(60))
    }
    quickcheck::quickcheck(never_panics as fn(Vec<u8>, u16) -> bool);
}

/// A log of sixty records with snapshots at 20 and 40, and the log back to its beginning.
fn two_snapshots() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.write_and_snapshot(20).unwrap();
    store.write_and_snapshot(40).unwrap();
    store.node.write_to(60);
    store.node.syncer.seal().unwrap();
    disk
}

/// The bytes of a chunk that [`Store::snapshot`] writes.
fn chunk_bytes(index: usize) -> usize {
    crate::support::chunks_to(40)[index].len()
}
