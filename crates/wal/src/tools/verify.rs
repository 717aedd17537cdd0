//! Reading all of a log and its snapshots, and everything that is wrong with them.

use std::fmt;

use super::{RECORD_BYTES_MAX, Verdict};
use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, OpenError};
use crate::lsn::Lsn;
use crate::reader::SegmentReader;
use crate::recovery::{Base, RecoveryProgress, RecoveryStage, Tail, durable_by_names};
use crate::replay::{Span, check_span};
use crate::segment::{SEGMENT_HEADER_BYTES, parse_file_name};
use crate::snapshot::{
    RejectedSnapshot, SnapshotInfo, parse_snapshot_name, removable_segments, usable_snapshot,
};

/// Reads every snapshot and every segment that is needed, and does not stop at the first damage.
///
/// Needed is what a recovery reads, also if the newest snapshot should prove damaged: the log back to the second
/// newest, or to its beginning. What is found in the last segment is what an opening would find: damage, a torn tail, or nothing.
/// `on_progress` is told after each chunk and each segment how far it is.
pub fn verify<D: Disk>(disk: &D, mut on_progress: impl FnMut(RecoveryProgress)) -> Verification {
    let mut found = Verification::default();
    let names = match disk.list() {
        Ok(names) => names,
        Err(source) => {
            found.report(OpenError::Read { file: String::new(), offset: 0, source });
            return found;
        }
    };
    let unfinished = names.iter().filter(|name| name.ends_with(".tmp"));
    found.findings.extend(unfinished.map(|name| Finding::Unfinished { file: name.clone() }));
    let (whole, durable) = verify_snapshots(disk, &names, &mut found, &mut on_progress);
    let start = needed_behind(&names, &whole);
    let needless = removable_segments(&names, start);
    let is_needed = |name: &&String| parse_file_name(name).is_some() && !needless.contains(name);
    let segments: Vec<_> = names.iter().filter(is_needed).collect();
    let mut walk = Walk { base: Base { start, durable }, found, previous: None };
    let bytes_of = |name: &&String| disk.open(name).and_then(|file| file.bytes()).unwrap_or(0);
    let bytes_total = segments.iter().map(bytes_of).sum();
    let mut bytes_done = 0;
    for (index, name) in segments.iter().enumerate() {
        walk.visit(disk, name, index == 0);
        bytes_done += bytes_of(name);
        on_progress(RecoveryProgress { stage: RecoveryStage::Replay, bytes_done, bytes_total });
    }
    walk.end(disk, segments.is_empty())
}

/// What was read and what is wrong.
#[derive(Debug, Default)]
pub struct Verification {
    /// How many segments were looked at.
    pub segments: usize,
    /// How many snapshots were found whole.
    pub snapshots: usize,
    /// How many records were found intact where they belong.
    pub records: u64,
    /// Bytes of these records, headers included.
    pub bytes: u64,
    /// The last record of the last whole unit before the first damage of the log, or of the whole log. The most that
    /// [`repair`](crate::tools::repair) can keep.
    pub readable_to: Lsn,
    /// Whether no durable record can be missing at the end. Like an opening it does not know before it has read the
    /// end, so that it is false of a damaged log.
    pub tail_certain: bool,
    /// Everything that is wrong, snapshots first, then the log from its beginning.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// Returns the worst of all that was found.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(Finding::verdict).max().unwrap_or(Verdict::Clean)
    }

    fn report(&mut self, error: OpenError) {
        self.findings.push(Finding::Log(error));
    }

    fn is_log_damaged(&self) -> bool {
        self.findings.iter().any(|finding| matches!(finding, Finding::Log(_)))
    }

    /// Counts what was read of a segment, which is what counts of the whole log until something is damaged.
    fn count(&mut self, records: u64, bytes: u64, whole_to: Lsn) {
        if !self.is_log_damaged() {
            self.readable_to = whole_to;
        }
        self.records += records;
        self.bytes += bytes;
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        let Self { segments, snapshots, records, bytes, readable_to, .. } = self;
        write!(
            f,
            "{}: {snapshots} snapshots, {segments} segments with {records} records of {bytes} bytes, \
             readable up to LSN {readable_to}",
            self.verdict()
        )
    }
}

/// One thing that is wrong, or will be put right by the next opening.
#[derive(Debug)]
pub enum Finding {
    /// The log is damaged or cannot be read.
    Log(OpenError),
    /// A snapshot is damaged or cannot be read.
    Snapshot(RejectedSnapshot),
    /// What is at the end is no record, and nothing says that it was ever durable.
    TornTail {
        /// Name of the segment.
        file: String,
        /// The first byte that is no record.
        offset: u64,
        /// Bytes up to the last that is not zero.
        bytes: u64,
        /// The last record before it.
        after: Lsn,
    },
    /// The making of this file was interrupted. It is never read.
    Unfinished {
        /// Name of the file.
        file: String,
    },
}

impl Finding {
    /// Returns how bad it is.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Log(error) => Verdict::of_error(error),
            Self::Snapshot(rejected) => Verdict::of_snapshot(&rejected.damage),
            Self::TornTail { .. } => Verdict::TornTail,
            Self::Unfinished { .. } => Verdict::Clean,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(error @ OpenError::Read { source, .. }) => write!(f, "{error}: {source}"),
            Self::Log(error) => error.fmt(f),
            Self::Snapshot(rejected) => rejected.fmt(f),
            Self::TornTail { file, offset, bytes, after } => {
                write!(f, "{file} has a torn tail of {bytes} bytes at offset {offset}, behind LSN {after}")
            }
            Self::Unfinished { file } => write!(f, "{file} is unfinished and will be removed"),
        }
    }
}

