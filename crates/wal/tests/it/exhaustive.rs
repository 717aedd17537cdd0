//! Faults at every place of a log that is small enough for all of them.

use trellis_wal::{Config, Lsn, MemoryDisk, OpenError, Opened, RecoveryReport, open};

use crate::support::{Node, SEED, Store, flip, payload, records_to, segments, snapshots};

#[test]
fn a_flipped_bit_at_every_byte_of_200_records_is_never_fewer_records_with_an_ok() {
    for is_attested in [true, false] {
        let disk = log_of_200(is_attested);
        let (mut refused, mut shortened) = (0, 0);
        let names = segments(&disk);
        assert_eq!(names.len(), 2, "an old segment and the active one");
        for name in &names {
            for offset in 0..disk.contents(name).unwrap().len() {
                let copy = disk.duplicate();
                flip(&copy, name, offset);
                let place = || format!("{name} at {offset}");
                match read(&copy) {
                    Ok((held, report)) => {
                        assert_eq!(held, records_to(held.len() as u64), "{}", place());
                        assert!(held.len() == 200 || !is_attested && held.len() >= 195, "{}", place());
                        assert!(held.len() == 200 || !report.tail_certain, "{}", place());
                        shortened += usize::from(held.len() < 200);
                    }
                    Err(OpenError::Corrupt { file, .. }) => {
                        assert_eq!(&file, name, "at {offset}");
                        refused += 1;
                    }
                    Err(other) => panic!("{}: {other}", place()),
                }
            }
        }
        let records = (1..=200).map(framed_bytes).sum::<usize>();
        let last_group = (196..=200).map(framed_bytes).sum::<usize>();
        // Both headers, and all records but those that nothing attests.
        assert!(refused >= 2 * 4096 + records - last_group, "{refused}");
        assert_eq!(shortened, if is_attested { 0 } else { last_group });
    }
}

#[test]
fn a_flipped_bit_at_every_byte_of_a_snapshot_and_of_what_it_needs_loses_nothing() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    for last in [20, 40, 60] {
        store.write_and_snapshot(last).unwrap();
        store.snapshots.retain().unwrap();
    }
    store.node.write_to(65);
    store.node.syncer.seal().unwrap();
    drop((store.snapshots, store.node.log));
    let names: Vec<_> = snapshots(&disk).into_iter().chain(segments(&disk)).collect();
    let mut refused = 0;
    for name in &names {
        for offset in 0..disk.contents(name).unwrap().len() {
            let copy = disk.duplicate();
            flip(&copy, name, offset);
            match Store::open(&copy) {
                Ok(store) => assert_eq!(store.node.held, records_to(65), "{name} at {offset}"),
                Err(OpenError::Corrupt { .. }) => {
                    assert!(name.starts_with("wal-"), "{name} at {offset}");
                    refused += 1;
                }
                Err(other) => panic!("{name} at {offset}: {other}"),
            }
        }
    }
    assert!(refused > 4096);
}

