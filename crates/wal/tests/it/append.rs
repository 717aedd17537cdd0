//! Appending, group commit, rotation and closing without any fault.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use trellis_wal::{Disk, Lsn, MemoryDisk, Synced, open};

use crate::support::{CONFIG, Node, SEED, payload, records_to, segments};

#[test]
fn an_empty_log_holds_nothing_and_touches_nothing() {
    let disk = MemoryDisk::new();
    let node = Node::open(&disk).unwrap();
    assert_eq!((node.held, node.report.last, node.report.tail_certain), (vec![], Lsn::ZERO, true));
    node.syncer.seal().unwrap();
    assert_eq!(disk.list().unwrap(), Vec::<String>::new());
}

#[test]
fn a_sync_makes_durable_what_was_pending_and_without_any_does_not_touch_the_disk() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.append_to(5);
    let bytes = (1..=5).map(|number| payload(number).len()).sum();
    let five = Synced { durable: Lsn::from_u64(5), records: 5, bytes };
    assert_eq!(node.syncer.sync_once(), Ok(five));
    disk.cut_power_after(0);
    assert_eq!(node.syncer.sync_once(), Ok(Synced { records: 0, bytes: 0, ..five }));
    assert_eq!(node.log.durable(), Lsn::from_u64(5));
}

#[test]
fn an_attestation_is_written_once() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.syncer.attest().unwrap();
    node.write_to(5);
    node.syncer.attest().unwrap();
    disk.cut_power_after(0);
    node.syncer.attest().unwrap();
    assert!(Node::open(&disk.crash(0, |_| false)).unwrap().report.tail_certain);
}

#[test]
fn records_and_batches_of_the_greatest_length_fill_segment_after_segment() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    let record = vec![9; CONFIG.record_bytes_max as usize];
    let part = vec![8; CONFIG.batch_bytes_max / 4 - 24];
    let mut expected = Vec::new();
    for _ in 0..6 {
        node.log.enqueue(&record).unwrap();
        node.log.enqueue_batch(&[&part, &part, &part, &part]).unwrap();
        expected.push(record.clone());
        expected.extend(vec![part.clone(); 4]);
    }
    node.syncer.sync_once().unwrap();
    drop(node);
    assert!(segments(&disk).len() >= 6);
    let held: Vec<_> = Node::open(&disk).unwrap().held.into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(held, expected);
}

#[test]
fn a_full_segment_gives_back_the_space_behind_its_seal_and_the_last_has_its_space_ahead() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.write_to(100);
    let names = segments(&disk);
    let lengths: Vec<_> = names.iter().map(|name| disk.contents(name).unwrap().len() as u64).collect();
    let (last, full) = lengths.split_last().unwrap();
    assert_eq!((*last, full.len()), (CONFIG.segment_bytes, 5));
    assert!(full.iter().any(|&length| length < CONFIG.segment_bytes), "{lengths:?}");
    assert!(full.iter().all(|&length| length <= CONFIG.segment_bytes), "{lengths:?}");
    assert_eq!(names[0], "wal-00000000000000000001.log");
    drop(node);
    let node = Node::open(&disk).unwrap();
    assert_eq!((node.held, node.report.segments), (records_to(100), names.len()));
}

#[test]
fn a_log_that_is_opened_and_closed_many_times_holds_everything_once() {
    let disk = MemoryDisk::new();
    for opening in 0..20 {
        let mut node = Node::open(&disk).unwrap();
        assert_eq!((node.held.len(), node.report.tail_certain), (opening * 3, true));
        assert_eq!(node.held, records_to(opening as u64 * 3));
        node.write_to(opening as u64 * 3 + 3);
        node.syncer.seal().unwrap();
    }
    assert_eq!(segments(&disk).len(), 20);
}

#[test]
fn a_log_opens_under_other_limits_than_it_was_written_with() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.write_to(30);
    drop(node);
    let smaller = trellis_wal::Config {
        segment_bytes: 4096 + 300,
        record_bytes_max: 100,
        pending_bytes_max: 250,
        batch_bytes_max: 200,
    };
    let opened = open(disk.clone(), smaller, SEED).unwrap();
    assert_eq!(opened.records.map(Result::unwrap).collect::<Vec<_>>(), records_to(30));
    let mut syncer = opened.syncer;
    opened.log.enqueue(&payload(31)).unwrap();
    syncer.sync_once().unwrap();
    drop((syncer, opened.log));
    assert_eq!(Node::open(&disk).unwrap().held, records_to(31));
}

#[test]
fn a_record_longer_than_the_limit_refuses_the_log_and_is_not_dropped() {
    let disk = MemoryDisk::new();
    Node::open(&disk).unwrap().write_to(30);
    let smaller = trellis_wal::Config { record_bytes_max: 92, ..CONFIG };
    let refused =
        open(disk.clone(), smaller, SEED).and_then(|opened| opened.records.collect::<Result<Vec<_>, _>>());
    assert!(matches!(refused, Err(trellis_wal::OpenError::RecordTooLarge { bytes: 93, limit: 92, .. })));
    assert_eq!(Node::open(&disk).unwrap().held, records_to(30));
}

#[test]
fn many_threads_append_and_each_finds_its_records_in_its_order() {
    let disk = MemoryDisk::new();
    let node = Node::open(&disk).unwrap();
    let syncer = node.syncer;
    let (outcomes, told) = mpsc::channel();
    let thread = thread::spawn(move || syncer.run(move |outcome| outcomes.send(outcome.unwrap()).unwrap()));
    let writers: Vec<_> = (0..4u8)
        .map(|writer| {
            let log = node.log.clone();
            thread::spawn(move || {
                for number in 0..200u8 {
                    let lsn = log.enqueue(&[writer, number]).unwrap();
                    log.wait_durable_blocking(lsn).unwrap();
                    assert!(log.durable() >= lsn);
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    node.log.close();
    thread.join().unwrap();
    let durable: Vec<_> = told.iter().collect();
    assert!(durable.is_sorted());
    assert_eq!(durable.last(), Some(&Lsn::from_u64(800)));

    let node = Node::open(&disk).unwrap();
    assert!(node.report.tail_certain);
    let mut by_writer: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for (index, (lsn, payload)) in node.held.iter().enumerate() {
        assert_eq!(lsn.as_u64(), index as u64 + 1);
        by_writer.entry(payload[0]).or_default().push(payload[1]);
    }
    assert!(by_writer.values().eq(vec![(0..200u8).collect::<Vec<_>>(); 4].iter()));
}

#[test]
fn closing_writes_what_is_pending() {
    let disk = MemoryDisk::new();
    let node = Node::open(&disk).unwrap();
    node.append_to(40);
    node.log.close();
    node.syncer.run(|outcome| {
        outcome.unwrap();
    });
    node.log.wait_durable_blocking(Lsn::from_u64(40)).unwrap();
    let node = Node::open(&disk).unwrap();
    assert_eq!((node.held, node.report.tail_certain), (records_to(40), true));
}
