//! Cutting a log behind a record, so that it opens again. What is cut off is kept in `quarantine/`.

use std::fmt;
use std::io;
use std::ops::Range;

use thiserror::Error;

use super::RECORD_BYTES_MAX;
use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, OpenError, Operation};
use crate::lsn::Lsn;
use crate::reader::SegmentReader;
use crate::record::Kind;
use crate::replay::{Span, check_span};
use crate::segment::{UNFINISHED_NAME, parse_file_name, set_made_bytes};
use crate::snapshot::{parse_snapshot_name, usable_snapshot};
use crate::writer::is_no_space;

/// Cuts a log behind the record at `truncate_after` and moves all that is behind it to `quarantine/`: records,
/// damaged bytes, and snapshots that hold what later records did. Blocks on the disk, and takes the directory's lock.
///
/// Nothing is deleted: putting the files back by hand undoes it. The next opening sees a torn tail where the log
/// was cut, and so reports that its tail is not certain: whoever told others of the records that are gone must not
/// reuse their identities. After a power cut in the middle, repair once more in the same way.
///
/// # Errors
///
/// [`RepairError`]; nothing was changed, except after [`RepairError::Disk`]. Without consent it is
/// [`RepairError::WouldLose`] with all that would be done.
pub fn repair<D: Disk>(
    mut disk: D,
    truncate_after: Lsn,
    consent: DataLoss,
) -> Result<RepairPlan, RepairError> {
    if !disk.lock().map_err(RepairError::of(Operation::Create, ""))? {
        return Err(RepairError::Locked);
    }
    let names = disk.list().map_err(RepairError::of(Operation::Read, ""))?;
    let quarantined = disk.list_quarantine().map_err(RepairError::of(Operation::Read, ""))?;
    let (start, snapshots) = sort_snapshots(&disk, &names, truncate_after);
    let mut cut = Cut::find(&disk, &names, start, truncate_after)?;
    let (range, ends_here) = cut.range_behind()?;
    if ends_here && snapshots.is_empty() {
        return Ok(RepairPlan { truncate_after, taken: Vec::new() });
    }
    let mut plan = RepairPlan { truncate_after, taken: Vec::new() };
    let mut take = |file: &str, range: Option<Range<u64>>| {
        let copy = free_name(file, range.as_ref(), &quarantined);
        plan.taken.push(Taken { file: file.to_owned(), range, copy });
    };
    // What needs space first, so that a full disk is met while everything is in its place. Then from the end, so
    // that there is never a gap.
    take(cut.segment.name(), Some(range));
    snapshots.iter().rev().chain(cut.later.iter().rev()).for_each(|name| take(name, None));
    match consent {
        DataLoss::Refused => Err(RepairError::WouldLose(plan)),
        DataLoss::Accepted => carry_out(&disk, &mut cut, &plan).map(|()| plan),
    }
}

/// Whether records may be lost for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLoss {
    /// No: only tell what would be done.
    Refused,
    /// Yes.
    Accepted,
}

/// What a repair does, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairPlan {
    /// The last record that is kept.
    pub truncate_after: Lsn,
    /// What is taken away. Empty if nothing is behind the last record.
    pub taken: Vec<Taken>,
}

impl fmt::Display for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all behind LSN {} goes", self.truncate_after)?;
        self.taken.iter().try_for_each(|taken| write!(f, "\n{taken}"))
    }
}

/// Something that a repair takes away, and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Name of the file.
    pub file: String,
    /// Which of its bytes; `None` if the whole file is moved.
    pub range: Option<Range<u64>>,
    /// Name of the copy in `quarantine/`.
    pub copy: String,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, range, copy } = self;
        match range {
            Some(range) => write!(f, "{file} bytes {} to {} go to quarantine/{copy}", range.start, range.end),
            None => write!(f, "{file} goes to quarantine/{copy}"),
        }
    }
}

/// Why a log was not repaired.
#[non_exhaustive]
#[derive(Debug, Error)]
pub enum RepairError {
    /// This would be done if the loss was accepted.
    #[error("records would be lost: {0}")]
    WouldLose(RepairPlan),

    /// A program has the log open: stop it.
    #[error("the log is open elsewhere")]
    Locked,

    /// The log cannot be read up to the record: choose an earlier one.
    #[error("the log is readable only up to LSN {readable_to}")]
    NotReadable {
        /// The last record of the last whole unit that can be read.
        readable_to: Lsn,
    },

