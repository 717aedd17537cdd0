//! The records on their way from many callers to the disk, and who brings them there.
//!
//! Whoever holds the [`Lead`] writes and syncs, and there is one: so one sync is under way at most. While a thread is
//! in [`Syncer::run`](crate::Syncer::run), the lead lies here between syncs. A caller that waits for its record takes
//! it if it lies here, syncs all that is pending, and lays it back; the thread does so for records that nobody waits
//! for, and whenever something is pending as the lead is laid back. Otherwise the syncer's owner keeps it and syncs
//! by hand.

mod leading;
mod state;

#[cfg(feature = "async")]
use std::sync::Arc;
use std::time::Duration;

use self::leading::Leading;
#[cfg(feature = "async")]
pub(crate) use self::state::DurableGate;
pub(crate) use self::state::Wake;
use self::state::{Phase, Sleep, State};
use crate::batch::Batch;
use crate::config::Config;
use crate::error::{AppendError, EnqueueError, PoisonCause, Poisoned, SyncError};
use crate::fault;
use crate::lsn::Lsn;
use crate::record::framed_bytes;
#[cfg(feature = "async")]
use crate::room::Ticket;
use crate::sync::{Condvar, Mutex, MutexGuard, yield_now};

/// What can make pending records durable.
pub(crate) trait Lead: Send {
    /// Makes the next units durable, as many as one write takes. After [`SyncError::Poisoned`] it is of no use.
    fn sync_group(&mut self) -> Result<Wake, SyncError>;

    /// Does what is due when nothing is pending.
    fn attest(&mut self) -> Result<(), SyncError>;

    /// Makes all that is pending durable and ends the log.
    fn end(self: Box<Self>);

    /// Tells that the log has failed, to whom its end is told.
    fn tell_failure(&mut self);

    /// Returns after how long without records there is something to do, if there is.
    fn chores(&self) -> Option<Duration>;
}

/// What the log's handles and its syncer share.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Signalled when the thread of the syncer sleeps and there is something for it to do, or it waits for its end.
    work: Condvar,
    record_bytes_max: usize,
    batch_bytes_max: usize,
    pending_bytes_max: usize,
}

/// For the callers.
impl Queue {
    /// Makes the queue of a log whose records up to `durable` are on the disk.
    pub(crate) fn new(config: &Config, durable: Lsn) -> Self {
        Self {
            state: Mutex::new(State::new(durable)),
            work: Condvar::new(),
            record_bytes_max: config.record_bytes_max as usize,
            batch_bytes_max: config.batch_bytes_max,
            pending_bytes_max: config.pending_bytes_max,
        }
    }

    /// Gives the records, which become durable together or not at all, the next positions.
    pub(crate) fn push(&self, records: &[&[u8]], admission: Admission) -> Result<Lsn, EnqueueError> {
        let framed = self.check_lengths(records)?;
        let mut state = self.state.lock();
        state.check_open()?;
        if admission == Admission::IfRoom && !self.has_room_in(&state) {
            let (pending_bytes, limit) = (state.held_bytes(), self.pending_bytes_max);
            return Err(EnqueueError::Busy { pending_bytes, limit });
        }
        let last = state.push(records, framed);
        self.wake_for_pending(state);
        Ok(last)
    }

    /// Waits for room, appends, and blocks until the records are durable.
    pub(crate) fn append(&self, records: &[&[u8]]) -> Result<Lsn, AppendError> {
        let framed = self.check_lengths(records)?;
        let mut state = self.state.lock();
        state.check_open()?;
        if !self.has_room_for(&state, framed) {
            let ticket = state.room.enter(framed);
            drop(state);
            ticket.gate.wait();
            state = self.state.lock();
            state.room.leave(&ticket);
            state.check_open()?;
        }
        let lsn = state.push(records, framed);
        self.settle(state, lsn)?;
        Ok(lsn)
    }

    /// Blocks until `lsn` is durable or never will be.
    pub(crate) fn wait_durable(&self, lsn: Lsn) -> Result<(), Poisoned> {
        self.settle(self.state.lock(), lsn)
    }

