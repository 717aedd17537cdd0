//! Snapshots without any fault: written beside the log, published, chosen, and read before the records behind them.

use trellis_wal::{
    Disk, FileDisk, Lsn, MemoryDisk, OpenError, RecoveryStage, SnapshotDamage, SnapshotError, SnapshotReader,
    recover,
};

use crate::support::{
    CONFIG, End, Node, SEED, Store, chunks_to, log_of_sixty, records_to, segments, snapshots,
};

#[test]
fn a_snapshot_and_the_records_behind_it_are_the_whole_log() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    let info = store.write_and_snapshot(40).unwrap();
    assert_eq!((info.name.as_str(), info.chunks), ("snap-00000000000000000040.snap", 6));
    assert_eq!((info.start, info.end, info.log_uuid), (Lsn::from_u64(40), Lsn::from_u64(40), SEED.log_uuid));
    assert_eq!(info.payload_bytes, chunks_to(40).iter().map(|chunk| chunk.len() as u64).sum());
    assert_eq!(info.file_bytes, disk.contents(&info.name).unwrap().len() as u64);
    store.node.write_to(70);
    drop(store);

    let store = Store::open(&disk.crash(0, |_| false)).unwrap();
    assert_eq!(store.node.held, records_to(70));
    let report = store.node.report;
    assert_eq!((report.start, report.last, report.records), (Lsn::from_u64(40), Lsn::from_u64(70), 30));
    assert_eq!((report.snapshot, report.rejected), (Some(info), vec![]));
    assert!(report.segments_skipped >= 1 && report.segments_skipped < report.segments);
}

#[test]
fn a_snapshot_of_an_empty_log_keeps_the_identity_of_the_log() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    let info = store.snapshot(0).unwrap();
    assert_eq!((info.chunks, info.payload_bytes), (0, 0));
    store.node.write_to(10);
    drop(store);
    disk.delete(&segments(&disk)[0]);
    let other = trellis_wal::OpenSeed { log_uuid: [9; 16], ..SEED };
    let recovered = recover(disk, CONFIG, other, |_| {}).unwrap();
    assert_eq!(recovered.opened.report.log_uuid, SEED.log_uuid);
}

#[test]
fn a_snapshot_may_hold_more_than_its_start_and_never_what_is_not_durable() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.node.write_to(10);
    assert!(matches!(store.snapshots.begin(Lsn::from_u64(11)), Err(SnapshotError::NotDurable { .. })));
    let mut writer = store.snapshots.begin(Lsn::from_u64(10)).unwrap();
    writer.append_chunk(b"captured while the log went on").unwrap();
    store.node.append_to(12);
    let refused = writer.finish(&store.node.log, Lsn::from_u64(12));
    let (end, durable) = (Lsn::from_u64(12), Lsn::from_u64(10));
    assert!(
        matches!(refused, Err(SnapshotError::NotDurable { end: e, durable: d }) if (e, d) == (end, durable))
    );
    assert!(disk.list().unwrap().iter().all(|name| name.starts_with("wal-")), "nothing is left behind");

    let writer = store.snapshots.begin(Lsn::from_u64(10)).unwrap();
    store.node.syncer.sync_once().unwrap();
    let info = writer.finish(&store.node.log, Lsn::from_u64(12)).unwrap();
    assert_eq!((info.start, info.end), (Lsn::from_u64(10), end));
}

#[test]
fn writing_and_reading_back_are_steps_that_tell_how_far_they_are() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.node.write_to(30);
    let mut writer = store.snapshots.begin(Lsn::from_u64(30)).unwrap();
    let chunks = chunks_to(30);
    for (index, chunk) in chunks.iter().enumerate() {
        let progress = writer.append_chunk(chunk).unwrap();
        assert_eq!((progress.chunks, progress), (index as u64 + 1, writer.progress()));
    }
    let written = writer.progress();
    let mut publication = writer.end(&store.node.log, Lsn::from_u64(30)).unwrap();
    let mut steps = Vec::new();
    while let Some(progress) = publication.verify_step().unwrap() {
        steps.push(progress);
        assert_eq!(snapshots(&disk), Vec::<String>::new(), "no name before all is read back");
    }
    assert_eq!((steps.len(), steps.last()), (chunks.len() + 1, Some(&written)));
    publication.publish().unwrap();
    assert_eq!(snapshots(&disk).len(), 1);
}

#[test]
fn a_snapshot_is_synced_while_it_is_written() {
    let disk = MemoryDisk::new();
    let store = Store::open(&disk).unwrap();
    let mut writer = store.snapshots.begin(Lsn::ZERO).unwrap();
    let unsynced = || disk.unsynced_sectors().len() * 512;
    let most = (0..10).map(|_| {
        writer.append_chunk(&[7; 1 << 20]).unwrap();
        unsynced()
    });
    assert!(most.max().unwrap() < 4 << 20);
}

#[test]
fn a_chunk_beyond_the_limit_is_refused_and_the_writer_goes_on() {
    let store = Store::open(&MemoryDisk::new()).unwrap();
    let mut writer = store.snapshots.begin(Lsn::ZERO).unwrap();
    let limit = trellis_wal::SnapshotWriter::<MemoryDisk>::CHUNK_BYTES_MAX;
    let refused = writer.append_chunk(&vec![0; limit + 1]);
    assert!(matches!(refused, Err(SnapshotError::ChunkTooLarge { bytes, .. }) if bytes == limit + 1));
    writer.append_chunk(b"").unwrap();
    assert_eq!(writer.finish(&store.node.log, Lsn::ZERO).unwrap().chunks, 1);
}

