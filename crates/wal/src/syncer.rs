//! The one writer of the log: takes what is pending, writes it, syncs it and says so.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::Batch;
use crate::config::Config;
use crate::disk::Disk;
use crate::error::{PoisonCause, SyncError};
use crate::lsn::Lsn;
use crate::queue::{Duty, IDLE_BEFORE_CHORES, Lead, Queue, Wake};
use crate::record::{Kind, RecordHeader};
use crate::spare::Spares;
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
    /// Records that were taken from the queue and are not all written.
    batch: Batch,
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
            batch_bytes_max: config.batch_bytes_max,
            durable,
            attested: durable,
            has_written: false,
            is_ended: false,
        }
    }

    /// Works until the log is closed or fails, and tells `on_synced` every durable LSN and every error, except that the
    /// disk is full while no record waits for it.
    ///
    /// Blocks until there is something to do. A caller that waits for its record syncs by itself while no sync is
    /// under way, along with all that is pending; this thread does so for what nobody waits for, and when something
    /// is pending behind such a caller. When nothing has arrived for 10 ms it attests what is durable, and makes the
    /// next segment ahead unless [`Syncer::spare_maker`] was asked for. After [`SyncError::DiskFull`] it tries again
    /// every 500 ms; after [`SyncError::Poisoned`] it returns. After [`Log::close`](crate::Log::close) it writes what
    /// is pending, once, seals the log and returns.
    ///
    /// `on_synced` is called by whoever synced, by one at a time and in order, before the next sync begins: it must
    /// not wait for the log. When this returns, it has been called for the last time and the syncer has given up the
    /// disk.
    ///
    /// # Panics
    ///
    /// If `on_synced` does, here or in the call of the caller who synced. The log has failed then, and all who wait
    /// are told.
    pub fn run(self, on_synced: impl FnMut(Result<Lsn, SyncError>) + Send + 'static) {
        let (queue, spares) = (Arc::clone(&self.queue), self.writer.spares().clone());
        queue.lend(Box::new(Lent { syncer: self, on_synced }));
        let _recall = Recall(&queue);
        loop {
            match queue.wait_for_duty() {
                Duty::Sync(lead) => queue.lead(lead),
                Duty::Chores(idle, waited) => {
                    if let Some(mut lead) = idle {
                        match lead.attest() {
                            Ok(()) => queue.lay_back(lead, false),
                            Err(SyncError::DiskFull) => queue.lay_back(lead, true),
                            Err(SyncError::Poisoned(_)) => return,
                        }
                    }
                    if spares.due().is_some_and(|due| due <= waited) {
                        spares.make();
                    }
                }
                Duty::End(lead) => {
                    lead.end();
                    return;
                }
                Duty::Leave(lead) => {
                    // Whoever failed with the lead in hand has told; it lies here if the log had failed before.
                    lead.into_iter().for_each(|mut lead| lead.tell_failure());
                    return;
                }
            }
        }
    }

    /// Returns what makes the next segment ahead, for a thread of its own; [`Syncer::run`] leaves it to that one for as
    /// long as it is there.
    ///
    /// Worth a thread where appends come without a pause of 10 ms: without it, each rotation makes its segment itself.
    pub fn spare_maker(&self) -> SpareMaker<D> {
        self.writer.spares().leave_to_maker();
        SpareMaker(self.writer.spares().clone())
    }

    /// Makes the next segment ahead, if a segment is being filled and the next one is not made yet, and returns
    /// whether there is one. Nothing is lost where it fails: the segment is then made when it is needed.
    pub fn make_spare(&mut self) -> bool {
        self.writer.spares().make()
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
            let (group, wake) = self.sync_group()?;
            wake.now();
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
            let mut bytes = Vec::with_capacity(header.framed_bytes());
            header.encode_into(self.writer.salt(), &[], &mut bytes);
            self.writer.append(&bytes).map_err(|error| fail(&self.queue, error))?;
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
        let target = self.queue.last();
        while self.durable < target {
            let (group, wake) = self.sync_group()?;
            on_synced(Ok(group.durable));
            wake.now();
        }
        // A log that got no record is left as it was found, with the doubt there may be about its tail.
        if self.has_written {
            self.writer.seal(self.durable).map_err(|error| fail(&self.queue, error))?;
        }
        self.is_ended = true;
        Ok(())
    }

    /// Makes the next units durable, as many as one write takes.
    fn sync_group(&mut self) -> Result<(Synced, Wake), SyncError> {
        if self.batch.is_empty() {
            self.queue.take(&mut self.batch);
        }
        if self.writer.room() < self.batch.unit_bytes() {
            self.make_room()?;
        }
        let bytes_max = self.writer.room().min(self.batch_bytes_max as u64);
        let group = self.batch.complete_group(bytes_max, self.writer.salt(), self.durable);
        let bytes = self.batch.bytes(&group);
        self.writer.append(bytes).map_err(|error| fail(&self.queue, error))?;
        // What was durable before this group is attested by each of its records.
        self.attested = self.durable;
        self.durable = group.last;
        self.has_written = true;
        let wake = self.queue.on_durable(group.last, &mut self.batch);
        Ok((Synced { durable: group.last, records: group.records, bytes: group.payload_bytes }, wake))
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
        // Last, as it waits while a spare is being made.
        self.writer.spares().end();
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

/// Makes the segments of a log ahead of their use; see [`Syncer::spare_maker`].
pub struct SpareMaker<D: Disk>(Spares<D>);

impl<D: Disk> SpareMaker<D> {
    /// Makes one after the other until the log ends. Blocks, and has a part in the directory's lock until it returns.
    pub fn run(self) {
        self.0.make_all();
    }
}

impl<D: Disk> Drop for SpareMaker<D> {
    fn drop(&mut self) {
        self.0.take_from_maker();
    }
}

impl<D: Disk> fmt::Debug for SpareMaker<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpareMaker").finish_non_exhaustive()
    }
}

