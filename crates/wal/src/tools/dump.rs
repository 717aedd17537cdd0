//! The records of a log, one after the other, with all that is between them that is no record.

use std::fmt;
use std::ops::{ControlFlow, RangeInclusive};

use super::RECORD_BYTES_MAX;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::lsn::Lsn;
use crate::reader::SegmentReader;
use crate::record::{Kind, RecordHeader};
use crate::segment::parse_file_name;

/// Shows every record with an LSN in `lsns`, in the order of the files, damaged log or not.
///
/// Where the bytes do not continue the log it says so and goes on with the next intact record of the segment, and
/// then with the next segment. Records that a later segment replaced are shown as well. It ends at once when `show`
/// breaks it off.
///
/// # Errors
///
/// [`OpenError::Read`] if the directory cannot be read.
pub fn dump<D: Disk>(
    disk: &D,
    lsns: RangeInclusive<Lsn>,
    mut show: impl FnMut(Dumped<'_>) -> ControlFlow<()>,
) -> Result<(), OpenError> {
    let unreadable = |source| OpenError::Read { file: String::new(), offset: 0, source };
    let names = disk.list().map_err(unreadable)?;
    let segments: Vec<_> =
        names.iter().filter_map(|name| parse_file_name(name).map(|first| (first, name))).collect();
    for (index, &(first, name)) in segments.iter().enumerate() {
        let ends_before = segments.get(index + 1).is_some_and(|(next, _)| next <= lsns.start());
        if ends_before || first > *lsns.end() {
            continue;
        }
        let shown = dump_segment(disk, name, &lsns, &mut show)
            .unwrap_or_else(|error| show(Dumped::Unreadable(&error)));
        if shown.is_break() {
            break;
        }
    }
    Ok(())
}

/// One thing that a dump shows.
#[derive(Clone, Copy, Debug)]
pub enum Dumped<'a> {
    /// A record.
    Record(DumpedRecord<'a>),
    /// Bytes that are no record, where another should be; intact records follow in the segment.
    Damage {
        /// Name of the segment.
        file: &'a str,
        /// The first of the bytes.
        offset: u64,
        /// How many there are.
        bytes: u64,
        /// The record that should be there.
        expected: Lsn,
    },
    /// A segment, or the rest of it, that cannot be read.
    Unreadable(&'a OpenError),
}

impl fmt::Display for Dumped<'_> {
    /// Prints lengths; with `#` the payloads as well, as hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(record) => record.fmt(f),
            Self::Damage { file, offset, bytes, expected } => {
                write!(
                    f,
                    "{file} offset {offset}: {bytes} bytes are no record, LSN {expected} should be there"
                )
            }
            Self::Unreadable(error) => error.fmt(f),
        }
    }
}

/// A record as it is in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpedRecord<'a> {
    /// Name of the segment.
    pub file: &'a str,
    /// Where the record starts.
    pub offset: u64,
    /// Its position; of a record of the log itself the last position before it.
    pub lsn: Lsn,
    /// Up to where the log was durable when it was written.
    pub attested: Lsn,
    /// What it is for.
    pub kind: RecordKind,
    /// Its bytes.
    pub payload: &'a [u8],
}

impl fmt::Display for DumpedRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, lsn, attested, kind, payload } = self;
        let bytes = payload.len();
        write!(f, "{file} offset {offset}: LSN {lsn} {kind}, {bytes} bytes, attests LSN {attested}")?;
        if f.alternate() && !payload.is_empty() {
            f.write_str(": ")?;
            payload.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A record of its own.
    Data,
    /// A record of an atomic batch, not the last.
    BatchPart,
    /// The last record of an atomic batch.
    BatchEnd,
    /// Of the log itself: it says what is durable.
    Attest,
    /// Of the log itself: the log was closed here.
    Closed,
    /// Of the log itself: another segment follows.
    Rotated,
}

impl RecordKind {
    fn of(header: &RecordHeader) -> Self {
        match header.kind {
            Kind::Data => Self::Data,
            Kind::BatchPart if header.is_unit_end => Self::BatchEnd,
            Kind::BatchPart => Self::BatchPart,
            Kind::Attest => Self::Attest,
            Kind::SealClosed => Self::Closed,
            Kind::SealRotated => Self::Rotated,
        }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::BatchPart => "part of a batch",
            Self::BatchEnd => "end of a batch",
            Self::Attest => "attestation",
            Self::Closed => "seal, closed",
            Self::Rotated => "seal, another follows",
        })
    }
}

fn dump_segment<D: Disk>(
    disk: &D,
    name: &str,
    lsns: &RangeInclusive<Lsn>,
    show: &mut impl FnMut(Dumped<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, OpenError> {
    let mut segment = SegmentReader::open(disk, name)?;
    loop {
        let offset = segment.offset();
        if let Some(header) = segment.next(RECORD_BYTES_MAX)? {
            let (lsn, attested) = (header.lsn, header.attested);
            if lsns.contains(&lsn) {
                let (kind, payload) = (RecordKind::of(&header), segment.payload());
                let record = DumpedRecord { file: name, offset, lsn, attested, kind, payload };
                if show(Dumped::Record(record)).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            continue;
        }
        let expected = segment.last().next();
        if !segment.skip_damage()? {
            return Ok(ControlFlow::Continue(()));
        }
        let damage = Dumped::Damage { file: name, offset, bytes: segment.offset() - offset, expected };
        if show(damage).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}
