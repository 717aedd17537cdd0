//! What a node holds as chunks of a snapshot, taken in bounded steps while it works on (R16).
//!
//! The log's LSN is noted first, then the slots are captured one after the other: of each its header, then its atoms.
//! What is written meanwhile may be in a chunk or not: replay starts behind the noted LSN and is a join.

mod chunk;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use trellis_storage::{CaptureCursor, SlotHeader};
use trellis_wal::Lsn;

pub use self::chunk::ChunkError;
pub(crate) use self::chunk::{Chunk, NodeState};
use super::control::Control;
use super::fault;
use super::record::Record;
use super::shard::Shard;
use super::{Core, Phase};

/// A capture of a node's whole state that is under way.
///
/// Belongs to the [`Core`] that began it. Dropping it ends it; the core keeps nothing of it.
#[derive(Debug)]
pub struct Capture {
    limits: CaptureLimits,
    start: Lsn,
    end: Lsn,
    /// Chunks that were made and not taken yet.
    ready: VecDeque<Vec<u8>>,
    stage: Stage,
}

/// How much a capture does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureLimits {
    /// Bytes of atoms encoded under the lock of a shard, which one atom may overshoot. Default 32 KiB. Too low: the
    /// lock is taken often; too high: requests wait for a step.
    pub step_bytes: usize,
    /// Bytes of a chunk, some dozens aside. Default 1 MiB, at most 16 MiB. Too low: each chunk costs a write; too high:
    /// memory.
    pub chunk_bytes: usize,
}

impl Default for CaptureLimits {
    fn default() -> Self {
        Self { step_bytes: 32 << 10, chunk_bytes: 1 << 20 }
    }
}

/// Why a capture cannot go on: memory may hold what never becomes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log failed: what is in memory may never be durable")]
pub struct CaptureError;

#[derive(Debug)]
enum Stage {
    /// This slot is captured next.
    Begin(u8),
    Slot(SlotCapture),
    Done,
    /// The log failed meanwhile.
    GivenUp,
}

#[derive(Debug)]
struct SlotCapture {
    cursor: CaptureCursor,
    /// As of before the first atom; written behind the last.
    header: SlotHeader,
    /// Grows with each time that the slot is begun again, so that it is captured in one step in the end.
    step_bytes: usize,
    /// Entries that fill no chunk yet, and whether there are any in chunks.
    entries: Vec<Vec<u8>>,
    bytes: usize,
    has_entries: bool,
}

impl Capture {
    /// The record up to which all is in the chunks: replay starts behind it.
    pub fn start(&self) -> Lsn {
        self.start
    }

    /// The last record of which something may be in the chunks taken so far. A snapshot must not be published before
    /// it is durable.
    pub fn end(&self) -> Lsn {
        self.end
    }

    /// How many of the 256 slots are captured.
    pub fn slots_done(&self) -> usize {
        match &self.stage {
            Stage::Begin(slot) => usize::from(*slot),
            Stage::Slot(part) => usize::from(part.cursor.slot()),
            Stage::Done | Stage::GivenUp => trellis_storage::SLOTS,
        }
    }

    /// Returns the next chunk that is ready.
    pub fn poll_chunk(&mut self) -> Option<Vec<u8>> {
        self.ready.pop_front()
    }

    /// Whether all is captured and all chunks were taken.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done) && self.ready.is_empty()
    }

    /// Takes a step on the slot that is being captured.
    fn step(&mut self, mut part: SlotCapture, shard: &Shard) {
        let slot = part.cursor.slot();
        let step = shard.keyspace().capture(&mut part.cursor, part.step_bytes);
        let is_ignored = step.is_void && fault::is_off("R16 what is dropped voids a capture");
        if step.is_void && !is_ignored {
            if part.has_entries {
                self.ready.push_back(Chunk::Again { slot }.encode());
            }
            let step_bytes = part.step_bytes.saturating_mul(2).max(1);
            self.stage = Stage::Slot(SlotCapture::begin(slot, shard, step_bytes));
            return;
        }
        for entry in step.entries {
            part.bytes += entry.len();
            part.entries.push(entry);
            if part.bytes >= self.limits.chunk_bytes {
                self.flush(&mut part);
            }
        }
        if !step.is_done && !is_ignored {
            self.stage = Stage::Slot(part);
            return;
        }
        self.flush(&mut part);
        if fault::is_off("R16 a slot's header is captured first") {
            part.header = shard.keyspace().header(slot);
        }
        if part.has_entries || part.header != SlotHeader::default() {
            self.ready.push_back(Chunk::Header { slot, header: part.header }.encode());
        }
        self.stage = match slot.checked_add(1) {
            Some(next) => Stage::Begin(next),
            None => {
                self.ready.push_back(Chunk::End.encode());
                Stage::Done
            }
        };
    }

    /// Puts the entries that were gathered into chunks; one that is longer than a chunk into several.
    fn flush(&mut self, part: &mut SlotCapture) {
        let (slot, part_bytes) = (part.cursor.slot(), self.limits.chunk_bytes.max(1));
        let mut entries = std::mem::take(&mut part.entries);
        part.bytes = 0;
        part.has_entries |= !entries.is_empty();
        let long = entries.pop_if(|entry| entry.len() > part_bytes);
        if !entries.is_empty() {
            self.ready.push_back(Chunk::entries(slot, &entries));
        }
        let parts = long.as_ref().map(|entry| entry.chunks(part_bytes));
        let mut parts = parts.into_iter().flatten().peekable();
        while let Some(bytes) = parts.next() {
            let is_last = parts.peek().is_none();
            self.ready.push_back(Chunk::Part { slot, is_last, bytes }.encode());
        }
    }
}

