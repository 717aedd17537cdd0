//! The bytes of a log of format version 1, which every later release reads.

use std::fs;
use std::path::Path;

use trellis_wal::{Lsn, MemoryDisk};

use crate::support::{Node, records_to};

#[test]
fn a_segment_of_version_1_is_read() {
    let disk = MemoryDisk::new();
    disk.overwrite(SEGMENT, &fixture());
    let node = Node::open(&disk).unwrap();
    assert_eq!(node.held, records_to(12));
    assert_eq!((node.report.log_uuid, node.report.tail_certain), ([7; 16], true));
    assert_eq!(node.log.last(), Lsn::from_u64(12));
}

#[test]
fn a_log_of_the_same_seed_has_the_same_bytes() {
    let disk = MemoryDisk::new();
    write(&disk);
    assert_eq!(disk.contents(SEGMENT).unwrap(), fixture());
}

/// Records alone, an attestation, an atomic batch, a record alone, and the seal.
fn write(disk: &MemoryDisk) {
    let mut node = Node::open(disk).unwrap();
    node.write_to(7);
    node.syncer.attest().unwrap();
    node.append_batch_to(11);
    node.append_to(12);
    node.syncer.sync_once().unwrap();
    node.syncer.seal().unwrap();
}

fn fixture() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/segment-v1.log")).unwrap()
}

const SEGMENT: &str = "wal-00000000000000000001.log";
