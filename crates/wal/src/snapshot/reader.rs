//! Reading a snapshot: first all of it to verify it, then its chunks.

use std::fmt;
use std::io;
use std::ops::Range;

use super::{
    CHUNK_HEADER_BYTES, ChunkHeader, ChunkKind, Footer, SNAPSHOT_HEADER_BYTES, SnapshotHeader, Uuid,
    intact_checksum, parse_snapshot_name,
};
use crate::disk::{Disk, DiskFile};
use crate::error::SnapshotDamage;
use crate::lsn::Lsn;
use crate::reader::Window;

/// A snapshot all of whose bytes have been read and found right, and its chunks in the order they were written.
///
/// Every chunk is verified once more as it is handed out. After an error the state that was built from the
/// chunks must not be used.
pub struct SnapshotReader<D: Disk> {
    scan: Scan<D::File>,
    info: SnapshotInfo,
}

impl<D: Disk> SnapshotReader<D> {
    /// Opens a snapshot and reads all of it. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`SnapshotDamage`] tells the first thing that is wrong.
    pub fn open(disk: &D, name: &str) -> Result<Self, SnapshotDamage> {
        Self::open_with(disk, name, |_, _| {})
    }

    /// Does as [`SnapshotReader::open`], and tells `on_progress` the bytes read and those there are after each chunk.
    ///
    /// # Errors
    ///
    /// Those of [`SnapshotReader::open`].
    pub fn open_with(
        disk: &D,
        name: &str,
        mut on_progress: impl FnMut(u64, u64),
    ) -> Result<Self, SnapshotDamage> {
        let mut scan = Scan::open(disk, name)?;
        if parse_snapshot_name(name) != Some(scan.header.start) {
            return Err(SnapshotDamage::Misnamed { start: scan.header.start });
        }
        loop {
            let step = scan.step()?;
            on_progress(scan.offset, scan.file_bytes);
            if let Step::End(footer) = step {
                let info = scan.info(footer);
                scan.rewind();
                return Ok(Self { scan, info });
            }
        }
    }

    /// Returns the next chunk; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`SnapshotDamage`] if the file is not any more what was verified.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, SnapshotDamage> {
        match self.scan.step()? {
            Step::Chunk => Ok(Some(self.scan.chunk())),
            Step::End(_) => Ok(None),
        }
    }

    /// Returns what is known of the snapshot.
    pub fn info(&self) -> &SnapshotInfo {
        &self.info
    }
}

impl<D: Disk> fmt::Debug for SnapshotReader<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotReader").field("info", &self.info).finish_non_exhaustive()
    }
}

/// What is known of a snapshot that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Name of its file.
    pub name: String,
    /// The log that it belongs to.
    pub log_uuid: [u8; 16],
    /// It holds all that the records up to here did; replay starts behind.
    pub start: Lsn,
    /// It may hold what records up to here did; all of them were durable when it was published.
    pub end: Lsn,
    /// How many chunks it has.
    pub chunks: u64,
    /// Bytes of all chunks.
    pub payload_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

impl fmt::Display for SnapshotInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, log_uuid, start, end, chunks, payload_bytes, file_bytes } = self;
        let log = Uuid(log_uuid);
        write!(
            f,
            "{name}: log {log}, LSN {start} to {end}, {chunks} chunks of {payload_bytes} bytes, {file_bytes} bytes in all"
        )
    }
}

/// Reads a snapshot in bounded steps, each of which verifies one chunk.
pub(crate) struct Scan<F> {
    name: String,
    file: F,
    file_bytes: u64,
    header: SnapshotHeader,
    seed: u32,
    offset: u64,
    index: u64,
    payload_bytes: u64,
    crcs: u32,
    window: Window,
    payload: Range<usize>,
}

impl<F: DiskFile> Scan<F> {
    /// Opens a snapshot and checks its header.
    pub(crate) fn open<D: Disk<File = F>>(disk: &D, name: &str) -> Result<Self, SnapshotDamage> {
        let file = disk.open(name).map_err(unreadable(0))?;
        let file_bytes = file.bytes().map_err(unreadable(0))?;
        let mut bytes = [0; SNAPSHOT_HEADER_BYTES];
        if file.read_at(&mut bytes, 0).map_err(unreadable(0))? < bytes.len() {
            return Err(SnapshotDamage::Header);
        }
        let (header, seed) = SnapshotHeader::decode(&bytes)?;
        Ok(Self {
            name: name.to_owned(),
            file,
            file_bytes,
            header,
            seed,
            offset: SNAPSHOT_HEADER_BYTES as u64,
            index: 0,
            payload_bytes: 0,
            crcs: 0,
            window: Window::default(),
            payload: 0..0,
        })
    }

