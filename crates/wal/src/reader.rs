//! Reading one segment in order, and what lies behind the first bytes that are no record.

use std::io;
use std::ops::{Range, RangeInclusive};

use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, OpenError, Operation};
use crate::lsn::Lsn;
use crate::record::{self, HEADER_BYTES, Kind, RECORD_ALIGN, RecordHeader};
use crate::segment::{HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader, parse_file_name};

/// Reads the records of one segment.
pub(crate) struct SegmentReader<F> {
    name: String,
    file: F,
    file_bytes: u64,
    header: SegmentHeader,
    /// Where the next record starts.
    offset: u64,
    /// The last record that was read, whole batch or not.
    last: Lsn,
    is_batch_open: bool,
    /// Whether nothing may follow in the segment.
    is_sealed: bool,
    window: Window,
    payload: Range<usize>,
}

impl<F: DiskFile> SegmentReader<F> {
    /// Opens a segment and checks its header.
    pub(crate) fn open<D: Disk<File = F>>(disk: &D, name: &str) -> Result<Self, OpenError> {
        let unreadable = |source| OpenError::Read { file: name.to_owned(), offset: 0, source };
        let file = disk.open(name).map_err(unreadable)?;
        let file_bytes = file.bytes().map_err(unreadable)?;
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(unreadable)?;
        let header = match SegmentHeader::decode(&bytes) {
            Ok(header) if read == SEGMENT_HEADER_BYTES => header,
            Err(HeaderError::Unsupported { major, minor }) => {
                return Err(OpenError::UnsupportedFormat { file: name.to_owned(), major, minor });
            }
            Ok(_) | Err(HeaderError::Invalid) => {
                let first = parse_file_name(name).unwrap_or(Lsn::ZERO);
                let lsns = first..=Lsn::MAX;
                return Err(OpenError::Corrupt {
                    file: name.to_owned(),
                    offset: 0,
                    lsns,
                    damage: Damage::Header,
                });
            }
        };
        Ok(Self {
            name: name.to_owned(),
            file,
            file_bytes,
            offset: SEGMENT_HEADER_BYTES as u64,
            last: header.predecessor.last_lsn,
            header,
            is_batch_open: false,
            is_sealed: false,
            window: Window::default(),
            payload: 0..0,
        })
    }

    /// Reads the next record; `None` if the bytes here do not continue the log.
    ///
    /// # Errors
    ///
    /// [`OpenError::Read`], or [`OpenError::RecordTooLarge`] for an intact record beyond `record_bytes_max`.
    pub(crate) fn next(&mut self, record_bytes_max: u32) -> Result<Option<RecordHeader>, OpenError> {
        let Some(header) = self.record_at(self.offset)? else { return Ok(None) };
        if !self.continues(&header) {
            return Ok(None);
        }
        if header.payload_bytes > record_bytes_max {
            return Err(OpenError::RecordTooLarge {
                file: self.name.clone(),
                lsn: header.lsn,
                bytes: header.payload_bytes,
                limit: record_bytes_max,
            });
        }
        self.offset += header.framed_bytes() as u64;
        self.last = header.lsn;
        self.is_batch_open = !header.is_unit_end;
        self.is_sealed = header.kind.is_seal();
        Ok(Some(header))
    }

    /// Returns to `offset`, the byte after the unit that ends with `last`.
    pub(crate) fn rewind(&mut self, last: Lsn, offset: u64) {
        (self.last, self.offset) = (last, offset);
        (self.is_batch_open, self.is_sealed) = (false, false);
    }

    /// Looks for records behind the one at the current offset, which is not readable.
    pub(crate) fn survey(&mut self) -> Result<Survey, OpenError> {
        let mut survey =
            Survey { end_used: self.end_used()?, valid: 0, attested: Lsn::ZERO, holds_next: false };
        let mut offset = self.offset + RECORD_ALIGN as u64;
        while offset < survey.end_used {
            let valid = self.record_at(offset)?.filter(|header| self.is_later(header, offset));
            offset += match valid {
                Some(header) => {
                    survey.valid += 1;
                    survey.attested = survey.attested.max(header.attested);
                    survey.holds_next |= header.lsn == self.last.next() && !header.kind.is_control();
                    header.framed_bytes() as u64
                }
                None => RECORD_ALIGN as u64,
            };
        }
        Ok(survey)
    }

    /// Goes to the next intact record of the segment behind bytes that are none; returns whether there is one.
    ///
    /// For looking at a damaged log only: what is read from then on does not continue what was read before.
    pub(crate) fn skip_damage(&mut self) -> Result<bool, OpenError> {
        let end_used = self.end_used()?;
        let mut offset = self.offset + RECORD_ALIGN as u64;
        while offset < end_used {
            if let Some(header) = self.record_at(offset)?.filter(|header| self.is_later(header, offset)) {
                let before = if header.kind.is_control() { 0 } else { 1 };
                self.rewind(Lsn::from_u64(header.lsn.as_u64() - before), offset);
                return Ok(true);
            }
            offset += RECORD_ALIGN as u64;
        }
        Ok(false)
    }

    /// Reads bytes of the file as they are.
    pub(crate) fn raw(&mut self, range: Range<u64>) -> Result<Vec<u8>, OpenError> {
        let mut bytes = vec![0; range.end.min(self.file_bytes).saturating_sub(range.start) as usize];
        self.file.read_at(&mut bytes, range.start).map_err(|source| OpenError::Read {
            file: self.name.clone(),
            offset: range.start,
            source,
        })?;
        Ok(bytes)
    }

