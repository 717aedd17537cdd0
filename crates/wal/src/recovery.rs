//! Opening a log: which records it holds, what was torn, and when to refuse.
//!
//! A record is *attested* when a later one, a seal or the next segment's header says that it was durable by
//! then. Damage to attested records is refused; whatever else is unreadable at the end is a torn tail, which
//! no one was promised, or in the last group before a crash may have been: then the tail is not certain.

mod report;
mod tail;

use std::ops::Range;
use std::sync::Arc;

pub use self::report::{RecoveryProgress, RecoveryReport, RecoveryStage};
pub(crate) use self::tail::Tail;
use crate::config::Config;
use crate::disk::Disk;
use crate::error::{Damage, OpenError, Operation, SnapshotDamage};
use crate::fault;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::queue::Queue;
use crate::reader::SegmentReader;
use crate::record::RecordHeader;
use crate::replay::{Records, Span};
use crate::segment::parse_file_name;
use crate::snapshot::{RejectedSnapshot, SnapshotReader, Snapshots, newest_whole, parse_snapshot_name};
use crate::syncer::Syncer;
use crate::writer::{OpenSeed, Place, WriteError, Writer, is_no_space};

/// An open log: what it held, and the two ends of what it will hold.
pub struct Opened<D: Disk> {
    /// The handle to append through.
    pub log: Log,
    /// The one writer, for a thread of its own.
    pub syncer: Syncer<D>,
    /// The records there were, to be read to the end before the log is used.
    pub records: Records<D>,
    /// What was found.
    pub report: RecoveryReport,
}

/// An open log with the snapshot to start from.
pub struct Recovered<D: Disk> {
    /// The log, whose records are those behind the snapshot.
    pub opened: Opened<D>,
    /// The newest snapshot that is whole, to be read before the records.
    pub snapshot: Option<SnapshotReader<D>>,
    /// Begins snapshots and removes old ones.
    pub snapshots: Snapshots<D>,
}

/// Opens the log in a directory, and makes one if there is none. Blocks on the disk.
///
/// Takes the directory's lock, checks that the segments follow each other, and reads the last of them.
/// Records that nothing attests are logged again before this returns, as an earlier failed sync can have
/// left them readable and not durable. The time grows with the last segment and the number of segments; the
/// rest is read by [`Opened::records`].
///
/// # Errors
///
/// [`OpenError`]; the log is as it was, except after [`OpenError::Write`].
pub fn open<D: Disk>(disk: D, config: Config, seed: OpenSeed) -> Result<Opened<D>, OpenError> {
    open_after(disk, config, seed, Lsn::ZERO)
}

/// Opens a log as [`open`] does, for a caller that has all that its records up to `start` did, all of which were
/// durable once.
///
/// Segments that end before `start` may be missing and are not read; from there on the log must be whole and it
/// must reach to `start`. Only records behind `start` are replayed.
///
/// # Errors
///
/// Those of [`open`], and [`OpenError::EndMissing`].
pub fn open_after<D: Disk>(
    mut disk: D,
    config: Config,
    seed: OpenSeed,
    start: Lsn,
) -> Result<Opened<D>, OpenError> {
    config.validate()?;
    let names = lock(&mut disk)?;
    open_behind(disk, &names, config, seed, Base { start, durable: start }, &mut |_| {})
}

/// Opens a log as [`open`] does, behind the newest of its snapshots that is whole.
///
/// The snapshot is verified, and so is read twice. A damaged one is passed over for the one before it, which the
/// report says. What a snapshot attests counts: if the log ends before what was durable when the snapshot was
/// published, records are lost and the log is refused. `on_progress` is told of the snapshot and the last segment;
/// [`Records::progress`] tells of the rest.
///
/// # Errors
///
/// Those of [`open`], [`OpenError::EndMissing`] and [`OpenError::NoSnapshot`].
pub fn recover<D: Disk>(
    mut disk: D,
    config: Config,
    mut seed: OpenSeed,
    mut on_progress: impl FnMut(RecoveryProgress),
) -> Result<Recovered<D>, OpenError> {
    config.validate()?;
    let names = lock(&mut disk)?;
    let last = names.iter().rfind(|name| parse_file_name(name).is_some());
    let last = last.map(|name| SegmentReader::open(&disk, name)).transpose()?;
    let log_uuid = last.map(|last| last.header().log_uuid);
    let mut tell = |bytes_done, bytes_total| {
        on_progress(RecoveryProgress { stage: RecoveryStage::Snapshot, bytes_done, bytes_total });
    };
    let (snapshot, rejected) = newest_whole(&disk, &names, log_uuid, &mut tell);
    let info = snapshot.as_ref().map(|snapshot| snapshot.info().clone());
    if let (None, Some(info)) = (log_uuid, &info) {
        // A snapshot of a log that had no record yet: the log goes on under its identity.
        seed.log_uuid = info.log_uuid;
    }
    let base = Base {
        start: info.as_ref().map_or(Lsn::ZERO, |info| info.start),
        durable: match fault::is_off("snapshots attest") {
            true => Lsn::ZERO,
            false => info.as_ref().map_or(Lsn::ZERO, |info| info.end).max(durable_by_names(&rejected)),
        },
    };
    let mut opened = match open_behind(disk.clone(), &names, config, seed, base, &mut on_progress) {
        Err(OpenError::Corrupt { file, damage: Damage::PredecessorMissing, .. }) if !rejected.is_empty() => {
            let first = parse_file_name(&file).unwrap_or(Lsn::ZERO);
            return Err(OpenError::NoSnapshot { first, rejected });
        }
        other => other?,
    };
    let verified = info.as_ref().map(|info| info.start);
    let snapshots = Snapshots::new(disk, opened.log.clone(), opened.report.log_uuid, verified);
    (opened.report.snapshot, opened.report.rejected) = (info, rejected);
    Ok(Recovered { opened, snapshot, snapshots })
}

