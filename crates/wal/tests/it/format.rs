//! The bytes of format version 1, which every later release reads, and what is made of bytes that are not of it.

use std::fs;
use std::path::Path;

use trellis_wal::tools::{Verdict, verify, verify_snapshot};
use trellis_wal::{Damage, Lsn, MemoryDisk, OpenError, OpenSeed, SnapshotDamage, SnapshotReader, recover};

use crate::second_reader;
use crate::support::{CONFIG, Node, SEED, Store, chunks_to, records_to};

#[test]
fn a_segment_of_version_1_is_read() {
    let disk = disk_with(&[(FIRST, "segment-v1.log")]);
    let node = Node::open(&disk).unwrap();
    assert_eq!(node.held, records_to(12));
    assert_eq!((node.report.log_uuid, node.report.tail_certain), ([7; 16], true));
    assert_eq!(node.log.last(), Lsn::from_u64(12));
}

#[test]
fn a_torn_segment_opens_without_its_last_records() {
    let disk = disk_with(&[(FIRST, "segment-v1-torn.log")]);
    assert_eq!(verify(&disk, |_| {}).verdict(), Verdict::TornTail);
    let node = Node::open(&disk).unwrap();
    assert_eq!((node.held, node.report.tail_certain), (records_to(11), false));
    assert!(node.report.torn_bytes > 0 && node.report.quarantined.is_some());
}

#[test]
fn a_segment_that_was_cut_by_a_repair_opens_with_a_doubt() {
    let disk = disk_with(&[(FIRST, "segment-v1-cut.log")]);
    let node = Node::open(&disk).unwrap();
    assert_eq!((node.held, node.report.tail_certain, node.report.torn_bytes), (records_to(7), false, 9));
}

#[test]
fn a_rotten_segment_is_refused() {
    let disk = disk_with(&[(FIRST, "segment-v1-rotten.log")]);
    let Err(OpenError::Corrupt { lsns, damage: Damage::Record { .. }, .. }) = Node::open(&disk) else {
        panic!("the third record is damaged");
    };
    assert_eq!(lsns.start().as_u64(), 3);
    assert_eq!(verify(&disk, |_| {}).verdict(), Verdict::Corrupt);
}

#[test]
fn a_segment_of_another_log_is_refused_beside_one_of_this() {
    let disk = disk_with(&[(FIRST, "segment-v1.log"), (NEXT, "segment-v1-foreign.log")]);
    assert!(matches!(Node::open(&disk), Err(OpenError::Corrupt { damage: Damage::Chain, .. })));
}

#[test]
fn a_later_format_is_refused_and_a_later_minor_one_that_can_be_read_is_read() {
    for (file, expected) in [("segment-v2.log", (2, 0)), ("segment-v1-features.log", (1, 1))] {
        let disk = disk_with(&[(FIRST, file)]);
        let Err(OpenError::UnsupportedFormat { major, minor, .. }) = Node::open(&disk) else {
            panic!("{file} is of a later release");
        };
        assert_eq!((major, minor), expected, "{file}");
        assert_eq!(verify(&disk, |_| {}).verdict(), Verdict::Unreadable);
    }
    let disk = disk_with(&[(FIRST, "segment-v1-minor.log")]);
    assert_eq!(Node::open(&disk).unwrap().held, records_to(12));
}

#[test]
fn a_snapshot_of_version_1_is_read() {
    let disk = disk_with(&[(FIRST, "segment-v1.log"), (SNAPSHOT, "snapshot-v1.snap")]);
    let store = Store::open(&disk).unwrap();
    assert_eq!((store.node.held, store.node.report.records), (records_to(12), 2));
    let info = store.node.report.snapshot.unwrap();
    assert_eq!((info.start.as_u64(), info.end.as_u64(), info.chunks), (10, 12, 2));
}

#[test]
fn a_snapshot_that_is_not_one_of_version_1_is_passed_over() {
    for (file, expected) in [
        ("snapshot-v1-torn.snap", Verdict::Corrupt),
        ("snapshot-v1-rotten.snap", Verdict::Corrupt),
        ("snapshot-v1-foreign.snap", Verdict::Clean),
        ("snapshot-v2.snap", Verdict::Unreadable),
        ("snapshot-v1-features.snap", Verdict::Unreadable),
    ] {
        let disk = disk_with(&[(FIRST, "segment-v1.log"), (SNAPSHOT, file)]);
        assert_eq!(verify_snapshot(&disk, SNAPSHOT).verdict(), expected, "{file}");
        let store = Store::open(&disk).unwrap();
        assert_eq!((store.node.held, store.node.report.rejected.len()), (records_to(12), 1), "{file}");
    }
    let disk = disk_with(&[(SNAPSHOT, "snapshot-v1-features.snap")]);
    let unsupported = SnapshotDamage::UnsupportedFormat { major: 1, minor: 1 };
    assert_eq!(SnapshotReader::open(&disk, SNAPSHOT).unwrap_err(), unsupported);
}

#[test]
fn what_this_release_writes_has_the_same_bytes() {
    let (log, snapshot) = written();
    assert_eq!(log, fixture("segment-v1.log"));
    assert_eq!(snapshot, fixture("snapshot-v1.snap"));
}

#[test]
fn each_fixture_is_the_good_one_with_one_difference() {
    for (name, bytes) in variants() {
        assert_eq!(fixture(name), bytes, "{name}");
    }
}

