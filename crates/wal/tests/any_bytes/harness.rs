//! Arbitrary bytes in place of the files of a log, and what must hold whatever they are.
//!
//! An input is compact, so that a fuzzer need not find out about pages of zeroes and checksums. Its first byte says
//! what it is: with bit 0 the bytes of a file as they are; otherwise the first bytes of a header, which is completed with
//! zeroes and its checksum, and what follows the header. With bit 1 the records or chunks behind the header get right
//! checksums, as long as their lengths make sense.

use std::ops::ControlFlow;

use trellis_wal::tools::{
    DataLoss, Finding, Verdict, dump, inspect, inspect_snapshot, repair, verify, verify_snapshot,
};
use trellis_wal::{Config, Disk, Lsn, MemoryDisk, OpenError, OpenSeed, recover};

/// An input that stands for one segment.
pub(crate) fn segment(input: &[u8]) {
    let disk = MemoryDisk::new();
    put(&disk, Kind::Segment, input);
    look_at(&disk);
    open(&disk);
    cut(&disk);
}

/// An input that stands for one snapshot.
pub(crate) fn snapshot(input: &[u8]) {
    let disk = MemoryDisk::new();
    put(&disk, Kind::Snapshot, input);
    look_at(&disk);
    open(&disk);
    cut(&disk);
}

/// An input that stands for several files: for each a byte, even for a segment and odd for a snapshot, two bytes of
/// length, and an input as for one alone.
pub(crate) fn directory(mut input: &[u8]) {
    let disk = MemoryDisk::new();
    while let Some((&[kind, low, high], rest)) = input.split_first_chunk() {
        let bytes = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let kind = if kind % 2 == 0 { Kind::Segment } else { Kind::Snapshot };
        put(&disk, kind, &rest[..bytes]);
        input = &rest[bytes..];
    }
    look_at(&disk);
    open(&disk);
    cut(&disk);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Segment,
    Snapshot,
}

/// Makes the file that an input stands for, with the name that its header tells.
fn put(disk: &MemoryDisk, kind: Kind, input: &[u8]) {
    let Some((&options, rest)) = input.split_first() else { return };
    let mut bytes = if options & 1 == 1 { rest.to_vec() } else { completed(kind, rest) };
    if options & 2 == 2 && bytes.len() > HEADER_BYTES {
        mend(kind, &mut bytes);
    }
    let named =
        |at: usize| bytes.get(at..at + 8).and_then(|lsn| lsn.try_into().ok()).map_or(1, u64::from_le_bytes);
    let name = match kind {
        Kind::Segment => format!("wal-{:020}.log", named(40)),
        Kind::Snapshot => format!("snap-{:020}.snap", named(32)),
    };
    disk.overwrite(&name, &bytes);
}

