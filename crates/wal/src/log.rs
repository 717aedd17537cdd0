//! The handle that callers append through.

use std::fmt;
use std::sync::Arc;

use crate::error::{AppendError, EnqueueError, Poisoned};
use crate::lsn::Lsn;
use crate::queue::{Admission, Queue};

/// A cheap handle to an open log; clones append to the same one. The [`Syncer`](crate::Syncer) does all writing: in a
/// thread, by hand, or lent to a caller that waits. Without one nothing becomes durable.
///
/// A record that was appended cannot be withdrawn. It is durable once [`Log::durable`] has reached its LSN;
/// before that a crash may lose it or keep it.
#[derive(Clone)]
pub struct Log {
    queue: Arc<Queue>,
}

impl Log {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    #[cfg(feature = "async")]
    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Appends a record, blocks until it is durable, and returns its LSN.
    ///
    /// While a thread is in [`Syncer::run`](crate::Syncer::run) and no sync is under way, the caller syncs by itself
    /// all that is pending, and hands nothing over. It waits for room if too many bytes wait for the disk, in the
    /// order of callers, and does not overshoot the limit. Not for the threads of an asynchronous runtime.
    ///
    /// # Errors
    ///
    /// [`AppendError`], which tells whether the record was appended. A full disk is none: the call waits for space.
    ///
    /// # Panics
    ///
    /// If it syncs and the callback of [`Syncer::run`](crate::Syncer::run) panics; the record may be durable.
    pub fn append(&self, record: &[u8]) -> Result<Lsn, AppendError> {
        self.queue.append(&[record])
    }

    /// Does as [`Log::append`] with records that a crash leaves all or none of, and returns the LSN of the last.
    ///
    /// # Errors
    ///
    /// As for [`Log::append`].
    pub fn append_batch(&self, records: &[&[u8]]) -> Result<Lsn, AppendError> {
        self.queue.append(records)
    }

    /// Appends a record and returns its LSN. An empty record is one too.
    ///
    /// Never answers Busy, so that a caller which has seen [`Log::has_room`] can rely on being served:
    /// callers that look at the same moment overshoot the limit by a record each, and no more.
    ///
    /// # Errors
    ///
    /// [`EnqueueError::TooLarge`], [`EnqueueError::Closed`] or [`EnqueueError::Poisoned`]; nothing is appended.
    pub fn enqueue(&self, record: &[u8]) -> Result<Lsn, EnqueueError> {
        self.queue.push(&[record], Admission::Always)
    }

    /// Appends records that a crash leaves all or none of, and returns the LSN of the last.
    ///
    /// Their LSNs follow each other. Without any record it returns the last LSN of the log. Like
    /// [`Log::enqueue`] it never answers Busy.
    ///
    /// # Errors
    ///
    /// [`EnqueueError::TooLarge`], [`EnqueueError::Closed`] or [`EnqueueError::Poisoned`]; nothing is appended.
    pub fn enqueue_batch(&self, records: &[&[u8]]) -> Result<Lsn, EnqueueError> {
        self.queue.push(records, Admission::Always)
    }

    /// Appends a record unless too many bytes wait for the disk, or somebody for room; the last to be let in may
    /// overshoot the limit.
    ///
    /// # Errors
    ///
    /// [`EnqueueError::Busy`], or those of [`Log::enqueue`]; nothing is appended.
    pub fn try_enqueue(&self, record: &[u8]) -> Result<Lsn, EnqueueError> {
        self.queue.push(&[record], Admission::IfRoom)
    }

    /// Stops accepting records and asks the syncer to write what is pending, to seal the log and to end.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Blocks the thread until the record at `lsn` is durable; while no sync is under way it syncs by itself.
    ///
    /// Waits for as long as a record at `lsn` may still be appended. Not for the threads of an
    /// asynchronous runtime: those listen to the callback of [`Syncer::run`](crate::Syncer::run).
    ///
    /// # Errors
    ///
    /// [`Poisoned`] if the log failed, or ended, before that.
    pub fn wait_durable_blocking(&self, lsn: Lsn) -> Result<(), Poisoned> {
        self.queue.wait_durable(lsn)
    }

