//! Writing a snapshot beside a log that goes on, and publishing it.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::store::sync_names;
use super::{
    CHUNK_BYTES_MAX, ChunkHeader, ChunkKind, Footer, Known, Scan, SnapshotHeader, SnapshotInfo, Step,
    snapshot_name, unfinished_name,
};
use crate::disk::{Disk, DiskFile};
use crate::error::{Operation, SnapshotDamage, SnapshotError};
use crate::fault;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::writer::is_no_space;

/// Writes one snapshot, chunk by chunk. Made by [`Snapshots::begin`](crate::Snapshots::begin).
///
/// Each call does a bounded amount of work on the disk, so that a caller limits the rate by waiting between
/// them. Until [`SnapshotPublication::publish`] the file has a name that no opening reads. Dropping the writer,
/// or any error of the disk, abandons the snapshot: its file is removed at once if that succeeds, and otherwise by
/// the next opening. The log is never affected.
pub struct SnapshotWriter<D: Disk> {
    draft: Draft<D>,
    /// `None` once a step has failed.
    file: Option<D::File>,
    seed: u32,
    progress: SnapshotProgress,
    crcs: u32,
    unsynced_bytes: u64,
    buffer: Vec<u8>,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Bytes of the longest chunk. Chunks of about 1 MiB keep steps short and cost little.
    pub const CHUNK_BYTES_MAX: usize = CHUNK_BYTES_MAX;

    pub(super) fn create(
        disk: D,
        log_uuid: [u8; 16],
        start: Lsn,
        known: Arc<Known>,
    ) -> Result<Self, SnapshotError> {
        let draft = Draft { disk, start, known, is_published: false };
        let file = draft.disk.create(&draft.name()).map_err(|error| draft.error(Operation::Create, error))?;
        let (header, seed) = SnapshotHeader { log_uuid, start }.encode();
        let progress = SnapshotProgress { chunks: 0, payload_bytes: 0, file_bytes: 0 };
        let mut writer =
            Self { draft, file: Some(file), seed, progress, crcs: 0, unsynced_bytes: 0, buffer: header };
        writer.write_buffer()?;
        Ok(writer)
    }

    /// Writes one chunk, whose bytes are the caller's, and makes durable what was written now and then.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::ChunkTooLarge`]: nothing was written. [`SnapshotError::DiskFull`] and
    /// [`SnapshotError::Disk`]: the snapshot is abandoned, the log and other snapshots are as they were.
    pub fn append_chunk(&mut self, chunk: &[u8]) -> Result<SnapshotProgress, SnapshotError> {
        if chunk.len() > CHUNK_BYTES_MAX {
            return Err(SnapshotError::ChunkTooLarge { bytes: chunk.len(), limit: CHUNK_BYTES_MAX });
        }
        let crc = self.write_chunk(ChunkKind::Data, chunk)?;
        self.crcs = crc32c::crc32c_append(self.crcs, &crc.to_le_bytes());
        self.progress.chunks += 1;
        self.progress.payload_bytes += chunk.len() as u64;
        if self.unsynced_bytes >= SYNC_EVERY_BYTES {
            self.sync()?;
        }
        Ok(self.progress)
    }

    /// Ends the snapshot and publishes it in one go: [`SnapshotWriter::end`] and [`SnapshotPublication::publish`].
    ///
    /// # Errors
    ///
    /// Those of the two; the snapshot is abandoned.
    pub fn finish(self, log: &Log, end: Lsn) -> Result<SnapshotInfo, SnapshotError> {
        self.end(log, end)?.publish()
    }

    /// Writes the footer and makes the whole file durable.
    ///
    /// `end` is the last record whose effect the chunks may hold, or the start if that is later. All records up
    /// to it must be durable: a snapshot must not hold what the log can still lose.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::NotDurable`], or an error of the disk; the snapshot is abandoned.
    pub fn end(mut self, log: &Log, end: Lsn) -> Result<SnapshotPublication<D>, SnapshotError> {
        let (end, durable) = (end.max(self.draft.start), log.durable());
        if end > durable && !fault::is_off("a snapshot waits for the log") {
            return Err(SnapshotError::NotDurable { end, durable });
        }
        let footer = Footer { end, payload_bytes: self.progress.payload_bytes, crcs: self.crcs };
        self.write_chunk(ChunkKind::Footer, &footer.encode())?;
        self.sync()?;
        // Another handle: what is verified is what the name leads to.
        let scan = Scan::open(&self.draft.disk, &self.draft.name()).map_err(SnapshotError::NotVerified)?;
        let expected = (self.progress.chunks, footer);
        Ok(SnapshotPublication { draft: self.draft, scan, expected, verified: None })
    }

    /// Returns how far the writing is.
    pub fn progress(&self) -> SnapshotProgress {
        self.progress
    }

    fn write_chunk(&mut self, kind: ChunkKind, payload: &[u8]) -> Result<u32, SnapshotError> {
        self.buffer.clear();
        let payload_bytes = u32::try_from(payload.len()).expect("the limit of a chunk fits 32 bits");
        let header = ChunkHeader { kind, index: self.progress.chunks, payload_bytes };
        let crc = header.encode_into(self.seed, payload, &mut self.buffer);
        self.write_buffer()?;
        Ok(crc)
    }

