//! Where bytes go: the segment that is being filled, and the making of the next.

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::error::Operation;
use crate::fault;
use crate::lsn::Lsn;
use crate::record::{HEADER_BYTES, Kind, RecordHeader};
use crate::segment::{Predecessor, SEGMENT_HEADER_BYTES, SPARE_NAME, SegmentHeader, UNFINISHED_NAME};
use crate::spare::Spares;

/// Owns the disk of an open log. After any error other than [`WriteError::DiskFull`] it must not be used.
pub(crate) struct Writer<D: Disk> {
    disk: D,
    segment_bytes: u64,
    spares: Spares<D>,
    seed: OpenSeed,
    /// The segment that is being filled. There is none until the first record after most openings, so that
    /// a log opens on a full disk.
    current: Option<Current<D::File>>,
    /// What the next segment says while there is no current one.
    place: Place,
}

impl<D: Disk> Writer<D> {
    pub(crate) fn new(disk: D, segment_bytes: u64, seed: OpenSeed, place: Place) -> Self {
        let spares = Spares::new(disk.clone(), segment_bytes);
        Self { disk, segment_bytes, spares, seed, current: None, place }
    }

    /// Changes the place of the segment that is made first.
    pub(crate) fn start_at(&mut self, place: Place) {
        assert!(self.current.is_none(), "a place is not changed once it is taken");
        self.place = place;
    }

    /// Makes the next segment with these records, `contents`, in it and fills it from then on. The segment
    /// has its name only once all of it is durable.
    ///
    /// `make` is given the salt and returns the records' bytes.
    pub(crate) fn begin_segment(&mut self, make: impl FnOnce(u32) -> Vec<u8>) -> Result<(), WriteError> {
        let salt = self.seed.salt_of(self.place.number);
        let contents = make(salt);
        let end = (SEGMENT_HEADER_BYTES + contents.len()) as u64;
        let header = SegmentHeader {
            log_uuid: self.seed.log_uuid,
            number: self.place.number,
            first_lsn: self.place.predecessor.last_lsn.next(),
            // Records that are logged again may come from a segment larger than is configured.
            segment_bytes: self.segment_bytes.max(end + 2 * HEADER_BYTES as u64),
            predecessor: self.place.predecessor,
            salt,
        };
        let name = header.file_name();
        let spare = self.spares.take().filter(|_| header.segment_bytes == self.segment_bytes);
        let (mut file, made_as) = match spare {
            Some(file) => (file, SPARE_NAME),
            None => (self.make_file(header.segment_bytes)?, UNFINISHED_NAME),
        };
        let bytes = [header.encode(), contents].concat();
        file.write_at(&bytes, 0).map_err(WriteError::of(Operation::Write, made_as))?;
        if !fault::is_off("a segment is synced before it has its name") {
            file.sync().map_err(WriteError::of(Operation::Sync, made_as))?;
        }
        self.disk.rename(made_as, &name).map_err(WriteError::of(Operation::Rename, &name))?;
        if !fault::is_off("names are synced") {
            self.disk.sync_directory().map_err(WriteError::of(Operation::SyncDirectory, ""))?;
        }
        self.current = Some(Current { name, header, file, end });
        Ok(())
    }

    /// Leaves the current segment, whose last record is `last`, for the next one.
    ///
    /// The next segment is durable before the seal is written: a log that ends with such a seal has lost it.
    pub(crate) fn rotate(&mut self, last: Lsn) -> Result<(), WriteError> {
        if let Some(current) = &self.current {
            self.place = Place {
                number: current.header.number + 1,
                predecessor: Predecessor {
                    number: current.header.number,
                    last_lsn: last,
                    end_offset: current.end,
                },
            };
        }
        let full = self.current.take();
        let begun = self.begin_segment(|_| Vec::new());
        match (begun, full) {
            (Ok(()), Some(mut full)) => full.seal(Kind::SealRotated, last),
            (Err(error), full) => {
                self.current = full;
                Err(error)
            }
            (Ok(()), None) => Ok(()),
        }
    }

