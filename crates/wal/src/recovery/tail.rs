//! The last segment: where its records end, and whether what is behind them is damage or a torn tail.

use std::collections::VecDeque;
use std::ops::Range;

use super::Base;
use super::report::{RecoveryProgress, RecoveryStage};
use crate::disk::DiskFile;
use crate::error::{Damage, OpenError};
use crate::fault;
use crate::lsn::Lsn;
use crate::reader::SegmentReader;
use crate::record::Kind;
use crate::replay::Span;
use crate::segment::{Predecessor, SEGMENT_HEADER_BYTES};
use crate::writer::Place;

/// What the last segment holds.
pub(crate) struct Tail<F> {
    pub(crate) reader: SegmentReader<F>,
    /// The last record of the last whole unit.
    pub(crate) last: Lsn,
    /// Up to where the records are attested, and the byte after these.
    pub(crate) attested: Lsn,
    pub(crate) attested_end: u64,
    /// The units after that: the last LSN of each and the byte after it.
    pub(crate) unattested: VecDeque<(Lsn, u64)>,
    pub(crate) is_sealed: bool,
    /// The bytes at the end that are no records.
    pub(crate) torn: Option<Range<u64>>,
}

impl<F: DiskFile> Tail<F> {
    /// Reads the segment and judges its end.
    pub(crate) fn read(
        reader: SegmentReader<F>,
        record_bytes_max: u32,
        base: Base,
        on_progress: &mut dyn FnMut(RecoveryProgress),
    ) -> Result<Self, OpenError> {
        let attested = reader.header().predecessor.last_lsn;
        let mut tail = Self {
            last: attested,
            attested,
            attested_end: SEGMENT_HEADER_BYTES as u64,
            unattested: VecDeque::new(),
            is_sealed: false,
            torn: None,
            reader,
        };
        let mut whole_end = tail.attested_end;
        let mut told = 0;
        while let Some(record) = tail.reader.next(record_bytes_max)? {
            let (bytes_done, bytes_total) = (tail.reader.offset(), tail.reader.file_bytes());
            if bytes_done - told >= TELL_EVERY_BYTES {
                told = bytes_done;
                on_progress(RecoveryProgress { stage: RecoveryStage::Tail, bytes_done, bytes_total });
            }
            if record.is_unit_end {
                whole_end = tail.reader.offset();
                tail.last = record.lsn;
                // A seal or an attestation that can be read is not for that durable: its sync may have failed. What a
                // later segment says of this one must not count on it.
                if !record.kind.is_control() {
                    tail.unattested.push_back((tail.last, whole_end));
                }
            }
            tail.on_attested(record.attested);
            match record.kind {
                Kind::SealRotated => {
                    let lsns = record.lsn.next()..=Lsn::MAX;
                    return Err(tail.reader.corrupt(lsns, Damage::SuccessorMissing));
                }
                Kind::SealClosed => {
                    tail.is_sealed = true;
                    tail.on_attested(base.durable);
                    return tail.reaching(base.durable);
                }
                Kind::Data | Kind::BatchPart | Kind::Attest => {}
            }
        }
        tail.judge_end(whole_end, base.durable)?;
        tail.on_attested(base.durable);
        if fault::is_off("an unattested tail is logged again") {
            tail.on_attested(tail.last);
        }
        tail.reaching(base.durable)
    }

    /// Refuses a log that ends before what is known to have been durable.
    fn reaching(self, durable: Lsn) -> Result<Self, OpenError> {
        if self.last < durable {
            return Err(OpenError::EndMissing { last: self.last, durable });
        }
        Ok(self)
    }

    fn on_attested(&mut self, attested: Lsn) {
        while let Some(&(lsn, end)) = self.unattested.front()
            && lsn <= attested
        {
            (self.attested, self.attested_end) = (lsn, end);
            self.unattested.pop_front();
        }
    }

    /// Tells damage from a torn tail, which starts at `whole_end`, where the reader stopped or before it.
    fn judge_end(&mut self, whole_end: u64, durable: Lsn) -> Result<(), OpenError> {
        let expected = self.reader.last().next();
        let survey = self.reader.survey()?;
        let is_anything_there = survey.end_used > self.reader.offset();
        let attested = if is_anything_there { survey.attested.max(durable) } else { survey.attested };
        // Groups are written and synced one after the other. So what a later group attests was synced, and
        // the record that is missing here cannot stand behind other bytes of its own group either.
        if attested >= expected || survey.holds_next {
            let lsns = expected..=attested.max(expected);
            return Err(self.reader.corrupt(lsns, Damage::Record { valid_after: survey.valid }));
        }
        let (found, made) = (self.reader.file_bytes(), self.reader.header().segment_bytes);
        if found < made {
            return Err(self.reader.corrupt(expected..=Lsn::MAX, Damage::Shortened { found, made }));
        }
        let end = survey.end_used.max(self.reader.offset());
        self.torn = (whole_end < end).then_some(whole_end..end);
        Ok(())
    }

    pub(crate) fn is_certain(&self) -> bool {
        self.is_sealed || (self.unattested.is_empty() && self.torn.is_none())
    }

    /// Returns what the next segment says of its place.
    ///
    /// It takes the place of this one if nothing of this one is attested, as the two would have one name.
    pub(crate) fn next_place(&self) -> Place {
        let header = self.reader.header();
        if self.attested < header.first_lsn {
            return Place { number: header.number, predecessor: header.predecessor };
        }
        let (last_lsn, end_offset) = (self.attested, self.attested_end);
        Place {
            number: header.number + 1,
            predecessor: Predecessor { number: header.number, last_lsn, end_offset },
        }
    }

    /// Returns the part of the segment whose records stay where they are.
    pub(crate) fn attested_span(&self) -> Option<Span> {
        (self.attested >= self.reader.header().first_lsn).then(|| Span {
            name: self.reader.name().to_owned(),
            end: self.attested_end,
            last: self.attested,
        })
    }
}

/// Bytes between two reports of progress.
const TELL_EVERY_BYTES: u64 = 1 << 20;
