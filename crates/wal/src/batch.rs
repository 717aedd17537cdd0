//! Records on their way to the disk, laid out as they will be written.

use std::ops::Range;

use crate::lsn::Lsn;
use crate::record::{self, Framed, Kind, RecordHeader, framed_bytes};

/// Records in the order of their positions, in one buffer: what the disk gets, but for checksums and attestations.
///
/// The buffer takes at most [`GROWTH_BYTES`] more than its records.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// How many bytes were completed for the disk.
    done: usize,
}

impl Batch {
    /// Appends a record.
    pub(crate) fn push(&mut self, lsn: Lsn, payload: &[u8], position: Position) {
        let header = RecordHeader {
            kind: if position == Position::Alone { Kind::Data } else { Kind::BatchPart },
            is_unit_end: position != Position::BatchPart,
            payload_bytes: u32::try_from(payload.len()).expect("record_bytes_max fits 32 bits"),
            lsn,
            attested: Lsn::ZERO,
        };
        let (bytes, capacity) = (self.bytes.len(), self.bytes.capacity());
        let needed = bytes + header.framed_bytes();
        if needed > capacity {
            let grown = capacity + capacity.min(GROWTH_BYTES);
            self.bytes.reserve_exact(grown.max(needed) - bytes);
        }
        header.frame_into(payload, &mut self.bytes);
    }

    /// Returns the bytes of the next unit: a record alone, or a whole atomic batch.
    pub(crate) fn unit_bytes(&self) -> u64 {
        let mut bytes = 0;
        for record in self.rest() {
            bytes += framed_bytes(record.payload.len());
            if record.is_unit_end {
                break;
            }
        }
        bytes as u64
    }

    /// Completes as many units as `bytes_max` bytes hold.
    pub(crate) fn complete_group(&mut self, bytes_max: u64, salt: u32, attested: Lsn) -> Group {
        let mut group = Group { bytes: self.done..self.done, records: 0, payload_bytes: 0, last: attested };
        loop {
            let unit = self.unit_bytes();
            if unit == 0 || (group.bytes.len() as u64) + unit > bytes_max {
                return group;
            }
            let end = self.done + unit as usize;
            while self.done < end {
                let completed = record::complete(&mut self.bytes[self.done..], salt, attested);
                self.done += framed_bytes(completed.payload.len());
                group.records += 1;
                group.payload_bytes += completed.payload.len();
                group.last = completed.lsn;
            }
            group.bytes.end = end;
        }
    }

    /// Returns a group's bytes.
    pub(crate) fn bytes(&self, group: &Group) -> &[u8] {
        &self.bytes[group.bytes.clone()]
    }

    /// Returns the records that are not completed, in order.
    pub(crate) fn rest(&self) -> impl Iterator<Item = Framed<'_>> {
        let mut rest = &self.bytes[self.done..];
        std::iter::from_fn(move || {
            let record = Framed::first_of(rest)?;
            rest = &rest[framed_bytes(record.payload.len())..];
            Some(record)
        })
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.done == self.bytes.len()
    }

    /// Forgets what was completed, and gives memory back that only a burst needs.
    pub(crate) fn clear(&mut self) {
        assert!(self.is_empty(), "a batch is written before it is cleared");
        self.done = 0;
        if self.bytes.capacity() > GROWTH_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
    }
}

/// What one write takes.
#[derive(Debug)]
pub(crate) struct Group {
    bytes: Range<usize>,
    pub(crate) records: usize,
    pub(crate) payload_bytes: usize,
    /// Its last record.
    pub(crate) last: Lsn,
}

/// Where in its atomic batch a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Alone,
    BatchPart,
    BatchEnd,
}

/// By how much a large buffer grows at once, and what is kept of it.
const GROWTH_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_holds_little_more_than_its_records_and_gives_a_burst_back() {
        let mut batch = Batch::default();
        for number in 1..=200_000 {
            batch.push(Lsn::from_u64(number), &[7; 100], Position::Alone);
            let (held, used) = (batch.bytes.capacity(), batch.bytes.len());
            assert!(held <= used + used.min(GROWTH_BYTES), "{held} for {used}");
        }
        let group = batch.complete_group(u64::MAX, 5, Lsn::ZERO);
        assert_eq!((group.records, group.last), (200_000, Lsn::from_u64(200_000)));
        batch.clear();
        assert_eq!(batch.bytes.capacity(), 0);
    }

    #[test]
    fn a_group_ends_before_a_unit_that_does_not_fit() {
        let mut batch = Batch::default();
        batch.push(Lsn::from_u64(1), b"12345678", Position::Alone);
        batch.push(Lsn::from_u64(2), b"", Position::BatchPart);
        batch.push(Lsn::from_u64(3), b"", Position::BatchEnd);
        assert_eq!(batch.unit_bytes(), 32);
        let group = batch.complete_group(32 + 47, 5, Lsn::ZERO);
        assert_eq!((group.records, group.payload_bytes, group.last), (1, 8, Lsn::from_u64(1)));
        assert_eq!(batch.unit_bytes(), 48);
        let group = batch.complete_group(48, 5, Lsn::from_u64(1));
        assert_eq!((group.records, batch.bytes(&group).len(), batch.is_empty()), (2, 48, true));
    }
}