#[test]
fn a_reader_written_from_the_documentation_alone_reads_the_same() {
    let records = second_reader::records(&fixture("segment-v1.log")).unwrap();
    let expected: Vec<_> = records_to(12).into_iter().map(|(lsn, bytes)| (lsn.as_u64(), bytes)).collect();
    assert_eq!(records, expected);
    assert_eq!(second_reader::chunks(&fixture("snapshot-v1.snap")).unwrap(), (10, 12, chunks_to(10)));
    for name in ["segment-v1-features.log", "segment-v2.log"] {
        assert_eq!(second_reader::records(&fixture(name)), None, "{name}");
    }
    for name in ["snapshot-v1-torn.snap", "snapshot-v1-rotten.snap", "snapshot-v2.snap"] {
        assert_eq!(second_reader::chunks(&fixture(name)), None, "{name}");
    }
}

/// The files of a small log: records alone, an attestation, an atomic batch, a record alone, and the seal; and a
/// snapshot of ten records that was published when twelve were durable.
fn written() -> (Vec<u8>, Vec<u8>) {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.node.write_to(7);
    store.node.syncer.attest().unwrap();
    store.node.append_batch_to(11);
    store.node.append_to(12);
    store.node.syncer.sync_once().unwrap();
    let mut writer = store.snapshots.begin(Lsn::from_u64(10)).unwrap();
    for chunk in chunks_to(10) {
        writer.append_chunk(&chunk).unwrap();
    }
    writer.finish(&store.node.log, Lsn::from_u64(12)).unwrap();
    store.node.syncer.seal().unwrap();
    (disk.contents(FIRST).unwrap(), disk.contents(SNAPSHOT).unwrap())
}

/// What is made of the good files by one accident each.
fn variants() -> Vec<(&'static str, Vec<u8>)> {
    let (log, snapshot) = written();
    let record = |number| crate::support::framed_bytes(number..=number);
    // Without the seal, and with its space as before it, a log that a power cut ended.
    let mut torn = log[..log.len() - 24 - 8].to_vec();
    torn.resize(CONFIG.segment_bytes as usize, 0);
    let mut rotten = log.clone();
    rotten[4096 + record(1) + record(2) + 30] ^= 4;
    let mut rotten_snapshot = snapshot.clone();
    rotten_snapshot[4096 + 40] ^= 4;
    vec![
        ("segment-v1-torn.log", torn),
        ("segment-v1-rotten.log", rotten),
        ("segment-v1-cut.log", cut()),
        ("segment-v1-foreign.log", foreign().0),
        ("segment-v2.log", with_header(&log, 8, 2)),
        ("segment-v1-minor.log", with_header(&log, 10, 1)),
        ("segment-v1-features.log", with_header(&with_header(&log, 10, 1), 84, 1)),
        ("snapshot-v1-torn.snap", snapshot[..snapshot.len() - 56].to_vec()),
        ("snapshot-v1-rotten.snap", rotten_snapshot),
        ("snapshot-v1-foreign.snap", foreign().1),
        ("snapshot-v2.snap", with_header(&snapshot, 8, 2)),
        ("snapshot-v1-features.snap", with_header(&with_header(&snapshot, 10, 1), 40, 1)),
    ]
}

/// The good segment, cut behind its seventh record.
fn cut() -> Vec<u8> {
    let disk = MemoryDisk::new();
    disk.overwrite(FIRST, &written().0);
    trellis_wal::tools::repair(disk.clone(), Lsn::from_u64(7), trellis_wal::tools::DataLoss::Accepted)
        .unwrap();
    disk.contents(FIRST).unwrap()
}

/// The second segment of another log, which begins where the good one ends, and a snapshot of that log.
fn foreign() -> (Vec<u8>, Vec<u8>) {
    let disk = MemoryDisk::new();
    for last in [12, 14] {
        let recovered =
            recover(disk.clone(), CONFIG, OpenSeed { log_uuid: [8; 16], ..SEED }, |_| {}).unwrap();
        let (log, mut syncer) = (recovered.opened.log, recovered.opened.syncer);
        while log.last().as_u64() < last {
            log.enqueue(b"foreign").unwrap();
        }
        syncer.sync_once().unwrap();
        if last == 12 {
            let writer = recovered.snapshots.begin(Lsn::from_u64(10)).unwrap();
            writer.finish(&log, Lsn::from_u64(10)).unwrap();
        }
        syncer.seal().unwrap();
    }
    (disk.contents(NEXT).unwrap(), disk.contents(SNAPSHOT).unwrap())
}

/// A file with another byte in its header, whose checksum is right again.
fn with_header(file: &[u8], offset: usize, byte: u8) -> Vec<u8> {
    let mut bytes = file.to_vec();
    bytes[offset] = byte;
    let crc = crc32c::crc32c(&bytes[..4092]);
    bytes[4092..4096].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn disk_with(files: &[(&str, &str)]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    files.iter().for_each(|(name, file)| disk.overwrite(name, &fixture(file)));
    disk
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)).unwrap()
}

const FIRST: &str = "wal-00000000000000000001.log";
const NEXT: &str = "wal-00000000000000000013.log";
const SNAPSHOT: &str = "snap-00000000000000000010.snap";