    /// Writes bytes of the file once more as they are, and makes them durable.
    pub(crate) fn write_again(&mut self, range: Range<u64>) -> Result<(), OpenError> {
        let bytes = self.raw(range.clone())?;
        let written = self.file.write_at(&bytes, range.start).map_err(|source| (Operation::Write, source));
        let synced = written.and_then(|()| self.file.sync().map_err(|source| (Operation::Sync, source)));
        synced.map_err(|(operation, source)| OpenError::Write { operation, file: self.name.clone(), source })
    }

    /// Says that the records `lsns` are damaged here.
    pub(crate) fn corrupt(&self, lsns: RangeInclusive<Lsn>, damage: Damage) -> OpenError {
        OpenError::Corrupt { file: self.name.clone(), offset: self.offset, lsns, damage }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn last(&self) -> Lsn {
        self.last
    }

    /// Returns the payload of the record that was read last.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.window.bytes[self.payload.clone()]
    }

    /// Reads an intact record at `offset`, wherever it belongs.
    fn record_at(&mut self, offset: u64) -> Result<Option<RecordHeader>, OpenError> {
        let Some(&bytes) = self.load(offset, HEADER_BYTES)?.first_chunk() else { return Ok(None) };
        let Some(header) = RecordHeader::decode(&bytes) else { return Ok(None) };
        // The length is not believed beyond the file, and only then are so many bytes read.
        let framed = header.framed_bytes();
        if framed as u64 > self.file_bytes - offset {
            return Ok(None);
        }
        let salt = self.header.salt;
        let Some(bytes) = self.load(offset, framed)?.get(..framed) else { return Ok(None) };
        let is_intact = record::is_intact(salt, bytes, header.payload_bytes);
        let start = self.window.index_of(offset) + HEADER_BYTES;
        self.payload = start..start + header.payload_bytes as usize;
        Ok(is_intact.then_some(header))
    }

    /// Whether a record is the next one at the current offset.
    fn continues(&self, header: &RecordHeader) -> bool {
        if self.is_sealed {
            return false;
        }
        if header.kind.is_control() {
            return header.lsn == self.last && !self.is_batch_open;
        }
        header.lsn == self.last.next()
            && header.attested <= self.last
            && (header.kind == Kind::BatchPart || !self.is_batch_open)
    }

    /// Whether a record at `offset` can stand behind the one that is missing at the current offset.
    fn is_later(&self, header: &RecordHeader, offset: u64) -> bool {
        let records_between = (offset - self.offset) / HEADER_BYTES as u64;
        header.lsn > self.last && header.lsn.since(self.last) <= records_between + 1
    }

    /// Returns the byte after the last one, from the current offset on, that is not zero.
    fn end_used(&mut self) -> Result<u64, OpenError> {
        let (mut offset, mut end) = (self.offset, self.offset);
        while offset < self.file_bytes {
            let bytes = self.load(offset, 1)?;
            if let Some(used) = bytes.iter().rposition(|&byte| byte != 0) {
                end = offset + used as u64 + 1;
            }
            if bytes.is_empty() {
                break;
            }
            offset += bytes.len() as u64;
        }
        Ok(end)
    }

    /// Returns the bytes from `offset` on, at least `bytes` of them if the file reaches so far.
    fn load(&mut self, offset: u64, bytes: usize) -> Result<&[u8], OpenError> {
        self.window.load(&self.file, self.file_bytes, offset, bytes).map_err(|source| OpenError::Read {
            file: self.name.clone(),
            offset,
            source,
        })
    }
}

/// What lies behind the first bytes of a segment that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The byte after the last that is not zero; the current offset if all are.
    pub(crate) end_used: u64,
    /// How many intact records there are.
    pub(crate) valid: usize,
    /// Up to where they say that the log was durable.
    pub(crate) attested: Lsn,
    /// Whether the record that was expected is among them.
    pub(crate) holds_next: bool,
}

/// The part of a file that is in memory, so that small records are read by the megabyte.
#[derive(Default)]
pub(crate) struct Window {
    offset: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Returns the bytes of the file from `offset` on, at least `bytes` of them if it reaches so far.
    pub(crate) fn load<F: DiskFile>(
        &mut self,
        file: &F,
        file_bytes: u64,
        offset: u64,
        bytes: usize,
    ) -> io::Result<&[u8]> {
        let left = file_bytes.saturating_sub(offset);
        let wanted = left.min(bytes as u64);
        let is_loaded = offset >= self.offset && offset + wanted <= self.offset + self.bytes.len() as u64;
        if !is_loaded || wanted == 0 {
            let read_ahead = left.min(WINDOW_BYTES.max(bytes) as u64) as usize;
            self.bytes.resize(read_ahead, 0);
            self.offset = offset;
            let read = file.read_at(&mut self.bytes, offset);
            // What a read that failed left in the buffer is not of the file.
            self.bytes.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        let start = self.index_of(offset);
        Ok(&self.bytes[start..])
    }

    /// Returns what was loaded last and has not been left behind.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns where in [`Window::bytes`] the file's byte at `offset` is.
    pub(crate) fn index_of(&self, offset: u64) -> usize {
        (offset - self.offset) as usize
    }
}

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 1 << 20;
