//! The records that a log held when it was opened.

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
/// records are missing. Holds one segment open, and in memory a megabyte of it and one batch. As an iterator it
/// copies every record; [`Records::next_record`] does not.
pub struct Records<D: Disk> {
    disk: D,
    spans: std::vec::IntoIter<Span>,
    current: Option<(SegmentReader<D::File>, Span)>,
    batch: Block,
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
            batch: Block::default(),
            start,
            record_bytes_max,
            has_failed: false,
        }
    }

    /// Returns the next record where it was read; `None` after the last, and after an error.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: it cannot be read, or is damaged.
    pub fn next_record(&mut self) -> Option<Result<(Lsn, &[u8]), OpenError>> {
        if self.has_failed {
            return None;
        }
        if self.batch.is_spent() {
            match self.read_unit() {
                Ok(Unit::Alone(lsn)) => {
                    return self.current.as_ref().map(|(reader, _)| Ok((lsn, reader.payload())));
                }
                Ok(Unit::Batch) => {}
                Ok(Unit::End) => return None,
                Err(error) => {
                    self.has_failed = true;
                    return Some(Err(error));
                }
            }
        }
        self.batch.pop().map(Ok)
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

    /// Reads until a unit is there or the last segment has ended.
    fn read_unit(&mut self) -> Result<Unit, OpenError> {
        self.batch.clear();
        let mut is_batch_open = false;
        loop {
            let Some((reader, span)) = &mut self.current else {
                let Some(span) = self.spans.next() else { return Ok(Unit::End) };
                self.current = Some((SegmentReader::open(&self.disk, &span.name)?, span));
                continue;
            };
            if reader.offset() >= span.end {
                if reader.offset() > span.end || reader.last() != span.last || is_batch_open {
                    return Err(damaged(reader, span.last));
                }
                self.bytes_done += span.bytes();
                self.current = None;
                continue;
            }
            let Some(record) = reader.next(self.record_bytes_max)? else {
                return Err(damaged(reader, span.last));
            };
            let is_wanted = !record.kind.is_control() && record.lsn > self.start;
            if is_wanted && record.is_unit_end && self.batch.is_spent() {
                return Ok(Unit::Alone(record.lsn));
            }
            if is_wanted {
                self.batch.push(record.lsn, reader.payload());
            }
            is_batch_open = !record.is_unit_end;
            if record.is_unit_end && !self.batch.is_spent() {
                return Ok(Unit::Batch);
            }
        }
    }
}

impl<D: Disk> Iterator for Records<D> {
    type Item = Result<(Lsn, Vec<u8>), OpenError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_record()?.map(|(lsn, payload)| (lsn, payload.to_vec())))
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

/// What was read.
enum Unit {
    /// A record of its own, the one that the reader is at.
    Alone(Lsn),
    /// The records of a batch.
    Batch,
    /// Nothing is left.
    End,
}

/// Records that follow each other, with their payloads in one buffer.
#[derive(Default)]
struct Block {
    payloads: Vec<u8>,
    /// Each with the byte after its payload.
    records: Vec<(Lsn, usize)>,
    /// How many were taken.
    taken: usize,
}

impl Block {
    fn push(&mut self, lsn: Lsn, payload: &[u8]) {
        self.payloads.extend_from_slice(payload);
        self.records.push((lsn, self.payloads.len()));
    }

    fn pop(&mut self) -> Option<(Lsn, &[u8])> {
        let &(lsn, end) = self.records.get(self.taken)?;
        let start = self.taken.checked_sub(1).map_or(0, |before| self.records[before].1);
        self.taken += 1;
        Some((lsn, &self.payloads[start..end]))
    }

    fn is_spent(&self) -> bool {
        self.taken == self.records.len()
    }

    fn clear(&mut self) {
        self.payloads.clear();
        self.records.clear();
        self.taken = 0;
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