    /// Stops accepting records.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Closing;
            let wake = Wake::room(state.room.promise(usize::MAX));
            self.wake_syncer(state);
            wake.now();
        }
    }

    /// Shows the records after `lsn` that the syncer has not taken, in order. O(records pending).
    pub(crate) fn look_at_pending(&self, lsn: Lsn, mut look: impl FnMut(Lsn, &[u8])) {
        let state = self.state.lock();
        let behind = state.pending.rest().skip_while(|record| record.lsn <= lsn);
        behind.for_each(|record| look(record.lsn, record.payload));
    }

    pub(crate) fn durable(&self) -> Lsn {
        self.state.lock().durable
    }

    pub(crate) fn last(&self) -> Lsn {
        self.state.lock().last
    }

    /// Returns the bytes that are held, or promised to callers which wait for room.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.state.lock().held_bytes()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.has_room_in(&self.state.lock())
    }

    pub(crate) fn poisoned(&self) -> Option<Poisoned> {
        match &self.state.lock().phase {
            Phase::Poisoned(poisoned) => Some(poisoned.clone()),
            Phase::Open | Phase::Closing | Phase::Closed => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn pending_capacity(&self) -> usize {
        self.state.lock().pending.capacity()
    }

    pub(crate) fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }

    fn settle<'a>(&'a self, state: MutexGuard<'a, State>, lsn: Lsn) -> Result<(), Poisoned> {
        let settled = self.lead_or_wait(state, lsn);
        if fault::is_off("a failure reaches all who wait") { Ok(()) } else { settled }
    }

    /// Leads while the lead lies here and otherwise waits, until `lsn` is durable or never will be.
    fn lead_or_wait<'a>(&'a self, mut state: MutexGuard<'a, State>, lsn: Lsn) -> Result<(), Poisoned> {
        loop {
            if let Some(settled) = state.settled(lsn) {
                return settled;
            }
            if lsn <= state.last
                && !state.is_disk_full
                && let Some(lead) = state.lead.take()
            {
                let leading = Leading::begin(self, state);
                self.lead(lead);
                state = leading.end();
            } else {
                let gate = state.gate_of(lsn);
                state.on_thread_waits(lsn);
                drop(state);
                match gate.wait() {
                    Ok(durable) if durable < lsn => {}
                    other => return other.map(|_| ()),
                }
                state = self.state.lock();
            }
        }
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

    /// Whether there is any room, and nobody waits for it.
    fn has_room_in(&self, state: &State) -> bool {
        state.room.is_empty() && state.held_bytes() < self.pending_bytes_max
    }

    /// Whether the bytes can be held without an overshoot, and nobody came before.
    fn has_room_for(&self, state: &State, bytes: usize) -> bool {
        let is_free = state.room.is_empty() && state.held_bytes() + bytes <= self.pending_bytes_max;
        is_free || fault::is_off("appending waits for room")
    }
}

/// For tasks, which look and are woken.
#[cfg(feature = "async")]
impl Queue {
    /// Appends the records if there is room, or returns a place among those who wait for it.
    pub(crate) fn push_or_enter(&self, records: &[&[u8]]) -> Result<Result<Lsn, Ticket>, EnqueueError> {
        let framed = self.check_lengths(records)?;
        let mut state = self.state.lock();
        state.check_open()?;
        if !self.has_room_for(&state, framed) {
            return Ok(Err(state.room.enter(framed)));
        }
        let last = state.push(records, framed);
        self.wake_for_pending(state);
        Ok(Ok(last))
    }

    /// Appends the records, whose lengths were checked, in the room that was promised.
    pub(crate) fn push_promised(&self, records: &[&[u8]], ticket: &Ticket) -> Result<Lsn, EnqueueError> {
        let framed = self.check_lengths(records)?;
        let mut state = self.state.lock();
        state.check_open()?;
        state.room.leave(ticket);
        let last = state.push(records, framed);
        self.wake_for_pending(state);
        Ok(last)
    }

    /// Gives up a place that was not used.
    pub(crate) fn leave_room(&self, ticket: &Ticket) {
        let mut state = self.state.lock();
        state.room.leave(ticket);
        let free = self.pending_bytes_max.saturating_sub(state.pending_bytes);
        let wake = Wake::room(state.room.promise(free));
        drop(state);
        wake.now();
    }

