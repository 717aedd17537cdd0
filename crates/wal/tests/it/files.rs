//! The log in a directory of the file system.

use std::fs;

use trellis_wal::{FileDisk, OpenError};

use crate::support::{CONFIG, Node, records_to};

#[test]
fn a_log_in_files_is_found_again_with_and_without_a_clean_end() {
    let directory = tempfile::tempdir().unwrap();
    for (from, to) in [(0, 40), (40, 50), (50, 90)] {
        let disk = FileDisk::new(directory.path().join("log")).unwrap();
        let mut node = Node::open(&disk).unwrap();
        assert_eq!(node.held, records_to(from));
        node.write_to(to);
        if to == 40 {
            node.syncer.seal().unwrap();
        }
    }
    let node = Node::open(&FileDisk::new(directory.path().join("log")).unwrap()).unwrap();
    assert_eq!((node.held, node.report.tail_certain), (records_to(90), false));
}

#[test]
fn a_second_opener_is_turned_away_until_the_first_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FileDisk::new(directory.path()).unwrap();
    let node = Node::open(&disk).unwrap();
    let other = FileDisk::new(directory.path()).unwrap();
    assert!(matches!(Node::open(&other), Err(OpenError::Locked)));
    drop(node);
    Node::open(&other).unwrap();
}

#[test]
fn a_torn_tail_of_a_file_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FileDisk::new(directory.path()).unwrap();
    Node::open(&disk).unwrap().write_to(10);
    let path = directory.path().join("wal-00000000000000000001.log");
    let mut bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, CONFIG.segment_bytes);
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    bytes[end - 30..end].fill(0);
    fs::write(&path, bytes).unwrap();

    let node = Node::open(&disk).unwrap();
    assert_eq!(node.held, records_to(node.held.len() as u64));
    assert!(node.held.len() >= 5 && !node.report.tail_certain);
    let copy = directory.path().join("quarantine").join(node.report.quarantined.unwrap());
    assert_eq!(fs::read(copy).unwrap().len() as u64, node.report.torn_bytes);
}

#[test]
fn an_unfinished_segment_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FileDisk::new(directory.path()).unwrap();
    fs::write(directory.path().join("next.tmp"), b"half a segment").unwrap();
    Node::open(&disk).unwrap();
    assert!(!directory.path().join("next.tmp").exists());
}