    /// Shows the records after `lsn` that wait for the disk and that the syncer has not taken yet, in order: what a
    /// crash at this moment would lose. For checkers and tools; `look` runs under the log's lock and must not append.
    pub fn look_at_pending(&self, lsn: Lsn, look: impl FnMut(Lsn, &[u8])) {
        self.queue.look_at_pending(lsn, look);
    }

    /// Returns the last record that a crash cannot take back.
    pub fn durable(&self) -> Lsn {
        self.queue.durable()
    }

    /// Returns the last record appended.
    pub fn last(&self) -> Lsn {
        self.queue.last()
    }

    /// Whether fewer bytes wait for the disk than `pending_bytes_max`, and nobody waits for room.
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Returns the bytes that wait for the disk, or were promised to who waits for room, record headers included.
    ///
    /// What the syncer has taken in one go counts until the last of it is durable, as it is held until then.
    pub fn pending_bytes(&self) -> usize {
        self.queue.pending_bytes()
    }

    /// Returns the bytes of the longest record that is accepted.
    pub fn record_bytes_max(&self) -> usize {
        self.queue.record_bytes_max()
    }

    /// Returns why the log has failed, if it has.
    pub fn poisoned(&self) -> Option<Poisoned> {
        self.queue.poisoned()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("durable", &self.durable())
            .field("last", &self.last())
            .field("pending_bytes", &self.pending_bytes())
            .field("poisoned", &self.poisoned())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const CONFIG: Config =
        Config { segment_bytes: 8192, record_bytes_max: 100, pending_bytes_max: 256, batch_bytes_max: 256 };

    #[test]
    fn records_get_contiguous_positions_after_what_is_durable() {
        let log = log();
        assert_eq!(log.enqueue(b"a"), Ok(Lsn::from_u64(8)));
        assert_eq!(log.enqueue_batch(&[b"b", b"c", b""]), Ok(Lsn::from_u64(11)));
        assert_eq!(log.enqueue_batch(&[]), Ok(Lsn::from_u64(11)));
        assert_eq!((log.durable(), log.last()), (Lsn::from_u64(7), Lsn::from_u64(11)));
    }

    #[test]
    fn only_try_enqueue_is_busy_when_there_is_no_room() {
        let log = log();
        log.enqueue_batch(&[&[0; 100], &[0; 80]]).unwrap();
        assert!(log.has_room());
        assert_eq!(log.try_enqueue(&[0; 50]), Ok(Lsn::from_u64(10)));
        assert_eq!((log.has_room(), log.pending_bytes()), (false, 24 * 3 + 104 + 80 + 56));
        assert_eq!(log.try_enqueue(b""), Err(EnqueueError::Busy { pending_bytes: 312, limit: 256 }));
        assert_eq!(log.enqueue(b""), Ok(Lsn::from_u64(11)));
    }

    #[test]
    fn what_waits_for_the_disk_can_be_looked_at() {
        let log = log();
        log.enqueue(b"a").unwrap();
        log.enqueue_batch(&[b"bb", b"", b"c"]).unwrap();
        let seen_after = |lsn| {
            let mut seen = Vec::new();
            log.look_at_pending(Lsn::from_u64(lsn), |lsn, bytes| seen.push((lsn.as_u64(), bytes.to_vec())));
            seen
        };
        assert_eq!(seen_after(0).len(), 4);
        assert_eq!(seen_after(8), [(9, b"bb".to_vec()), (10, Vec::new()), (11, b"c".to_vec())]);
        assert_eq!(seen_after(11), []);
    }

    #[test]
    fn a_record_or_a_batch_beyond_its_limit_is_refused_whole() {
        let log = log();
        assert_eq!(log.enqueue(&[0; 101]), Err(EnqueueError::TooLarge { bytes: 101, limit: 100 }));
        let three: [&[u8]; 3] = [&[0; 64]; 3];
        assert_eq!(log.enqueue_batch(&three), Err(EnqueueError::TooLarge { bytes: 264, limit: 256 }));
        assert_eq!(log.last(), log.durable());
    }

    #[test]
    fn a_closed_log_accepts_nothing() {
        let log = log();
        log.close();
        assert_eq!(log.enqueue(b"late"), Err(EnqueueError::Closed));
    }

    fn log() -> Log {
        Log::new(Arc::new(Queue::new(&CONFIG, Lsn::from_u64(7))))
    }
}