impl SlotCapture {
    fn begin(slot: u8, shard: &Shard, step_bytes: usize) -> Self {
        Self {
            cursor: CaptureCursor::new(slot),
            header: shard.keyspace().header(slot),
            step_bytes,
            entries: Vec::new(),
            bytes: 0,
            has_entries: false,
        }
    }
}

impl Core {
    /// Begins a capture of all that this node holds.
    ///
    /// # Errors
    ///
    /// When the log has failed.
    pub fn begin_capture(&self, limits: CaptureLimits) -> Result<Capture, CaptureError> {
        let control = self.control.lock();
        // Whatever control logs it changes under this lock, and a shard under its own: all that the records up to here
        // did is in memory.
        let start = self.shared.log.durable();
        let state = control.capture(self.shared.hlc(), start);
        drop(control);
        self.check_log()?;
        let end = self.shared.log.last();
        let ready = [Chunk::Node(Box::new(state)).encode()].into();
        Ok(Capture { limits, start, end, ready, stage: Stage::Begin(0) })
    }

    /// Takes one step of a capture, under the lock of one shard. What [`Capture::poll_chunk`] gives is to be taken after
    /// it, or it gathers. Does nothing once the capture is done.
    ///
    /// # Errors
    ///
    /// When the log has failed: the capture is to be given up.
    pub fn step_capture(&self, capture: &mut Capture) -> Result<(), CaptureError> {
        // What fails on the way is never taken up again.
        let (slot, part) = match std::mem::replace(&mut capture.stage, Stage::GivenUp) {
            Stage::Begin(slot) => (slot, None),
            Stage::Slot(part) => (part.cursor.slot(), Some(part)),
            Stage::Done => {
                capture.stage = Stage::Done;
                return Ok(());
            }
            Stage::GivenUp => return Err(CaptureError),
        };
        let shard = self.shard(slot).lock();
        if shard.has_never_durable(slot) {
            return Err(CaptureError);
        }
        // Header and first step under one lock: a slot with little in it is captured at once.
        let part = part.unwrap_or_else(|| SlotCapture::begin(slot, &shard, capture.limits.step_bytes));
        capture.step(part, &shard);
        drop(shard);
        if !fault::is_off("R16 a capture tells its end") {
            capture.end = self.shared.log.last();
        }
        self.check_log().inspect_err(|_| capture.stage = Stage::GivenUp)
    }

    fn check_log(&self) -> Result<(), CaptureError> {
        let has_failed = self.phase() == Phase::Failed || self.shared.log.poisoned().is_some();
        if has_failed { Err(CaptureError) } else { Ok(()) }
    }

    /// Notes in the log that a snapshot was published which starts at `start`, for a later start that does not find
    /// it. Nothing depends on the note, so that one which the log refuses is none; [`Core::logged_bytes`] leaves it out.
    pub fn note_snapshot(&self, start: Lsn) {
        let _ = self.shared.log.enqueue(&Record::SnapshotTaken { start }.encode());
    }

    /// Returns how many bytes of records this core has logged, without their headers.
    pub fn logged_bytes(&self) -> u64 {
        self.shared.logged_bytes()
    }
}

impl Control {
    /// What a snapshot holds besides the slots.
    fn capture(&self, hlc: trellis_crdt::Hlc, start: Lsn) -> NodeState {
        let is_joined = self.guest_end.is_some_and(|end| end <= start);
        NodeState {
            hlc,
            guest_of: self.replicator.slots_to_adopt().filter(|_| !is_joined).cloned(),
            addresses: self.addresses.addresses().clone(),
            roster: self.replicator.roster().clone(),
        }
    }
}