    fn write_buffer(&mut self) -> Result<(), SnapshotError> {
        let offset = self.progress.file_bytes;
        let buffer = std::mem::take(&mut self.buffer);
        self.attempt(Operation::Write, |file| file.write_at(&buffer, offset))?;
        self.progress.file_bytes += buffer.len() as u64;
        self.unsynced_bytes += buffer.len() as u64;
        self.buffer = buffer;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SnapshotError> {
        if fault::is_off("a snapshot is synced") {
            return Ok(());
        }
        self.attempt(Operation::Sync, DiskFile::sync)?;
        self.unsynced_bytes = 0;
        Ok(())
    }

    /// Takes a step on the file; after one that failed there is no file any more.
    fn attempt(
        &mut self,
        operation: Operation,
        step: impl FnOnce(&mut D::File) -> io::Result<()>,
    ) -> Result<(), SnapshotError> {
        let mut file = self.file.take().ok_or(SnapshotError::Abandoned)?;
        step(&mut file).map_err(|error| self.draft.error(operation, error))?;
        self.file = Some(file);
        Ok(())
    }
}

impl<D: Disk> fmt::Debug for SnapshotWriter<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotWriter")
            .field("start", &self.draft.start)
            .field("progress", &self.progress)
            .field("is_abandoned", &self.file.is_none())
            .finish_non_exhaustive()
    }
}

/// How much of a snapshot was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotProgress {
    /// Chunks of the caller.
    pub chunks: u64,
    /// Their bytes.
    pub payload_bytes: u64,
    /// Bytes of the file so far.
    pub file_bytes: u64,
}

/// A snapshot that is written and durable, and is read back before it gets its name.
///
/// Dropping it abandons the snapshot.
pub struct SnapshotPublication<D: Disk> {
    draft: Draft<D>,
    scan: Scan<D::File>,
    /// How many chunks there are, and what the footer says of them.
    expected: (u64, Footer),
    verified: Option<SnapshotInfo>,
}

impl<D: Disk> SnapshotPublication<D> {
    /// Reads back one chunk; returns how much was read back, and `None` when nothing is left.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::NotVerified`] if the file is not what was written. Drop the publication then.
    pub fn verify_step(&mut self) -> Result<Option<SnapshotProgress>, SnapshotError> {
        if self.verified.is_some() {
            return Ok(None);
        }
        let (expected_chunks, expected_footer) = self.expected;
        let step = match fault::is_off("a snapshot is read back") {
            true => Step::End(expected_footer),
            false => self.scan.step().map_err(SnapshotError::NotVerified)?,
        };
        let (chunks, payload_bytes, file_bytes) = self.scan.position();
        if let Step::End(footer) = step {
            // Another snapshot, whole as it may be, is not the one that was written.
            if (chunks, footer) != self.expected && !fault::is_off("a snapshot is read back") {
                return Err(SnapshotError::NotVerified(SnapshotDamage::Footer { offset: file_bytes }));
            }
            let name = snapshot_name(self.draft.start);
            self.verified = Some(SnapshotInfo { name, chunks: expected_chunks, ..self.scan.info(footer) });
        }
        Ok(Some(SnapshotProgress { chunks, payload_bytes, file_bytes }))
    }

    /// Reads back what is left and gives the snapshot its name, durably, in place of an older one that started at the
    /// same LSN.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::NotVerified`] or [`SnapshotError::Disk`]; the snapshot is abandoned. If the last step, the
    /// sync of the directory, is what failed, the snapshot may be found by the next opening, whole, and the
    /// [`Snapshots`](crate::Snapshots) that began it remove nothing any more.
    pub fn publish(mut self) -> Result<SnapshotInfo, SnapshotError> {
        let info = loop {
            if let Some(info) = self.verified.take() {
                break info;
            }
            self.verify_step()?;
        };
        let renamed = self.draft.disk.rename(&self.draft.name(), &info.name);
        renamed.map_err(|error| self.draft.error(Operation::Rename, error))?;
        self.draft.is_published = true;
        if let Err(error) = sync_names(&self.draft.disk) {
            self.draft.known.distrust();
            return Err(self.draft.error(Operation::SyncDirectory, error));
        }
        self.draft.known.on_verified(info.start);
        Ok(info)
    }
}

impl<D: Disk> fmt::Debug for SnapshotPublication<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotPublication")
            .field("start", &self.draft.start)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}

/// The file of a snapshot that has no name yet. Dropping it removes the file.
struct Draft<D: Disk> {
    disk: D,
    start: Lsn,
    known: Arc<Known>,
    is_published: bool,
}

impl<D: Disk> Draft<D> {
    fn name(&self) -> String {
        unfinished_name(self.start)
    }

    fn error(&self, operation: Operation, source: io::Error) -> SnapshotError {
        if is_no_space(&source) {
            return SnapshotError::DiskFull;
        }
        SnapshotError::Disk { operation, file: self.name(), source }
    }
}

impl<D: Disk> Drop for Draft<D> {
    fn drop(&mut self) {
        if !self.is_published {
            // What stays behind is never read, and the next opening removes it.
            let _ = self.disk.remove(&self.name());
        }
    }
}

/// Bytes after which a snapshot is synced while it is written, so that no sync of it, nor one of the log that has
/// to wait for it, becomes long (Redis' `aof-rewrite-incremental-fsync` takes the same figure).
const SYNC_EVERY_BYTES: u64 = 4 << 20;