/// What is known of a log before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base {
    /// Replay starts behind this record.
    pub(crate) start: Lsn,
    /// Records up to here were durable once.
    pub(crate) durable: Lsn,
}

/// Returns up to where the log was durable when these snapshots got their names, whatever became of their bytes.
pub(crate) fn durable_by_names(rejected: &[RejectedSnapshot]) -> Lsn {
    let of_this_log = rejected.iter().filter(|snapshot| {
        !matches!(snapshot.damage, SnapshotDamage::Foreign { .. } | SnapshotDamage::Misnamed { .. })
    });
    of_this_log.filter_map(|snapshot| parse_snapshot_name(&snapshot.name)).max().unwrap_or(Lsn::ZERO)
}

/// Takes the directory's lock and returns the names in it.
fn lock<D: Disk>(disk: &mut D) -> Result<Vec<String>, OpenError> {
    let unreadable = |source| OpenError::Read { file: String::new(), offset: 0, source };
    if !disk.lock().map_err(unreadable)? {
        return Err(OpenError::Locked);
    }
    disk.list().map_err(unreadable)
}

fn open_behind<D: Disk>(
    disk: D,
    names: &[String],
    config: Config,
    seed: OpenSeed,
    base: Base,
    on_progress: &mut dyn FnMut(RecoveryProgress),
) -> Result<Opened<D>, OpenError> {
    let Chain { skipped, followed: mut spans, last } = check_chain(&disk, names, base.start)?;
    if last.is_none() && base.durable > Lsn::ZERO {
        return Err(OpenError::EndMissing { last: Lsn::ZERO, durable: base.durable });
    }
    let mut report = RecoveryReport {
        log_uuid: last.as_ref().map_or(seed.log_uuid, |last| last.header().log_uuid),
        start: base.start,
        last: Lsn::ZERO,
        records: 0,
        bytes: 0,
        segments: skipped + spans.len() + usize::from(last.is_some()),
        segments_skipped: skipped,
        tail_certain: true,
        relogged: 0,
        torn_bytes: 0,
        quarantined: None,
        snapshot: None,
        rejected: Vec::new(),
    };
    let tail = last.map(|last| Tail::read(last, config.record_bytes_max, base, on_progress)).transpose()?;
    remove_unfinished(&disk, names)?;

    let seed = OpenSeed { log_uuid: report.log_uuid, ..seed };
    let place = tail.as_ref().map_or(Place::FIRST, Tail::next_place);
    let mut writer = Writer::new(disk.clone(), config.segment_bytes, seed, place);
    if let Some(tail) = tail {
        settle_tail(&disk, tail, &mut writer, config.record_bytes_max, &mut spans, &mut report)?;
    }
    spans.retain(|span| span.last > base.start);
    report.records = report.last.since(base.start);
    report.bytes = spans.iter().map(Span::bytes).sum();
    let queue = Arc::new(Queue::new(&config, report.last));
    let records = Records::new(disk, spans, base.start, config.record_bytes_max);
    let log = Log::new(Arc::clone(&queue));
    Ok(Opened { log, syncer: Syncer::new(writer, queue, &config, report.last), records, report })
}

/// Sets a torn end aside, logs again what nothing attests, and says where the records of the last segment are.
fn settle_tail<D: Disk>(
    disk: &D,
    mut tail: Tail<D::File>,
    writer: &mut Writer<D>,
    record_bytes_max: u32,
    spans: &mut Vec<Span>,
    report: &mut RecoveryReport,
) -> Result<(), OpenError> {
    report.last = tail.last;
    report.tail_certain = tail.is_certain();
    report.relogged = tail.last.since(tail.attested);
    let mut is_full = false;
    if let Some(torn) = tail.torn.clone() {
        report.torn_bytes = torn.end - torn.start;
        match quarantine(disk, &mut tail.reader, torn) {
            Ok(copy) => report.quarantined = Some(copy),
            // The segment keeps the bytes, unless nothing else in it counts and the next one takes its place.
            Err(OpenError::DiskFull) if tail.holds_records() => is_full = true,
            Err(other) => return Err(other),
        }
    }
    if !tail.unattested.is_empty() && !is_full {
        let attested_span = tail.attested_span();
        match relog(&mut tail, writer, record_bytes_max) {
            Ok(()) => {
                let (name, end) = writer.position().expect("a segment was made for the records logged again");
                spans.extend(attested_span);
                spans.push(Span { name: name.to_owned(), end, last: tail.last });
                return Ok(());
            }
            Err(OpenError::DiskFull) => {}
            Err(other) => return Err(other),
        }
    }
    // Without space they are written again where they are, so that a log opens on a full disk.
    tail.write_again()?;
    writer.start_at(tail.next_place());
    spans.extend(tail.attested_span());
    Ok(())
}