    /// Returns what became of `lsn`, or what to wait for before looking again.
    pub(crate) fn look(&self, lsn: Lsn) -> Result<Result<(), Poisoned>, Arc<DurableGate>> {
        let mut state = self.state.lock();
        state.settled(lsn).ok_or_else(|| state.gate_of(lsn))
    }
}

/// For whoever holds the lead.
impl Queue {
    /// Moves what is pending into `batch`, which is as [`Batch::clear`] leaves it.
    pub(crate) fn take(&self, batch: &mut Batch) {
        let mut state = self.state.lock();
        for _ in 0..YIELDS_MAX {
            if state.returning == 0 {
                break;
            }
            drop(state);
            yield_now();
            state = self.state.lock();
        }
        state.returning = 0;
        std::mem::swap(&mut state.pending, batch);
        state.taken_last = state.last;
        state.taken_bytes = state.pending_bytes;
        state.taken_gate = state.pending_gate.take();
        state.taken_waiters = std::mem::take(&mut state.pending_waiters);
    }

    /// Notes that the records of `batch` up to `durable` are on the disk. Who waited for them is to be woken.
    ///
    /// A batch holds its memory until all of it is durable, and so the room for others, too.
    pub(crate) fn on_durable(&self, durable: Lsn, batch: &mut Batch) -> Wake {
        let is_spent = batch.is_empty();
        if is_spent {
            batch.clear();
        }
        let mut state = self.state.lock();
        assert!(state.durable <= durable && durable <= state.last, "only what was appended becomes durable");
        state.durable = durable;
        if is_spent {
            state.pending_bytes -= std::mem::take(&mut state.taken_bytes);
        }
        state.syncs += 1;
        let gate = state.taken_gate.take();
        state.returning = std::mem::take(&mut state.taken_waiters);
        let free = self.pending_bytes_max.saturating_sub(state.pending_bytes);
        Wake::new(Ok(durable), gate, state.room.promise(free))
    }

    /// Fails the log for good and tells all; the first cause stays.
    pub(crate) fn poison(&self, cause: PoisonCause) -> Poisoned {
        let mut state = self.state.lock();
        if let Phase::Poisoned(first) = &state.phase {
            return first.clone();
        }
        let poisoned = Poisoned { durable: state.durable, cause };
        state.phase = Phase::Poisoned(poisoned.clone());
        let wake = state.wake_all(Err(poisoned.clone()));
        self.wake_syncer(state);
        wake.now();
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
        let ended = Poisoned { durable: state.durable, cause: PoisonCause::Abandoned };
        let wake = state.wake_all(Err(ended));
        drop(state);
        wake.now();
    }

    /// Syncs a group and lays the lead back, if it is still good.
    pub(crate) fn lead(&self, mut lead: Box<dyn Lead>) {
        match lead.sync_group() {
            Ok(wake) => {
                // Back first: those who are woken find it, and one of them can lead already.
                self.lay_back(lead, false);
                wake.now();
            }
            Err(SyncError::DiskFull) => self.lay_back(lead, true),
            Err(SyncError::Poisoned(_)) => {}
        }
    }

    /// Lays the lead back for whoever takes it next.
    pub(crate) fn lay_back(&self, lead: Box<dyn Lead>, is_disk_full: bool) {
        let mut state = self.state.lock();
        if !state.is_lent {
            // Dropping it tells everybody, and takes the lock.
            drop(state);
            return;
        }
        state.is_disk_full = is_disk_full;
        let is_wanted = state.durable < state.last || !matches!(state.phase, Phase::Open) || is_disk_full;
        let has_slept_for_good = state.sleep == Sleep::UntilWoken && lead.chores().is_some();
        state.lead = Some(lead);
        if is_wanted || has_slept_for_good {
            self.wake_syncer(state);
        }
    }

    /// Wakes the syncer's thread for records that nobody has said to wait for.
    fn wake_for_pending(&self, state: MutexGuard<'_, State>) {
        // Whoever has the lead looks again when it lays it back.
        if state.lead.is_some() && !state.is_disk_full {
            self.wake_syncer(state);
        }
    }