    /// The record lies in an atomic batch: choose an end of one.
    #[error("LSN {truncate_after} lies in an atomic batch, which begins behind LSN {before}")]
    InsideBatch {
        /// The record asked for.
        truncate_after: Lsn,
        /// The last record before the batch.
        before: Lsn,
    },

    /// The log begins behind the record, and no snapshot that reaches so far would be left.
    #[error("the log begins at LSN {first} and no snapshot would be left to start it from")]
    NoSnapshot {
        /// The first record that the log holds.
        first: Lsn,
    },

    /// Something before the record is damaged as well, or cannot be read.
    #[error("the log is damaged before that record")]
    Damaged(#[from] OpenError),

    /// There is no space for what is kept beside what is taken away: make room and try again.
    #[error("no space to repair the log")]
    DiskFull,

    /// The disk refused a step. Some files may be in the quarantine: repair once more in the same way.
    #[error("cannot repair the log: {operation} of {file} failed")]
    Disk {
        /// What was attempted.
        operation: Operation,
        /// Name of the file; empty for the directory itself.
        file: String,
        /// What the disk said.
        source: io::Error,
    },
}

impl RepairError {
    fn of(operation: Operation, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| match is_no_space(&source) {
            true => Self::DiskFull,
            false => Self::Disk { operation, file, source },
        }
    }
}

/// Where the log is to be cut.
struct Cut<F> {
    /// The segment that holds the last record that is kept.
    segment: SegmentReader<F>,
    /// The byte after that record.
    offset: u64,
    last: Lsn,
    /// The segments behind it, oldest first.
    later: Vec<String>,
}

impl<F: DiskFile> Cut<F> {
    /// Finds the end of the record `last` and checks that the log is whole from `start` up to there.
    fn find<D: Disk<File = F>>(
        disk: &D,
        names: &[String],
        start: Lsn,
        last: Lsn,
    ) -> Result<Self, RepairError> {
        let segments: Vec<_> = names.iter().filter(|name| parse_file_name(name).is_some()).collect();
        let holds =
            |lsn: Lsn| segments.iter().rposition(|name| parse_file_name(name) <= Some(lsn)).unwrap_or(0);
        let mut previous: Option<SegmentReader<F>> = None;
        for &name in segments.iter().take(holds(last) + 1).skip(holds(start)) {
            let segment = SegmentReader::open(disk, name)?;
            let header = segment.header();
            let follows = previous.as_ref().is_none_or(|previous| header.continues(previous.header()));
            if !follows || parse_file_name(name) != Some(header.first_lsn) {
                return Err(segment.corrupt(header.first_lsn..=last, Damage::Chain).into());
            }
            match &mut previous {
                Some(previous) => {
                    check_span(previous, &Span::before(previous.name(), header), RECORD_BYTES_MAX)?;
                }
                None if header.number != 1 && header.predecessor.last_lsn > start => {
                    return Err(RepairError::NoSnapshot { first: header.first_lsn });
                }
                None => {}
            }
            previous = Some(segment);
        }
        let Some(mut segment) = previous else {
            return Err(RepairError::NotReadable { readable_to: Lsn::ZERO });
        };
        let offset = read_to(&mut segment, last)?;
        let later = segments.iter().skip(holds(last) + 1).map(|&name| name.clone()).collect();
        Ok(Self { segment, offset, last, later })
    }