/// The segments of a log, as their headers tell.
pub(crate) struct Chain<F> {
    /// How many were not looked at, as they end before the start of the replay.
    pub(crate) skipped: usize,
    /// Where the records end of all others but the last.
    pub(crate) followed: Vec<Span>,
    pub(crate) last: Option<SegmentReader<F>>,
}

/// Opens the segments that are needed behind `start` and checks that they follow each other.
pub(crate) fn check_chain<D: Disk>(
    disk: &D,
    names: &[String],
    start: Lsn,
) -> Result<Chain<D::File>, OpenError> {
    let segments: Vec<_> =
        names.iter().filter_map(|name| parse_file_name(name).map(|first| (first, name))).collect();
    // A segment before the one that holds the start may be gone, or be back after a power cut.
    let skipped = segments.iter().rposition(|(first, _)| *first <= start).unwrap_or(0);
    let mut followed = Vec::new();
    let mut previous: Option<SegmentReader<D::File>> = None;
    for &(first_lsn, name) in &segments[skipped..] {
        let segment = SegmentReader::open(disk, name)?;
        let header = segment.header();
        let lsns = first_lsn..=header.predecessor.last_lsn.max(first_lsn);
        if header.first_lsn != first_lsn {
            return Err(segment.corrupt(lsns, Damage::Chain));
        }
        match &previous {
            None if header.number != 1 && (start == Lsn::ZERO || header.predecessor.last_lsn > start) => {
                let lsns = start.next()..=header.predecessor.last_lsn;
                return Err(segment.corrupt(lsns, Damage::PredecessorMissing));
            }
            Some(previous) if !header.continues(previous.header()) => {
                let lsns = previous.header().first_lsn..=header.predecessor.last_lsn;
                return Err(segment.corrupt(lsns, Damage::Chain));
            }
            Some(previous) => followed.push(Span::before(previous.name(), header)),
            None => {}
        }
        previous = Some(segment);
    }
    Ok(Chain { skipped, followed, last: previous })
}

/// Removes what an interrupted making of a file left behind.
fn remove_unfinished<D: Disk>(disk: &D, names: &[String]) -> Result<(), OpenError> {
    for name in names.iter().filter(|name| name.ends_with(".tmp")) {
        disk.remove(name).map_err(|source| OpenError::Write {
            operation: Operation::Remove,
            file: name.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Sets a torn tail aside and returns the name of the copy. The segment itself is not changed.
fn quarantine<D: Disk>(
    disk: &D,
    reader: &mut SegmentReader<D::File>,
    torn: Range<u64>,
) -> Result<String, OpenError> {
    let name = format!("{}-{}", reader.name(), torn.start);
    let bytes = reader.raw(torn)?;
    match disk.quarantine(&name, &bytes) {
        Ok(copy) => Ok(copy),
        Err(error) if is_no_space(&error) => Err(OpenError::DiskFull),
        Err(source) => Err(OpenError::Write { operation: Operation::Quarantine, file: name, source }),
    }
}

/// Writes the unattested records to a segment of their own.
fn relog<D: Disk>(
    tail: &mut Tail<D::File>,
    writer: &mut Writer<D>,
    record_bytes_max: u32,
) -> Result<(), OpenError> {
    let attested = tail.attested;
    let end = tail.unattested.back().map_or(tail.attested_end, |&(_, end)| end);
    tail.reader.rewind(attested, tail.attested_end);
    let mut records = Vec::new();
    while tail.reader.offset() < end
        && let Some(record) = tail.reader.next(record_bytes_max)?
    {
        if !record.kind.is_control() {
            records.push((record, tail.reader.payload().to_vec()));
        }
    }
    let made = writer.begin_segment(|salt| {
        let mut bytes = Vec::with_capacity((end - tail.attested_end) as usize);
        for (header, payload) in &records {
            // Nothing attests them before the first append, so that the doubt outlives another crash.
            let header = RecordHeader { attested, ..*header };
            header.encode_into(salt, payload, &mut bytes);
        }
        bytes
    });
    made.map_err(|error| match error {
        WriteError::DiskFull => OpenError::DiskFull,
        WriteError::Failed { operation, file, source } => OpenError::Write { operation, file, source },
    })
}