    /// Verifies the next chunk, or the footer. After the footer it stands still.
    pub(crate) fn step(&mut self) -> Result<Step, SnapshotDamage> {
        let (index, offset, left) = (self.index, self.offset, self.file_bytes - self.offset);
        if left < CHUNK_HEADER_BYTES as u64 {
            return Err(SnapshotDamage::Unfinished { offset });
        }
        let damaged = SnapshotDamage::Chunk { index, offset };
        let bytes = self.load(CHUNK_HEADER_BYTES)?;
        let Some(&head) = bytes.first_chunk() else { return Err(damaged) };
        let Some(header) = ChunkHeader::decode(&head).filter(|header| header.index == index) else {
            return Err(damaged);
        };
        // The length is not believed beyond the file, and only then are so many bytes read.
        let framed = header.framed_bytes();
        if framed as u64 > left {
            return Err(damaged);
        }
        let seed = self.seed;
        let rest = self.load(framed)?.get(CHUNK_HEADER_BYTES..framed);
        let Some(crc) = rest.and_then(|rest| intact_checksum(seed, &head, rest)) else { return Err(damaged) };
        let start = self.window.index_of(offset) + CHUNK_HEADER_BYTES;
        self.payload = start..start + header.payload_bytes as usize;
        if header.kind == ChunkKind::Footer {
            return self.check_footer(offset + framed as u64).map(Step::End);
        }
        self.offset += framed as u64;
        self.index += 1;
        self.payload_bytes += u64::from(header.payload_bytes);
        self.crcs = crc32c::crc32c_append(self.crcs, &crc.to_le_bytes());
        Ok(Step::Chunk)
    }

    /// Returns to the first chunk.
    pub(crate) fn rewind(&mut self) {
        self.offset = SNAPSHOT_HEADER_BYTES as u64;
        (self.index, self.payload_bytes, self.crcs) = (0, 0, 0);
    }

    /// Returns the payload of the chunk that was verified last.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.window.bytes()[self.payload.clone()]
    }

    /// Returns how many chunks were verified, and the bytes of their payloads and of the file up to their end.
    pub(crate) fn position(&self) -> (u64, u64, u64) {
        (self.index, self.payload_bytes, self.offset)
    }

    /// Returns what is known after the footer was verified.
    pub(crate) fn info(&self, footer: Footer) -> SnapshotInfo {
        SnapshotInfo {
            name: self.name.clone(),
            log_uuid: self.header.log_uuid,
            start: self.header.start,
            end: footer.end,
            chunks: self.index,
            payload_bytes: self.payload_bytes,
            file_bytes: self.file_bytes,
        }
    }

    /// Compares the footer, which ends at `end_offset`, with all that was read before it.
    fn check_footer(&self, end_offset: u64) -> Result<Footer, SnapshotDamage> {
        let damaged = SnapshotDamage::Footer { offset: self.offset };
        let Some(footer) = Footer::decode(self.chunk()) else { return Err(damaged) };
        let is_right = footer.payload_bytes == self.payload_bytes
            && footer.crcs == self.crcs
            && (self.header.start..=Lsn::CREDIBLE_MAX).contains(&footer.end);
        if !is_right {
            return Err(damaged);
        }
        if end_offset != self.file_bytes {
            return Err(SnapshotDamage::Trailing { offset: end_offset });
        }
        Ok(footer)
    }

    fn load(&mut self, bytes: usize) -> Result<&[u8], SnapshotDamage> {
        let offset = self.offset;
        self.window.load(&self.file, self.file_bytes, offset, bytes).map_err(unreadable(offset))
    }
}

/// What a step of a [`Scan`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A chunk, which can be looked at until the next step.
    Chunk,
    /// The end of a snapshot that is whole.
    End(Footer),
}

fn unreadable(offset: u64) -> impl FnOnce(io::Error) -> SnapshotDamage {
    move |error| SnapshotDamage::Unreadable { offset, kind: error.kind() }
}
