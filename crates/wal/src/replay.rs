//! The records that a log held when it was opened.

use std::collections::VecDeque;
use std::fmt;

use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, OpenError};
use crate::lsn::Lsn;
use crate::reader::SegmentReader;
use crate::recovery::{RecoveryProgress, RecoveryStage};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};

/// Yields every record behind the start of the replay, in the order of their LSNs, read as they are asked for.
///
/// An atomic batch is yielded whole or not at all. After an error it ends; the log must not be used then, as
/// records are missing. Holds one segment open, and in memory a megabyte of it and one batch.
pub struct Records<D: Disk> {
    disk: D,
    spans: std::vec::IntoIter<Span>,
    current: Option<(SegmentReader<D::File>, Span)>,
    /// The records of a unit that was read to its end.
    ready: VecDeque<(Lsn, Vec<u8>)>,
    /// Records up to here are not yielded.
    start: Lsn,
    record_bytes_max: u32,
    has_failed: bool,
    /// Bytes of the spans that were read to their end, and of all.
    bytes_done: u64,
    bytes_total: u64,
}

impl<D: Disk> Records<D> {
    pub(crate) fn new(disk: D, spans: Vec<Span>, start: Lsn, record_bytes_max: u32) -> Self {
        Self {
            disk,
            bytes_done: 0,
            bytes_total: spans.iter().map(Span::bytes).sum(),
            spans: spans.into_iter(),
            current: None,
            ready: VecDeque::new(),
            start,
            record_bytes_max,
            has_failed: false,
        }
    }

    /// Returns how many bytes of the log were read, and how many there are to be read.
    pub fn progress(&self) -> RecoveryProgress {
        let current =
            self.current.as_ref().map_or(0, |(reader, _)| reader.offset() - SEGMENT_HEADER_BYTES as u64);
        RecoveryProgress {
            stage: RecoveryStage::Replay,
            bytes_done: self.bytes_done + current,
            bytes_total: self.bytes_total,
        }
    }

    /// Reads until a unit is ready or the last segment has ended.
    fn read_unit(&mut self) -> Result<(), OpenError> {
        let mut parts = VecDeque::new();
        while self.ready.is_empty() {
            let Some((reader, span)) = &mut self.current else {
                let Some(span) = self.spans.next() else { return Ok(()) };
                self.current = Some((SegmentReader::open(&self.disk, &span.name)?, span));
                continue;
            };
            if reader.offset() >= span.end {
                if reader.offset() > span.end || reader.last() != span.last || !parts.is_empty() {
                    return Err(damaged(reader, span.last));
                }
                self.bytes_done += span.bytes();
                self.current = None;
                continue;
            }
            let Some(record) = reader.next(self.record_bytes_max)? else {
                return Err(damaged(reader, span.last));
            };
            if !record.kind.is_control() && record.lsn > self.start {
                parts.push_back((record.lsn, reader.payload().to_vec()));
            }
            if record.is_unit_end {
                self.ready = std::mem::take(&mut parts);
            }
        }
        Ok(())
    }
}

impl<D: Disk> Iterator for Records<D> {
    type Item = Result<(Lsn, Vec<u8>), OpenError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        if self.ready.is_empty()
            && let Err(error) = self.read_unit()
        {
            self.has_failed = true;
            return Some(Err(error));
        }
        self.ready.pop_front().map(Ok)
    }
}

impl<D: Disk> fmt::Debug for Records<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("segments_left", &self.spans.len())
            .field("has_failed", &self.has_failed)
            .finish_non_exhaustive()
    }
}

/// The part of a segment that counts.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    /// The byte after the last record that counts.
    pub(crate) end: u64,
    pub(crate) last: Lsn,
}

impl Span {
    /// Returns the part of the segment `name` that counts according to the one after it.
    pub(crate) fn before(name: &str, successor: &SegmentHeader) -> Self {
        let predecessor = successor.predecessor;
        Self { name: name.to_owned(), end: predecessor.end_offset, last: predecessor.last_lsn }
    }

    /// Returns the bytes behind the header.
    pub(crate) fn bytes(&self) -> u64 {
        self.end.saturating_sub(SEGMENT_HEADER_BYTES as u64)
    }
}

/// Reads a segment up to where it ends according to the one after it.
pub(crate) fn check_span<F: DiskFile>(
    reader: &mut SegmentReader<F>,
    span: &Span,
    record_bytes_max: u32,
) -> Result<(), OpenError> {
    let mut is_unit_end = true;
    while reader.offset() < span.end {
        match reader.next(record_bytes_max)? {
            Some(record) => is_unit_end = record.is_unit_end,
            None => return Err(damaged(reader, span.last)),
        }
    }
    if reader.offset() > span.end || reader.last() != span.last || !is_unit_end {
        return Err(damaged(reader, span.last));
    }
    Ok(())
}

/// Says that what follows in a segment is damaged: all of it was durable when the next segment was made.
fn damaged<F: DiskFile>(reader: &mut SegmentReader<F>, last: Lsn) -> OpenError {
    let first = reader.last().next();
    match reader.survey() {
        Ok(survey) => reader.corrupt(first..=last.max(first), Damage::Record { valid_after: survey.valid }),
        Err(unreadable) => unreadable,
    }
}
