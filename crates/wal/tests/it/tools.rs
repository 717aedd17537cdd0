//! What the tools see, and that looking changes nothing.

use std::ops::ControlFlow;

use trellis_wal::tools::{
    DataLoss, Dumped, Finding, RecordKind, SegmentEnd, Verdict, dump, inspect, inspect_snapshot, repair,
    verify, verify_snapshot,
};
use trellis_wal::{Damage, Disk, FileDisk, Lsn, MemoryDisk, OpenError, SnapshotDamage};

use crate::support::{
    End, Node, SEED, Store, chunks_to, flip, framed_bytes, listing, log_of_sixty, payload, records_to,
    segments, snapshots,
};

#[test]
fn a_whole_log_is_clean_however_it_was_left() {
    for end in [End::Unattested, End::Attested, End::Sealed] {
        let disk = log_of_sixty(end);
        let found = verify(&disk, |_| {});
        assert_eq!(
            (found.verdict(), found.records, found.findings.len()),
            (Verdict::Clean, 60, 0),
            "{found}"
        );
        assert_eq!((found.readable_to.as_u64(), found.segments), (60, segments(&disk).len()));
        assert_eq!(found.tail_certain, end != End::Unattested);
        assert!(found.bytes >= framed_bytes(1..=60) as u64);
    }
    let empty = verify(&MemoryDisk::new(), |_| {});
    assert_eq!((empty.verdict(), empty.tail_certain), (Verdict::Clean, true));
}

#[test]
fn the_verdict_on_every_flipped_bit_is_what_an_opening_makes_of_it() {
    for end in [End::Unattested, End::Sealed] {
        let disk = log_of_sixty(end);
        let mut verdicts = [0; 4];
        for name in segments(&disk) {
            for offset in 0..disk.contents(&name).unwrap().len() {
                let copy = disk.duplicate();
                flip(&copy, &name, offset);
                let found = verify(&copy, |_| {});
                let verdict = found.verdict();
                verdicts[usize::from(verdict.exit_code())] += 1;
                match Node::open(&copy) {
                    Ok(node) if node.report.torn_bytes > 0 => {
                        assert_eq!(
                            (verdict, found.tail_certain),
                            (Verdict::TornTail, false),
                            "{name} at {offset}"
                        );
                    }
                    Ok(node) => {
                        let expected = (Verdict::Clean, node.report.tail_certain, node.held.len() as u64);
                        assert_eq!(
                            (verdict, found.tail_certain, found.records),
                            expected,
                            "{name} at {offset}"
                        );
                    }
                    Err(error) => {
                        assert_eq!(verdict, Verdict::of_error(&error), "{name} at {offset}: {found}");
                    }
                }
            }
        }
        assert!(verdicts[2] > 4 * 4096 && (verdicts[1] > 0) == (end == End::Unattested), "{verdicts:?}");
    }
}

