//! What a directory holds, as the headers and the end of the last segment tell.

use std::fmt;

use super::RECORD_BYTES_MAX;
use super::snapshot::SnapshotView;
use crate::disk::{Disk, DiskFile};
use crate::error::OpenError;
use crate::lsn::Lsn;
use crate::reader::SegmentReader;
use crate::record::Kind;
use crate::segment::parse_file_name;
use crate::snapshot::{Uuid, parse_snapshot_name};

/// Reads the headers of all segments, the last segment, and all snapshots. Judges nothing: of the other segments it
/// does not see whether their records are whole, as [`verify`](crate::tools::verify) does.
///
/// # Errors
///
/// [`OpenError::Read`] if the directory cannot be read. What a single file hides is told in its place.
pub fn inspect<D: Disk>(disk: &D) -> Result<Inspection, OpenError> {
    let unreadable = |source| OpenError::Read { file: String::new(), offset: 0, source };
    let names = disk.list().map_err(unreadable)?;
    let mut inspection = Inspection {
        segments: Vec::new(),
        snapshots: Vec::new(),
        others: Vec::new(),
        quarantine: disk.list_quarantine().map_err(unreadable)?,
    };
    let last = names.iter().rposition(|name| parse_file_name(name).is_some());
    for (index, name) in names.into_iter().enumerate() {
        if parse_file_name(&name).is_some() {
            let facts = SegmentFacts::read(disk, &name, Some(index) == last);
            if let (Some(SegmentView { facts: Ok(previous), .. }), Ok(facts)) =
                (inspection.segments.last_mut(), &facts)
            {
                previous.last_lsn = Some(facts.predecessor_last);
            }
            inspection.segments.push(SegmentView { name, facts });
        } else if parse_snapshot_name(&name).is_some() {
            inspection.snapshots.push(super::verify_snapshot(disk, &name));
        } else {
            inspection.others.push(name);
        }
    }
    Ok(inspection)
}

/// What a directory holds.
#[derive(Debug)]
pub struct Inspection {
    /// The segments, oldest first.
    pub segments: Vec<SegmentView>,
    /// The snapshots, oldest first.
    pub snapshots: Vec<SnapshotView>,
    /// Names of other files: the lock, and what an interrupted making left behind.
    pub others: Vec<String>,
    /// Names of the files in `quarantine/`.
    pub quarantine: Vec<String>,
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| writeln!(f, "{segment}"))?;
        self.snapshots.iter().try_for_each(|snapshot| writeln!(f, "{snapshot}"))?;
        self.others.iter().try_for_each(|name| writeln!(f, "{name}"))?;
        self.quarantine.iter().try_for_each(|name| writeln!(f, "quarantine/{name}"))
    }
}

/// A segment as far as it can be read.
#[derive(Debug)]
pub struct SegmentView {
    /// Name of its file.
    pub name: String,
    /// What it says, or why it says nothing.
    pub facts: Result<SegmentFacts, OpenError>,
}

impl fmt::Display for SegmentView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.facts {
            Ok(facts) => write!(f, "{}: {facts}", self.name),
            // Every error of a file begins with its name, or has it.
            Err(error @ OpenError::Read { source, .. }) => write!(f, "{error}: {source}"),
            Err(error) => error.fmt(f),
        }
    }
}

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    /// The log that it belongs to.
    pub log_uuid: [u8; 16],
    /// Its number, from 1.
    pub number: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes that the file was made with.
    pub made_bytes: u64,
    /// Its first record, whether it has one or not.
    pub first_lsn: Lsn,
    /// Its last record, as the segment after it says; of the last segment the last before its end, or before bytes that
    /// are no record.
    pub last_lsn: Option<Lsn>,
    /// The last record of the segment before it.
    pub predecessor_last: Lsn,
    /// How it ends; only known of the last one.
    pub end: Option<SegmentEnd>,
}

impl SegmentFacts {
    fn read<D: Disk>(disk: &D, name: &str, is_last: bool) -> Result<Self, OpenError> {
        let mut segment = SegmentReader::open(disk, name)?;
        let header = segment.header();
        let mut facts = Self {
            log_uuid: header.log_uuid,
            number: header.number,
            file_bytes: segment.file_bytes(),
            made_bytes: header.segment_bytes,
            first_lsn: header.first_lsn,
            last_lsn: None,
            predecessor_last: header.predecessor.last_lsn,
            end: None,
        };
        if is_last {
            let end = SegmentEnd::find(&mut segment)?;
            (facts.last_lsn, facts.end) = (Some(segment.last()), Some(end));
        }
        Ok(facts)
    }
}

impl fmt::Display for SegmentFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, file_bytes, first_lsn, .. } = self;
        write!(f, "log {}, number {number}, {file_bytes} bytes, LSN {first_lsn} to ", Uuid(&self.log_uuid))?;
        match self.last_lsn {
            Some(last) if last < *first_lsn => f.write_str("none")?,
            Some(last) => write!(f, "{last}")?,
            None => f.write_str("unknown")?,
        }
        self.end.as_ref().map_or(Ok(()), |end| write!(f, ", {end}"))
    }
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentEnd {
    /// With the seal of a log that was closed.
    Closed,
    /// With the seal that says that another segment follows.
    Rotated,
    /// Without a seal, behind the record that ends at this offset.
    Open {
        /// The byte after the last record.
        offset: u64,
    },
    /// Behind the record that ends at this offset are bytes that are no record.
    NoRecord {
        /// The byte after the last record before them.
        offset: u64,
        /// How many there are up to the last that is not zero, records among them included.
        bytes: u64,
        /// How many intact records stand among them or behind. Without any it may be a torn tail;
        /// [`verify`](crate::tools::verify) tells.
        records_behind: usize,
    },
}

impl SegmentEnd {
    fn find<F: DiskFile>(segment: &mut SegmentReader<F>) -> Result<Self, OpenError> {
        while let Some(record) = segment.next(RECORD_BYTES_MAX)? {
            match record.kind {
                Kind::SealClosed => return Ok(Self::Closed),
                Kind::SealRotated => return Ok(Self::Rotated),
                Kind::Data | Kind::BatchPart | Kind::Attest => {}
            }
        }
        let (offset, survey) = (segment.offset(), segment.survey()?);
        Ok(match survey.end_used.saturating_sub(offset) {
            0 => Self::Open { offset },
            bytes => Self::NoRecord { offset, bytes, records_behind: survey.valid },
        })
    }
}

impl fmt::Display for SegmentEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Rotated => f.write_str("followed by another"),
            Self::Open { offset } => write!(f, "not closed, records end at offset {offset}"),
            Self::NoRecord { offset, bytes, records_behind: 0 } => {
                write!(f, "not closed, {bytes} bytes from offset {offset} on are no record")
            }
            Self::NoRecord { offset, records_behind, .. } => {
                write!(f, "no record at offset {offset}, where one should be, and {records_behind} behind it")
            }
        }
    }
}
