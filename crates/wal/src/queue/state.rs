//! What is under the queue's lock.

use std::sync::Arc;
use std::time::Duration;

use super::Lead;
use crate::batch::{Batch, Position};
use crate::error::{EnqueueError, PoisonCause, Poisoned};
use crate::gate::Gate;
use crate::lsn::Lsn;
use crate::room::Room;

pub(super) struct State {
    pub(super) pending: Batch,
    /// Bytes of all records in memory: those of `pending`, and of what was taken all until the last is durable.
    pub(super) pending_bytes: usize,
    pub(super) taken_bytes: usize,
    pub(super) room: Room,
    pub(super) last: Lsn,
    pub(super) durable: Lsn,
    /// How many groups became durable.
    pub(super) syncs: u64,
    pub(super) phase: Phase,
    /// Between two syncs, while a thread is in `Syncer::run`.
    pub(super) lead: Option<Box<dyn Lead>>,
    pub(super) is_lent: bool,
    /// How many callers have the lead or had it a moment ago.
    pub(super) leading: usize,
    /// The last attempt found no space: the syncer's thread tries again after a pause, and nobody before it.
    pub(super) is_disk_full: bool,
    pub(super) sleep: Sleep,
    /// The last record of those that were taken. Who waits for one of them waits at its gate, all others at the next.
    pub(super) taken_last: Lsn,
    pub(super) taken_gate: Option<Arc<DurableGate>>,
    pub(super) pending_gate: Option<Arc<DurableGate>>,
    /// How many threads wait at either gate.
    pub(super) taken_waiters: usize,
    pub(super) pending_waiters: usize,
    /// How many threads the last sync woke that have not come back with a record.
    pub(super) returning: usize,
}

impl State {
    pub(super) fn new(durable: Lsn) -> Self {
        Self {
            pending: Batch::default(),
            pending_bytes: 0,
            taken_bytes: 0,
            room: Room::default(),
            last: durable,
            durable,
            syncs: 0,
            phase: Phase::Open,
            lead: None,
            is_lent: false,
            leading: 0,
            is_disk_full: false,
            sleep: Sleep::Awake,
            taken_last: durable,
            taken_gate: None,
            pending_gate: None,
            taken_waiters: 0,
            pending_waiters: 0,
            returning: 0,
        }
    }

    /// Appends records that occupy `framed` bytes and returns the last LSN.
    pub(super) fn push(&mut self, records: &[&[u8]], framed: usize) -> Lsn {
        if let Some((end, parts)) = records.split_last() {
            for part in parts {
                self.last = self.last.next();
                self.pending.push(self.last, part, Position::BatchPart);
            }
            self.last = self.last.next();
            let position = if parts.is_empty() { Position::Alone } else { Position::BatchEnd };
            self.pending.push(self.last, end, position);
            self.pending_bytes += framed;
            self.returning = self.returning.saturating_sub(1);
        }
        self.last
    }

    pub(super) fn check_open(&self) -> Result<(), EnqueueError> {
        match &self.phase {
            Phase::Open => Ok(()),
            Phase::Closing | Phase::Closed => Err(EnqueueError::Closed),
            Phase::Poisoned(poisoned) => Err(poisoned.clone().into()),
        }
    }

    /// Bytes that are pending or promised.
    pub(super) fn held_bytes(&self) -> usize {
        self.pending_bytes + self.room.promised_bytes()
    }

    /// Returns what became of `lsn`; `None` while that is open.
    pub(super) fn settled(&self, lsn: Lsn) -> Option<Result<(), Poisoned>> {
        if self.durable >= lsn {
            return Some(Ok(()));
        }
        match &self.phase {
            Phase::Open | Phase::Closing => None,
            Phase::Poisoned(poisoned) => Some(Err(poisoned.clone())),
            Phase::Closed => Some(Err(Poisoned { durable: self.durable, cause: PoisonCause::Abandoned })),
        }
    }

    /// Returns the gate that opens when there is news of `lsn`, which is not settled.
    pub(super) fn gate_of(&mut self, lsn: Lsn) -> Arc<DurableGate> {
        let gate = if lsn <= self.taken_last { &mut self.taken_gate } else { &mut self.pending_gate };
        Arc::clone(gate.get_or_insert_with(|| Arc::new(Gate::new())))
    }

    /// Counts a thread that waits at the gate of `lsn`.
    pub(super) fn on_thread_waits(&mut self, lsn: Lsn) {
        let is_taken = lsn <= self.taken_last;
        *(if is_taken { &mut self.taken_waiters } else { &mut self.pending_waiters }) += 1;
    }

    /// Returns all who wait for records or for room, to be told this.
    pub(super) fn wake_all(&mut self, outcome: Outcome) -> Wake {
        let gates = [self.taken_gate.take(), self.pending_gate.take()];
        Wake { outcome: Some(outcome), gates, room: self.room.promise(usize::MAX) }
    }

    /// Returns after how long without records the syncer's thread is to look whether there is something to do.
    pub(super) fn chores(&self) -> Option<Duration> {
        // Whoever syncs at this moment leaves something to do.
        self.lead.as_ref().map_or(Some(super::IDLE_BEFORE_CHORES), |lead| lead.chores())
    }
}

/// Opened with the durable LSN of that moment, or with why there will be no later one.
pub(crate) type DurableGate = Gate<Outcome>;
type Outcome = Result<Lsn, Poisoned>;

/// Those who are to be woken once no lock is held.
///
/// Dropping it wakes them: they are registered nowhere else, and whoever is told before them may panic.
#[must_use]
pub(crate) struct Wake {
    outcome: Option<Outcome>,
    gates: [Option<Arc<DurableGate>>; 2],
    room: Vec<Arc<Gate<()>>>,
}

impl Wake {
    pub(super) fn new(outcome: Outcome, gate: Option<Arc<DurableGate>>, room: Vec<Arc<Gate<()>>>) -> Self {
        Self { outcome: Some(outcome), gates: [gate, None], room }
    }

    pub(super) fn room(room: Vec<Arc<Gate<()>>>) -> Self {
        Self { outcome: None, gates: [None, None], room }
    }

    pub(crate) fn now(self) {
        drop(self);
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        for gate in self.gates.iter().flatten() {
            if let Some(outcome) = &self.outcome {
                gate.open(outcome.clone());
            }
        }
        self.room.iter().for_each(|gate| gate.open(()));
    }
}

/// What the syncer's thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    Awake,
    /// For a while.
    ForChores,
    /// As nothing was left to do.
    UntilWoken,
}

#[derive(Debug)]
pub(super) enum Phase {
    Open,
    /// Accepts nothing more; what is pending is still written.
    Closing,
    Closed,
    Poisoned(Poisoned),
}