/// A syncer as whoever leads sees it, with whom to tell.
struct Lent<D: Disk, F> {
    syncer: Syncer<D>,
    on_synced: F,
}

impl<D: Disk, F: FnMut(Result<Lsn, SyncError>) + Send> Lead for Lent<D, F> {
    fn sync_group(&mut self) -> Result<Wake, SyncError> {
        let synced = self.syncer.check_usable().and_then(|()| self.syncer.sync_group());
        match synced {
            Ok((group, wake)) => {
                (self.on_synced)(Ok(group.durable));
                Ok(wake)
            }
            Err(error) => {
                (self.on_synced)(Err(error.clone()));
                Err(error)
            }
        }
    }

    fn attest(&mut self) -> Result<(), SyncError> {
        let attested = self.syncer.attest();
        // Nothing waits for space, and nothing would tell that there is some again.
        if let Err(error @ SyncError::Poisoned(_)) = &attested {
            (self.on_synced)(Err(error.clone()));
        }
        attested
    }

    fn end(mut self: Box<Self>) {
        if let Err(error) = self.syncer.seal_with(&mut self.on_synced) {
            (self.on_synced)(Err(error));
        }
    }

    fn tell_failure(&mut self) {
        if let Err(error) = self.syncer.check_usable() {
            (self.on_synced)(Err(error));
        }
    }

    fn chores(&self) -> Option<Duration> {
        let is_attested = self.syncer.attested == self.syncer.durable;
        if is_attested { self.syncer.writer.spares().due() } else { Some(IDLE_BEFORE_CHORES) }
    }
}

/// Takes the lead back when the thread of the syncer ends, however it does.
struct Recall<'a>(&'a Queue);

impl Drop for Recall<'_> {
    fn drop(&mut self) {
        drop(self.0.recall());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;
    use crate::recovery::open;
    use crate::writer::OpenSeed;

    #[test]
    fn spares_are_made_by_the_thread_again_when_their_maker_is_gone() {
        let config = Config {
            segment_bytes: 8192,
            record_bytes_max: 64,
            pending_bytes_max: 256,
            batch_bytes_max: 256,
        };
        let opened = open(MemoryDisk::new(), config, SEED).unwrap();
        let (log, mut syncer) = (opened.log, opened.syncer);
        log.enqueue(b"fills half of the segment").unwrap();
        syncer.sync_once().unwrap();
        let maker = syncer.spare_maker();
        assert_eq!(syncer.writer.spares().due(), None);
        drop(maker);
        assert!(syncer.writer.spares().due().is_some());
    }

    #[test]
    fn a_full_disk_that_only_an_attestation_meets_is_told_to_nobody() {
        let (disk, config) = (
            MemoryDisk::new(),
            Config {
                segment_bytes: 8192,
                record_bytes_max: 2016,
                pending_bytes_max: 4096,
                batch_bytes_max: 2048,
            },
        );
        let opened = open(disk.clone(), config, SEED).unwrap();
        let (log, mut syncer) = (opened.log, opened.syncer);
        // The second fills the segment to the byte.
        for bytes in [2016, 2008] {
            log.enqueue(&vec![1; bytes]).unwrap();
            syncer.sync_once().unwrap();
        }
        let mut told = Vec::new();
        let mut lent = Lent { syncer, on_synced: |synced| told.push(synced) };
        disk.limit_bytes(Some(0));
        assert_eq!(lent.attest(), Err(SyncError::DiskFull));
        disk.limit_bytes(None);
        assert_eq!(lent.attest(), Ok(()));
        drop(lent);
        // Who heard of it would wait for the next record to hear that it is over.
        assert_eq!(told, []);
    }

    #[test]
    fn buffers_hold_little_more_than_the_limit_wherever_the_syncer_stands() {
        let config = Config {
            segment_bytes: 64 << 20,
            record_bytes_max: 64 << 10,
            pending_bytes_max: 8 << 20,
            batch_bytes_max: 512 << 10,
        };
        let opened =
            open(MemoryDisk::new(), config.clone(), OpenSeed { log_uuid: [7; 16], salt: 11 }).unwrap();
        let (log, mut syncer) = (opened.log, opened.syncer);
        let record = vec![1; 60_000];
        for _ in 0..40 {
            while log.try_enqueue(&record).is_ok() {}
            let (_, wake) = syncer.sync_group().unwrap();
            wake.now();
            let held = syncer.batch.capacity() + syncer.queue.pending_capacity();
            assert!(held <= config.pending_bytes_max + 2 * (1 << 20) + 60_032, "{held} bytes");
        }
    }

    const SEED: OpenSeed = OpenSeed { log_uuid: [7; 16], salt: 11 };
}