#[test]
fn all_damage_is_found_and_not_only_the_first() {
    let disk = log_of_sixty(End::Sealed);
    let names = segments(&disk);
    flip(&disk, &names[0], 4096 + framed_bytes(1..=7) + 3);
    flip(&disk, &names[1], 4100);
    flip(&disk, &names[2], 17);
    let found = verify(&disk, |_| {});
    let files: Vec<_> = found
        .findings
        .iter()
        .map(|finding| match finding {
            Finding::Log(OpenError::Corrupt { file, .. }) => file.as_str(),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(files, [&names[0], &names[2]], "the second one's end is told by the third");
    assert_eq!((found.verdict(), found.readable_to.as_u64()), (Verdict::Corrupt, 7));
    let printed = found.to_string();
    let first = format!("{} is damaged at offset {}: a durable record", names[0], 4096 + framed_bytes(1..=7));
    assert!(printed.starts_with(&first), "{printed}");
    assert!(printed.lines().last().unwrap().starts_with("damaged: 0 snapshots, "), "{printed}");
}

#[test]
fn a_missing_segment_a_read_error_and_a_later_format_have_their_verdicts() {
    let disk = log_of_sixty(End::Sealed);
    let names = segments(&disk);
    for (index, name) in names.iter().enumerate() {
        let copy = disk.duplicate();
        copy.delete(name);
        let found = verify(&copy, |_| {});
        assert_eq!(found.verdict(), Verdict::Corrupt, "{name}");
        let damage = match &found.findings[0] {
            Finding::Log(OpenError::Corrupt { damage, .. }) => damage.clone(),
            other => panic!("{other}"),
        };
        let expected = [Damage::PredecessorMissing, Damage::Chain, Damage::SuccessorMissing];
        assert_eq!(damage, expected[if index + 1 == names.len() { 2 } else { index.min(1) }]);

        let copy = disk.duplicate();
        copy.make_unreadable(name, 4100);
        let found = verify(&copy, |_| {});
        assert_eq!((found.verdict(), found.verdict().exit_code()), (Verdict::Unreadable, 3), "{name}");
    }
}

#[test]
fn damaged_snapshots_are_found_and_the_log_is_judged_with_what_they_attest() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    for last in [40, 80, 120] {
        store.write_and_snapshot(last).unwrap();
        store.snapshots.retain().unwrap();
    }
    store.node.syncer.seal().unwrap();
    drop((store.snapshots, store.node.log));
    let found = verify(&disk, |_| {});
    assert_eq!((found.verdict(), found.snapshots), (Verdict::Clean, 2), "{found}");

    let newest = snapshots(&disk).pop().unwrap();
    let copy = disk.duplicate();
    flip(&copy, &newest, 5000);
    let found = verify(&copy, |_| {});
    assert!(matches!(&found.findings[..], [Finding::Snapshot(rejected)] if rejected.name == newest));
    assert_eq!(
        (found.verdict(), verify_snapshot(&copy, &newest).verdict().exit_code()),
        (Verdict::Corrupt, 2)
    );

    let copy = disk.duplicate();
    segments(&copy).iter().for_each(|name| copy.delete(name));
    let found = verify(&copy, |_| {});
    assert!(matches!(&found.findings[..], [Finding::Log(OpenError::EndMissing { .. })]), "{found}");
}

#[test]
fn what_the_only_snapshot_makes_needless_is_verified_as_long_as_it_is_there() {
    let disk = MemoryDisk::new();
    Store::open(&disk).unwrap().write_and_snapshot(80).unwrap();
    let first = segments(&disk)[0].clone();
    flip(&disk, &first, 4100);
    assert_eq!(Store::open(&disk).unwrap().node.held, records_to(80));
    assert_eq!(verify(&disk, |_| {}).verdict(), Verdict::Corrupt);
    disk.delete(&first);
    assert_eq!(verify(&disk, |_| {}).verdict(), Verdict::Clean);
}

#[test]
fn a_torn_tail_is_told_with_its_place() {
    let disk = MemoryDisk::new();
    Node::open(&disk).unwrap().write_to(10);
    let name = &segments(&disk)[0];
    let end = 4096 + framed_bytes(1..=10);
    let mut bytes = disk.contents(name).unwrap();
    bytes[end..end + 5].copy_from_slice(b"abcde");
    disk.overwrite(name, &bytes);
    disk.overwrite("next.tmp", b"half");
    let found = verify(&disk, |_| {});
    assert_eq!((found.verdict(), found.verdict().exit_code()), (Verdict::TornTail, 1));
    let [Finding::Unfinished { file: unfinished }, Finding::TornTail { file, offset, bytes, after }] =
        &found.findings[..]
    else {
        panic!("{found}");
    };
    assert_eq!((unfinished.as_str(), file, *offset as usize), ("next.tmp", name, end));
    assert_eq!((*bytes, after.as_u64()), (5, 10));
}

#[test]
fn a_dump_shows_every_record_and_where_there_is_none() {
    use RecordKind::{BatchEnd, BatchPart, Closed, Data};
    let disk = log_of_sixty(End::Sealed);
    let shown = dumped(&disk, 1, 60);
    let held: Vec<_> = shown
        .iter()
        .filter(|(_, kind, _)| matches!(kind, Data | BatchPart | BatchEnd))
        .map(|(lsn, _, payload)| (*lsn, payload.clone()))
        .collect();
    assert_eq!(held, records_to(60));
    let kinds = |from, to| dumped(&disk, from, to).into_iter().map(|(_, kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds(34, 36), [BatchPart, BatchEnd, Data]);
    assert_eq!(kinds(60, 60), [Data, Closed]);

    let name = &segments(&disk)[0];
    let offset = 4096 + framed_bytes(1..=7);
    flip(&disk, name, offset + 3);
    let mut lines = Vec::new();
    dump(&disk, Lsn::from_u64(7)..=Lsn::from_u64(9), |shown| {
        lines.push(shown.to_string());
        ControlFlow::Continue(())
    })
    .unwrap();
    let damage =
        format!("{name} offset {offset}: {} bytes are no record, LSN 8 should be there", framed_bytes(8..=8));
    assert_eq!((lines.len(), &lines[1]), (3, &damage));
    assert!(
        lines[2].contains(&format!("LSN 9 data, {} bytes, attests LSN 5", payload(9).len())),
        "{}",
        lines[2]
    );
}

#[test]
fn a_dump_that_is_broken_off_reads_no_further() {
    let disk = log_of_sixty(End::Sealed);
    // Nobody comes so far.
    disk.make_unreadable(&segments(&disk)[1], 4096);
    for enough in [1, 7] {
        let mut shown = 0;
        dump(&disk, Lsn::ZERO..=Lsn::MAX, |record| {
            assert!(matches!(record, Dumped::Record(_)), "{record}");
            shown += 1;
            if shown == enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert_eq!(shown, enough);
    }
}

#[test]
fn the_end_of_a_segment_is_told_from_bytes_that_are_no_record() {
    let disk = log_of_sixty(End::Attested);
    let name = segments(&disk).pop().unwrap();
    let end_of = |disk: &MemoryDisk| inspect(disk).unwrap().segments.pop().unwrap();
    let facts = end_of(&disk).facts.unwrap();
    let Some(SegmentEnd::Open { offset: end }) = facts.end else { panic!("{facts:?}") };
    // In the middle: the records behind it are seen, and not taken for what can be read.
    let offset = 4096 + framed_bytes(facts.first_lsn.as_u64()..=facts.first_lsn.as_u64());
    let rotten = disk.duplicate();
    flip(&rotten, &name, offset + 30);
    let seen = end_of(&rotten);
    let damaged = seen.facts.as_ref().unwrap();
    assert_eq!(damaged.last_lsn, Some(facts.first_lsn));
    let Some(SegmentEnd::NoRecord { offset: found, bytes, records_behind }) = damaged.end else {
        panic!("{damaged:?}");
    };
    // Up to the last byte that is not zero.
    assert!(found == offset as u64 && (end - 7..=end).contains(&(found + bytes)), "{found} {bytes}");
    assert!(records_behind > 0);
    assert!(
        seen.to_string().ends_with(&format!(
            "no record at offset {offset}, where one should be, and {records_behind} behind it"
        )),
        "{seen}"
    );
    // At the end: nothing stands behind it.
    flip(&disk, &name, end as usize + 9);
    let seen = end_of(&disk);
    assert!(
        seen.to_string().ends_with(&format!("not closed, 10 bytes from offset {end} on are no record")),
        "{seen}"
    );
}

#[test]
fn a_dump_prints_payloads_if_asked() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.log.enqueue(&[0xAB, 0x01]).unwrap();
    node.syncer.sync_once().unwrap();
    let mut lines = Vec::new();
    dump(&disk, Lsn::ZERO..=Lsn::MAX, |shown| {
        lines.push(format!("{shown:#}"));
        ControlFlow::Continue(())
    })
    .unwrap();
    let name = &segments(&disk)[0];
    assert_eq!(lines, [format!("{name} offset 4096: LSN 1 data, 2 bytes, attests LSN 0: ab01")]);
}

#[test]
fn an_inspection_tells_what_there_is() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    let info = store.write_and_snapshot(40).unwrap();
    disk.quarantine("torn", b"1").unwrap();
    let found = inspect(&disk).unwrap();
    let names: Vec<_> = found.segments.iter().map(|segment| segment.name.clone()).collect();
    assert_eq!(names, segments(&disk));
    let facts: Vec<_> = found.segments.iter().map(|segment| segment.facts.as_ref().unwrap()).collect();
    for (facts, next) in facts.iter().zip(&facts[1..]) {
        assert_eq!((facts.last_lsn.unwrap().next(), facts.number + 1), (next.first_lsn, next.number));
        assert_eq!((facts.end, facts.log_uuid), (None, SEED.log_uuid));
    }
    let last = facts.last().unwrap();
    assert_eq!(last.last_lsn.unwrap().as_u64(), 40);
    assert!(matches!(last.end, Some(SegmentEnd::Open { offset }) if offset > 4096));
    assert_eq!(
        (found.snapshots[0].outcome.as_ref(), &found.quarantine[..]),
        (Ok(&info), &["torn".to_owned()][..])
    );
    flip(&disk, &names[0], 9);
    let printed = inspect(&disk).unwrap().to_string();
    assert!(printed.starts_with(&format!("{} is damaged at offset 0", names[0])), "{printed}");
    assert!(printed.ends_with("bytes in all\nquarantine/torn\n"), "{printed}");
}

#[test]
fn a_snapshot_is_shown_chunk_by_chunk_up_to_its_damage() {
    let disk = MemoryDisk::new();
    let info = Store::open(&disk).unwrap().write_and_snapshot(40).unwrap();
    let mut chunks = Vec::new();
    let view = inspect_snapshot(&disk, &info.name, |chunk| chunks.push(chunk.payload.to_vec()));
    assert_eq!((view.outcome.as_ref(), &chunks), (Ok(&info), &chunks_to(40)));
    assert_eq!(view.verdict(), Verdict::Clean);
    flip(&disk, &info.name, info.file_bytes as usize - 200);
    let mut lines = Vec::new();
    let view = inspect_snapshot(&disk, &info.name, |chunk| lines.push(chunk.to_string()));
    assert_eq!(lines[0], format!("chunk 0 offset 4096: {} bytes", chunks[0].len()));
    assert!(
        matches!(view.outcome, Err(SnapshotDamage::Chunk { index, .. }) if index as usize == lines.len())
    );
    let missing = verify_snapshot(&disk, "snap-00000000000000000001.snap");
    assert_eq!(missing.verdict(), Verdict::Unreadable);
}

#[test]
fn looking_changes_nothing_in_a_directory_that_is_only_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&FileDisk::new(directory.path()).unwrap()).unwrap();
    store.write_and_snapshot(40).unwrap();
    let before = listing(directory.path());
    let disk = FileDisk::read_only(directory.path()).unwrap();
    assert_eq!(verify(&disk, |_| {}).verdict(), Verdict::Clean);
    assert_eq!(inspect(&disk).unwrap().snapshots.len(), 1);
    let mut shown = 0;
    dump(&disk, Lsn::ZERO..=Lsn::MAX, |_| {
        shown += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(shown >= 40);
    assert_eq!(listing(directory.path()), before);
}

#[test]
fn any_bytes_are_looked_at_without_harm_even_under_a_right_header() {
    fn never_panics(noise: Vec<u8>, at: u16, header: bool) -> bool {
        let disk = MemoryDisk::new();
        let mut store = Store::open(&disk).unwrap();
        store.write_and_snapshot(20).unwrap();
        store.node.write_to(40);
        drop((store.snapshots, store.node));
        for name in disk.list().unwrap() {
            let mut bytes = disk.contents(&name).unwrap();
            let start = if header { usize::from(at) % 128 } else { 4096 + usize::from(at) % 1536 };
            bytes.iter_mut().skip(start).zip(&noise).for_each(|(byte, noise)| *byte = *noise);
            let crc = crc32c::crc32c(&bytes[..4092]);
            bytes[4092..4096].copy_from_slice(&crc.to_le_bytes());
            disk.overwrite(&name, &bytes);
            inspect_snapshot(&disk, &name, |chunk| assert!(chunk.payload.len() < bytes.len()));
        }
        let found = verify(&disk, |_| {});
        inspect(&disk).unwrap().to_string();
        dump(&disk, Lsn::ZERO..=Lsn::MAX, |shown| {
            drop(format!("{shown:#}"));
            ControlFlow::Continue(())
        })
        .unwrap();
        let repaired = repair(disk.clone(), found.readable_to, DataLoss::Accepted);
        let opened = Store::open(&disk);
        repaired.is_err() || opened.is_ok_and(|store| records_to(40).starts_with(&store.node.held))
    }
    quickcheck::quickcheck(never_panics as fn(Vec<u8>, u16, bool) -> bool);
}

fn dumped(disk: &MemoryDisk, from: u64, to: u64) -> Vec<(Lsn, RecordKind, Vec<u8>)> {
    let mut records = Vec::new();
    dump(disk, Lsn::from_u64(from)..=Lsn::from_u64(to), |shown| match shown {
        Dumped::Record(record) => {
            records.push((record.lsn, record.kind, record.payload.to_vec()));
            ControlFlow::Continue(())
        }
        other => panic!("{other}"),
    })
    .unwrap();
    records
}