    /// Writes records, or an attestation, to the current segment and makes them durable.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let current = self.current.as_mut().expect("a segment with room was made before records are written");
        assert!(bytes.len() as u64 <= current.room(), "records are never written beyond their segment");
        current.file.write_at(bytes, current.end).map_err(WriteError::of(Operation::Write, &current.name))?;
        current.sync()?;
        current.end += bytes.len() as u64;
        // Not at once: the disk is still busy with the rotation.
        if current.end >= current.header.segment_bytes / 2 {
            self.spares.want();
        }
        Ok(())
    }

    /// Ends the log at `last`. Without a current segment there is nothing to end.
    pub(crate) fn seal(&mut self, last: Lsn) -> Result<(), WriteError> {
        self.current.as_mut().map_or(Ok(()), |current| current.seal(Kind::SealClosed, last))
    }

    /// Returns what makes the next segment ahead.
    pub(crate) fn spares(&self) -> &Spares<D> {
        &self.spares
    }

    /// Returns the bytes of records that still fit into the current segment; 0 if there is none.
    pub(crate) fn room(&self) -> u64 {
        self.current.as_ref().map_or(0, Current::room)
    }

    /// Returns the salt of the current segment.
    pub(crate) fn salt(&self) -> u32 {
        self.current.as_ref().map_or(0, |current| current.header.salt)
    }

    /// Returns the name and the end of the current segment.
    pub(crate) fn position(&self) -> Option<(&str, u64)> {
        self.current.as_ref().map(|current| (current.name.as_str(), current.end))
    }

    /// Makes the file of the next segment with its space taken. Only here is a full disk harmless.
    fn make_file(&self, bytes: u64) -> Result<D::File, WriteError> {
        let made = self.disk.create(UNFINISHED_NAME).map_err(|error| (Operation::Create, error)).and_then(
            |mut file| match file.allocate(bytes) {
                Ok(()) => Ok(file),
                Err(error) => Err((Operation::Allocate, error)),
            },
        );
        made.map_err(|(operation, error)| {
            if is_no_space(&error) {
                // What stays behind is never read, and is replaced by the next attempt.
                let _ = self.disk.remove(UNFINISHED_NAME);
                return WriteError::DiskFull;
            }
            WriteError::of(operation, UNFINISHED_NAME)(error)
        })
    }
}

/// What the next segment says of its place in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) predecessor: Predecessor,
}

impl Place {
    /// The place of the first segment.
    pub(crate) const FIRST: Self =
        Self { number: 1, predecessor: Predecessor { number: 0, last_lsn: Lsn::ZERO, end_offset: 0 } };
}

/// The randomness of one opening. Draw it afresh each time; a test that wants the same bytes gives the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSeed {
    /// The identity of the log, used if it is made by this opening. Unique among all logs.
    pub log_uuid: [u8; 16],
    /// Makes the checksums of each segment differ. Unpredictable to whoever chooses the records' bytes.
    pub salt: u64,
}

impl OpenSeed {
    /// Derives a segment's salt by the mixing function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    fn salt_of(self, segment_number: u64) -> u32 {
        let mut mixed = self.salt ^ segment_number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) as u32
    }
}

/// Why bytes are not known to be durable.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// No space for the next segment; everything is as it was.
    DiskFull,
    /// A step failed after which nothing more may be written.
    Failed { operation: Operation, file: String, source: io::Error },
}

impl WriteError {
    pub(crate) fn of(operation: Operation, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Failed { operation, file, source }
    }
}

/// Whether an error says that the disk, or the owner's part of it, is full.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

struct Current<F> {
    name: String,
    header: SegmentHeader,
    file: F,
    /// The byte after the last record.
    end: u64,
}

impl<F: DiskFile> Current<F> {
    /// Bytes for records; the seal always fits after them.
    fn room(&self) -> u64 {
        self.header.segment_bytes.saturating_sub(self.end + HEADER_BYTES as u64)
    }

    /// Makes the records that were written durable.
    fn sync(&mut self) -> Result<(), WriteError> {
        if fault::is_off("a group is synced") {
            return Ok(());
        }
        let mut synced = self.file.sync();
        if synced.is_err() && fault::is_off("a failed sync poisons") {
            synced = self.file.sync();
        }
        synced.map_err(WriteError::of(Operation::Sync, &self.name))
    }

    /// Ends the segment and gives back the space behind the end.
    fn seal(&mut self, kind: Kind, last: Lsn) -> Result<(), WriteError> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        RecordHeader::control(kind, last).encode_into(self.header.salt, &[], &mut bytes);
        self.file.write_at(&bytes, self.end).map_err(WriteError::of(Operation::Write, &self.name))?;
        self.file.sync().map_err(WriteError::of(Operation::Sync, &self.name))?;
        self.end += bytes.len() as u64;
        self.file.truncate(self.end).map_err(WriteError::of(Operation::Truncate, &self.name))
    }
}
