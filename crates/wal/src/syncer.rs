//! The one writer of the log: takes what is pending, writes it, syncs it and says so.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::disk::Disk;
use crate::error::{PoisonCause, SyncError};
use crate::lsn::Lsn;
use crate::queue::{Batch, Pending, Position, Queue, Work};
use crate::record::{Kind, RecordHeader, framed_bytes};
use crate::writer::{WriteError, Writer};

/// Owns the disk of an open log. Give it a thread and [`Syncer::run`], or call [`Syncer::sync_once`] by hand.
///
/// There is no timer in front of a sync: a group is whatever arrived while the one before it was synced
/// (DeWitt and others, "Implementation techniques for main memory database systems", SIGMOD 1984).
///
/// Dropping it without [`Syncer::seal`] fails the log, and all who wait are told.
pub struct Syncer<D: Disk> {
    writer: Writer<D>,
    queue: Arc<Queue>,
    /// Records that were taken from the queue and are not written yet.
    batch: Batch,
    /// The bytes of the next write.
    buffer: Vec<u8>,
    batch_bytes_max: usize,
    durable: Lsn,
    /// Up to where the disk says that the log is durable.
    attested: Lsn,
    /// Whether a record was written since the log was opened.
    has_written: bool,
    is_ended: bool,
}

impl<D: Disk> Syncer<D> {
    pub(crate) fn new(writer: Writer<D>, queue: Arc<Queue>, config: &Config, durable: Lsn) -> Self {
        Self {
            writer,
            queue,
            batch: Batch::default(),
            buffer: Vec::new(),
            batch_bytes_max: config.batch_bytes_max,
            durable,
            attested: durable,
            has_written: false,
            is_ended: false,
        }
    }

    /// Works until the log is closed or fails, and tells `on_synced` every durable LSN and every error.
    ///
    /// Blocks until records are pending. When nothing has arrived for 10 ms it attests what is durable. After
    /// [`SyncError::DiskFull`] it tries again every 500 ms; after [`SyncError::Poisoned`] it returns. After
    /// [`Log::close`](crate::Log::close) it writes what is pending, once, seals the log and returns.
    pub fn run(mut self, mut on_synced: impl FnMut(Result<Lsn, SyncError>)) {
        loop {
            let idle = (self.attested < self.durable).then_some(IDLE_BEFORE_ATTEST);
            let done = match self.queue.wait_for_work(idle) {
                Work::Sync => self.sync_with(&mut on_synced),
                Work::Idle => self.attest(),
                Work::Close => {
                    if let Err(error) = self.seal_with(&mut on_synced) {
                        on_synced(Err(error));
                    }
                    return;
                }
            };
            match done {
                Ok(()) => {}
                Err(SyncError::DiskFull) => {
                    on_synced(Err(SyncError::DiskFull));
                    self.queue.wait_for_close(DISK_FULL_PAUSE);
                }
                Err(error @ SyncError::Poisoned(_)) => {
                    on_synced(Err(error));
                    return;
                }
            }
        }
    }

    /// Makes durable all that is pending when it is called. Without anything pending it does not touch the
    /// disk.
    ///
    /// One write and one sync for as many records as `batch_bytes_max` and the segment allow, and so on.
    ///
    /// # Errors
    ///
    /// [`SyncError::DiskFull`]: what did not fit stays pending. [`SyncError::Poisoned`]: the log has failed.
    /// [`Log::durable`](crate::Log::durable) tells how far it came.
    pub fn sync_once(&mut self) -> Result<Synced, SyncError> {
        let mut synced = Synced { durable: self.durable, records: 0, bytes: 0 };
        let target = self.queue.last();
        self.check_usable()?;
        while self.durable < target {
            let group = self.sync_group()?;
            synced.durable = group.durable;
            synced.records += group.records;
            synced.bytes += group.bytes;
        }
        Ok(synced)
    }

    /// Writes down that all up to the durable LSN is durable, if the disk does not say so yet.
    ///
    /// Without it, damage to the last group before a crash could not be told from a torn tail.
    ///
    /// # Errors
    ///
    /// As for [`Syncer::sync_once`]; no record is affected by [`SyncError::DiskFull`].
    pub fn attest(&mut self) -> Result<(), SyncError> {
        self.check_usable()?;
        if self.attested == self.durable {
            return Ok(());
        }
        let header = RecordHeader::control(Kind::Attest, self.durable);
        if self.writer.room() < header.framed_bytes() as u64 {
            // The header of the next segment attests as well.
            self.make_room()?;
        } else {
            self.buffer.clear();
            header.encode_into(self.writer.salt(), &[], &mut self.buffer);
            self.writer.append(&self.buffer).map_err(|error| fail(&self.queue, error))?;
        }
        self.attested = self.durable;
        Ok(())
    }