#[test]
fn a_snapshot_of_the_same_start_takes_the_place_of_the_older_one() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    let first = store.write_and_snapshot(20).unwrap();
    let writer = store.snapshots.begin(Lsn::from_u64(20)).unwrap();
    let second = writer.finish(&store.node.log, Lsn::from_u64(20)).unwrap();
    assert_eq!((&first.name, second.chunks), (&second.name, 0));
    assert_eq!(SnapshotReader::open(&disk, &first.name).unwrap().info(), &second);
}

#[test]
fn what_was_not_published_is_never_read_and_is_removed_by_the_next_opening() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.node.write_to(20);
    let mut writer = store.snapshots.begin(Lsn::from_u64(20)).unwrap();
    writer.append_chunk(b"half").unwrap();
    let cut = disk.crash(disk.unsynced_names(), |_| true);
    assert_eq!(cut.list().unwrap().iter().filter(|name| name.ends_with(".tmp")).count(), 1);
    let reopened = Store::open(&cut).unwrap();
    assert_eq!((reopened.node.held, reopened.node.report.snapshot), (records_to(20), None));
    assert!(cut.list().unwrap().iter().all(|name| name.starts_with("wal-")));
    drop(writer);
    assert!(disk.list().unwrap().iter().all(|name| name.starts_with("wal-")));
}

#[test]
fn a_log_opened_by_its_records_alone_takes_no_notice_of_snapshots() {
    let disk = MemoryDisk::new();
    Store::open(&disk).unwrap().write_and_snapshot(40).unwrap();
    assert_eq!(Node::open(&disk).unwrap().held, records_to(40));
}

#[test]
fn a_log_is_opened_behind_any_of_its_records() {
    let disk = log_of_sixty(End::Sealed);
    for start in 0..=60 {
        let opened = trellis_wal::open_after(disk.clone(), CONFIG, SEED, Lsn::from_u64(start)).unwrap();
        let held: Vec<_> = opened.records.map(Result::unwrap).collect();
        assert_eq!(held, records_to(60)[start as usize..]);
        assert_eq!((opened.report.records, opened.report.last.as_u64()), (60 - start, 60));
    }
    let beyond = trellis_wal::open_after(disk, CONFIG, SEED, Lsn::from_u64(61));
    assert!(matches!(beyond, Err(OpenError::EndMissing { .. })));
}

#[test]
fn recovery_tells_how_far_it_is() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.write_and_snapshot(40).unwrap();
    store.node.write_to(70);
    drop(store);
    let mut told = Vec::new();
    let mut recovered = recover(disk, CONFIG, SEED, |progress| told.push(progress)).unwrap();
    let last = told.last().unwrap();
    assert!(told.iter().all(|progress| progress.stage == RecoveryStage::Snapshot));
    assert_eq!((told.len(), last.bytes_done < last.bytes_total), (7, true), "the footer is not counted");
    let records = &mut recovered.opened.records;
    assert_eq!(records.progress().bytes_done, 0);
    assert_eq!(records.by_ref().count(), 30);
    let done = records.progress();
    assert_eq!((done.stage, done.bytes_done), (RecoveryStage::Replay, done.bytes_total));
    assert_eq!(done.bytes_total, recovered.opened.report.bytes);
}

#[test]
fn a_report_is_printed_in_sentences() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.write_and_snapshot(20).unwrap();
    store.write_and_snapshot(40).unwrap();
    drop(store);
    let newest = snapshots(&disk).pop().unwrap();
    disk.overwrite(&newest, b"rotten");
    let printed = Store::open(&disk).unwrap().node.report.to_string();
    let expected = "snapshot not used: snap-00000000000000000040.snap: the header is not valid\n\
        snapshot snap-00000000000000000020.snap: log 07070707-0707-0707-0707-070707070707, LSN 20 to 20, \
        3 chunks of 1160 bytes, 5392 bytes in all\n\
        20 records behind LSN 20 up to LSN 40, ";
    assert!(printed.starts_with(expected), "{printed}");
}

#[test]
fn snapshots_live_in_the_log_s_directory_of_a_file_system() {
    let directory = tempfile::tempdir().unwrap();
    for (from, to) in [(0, 40), (40, 80), (80, 120)] {
        let disk = FileDisk::new(directory.path().join("log")).unwrap();
        let mut store = Store::open(&disk).unwrap();
        assert_eq!(store.node.held, records_to(from));
        store.write_and_snapshot(to - 10).unwrap();
        store.node.write_to(to);
        store.snapshots.retain().unwrap();
        store.node.syncer.seal().unwrap();
    }
    let disk = FileDisk::read_only(directory.path().join("log")).unwrap();
    let names = disk.list().unwrap();
    let kept: Vec<_> = names.iter().filter(|name| name.ends_with(".snap")).collect();
    assert_eq!(kept, ["snap-00000000000000000070.snap", "snap-00000000000000000110.snap"]);
    assert!(names.iter().all(|name| name != "wal-00000000000000000001.log"), "{names:?}");
    assert!(matches!(SnapshotReader::open(&disk, "LOCK"), Err(SnapshotDamage::Header)));
}
