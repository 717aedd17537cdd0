//! The records on their way from many callers to the one syncer, in memory and bounded.

use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::config::Config;
use crate::error::{EnqueueError, PoisonCause, Poisoned};
use crate::lsn::Lsn;
use crate::record::framed_bytes;

/// What the log's handles and its syncer share.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Signalled when the syncer sleeps and there is something for it to do.
    work: Condvar,
    /// Signalled when more is durable, or nothing more will be.
    progress: Condvar,
    record_bytes_max: usize,
    batch_bytes_max: usize,
    pending_bytes_max: usize,
}

impl Queue {
    /// Makes the queue of a log whose records up to `durable` are on the disk.
    pub(crate) fn new(config: &Config, durable: Lsn) -> Self {
        let state = State {
            pending: Batch::default(),
            pending_bytes: 0,
            last: durable,
            durable,
            phase: Phase::Open,
            is_syncer_asleep: false,
        };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            progress: Condvar::new(),
            record_bytes_max: config.record_bytes_max as usize,
            batch_bytes_max: config.batch_bytes_max,
            pending_bytes_max: config.pending_bytes_max,
        }
    }

    /// Gives the records, which become durable together or not at all, the next positions.
    pub(crate) fn push(&self, records: &[&[u8]], admission: Admission) -> Result<Lsn, EnqueueError> {
        let framed = self.check_lengths(records)?;
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Open => {}
            Phase::Closing | Phase::Closed => return Err(EnqueueError::Closed),
            Phase::Poisoned(poisoned) => return Err(poisoned.clone().into()),
        }
        let (pending_bytes, limit) = (state.pending_bytes, self.pending_bytes_max);
        if admission == Admission::IfRoom && pending_bytes >= limit {
            return Err(EnqueueError::Busy { pending_bytes, limit });
        }
        if let Some((end, parts)) = records.split_last() {
            for part in parts {
                state.append(part, Position::BatchPart);
            }
            state.append(end, if parts.is_empty() { Position::Alone } else { Position::BatchEnd });
            state.pending_bytes += framed;
            self.wake_syncer(&mut state);
        }
        Ok(state.last)
    }

    /// Stops accepting records.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Closing;
            self.wake_syncer(&mut state);
        }
    }

    /// Moves what is pending into `batch`, which must be spent.
    pub(crate) fn take(&self, batch: &mut Batch) {
        assert!(batch.is_empty(), "a batch is written before the next is taken");
        batch.clear();
        let mut state = self.state.lock();
        std::mem::swap(&mut state.pending, batch);
    }

    /// Tells all that `records_bytes` more, up to `durable`, are on the disk.
    pub(crate) fn on_durable(&self, durable: Lsn, records_bytes: usize) {
        let mut state = self.state.lock();
        assert!(state.durable <= durable && durable <= state.last, "only what was appended becomes durable");
        state.durable = durable;
        state.pending_bytes -= records_bytes;
        self.progress.notify_all();
    }

    /// Fails the log for good and tells all; the first cause stays.
    pub(crate) fn poison(&self, cause: PoisonCause) -> Poisoned {
        let mut state = self.state.lock();
        if let Phase::Poisoned(first) = &state.phase {
            return first.clone();
        }
        let poisoned = Poisoned { durable: state.durable, cause };
        state.phase = Phase::Poisoned(poisoned.clone());
        self.progress.notify_all();
        poisoned
    }

    /// Records that the syncer is gone: after a clean end nothing is pending, otherwise the log has failed.
    pub(crate) fn on_syncer_gone(&self, is_clean: bool) {
        if !is_clean {
            self.poison(PoisonCause::Abandoned);
            return;
        }
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Poisoned(_)) {
            state.phase = Phase::Closed;
        }
        self.progress.notify_all();
    }

    /// Sleeps until there is something to do, for `idle` at most if given.
    pub(crate) fn wait_for_work(&self, idle: Option<Duration>) -> Work {
        let mut state = self.state.lock();
        loop {
            if let Some(work) = state.work() {
                return work;
            }
            if self.sleep(&mut state, idle) {
                return state.work().unwrap_or(Work::Idle);
            }
        }
    }

    /// Sleeps for `pause`, or until the log is closed.
    pub(crate) fn wait_for_close(&self, pause: Duration) {
        let mut state = self.state.lock();
        // Callers that append meanwhile do not shorten the pause: the flag stays down, so they do not signal.
        if matches!(state.phase, Phase::Open) {
            self.work.wait_for(&mut state, pause);
        }
    }

    /// Sleeps until `lsn` is durable or never will be.
    pub(crate) fn wait_durable(&self, lsn: Lsn) -> Result<(), Poisoned> {
        let mut state = self.state.lock();
        loop {
            if state.durable >= lsn {
                return Ok(());
            }
            match &state.phase {
                Phase::Open | Phase::Closing => self.progress.wait(&mut state),
                Phase::Poisoned(poisoned) => return Err(poisoned.clone()),
                Phase::Closed => {
                    return Err(Poisoned { durable: state.durable, cause: PoisonCause::Abandoned });
                }
            }
        }
    }

    /// Shows the records after `lsn` that the syncer has not taken, in order. O(records shown).
    pub(crate) fn look_at_pending(&self, lsn: Lsn, mut look: impl FnMut(Lsn, &[u8])) {
        let state = self.state.lock();
        let Batch { records, payloads, .. } = &state.pending;
        let count = records.len().min(state.last.since(lsn) as usize);
        let shown = &records[records.len() - count..];
        let bytes: usize = shown.iter().map(|record| record.payload_bytes as usize).sum();
        let mut rest = &payloads[payloads.len() - bytes..];
        let mut at = Lsn::from_u64(state.last.as_u64() - count as u64);
        for record in shown {
            let (payload, after) = rest.split_at(record.payload_bytes as usize);
            at = at.next();
            look(at, payload);
            rest = after;
        }
    }

    pub(crate) fn durable(&self) -> Lsn {
        self.state.lock().durable
    }

    pub(crate) fn last(&self) -> Lsn {
        self.state.lock().last
    }

    pub(crate) fn pending_bytes(&self) -> usize {
        self.state.lock().pending_bytes
    }

    pub(crate) fn has_room(&self) -> bool {
        self.pending_bytes() < self.pending_bytes_max
    }

    pub(crate) fn poisoned(&self) -> Option<Poisoned> {
        match &self.state.lock().phase {
            Phase::Poisoned(poisoned) => Some(poisoned.clone()),
            Phase::Open | Phase::Closing | Phase::Closed => None,
        }
    }

    pub(crate) fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }

    /// Returns the bytes that the records will occupy, if each of them and all together are within limits.
    fn check_lengths(&self, records: &[&[u8]]) -> Result<usize, EnqueueError> {
        let longest = records.iter().map(|record| record.len()).max().unwrap_or(0);
        if longest > self.record_bytes_max {
            return Err(EnqueueError::TooLarge { bytes: longest, limit: self.record_bytes_max });
        }
        let framed = records.iter().map(|record| framed_bytes(record.len())).sum();
        if framed > self.batch_bytes_max {
            return Err(EnqueueError::TooLarge { bytes: framed, limit: self.batch_bytes_max });
        }
        Ok(framed)
    }

    fn wake_syncer(&self, state: &mut State) {
        // The flag spares a signal per record while the syncer is busy; it looks again before it sleeps.
        if state.is_syncer_asleep || !matches!(state.phase, Phase::Open) {
            state.is_syncer_asleep = false;
            self.work.notify_one();
        }
    }

    /// Returns whether `limit` has passed.
    fn sleep(&self, state: &mut MutexGuard<'_, State>, limit: Option<Duration>) -> bool {
        state.is_syncer_asleep = true;
        let timed_out = match limit {
            Some(limit) => self.work.wait_for(state, limit).timed_out(),
            None => {
                self.work.wait(state);
                false
            }
        };
        state.is_syncer_asleep = false;
        timed_out
    }
}