/// Returns a file whose header begins with the first bytes of `input`, and continues with the others.
fn completed(kind: Kind, input: &[u8]) -> Vec<u8> {
    let told = if kind == Kind::Segment { 88 } else { 44 };
    let (header, rest) = input.split_at(input.len().min(told));
    let mut bytes = header.to_vec();
    bytes.resize(HEADER_BYTES - 4, 0);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

/// Gives records or chunks right checksums.
fn mend(kind: Kind, bytes: &mut [u8]) {
    let (header, mut rest) = bytes.split_at_mut(HEADER_BYTES);
    let seed = if kind == Kind::Segment { u32_at(header, 80) } else { u32_at(header, HEADER_BYTES - 4) };
    while rest.len() >= FRAME_BYTES {
        let framed = FRAME_BYTES + (u32_at(rest, 4) as usize).next_multiple_of(8);
        if framed > rest.len() {
            return;
        }
        let (frame, behind) = rest.split_at_mut(framed);
        let crc = crc32c::crc32c_append(seed, &frame[4..FRAME_BYTES + u32_at(frame, 4) as usize]);
        frame[..4].copy_from_slice(&crc.to_le_bytes());
        rest = behind;
    }
}

/// Shows everything, which changes nothing.
fn look_at(disk: &MemoryDisk) {
    let before = contents(disk);
    verify(disk, |progress| assert!(progress.bytes_done <= progress.bytes_total, "{progress:?}")).to_string();
    let mut shown_bytes = 0;
    inspect(disk).expect("a directory in memory can be read").to_string();
    dump(disk, Lsn::ZERO..=Lsn::MAX, |shown| {
        shown_bytes += format!("{shown:#}").len();
        ControlFlow::Continue(())
    })
    .expect("a directory in memory can be read");
    assert!(shown_bytes < 1000 + 1000 * before.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
    for (name, bytes) in &before {
        inspect_snapshot(disk, name, |chunk| assert!(chunk.payload.len() < bytes.len()));
        let view = verify_snapshot(disk, name);
        assert!(view.outcome.is_err() || view.verdict() == Verdict::Clean);
    }
    assert_eq!(contents(disk), before);
}

/// Opens the log. One that opens and is read to its end holds the same the next time, and what is appended.
fn open(disk: &MemoryDisk) {
    let found = verify(disk, |_| {});
    let disk = disk.duplicate();
    let Ok((start, held)) = read(&disk, 0) else { return };
    let damage = found.findings.iter().find(|finding| matches!(finding, Finding::Log(_)));
    assert!(found.snapshots > 0 || damage.is_none(), "it is read, and was found damaged: {found}");
    let Ok((start_again, held_again)) = read(&disk, 1) else { panic!("it opens once and not again") };
    assert_eq!((start_again, &held_again), (start, &held));
    let Ok((_, more)) = read(&disk, 0) else { panic!("it opens no more with another record") };
    assert_eq!((&more[..held.len()], &more[held.len()..]), (&held[..], &[b"one more".to_vec()][..]));
}

/// Reads the log, appends so many records, and returns where the replay starts and what the log holds.
fn read(disk: &MemoryDisk, appended: usize) -> Result<(Lsn, Vec<Vec<u8>>), OpenError> {
    let mut recovered = recover(disk.clone(), CONFIG, SEED, |_| {})?;
    while let Some(snapshot) = &mut recovered.snapshot
        && snapshot.next_chunk().expect("a verified snapshot in memory stays as it is").is_some()
    {}
    let mut opened = recovered.opened;
    let (start, mut held) = (opened.report.start, Vec::new());
    for record in opened.records {
        let (lsn, payload) = record?;
        held.push(payload);
        assert_eq!(lsn.as_u64(), start.as_u64() + held.len() as u64);
    }
    assert_eq!((opened.report.records, opened.report.last), (held.len() as u64, opened.log.last()));
    for _ in 0..appended {
        opened.log.enqueue(b"one more").expect("an open log takes records");
        opened.syncer.sync_once().expect("a disk in memory has no end");
    }
    Ok((start, held))
}

/// Cuts the log where it can be read no further; it opens then, with a copy of all that was taken.
fn cut(disk: &MemoryDisk) {
    let disk = disk.duplicate();
    let readable_to = verify(&disk, |_| {}).readable_to;
    if let Ok(plan) = repair(disk.clone(), readable_to, DataLoss::Accepted) {
        let kept = disk.quarantined();
        assert!(plan.taken.iter().all(|taken| kept.contains_key(&taken.copy)), "{plan}");
        if let Err(error) = read(&disk, 1) {
            panic!("it does not open when it is cut: {error}");
        }
    }
}

fn contents(disk: &MemoryDisk) -> Vec<(String, Vec<u8>)> {
    let names = disk.list().expect("a directory in memory can be read");
    names.into_iter().filter_map(|name| disk.contents(&name).map(|bytes| (name, bytes))).collect()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

const HEADER_BYTES: usize = 4096;
/// The fixed part of a record and of a chunk.
const FRAME_BYTES: usize = 24;
/// Any record that fits into an input is one that the log takes.
const CONFIG: Config = Config {
    segment_bytes: 1 << 18,
    record_bytes_max: 1 << 16,
    pending_bytes_max: 1 << 17,
    batch_bytes_max: 1 << 17,
};
const SEED: OpenSeed = OpenSeed { log_uuid: [7; 16], salt: 11 };