    /// Makes durable what is pending, seals the log and gives up the disk.
    ///
    /// The next opening then knows that nothing is missing.
    ///
    /// # Errors
    ///
    /// As for [`Syncer::sync_once`]. The log is not sealed, and has failed for all who still use it.
    pub fn seal(mut self) -> Result<(), SyncError> {
        self.seal_with(&mut |_| {})
    }

    fn seal_with(&mut self, on_synced: &mut impl FnMut(Result<Lsn, SyncError>)) -> Result<(), SyncError> {
        self.queue.close();
        self.check_usable()?;
        self.sync_with(on_synced)?;
        // A log that got no record is left as it was found, with the doubt there may be about its tail.
        if self.has_written {
            self.writer.seal(self.durable).map_err(|error| fail(&self.queue, error))?;
        }
        self.is_ended = true;
        Ok(())
    }

    /// Does as `sync_once`, and tells of every group on its own.
    fn sync_with(&mut self, on_synced: &mut impl FnMut(Result<Lsn, SyncError>)) -> Result<(), SyncError> {
        let target = self.queue.last();
        while self.durable < target {
            let group = self.sync_group()?;
            on_synced(Ok(group.durable));
        }
        Ok(())
    }

    /// Makes the next units durable, as many as one write takes.
    fn sync_group(&mut self) -> Result<Synced, SyncError> {
        if self.batch.is_empty() {
            self.queue.take(&mut self.batch);
        }
        if self.writer.room() < unit_bytes(self.batch.unit()) {
            self.make_room()?;
        }
        let mut group = Synced { durable: self.durable, records: 0, bytes: 0 };
        self.buffer.clear();
        let limit = self.writer.room().min(self.batch_bytes_max as u64);
        while !self.batch.is_empty() && self.buffer.len() as u64 + unit_bytes(self.batch.unit()) <= limit {
            self.encode_unit(&mut group);
        }
        self.writer.append(&self.buffer).map_err(|error| fail(&self.queue, error))?;
        // What was durable before this group is attested by each of its records.
        self.attested = self.durable;
        self.durable = group.durable;
        self.has_written = true;
        self.queue.on_durable(group.durable, self.buffer.len());
        Ok(group)
    }

    fn encode_unit(&mut self, group: &mut Synced) {
        for _ in 0..self.batch.unit().len() {
            let Some((record, payload)) = self.batch.pop() else { return };
            group.durable = group.durable.next();
            group.records += 1;
            group.bytes += payload.len();
            let header = RecordHeader {
                kind: if record.position == Position::Alone { Kind::Data } else { Kind::BatchPart },
                is_unit_end: record.position != Position::BatchPart,
                payload_bytes: record.payload_bytes,
                lsn: group.durable,
                attested: self.durable,
            };
            header.encode_into(self.writer.salt(), payload, &mut self.buffer);
        }
    }

    /// Leaves the current segment for the next one, which attests all that is durable.
    fn make_room(&mut self) -> Result<(), SyncError> {
        self.writer.rotate(self.durable).map_err(|error| fail(&self.queue, error))?;
        self.attested = self.durable;
        Ok(())
    }

    fn check_usable(&self) -> Result<(), SyncError> {
        self.queue.poisoned().map_or(Ok(()), |poisoned| Err(poisoned.into()))
    }
}

impl<D: Disk> Drop for Syncer<D> {
    fn drop(&mut self) {
        self.queue.on_syncer_gone(self.is_ended);
    }
}

impl<D: Disk> fmt::Debug for Syncer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Syncer")
            .field("durable", &self.durable)
            .field("attested", &self.attested)
            .field("position", &self.writer.position())
            .finish_non_exhaustive()
    }
}

/// What one call made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The last durable record.
    pub durable: Lsn,
    /// How many records became durable.
    pub records: usize,
    /// Bytes of their payloads.
    pub bytes: usize,
}

/// Poisons the log, unless the disk is only full.
fn fail(queue: &Queue, error: WriteError) -> SyncError {
    match error {
        WriteError::DiskFull => SyncError::DiskFull,
        WriteError::Failed { operation, source, .. } => {
            queue.poison(PoisonCause::disk(operation, &source)).into()
        }
    }
}

fn unit_bytes(unit: &[Pending]) -> u64 {
    unit.iter().map(|record| framed_bytes(record.payload_bytes as usize) as u64).sum()
}

/// How long nothing arrives before the tail is attested: one more sync, and only when none is due.
const IDLE_BEFORE_ATTEST: Duration = Duration::from_millis(10);

/// How long a full disk is left alone.
const DISK_FULL_PAUSE: Duration = Duration::from_millis(500);