/// Whether a caller is turned away when too much is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Always,
    IfRoom,
}

/// What the syncer does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Records wait for the disk.
    Sync,
    /// Nothing has happened for the time asked.
    Idle,
    /// The log was closed; records may still wait.
    Close,
}

/// Records in the order of their positions, with their payloads in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    payloads: Vec<u8>,
    records: Vec<Pending>,
    /// How many records, and bytes of their payloads, were consumed.
    records_done: usize,
    bytes_done: usize,
}

impl Batch {
    /// Returns the next unit, a record alone or a whole atomic batch, as its records in order.
    pub(crate) fn unit(&self) -> &[Pending] {
        let rest = &self.records[self.records_done..];
        let end = rest.iter().position(|record| record.position != Position::BatchPart);
        &rest[..end.map_or(rest.len(), |end| end + 1)]
    }

    /// Consumes the next record and returns it with its payload.
    pub(crate) fn pop(&mut self) -> Option<(Pending, &[u8])> {
        let record = *self.records.get(self.records_done)?;
        let payload = &self.payloads[self.bytes_done..self.bytes_done + record.payload_bytes as usize];
        self.records_done += 1;
        self.bytes_done += payload.len();
        Some((record, payload))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records_done == self.records.len()
    }

    fn push(&mut self, payload: &[u8], position: Position) {
        let payload_bytes = u32::try_from(payload.len()).expect("record_bytes_max fits 32 bits");
        self.payloads.extend_from_slice(payload);
        self.records.push(Pending { payload_bytes, position });
    }

    fn clear(&mut self) {
        self.payloads.clear();
        self.records.clear();
        (self.records_done, self.bytes_done) = (0, 0);
    }
}

/// One record of a [`Batch`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) payload_bytes: u32,
    pub(crate) position: Position,
}

/// Where in its atomic batch a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Alone,
    BatchPart,
    BatchEnd,
}

#[derive(Debug)]
struct State {
    pending: Batch,
    /// Bytes of all records that are not durable, those the syncer has taken included.
    pending_bytes: usize,
    last: Lsn,
    durable: Lsn,
    phase: Phase,
    is_syncer_asleep: bool,
}

impl State {
    fn append(&mut self, payload: &[u8], position: Position) {
        self.pending.push(payload, position);
        self.last = self.last.next();
    }

    fn work(&self) -> Option<Work> {
        match self.phase {
            // What the syncer took and could not write for lack of space counts as well.
            Phase::Open if self.durable == self.last => None,
            Phase::Open => Some(Work::Sync),
            Phase::Closing | Phase::Closed | Phase::Poisoned(_) => Some(Work::Close),
        }
    }
}

#[derive(Debug)]
enum Phase {
    Open,
    /// Accepts nothing more; what is pending is still written.
    Closing,
    Closed,
    Poisoned(Poisoned),
}