#[test]
fn any_subset_of_the_last_batch_s_pages_cut_at_any_sector_leaves_what_was_acknowledged() {
    let disk = MemoryDisk::new();
    let opened = open(disk.clone(), LARGE, SEED).unwrap();
    let (log, mut syncer) = (opened.log, opened.syncer);
    // Five durable records, and then one group of pages, with an atomic batch in its middle.
    (1..=5).for_each(|number| append(&log, number));
    syncer.sync_once().unwrap();
    (6..=8).for_each(|number| append(&log, number));
    let batch: Vec<_> = (9..=14).map(wide_payload).collect();
    log.enqueue_batch(&batch.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    (15..=17).for_each(|number| append(&log, number));
    disk.cut_power_after(1);
    syncer.sync_once().unwrap_err();

    let sectors = disk.unsynced_sectors();
    let page = |index: usize| index * 512 / 4096;
    let pages: std::collections::BTreeSet<_> = sectors.iter().map(|sector| page(sector.index)).collect();
    let pages: Vec<_> = pages.into_iter().collect();
    assert!((6..=8).contains(&pages.len()) && sectors.len() > 40, "{} sectors", sectors.len());
    let mut lengths = std::collections::BTreeSet::new();
    for end in 0..=sectors.len() {
        // Of the pages that begin before the cut; without the last of them it is an earlier cut.
        let reached = sectors[..end].last().map_or(0, |sector| page(sector.index) + 1 - pages[0]);
        for chosen in (1u32 << reached) / 2..1u32 << reached {
            let survives = |sector: &trellis_wal::Sector| {
                let is_before = sectors[..end].contains(sector);
                let place = pages.iter().position(|&kept| kept == page(sector.index));
                is_before && place.is_some_and(|place| chosen >> place & 1 == 1)
            };
            let cut = disk.crash(0, survives);
            let (held, report) = read(&cut).unwrap();
            let length = held.len() as u64;
            assert!(
                (5..=17).contains(&length) && !(9..14).contains(&length),
                "{end} sectors, pages {chosen:b}"
            );
            assert!(
                held.iter().zip(1..).all(|((lsn, bytes), number)| {
                    lsn.as_u64() == number && *bytes == wide_payload(number)
                })
            );
            assert!(!report.tail_certain);
            lengths.insert(length);
        }
    }
    assert!(lengths.len() >= 8, "{lengths:?}");
}

#[test]
fn a_read_that_fails_at_any_step_of_a_recovery_refuses_the_log_and_changes_nothing() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.write_and_snapshot(20).unwrap();
    store.write_and_snapshot(40).unwrap();
    store.node.write_to(60);
    drop(store);
    for is_with_snapshots in [true, false] {
        let mut reads = 0;
        loop {
            let copy = disk.duplicate();
            let fault = trellis_wal::Fault {
                operation: trellis_wal::Operation::Read,
                after: reads,
                kind: std::io::ErrorKind::Other,
            };
            copy.inject(fault);
            let outcome = match is_with_snapshots {
                true => Store::open(&copy).map(|store| (store.node.held, store.node.report)),
                false => Node::open(&copy).map(|node| (node.held, node.report)),
            };
            match outcome {
                // A snapshot that cannot be read is passed over: the older one and more of the log say the same.
                Ok((held, report)) => {
                    assert_eq!(held, records_to(60), "read {reads}");
                    if report.rejected.is_empty() {
                        break;
                    }
                    assert!(is_with_snapshots);
                }
                Err(OpenError::Read { .. }) => {
                    let held = Store::open(&copy).unwrap().node.held;
                    assert_eq!(held, records_to(60), "read {reads}, and then all can be read");
                }
                Err(other) => panic!("read {reads}: {other}"),
            }
            reads += 1;
        }
        assert!(reads >= 9, "{reads} reads");
    }
}

fn log_of_200(is_attested: bool) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let opened = open(disk.clone(), SMALL, SEED).unwrap();
    let (log, mut syncer) = (opened.log, opened.syncer);
    for number in 1..=200 {
        log.enqueue(&payload(number)).unwrap();
        if number % 5 == 0 {
            syncer.sync_once().unwrap();
        }
    }
    if is_attested {
        syncer.attest().unwrap();
    }
    disk
}

/// Reads all of a log.
fn read(disk: &MemoryDisk) -> Result<(Held, RecoveryReport), OpenError> {
    let Opened { records, report, .. } = open(disk.clone(), LARGE, SEED)?;
    Ok((records.collect::<Result<_, _>>()?, report))
}

type Held = Vec<(Lsn, Vec<u8>)>;

fn append(log: &trellis_wal::Log, number: u64) {
    assert_eq!(log.enqueue(&wide_payload(number)), Ok(Lsn::from_u64(number)));
}

/// A payload of some 2 KiB without a zero, so that no sector of it looks unwritten.
fn wide_payload(number: u64) -> Vec<u8> {
    (0..1900 + number * 17).map(|index| (number * 31 + index * 7) as u8 | 1).collect()
}

fn framed_bytes(number: u64) -> usize {
    crate::support::framed_bytes(number..=number)
}

/// Two segments for the 200 records.
const SMALL: Config = Config {
    segment_bytes: 4096 + 8192 + 512,
    record_bytes_max: 200,
    pending_bytes_max: 8192,
    batch_bytes_max: 768,
};

/// One segment for a group of several pages.
const LARGE: Config = Config {
    segment_bytes: 64 << 10,
    record_bytes_max: 4096,
    pending_bytes_max: 48 << 10,
    batch_bytes_max: 48 << 10,
};