/// Goes from segment to segment, each of which says where the one before it ends.
struct Walk<F> {
    base: Base,
    found: Verification,
    /// The segment whose end is not known yet.
    previous: Option<SegmentReader<F>>,
}

impl<F: DiskFile> Walk<F> {
    fn visit<D: Disk<File = F>>(&mut self, disk: &D, name: &str, is_first: bool) {
        self.found.segments += 1;
        let segment = match SegmentReader::open(disk, name) {
            Ok(segment) => segment,
            Err(error) => {
                self.leave_unended();
                return self.found.report(error);
            }
        };
        let header = segment.header();
        let predecessor = header.predecessor;
        let is_misnamed = parse_file_name(name) != Some(header.first_lsn);
        let follows = self.previous.as_ref().is_none_or(|previous| header.continues(previous.header()));
        if is_misnamed || !follows {
            self.leave_unended();
            self.found.report(segment.corrupt(header.first_lsn..=Lsn::MAX, Damage::Chain));
        } else if let Some(mut previous) = self.previous.take() {
            let span = Span::before(previous.name(), header);
            let outcome = check_span(&mut previous, &span, RECORD_BYTES_MAX);
            self.settle(&mut previous, span.end, outcome.err());
        } else if is_first && header.number != 1 && predecessor.last_lsn > self.base.start {
            let lsns = self.base.start.next()..=predecessor.last_lsn;
            self.found.report(segment.corrupt(lsns, Damage::PredecessorMissing));
        }
        self.previous = Some(segment);
    }

    /// Judges the last segment as an opening does.
    fn end<D: Disk<File = F>>(mut self, disk: &D, is_empty: bool) -> Verification {
        let Some(mut last) = self.previous.take() else {
            if is_empty && self.base.durable > Lsn::ZERO {
                let durable = self.base.durable;
                self.found.report(OpenError::EndMissing { last: Lsn::ZERO, durable });
            }
            self.found.tail_certain = is_empty && !self.found.is_log_damaged();
            return self.found;
        };
        let tail = SegmentReader::open(disk, last.name())
            .and_then(|again| Tail::read(again, RECORD_BYTES_MAX, self.base, &mut |_| {}));
        let (torn, error) = match tail {
            Ok(tail) => {
                self.found.tail_certain = tail.is_certain() && !self.found.is_log_damaged();
                (tail.torn, None)
            }
            Err(error) => (None, Some(error)),
        };
        self.settle(&mut last, u64::MAX, error);
        if let Some(torn) = torn {
            let (file, bytes) = (last.name().to_owned(), torn.end - torn.start);
            let after = self.found.readable_to;
            self.found.findings.push(Finding::TornTail { file, offset: torn.start, bytes, after });
        }
        self.found
    }

    /// Counts what can be read of the segment that is left, of which no later one says where it ends.
    fn leave_unended(&mut self) {
        if let Some(mut previous) = self.previous.take() {
            self.settle(&mut previous, u64::MAX, None);
        }
    }

    /// Counts what can be read of a segment up to `end`, and reports what is wrong in it.
    fn settle(&mut self, segment: &mut SegmentReader<F>, end: u64, error: Option<OpenError>) {
        let first = segment.header().predecessor.last_lsn;
        segment.rewind(first, SEGMENT_HEADER_BYTES as u64);
        let (mut records, mut whole_to) = (0, first);
        // An error that shows here has shown before.
        while segment.offset() < end
            && let Ok(Some(record)) = segment.next(RECORD_BYTES_MAX)
        {
            records += u64::from(!record.kind.is_control());
            if record.is_unit_end {
                whole_to = record.lsn;
            }
        }
        self.found.count(records, segment.offset() - SEGMENT_HEADER_BYTES as u64, whole_to);
        if let Some(error) = error {
            self.found.report(error);
        }
    }
}

/// Verifies all snapshots; returns those that can be used, oldest first, and reports the others.
fn verify_snapshots<D: Disk>(
    disk: &D,
    names: &[String],
    found: &mut Verification,
    on_progress: &mut impl FnMut(RecoveryProgress),
) -> (Vec<SnapshotInfo>, Lsn) {
    let last = names.iter().rfind(|name| parse_file_name(name).is_some());
    let last = last.and_then(|name| SegmentReader::open(disk, name).ok());
    let log_uuid = last.map(|last| last.header().log_uuid);
    let (mut whole, mut rejected) = (Vec::new(), Vec::new());
    let mut tell = |bytes_done, bytes_total| {
        on_progress(RecoveryProgress { stage: RecoveryStage::Snapshot, bytes_done, bytes_total });
    };
    for name in names.iter().filter(|name| parse_snapshot_name(name).is_some()) {
        match usable_snapshot(disk, name, log_uuid, &mut tell) {
            Ok(snapshot) => whole.push(snapshot.info().clone()),
            Err(damage) => rejected.push(RejectedSnapshot { name: name.clone(), damage }),
        }
    }
    let durable =
        whole.iter().map(|info| info.end).max().unwrap_or(Lsn::ZERO).max(durable_by_names(&rejected));
    found.snapshots = whole.len();
    found.findings.extend(rejected.into_iter().map(Finding::Snapshot));
    (whole, durable)
}

/// Returns the start of the second newest snapshot. With one alone the log is its only substitute, if it is all there.
fn needed_behind(names: &[String], whole: &[SnapshotInfo]) -> Lsn {
    let first = names.iter().find_map(|name| parse_file_name(name));
    match whole {
        [.., older, _] => older.start,
        [only] if first > Some(Lsn::ZERO.next()) => only.start,
        _ => Lsn::ZERO,
    }
}