    fn wake_syncer(&self, mut state: MutexGuard<'_, State>) {
        // The flag spares a signal per record; the thread looks again before it sleeps.
        let is_asleep = std::mem::replace(&mut state.sleep, Sleep::Awake) != Sleep::Awake;
        let is_ending = !matches!(state.phase, Phase::Open);
        drop(state);
        if is_asleep || is_ending {
            self.work.notify_one();
        }
    }
}

/// For the thread of the syncer.
impl Queue {
    /// Lays the lead here for whoever takes it first, until it is recalled.
    pub(crate) fn lend(&self, lead: Box<dyn Lead>) {
        let mut state = self.state.lock();
        state.is_lent = true;
        state.lead = Some(lead);
    }

    /// Ends what [`Queue::lend`] began. Waits for callers who have the lead at this moment: they tell and wake whom
    /// they must, and drop it instead of laying it back.
    pub(crate) fn recall(&self) -> Option<Box<dyn Lead>> {
        let mut state = self.state.lock();
        state.is_lent = false;
        while state.leading > 0 {
            self.work.wait(&mut state);
        }
        state.lead.take()
    }

    /// Sleeps until there is something to do for the thread.
    pub(crate) fn wait_for_duty(&self) -> Duty {
        let mut state = self.state.lock();
        loop {
            match state.phase {
                Phase::Open if state.is_disk_full => {
                    // Callers that append meanwhile do not shorten the pause.
                    self.work.wait_for(&mut state, DISK_FULL_PAUSE);
                    state.is_disk_full = false;
                    continue;
                }
                Phase::Open if state.durable < state.last => {
                    if let Some(lead) = state.lead.take() {
                        return Duty::Sync(lead);
                    }
                }
                Phase::Closing => {
                    if let Some(lead) = state.lead.take() {
                        return Duty::End(lead);
                    }
                }
                Phase::Poisoned(_) | Phase::Closed => return Duty::Leave(state.lead.take()),
                Phase::Open => {}
            }
            let (seen, chores) = (state.syncs, state.chores());
            if self.sleep(&mut state, chores) && matches!(state.phase, Phase::Open) {
                let is_idle = state.syncs == seen && state.durable == state.last;
                let lead = if is_idle { state.lead.take() } else { None };
                return Duty::Chores(lead, chores.unwrap_or_default());
            }
        }
    }

    /// Returns whether `limit` has passed.
    fn sleep(&self, state: &mut MutexGuard<'_, State>, limit: Option<Duration>) -> bool {
        state.sleep = if limit.is_some() { Sleep::ForChores } else { Sleep::UntilWoken };
        let has_timed_out = match limit {
            Some(limit) => self.work.wait_for(state, limit).timed_out(),
            None => {
                self.work.wait(state);
                false
            }
        };
        state.sleep = Sleep::Awake;
        has_timed_out
    }
}

/// Whether a caller is turned away when too much is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Always,
    IfRoom,
}

/// What the thread of the syncer does next.
pub(crate) enum Duty {
    /// Records wait for the disk, and nobody who waits for them has the lead.
    Sync(Box<dyn Lead>),
    /// This thread had nothing to sync for so long; with the lead if nothing happened at all meanwhile.
    Chores(Option<Box<dyn Lead>>, Duration),
    /// The log was closed; records may still wait.
    End(Box<dyn Lead>),
    /// The log has failed or ended.
    Leave(Option<Box<dyn Lead>>),
}

/// How long nothing arrives before the tail is attested: one more sync, and only when none is due.
pub(crate) const IDLE_BEFORE_CHORES: Duration = Duration::from_millis(10);

/// How long a full disk is left alone.
pub(crate) const DISK_FULL_PAUSE: Duration = Duration::from_millis(500);

/// How often the processor is offered to callers who were just woken, before the next group is taken: they come back
/// with the next record within microseconds, and without them every group is half of what it could be. Bounded, as
/// they may have other things to do.
const YIELDS_MAX: usize = 4;