    /// Returns the bytes of the segment that are cut off, and whether the log ends there by itself.
    fn range_behind(&mut self) -> Result<(Range<u64>, bool), OpenError> {
        let (mut is_sealed, mut last) = (false, self.last);
        while let Some(record) = self.segment.next(RECORD_BYTES_MAX)? {
            is_sealed |= record.kind == Kind::SealClosed;
            last = record.lsn;
        }
        let read_to = self.segment.offset();
        let end_used = self.segment.survey()?.end_used.max(read_to);
        let is_whole = is_sealed || self.segment.file_bytes() >= self.segment.header().segment_bytes;
        let ends_here = last == self.last && end_used == read_to && is_whole && self.later.is_empty();
        Ok((self.offset..end_used, ends_here))
    }
}

/// Reads a segment up to the record `last`, and returns the byte after it.
fn read_to<F: DiskFile>(segment: &mut SegmentReader<F>, last: Lsn) -> Result<u64, RepairError> {
    let mut whole = segment.last();
    let mut is_unit_end = true;
    while segment.last() < last {
        let Some(record) = segment.next(RECORD_BYTES_MAX)? else {
            return Err(RepairError::NotReadable { readable_to: whole });
        };
        is_unit_end = record.is_unit_end;
        if is_unit_end {
            whole = record.lsn;
        }
    }
    if segment.last() > last {
        return Err(RepairError::NotReadable { readable_to: whole });
    }
    if !is_unit_end {
        return Err(RepairError::InsideBatch { truncate_after: last, before: whole });
    }
    Ok(segment.offset())
}

/// Returns the start of the newest snapshot that holds nothing behind `last`, and the names of those that do.
///
/// A damaged one goes by its name: it was published when the log was durable up to there.
fn sort_snapshots<D: Disk>(disk: &D, names: &[String], last: Lsn) -> (Lsn, Vec<String>) {
    let (mut start, mut beyond) = (Lsn::ZERO, Vec::new());
    let log = names.iter().rfind(|name| parse_file_name(name).is_some());
    let log_uuid = log.and_then(|name| SegmentReader::open(disk, name).ok()).map(|log| log.header().log_uuid);
    for name in names {
        let Some(named) = parse_snapshot_name(name) else { continue };
        match usable_snapshot(disk, name, log_uuid, |_, _| {}) {
            Ok(snapshot) if snapshot.info().end <= last => start = start.max(named),
            Err(_) if named <= last => {}
            Ok(_) | Err(_) => beyond.push(name.clone()),
        }
    }
    (start, beyond)
}

/// Moves away what is behind the cut and puts in place a segment that ends there.
fn carry_out<D: Disk>(disk: &D, cut: &mut Cut<D::File>, plan: &RepairPlan) -> Result<(), RepairError> {
    let done = write_kept(disk, cut).and_then(|()| {
        for Taken { file, range, copy } in &plan.taken {
            let moved = match range {
                Some(range) => disk.quarantine(copy, &cut.segment.raw(range.clone())?).map(|_| ()),
                None => disk.set_aside(file, copy),
            };
            moved.map_err(RepairError::of(Operation::Quarantine, file))?;
        }
        let name = cut.segment.name();
        disk.rename(UNFINISHED_NAME, name).map_err(RepairError::of(Operation::Rename, name))?;
        disk.sync_directory().map_err(RepairError::of(Operation::SyncDirectory, ""))
    });
    if done.is_err() {
        // What stays behind is never read, and the next opening removes it.
        let _ = disk.remove(UNFINISHED_NAME);
    }
    done
}

/// Writes the segment as it is up to the cut, and behind it a mark that is no record, to a file of its own.
fn write_kept<D: Disk>(disk: &D, cut: &mut Cut<D::File>) -> Result<(), RepairError> {
    let mut bytes = cut.segment.raw(0..cut.offset)?;
    bytes.extend_from_slice(&CUT_MARK);
    bytes.extend_from_slice(&cut.last.as_u64().to_le_bytes());
    let made = bytes.len() as u64;
    // Nothing is ever appended to it, so it is made no longer than it is.
    set_made_bytes(&mut bytes, made);
    let of = |operation| RepairError::of(operation, UNFINISHED_NAME);
    let mut file = disk.create(UNFINISHED_NAME).map_err(of(Operation::Create))?;
    file.allocate(made).map_err(of(Operation::Allocate))?;
    file.write_at(&bytes, 0).map_err(of(Operation::Write))?;
    file.sync().map_err(of(Operation::Sync))
}

/// Returns a name for a copy that the quarantine does not have.
fn free_name(file: &str, range: Option<&Range<u64>>, quarantined: &[String]) -> String {
    // Openings name the torn tails that they set aside after their offset alone.
    let base = range.map_or(file.to_owned(), |range| format!("{file}-{}.cut", range.start));
    let numbered = (2..).map(|number| format!("{base}.{number}"));
    let mut names = std::iter::once(base.clone()).chain(numbered);
    names
        .find(|name| !quarantined.contains(name))
        .expect("a quarantine has fewer files than there are numbers")
}

/// Stands where a log was cut. It is no record, so that an opening takes it for a torn tail and knows that records
/// may be missing.
const CUT_MARK: [u8; 8] = *b"TRLSCUT\0";
