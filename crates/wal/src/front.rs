//! Appending and waiting as futures, for any asynchronous runtime.

use std::fmt;
use std::sync::Arc;

use crate::error::{AppendError, EnqueueError, Poisoned};
use crate::log::Log;
use crate::lsn::Lsn;
use crate::queue::Queue;
use crate::room::Ticket;

/// A handle to an open log for tasks. Clones append to the same log, and so do the [`Log`]s beside it.
///
/// It blocks no thread and needs no runtime: a thread in [`Syncer::run`](crate::Syncer::run) syncs, and wakes the
/// tasks. Dropping a future gives up waiting and leaves nothing behind; a record that was appended meanwhile is not
/// withdrawn.
#[derive(Clone)]
pub struct AsyncLog {
    queue: Arc<Queue>,
}

impl AsyncLog {
    /// Appends a record, waits until it is durable, and returns its LSN.
    ///
    /// It waits for room first, as [`AsyncLog::enqueue`] does. Whether a dropped future has appended its record can
    /// be told from the log only.
    ///
    /// # Errors
    ///
    /// [`AppendError`], which tells whether the record was appended. A full disk is none: the future waits for space.
    pub async fn append(&self, record: &[u8]) -> Result<Lsn, AppendError> {
        self.append_batch(&[record]).await
    }

    /// Does as [`AsyncLog::append`] with records that a crash leaves all or none of, and returns the LSN of the last.
    ///
    /// # Errors
    ///
    /// As for [`AsyncLog::append`].
    pub async fn append_batch(&self, records: &[&[u8]]) -> Result<Lsn, AppendError> {
        let lsn = self.enqueue_batch(records).await?;
        self.durable_to(lsn).await?;
        Ok(lsn)
    }

    /// Appends a record and returns its LSN, without waiting for the disk to have it.
    ///
    /// While the bytes that wait for the disk leave no room within `pending_bytes_max`, it waits, in the order of
    /// those who came and without an overshoot. Dropping the future before it returns appends nothing. One that is
    /// neither polled nor dropped keeps the room it was promised from all behind it.
    ///
    /// # Errors
    ///
    /// [`EnqueueError::TooLarge`], [`EnqueueError::Closed`] or [`EnqueueError::Poisoned`]; nothing is appended.
    pub async fn enqueue(&self, record: &[u8]) -> Result<Lsn, EnqueueError> {
        self.enqueue_batch(&[record]).await
    }

    /// Does as [`AsyncLog::enqueue`] with records that a crash leaves all or none of, and returns the LSN of the
    /// last.
    ///
    /// # Errors
    ///
    /// As for [`AsyncLog::enqueue`].
    pub async fn enqueue_batch(&self, records: &[&[u8]]) -> Result<Lsn, EnqueueError> {
        match self.queue.push_or_enter(records)? {
            Ok(lsn) => Ok(lsn),
            Err(ticket) => {
                let mut place = Place { queue: &self.queue, ticket: Some(ticket) };
                place.wait().await;
                place.push(records)
            }
        }
    }

    /// Waits until the record at `lsn` is durable, for as long as one may still be appended there.
    ///
    /// # Errors
    ///
    /// [`Poisoned`] if the log failed, or ended, before that.
    pub async fn durable_to(&self, lsn: Lsn) -> Result<(), Poisoned> {
        loop {
            let gate = match self.queue.look(lsn) {
                Ok(settled) => return settled,
                Err(gate) => gate,
            };
            match gate.opening().await {
                Ok(durable) if durable < lsn => {}
                other => return other.map(|_| ()),
            }
        }
    }

    /// Returns a watch of the durable LSN, which has seen what is durable now.
    pub fn watch(&self) -> DurableWatch {
        DurableWatch { seen: self.queue.durable(), log: self.clone() }
    }
}

impl From<&Log> for AsyncLog {
    fn from(log: &Log) -> Self {
        Self { queue: Arc::clone(log.queue()) }
    }
}

impl fmt::Debug for AsyncLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncLog").field("durable", &self.queue.durable()).finish_non_exhaustive()
    }
}

/// Tells how far the log is durable, whenever it has become so further. It holds nothing back if nobody looks.
#[derive(Clone, Debug)]
pub struct DurableWatch {
    log: AsyncLog,
    seen: Lsn,
}

impl DurableWatch {
    /// Waits until more is durable than was seen, and returns the durable LSN; steps in between are passed over.
    ///
    /// # Errors
    ///
    /// [`Poisoned`] if the log failed or ended and all that was durable by then has been seen.
    pub async fn changed(&mut self) -> Result<Lsn, Poisoned> {
        self.log.durable_to(self.seen.next()).await?;
        self.seen = self.log.queue.durable();
        Ok(self.seen)
    }
}

/// A place among those who wait for room, given up when its future is dropped.
struct Place<'a> {
    queue: &'a Queue,
    /// `None` once it was used.
    ticket: Option<Ticket>,
}

impl Place<'_> {
    async fn wait(&self) {
        if let Some(ticket) = &self.ticket {
            Arc::clone(&ticket.gate).opening().await;
        }
    }

    fn push(&mut self, records: &[&[u8]]) -> Result<Lsn, EnqueueError> {
        let ticket = self.ticket.as_ref().expect("a place is used once");
        let lsn = self.queue.push_promised(records, ticket)?;
        self.ticket = None;
        Ok(lsn)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            self.queue.leave_room(ticket);
        }
    }
}
