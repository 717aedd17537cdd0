//! What all parts of a core look at without a lock.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use trellis_crdt::Hlc;
use trellis_wal::{EnqueueError, Log, Lsn};

use super::effect::Phase;
use super::fault;

/// The log, the hybrid logical clock, and the phase of a node.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: Log,
    logged_bytes: AtomicU64,
    hlc: AtomicU64,
    phase: AtomicU8,
    /// Whether every slot was adopted; the phase tells no more once it is past serving.
    is_member: AtomicBool,
    is_skewed: AtomicBool,
    is_disk_full: AtomicBool,
}

impl Shared {
    pub(crate) fn new(log: Log, hlc: Hlc, phase: Phase) -> Self {
        Self {
            log,
            logged_bytes: AtomicU64::new(0),
            hlc: AtomicU64::new(hlc.as_u64()),
            phase: AtomicU8::new(phase as u8),
            is_member: AtomicBool::new(phase != Phase::Guest),
            is_skewed: AtomicBool::new(false),
            is_disk_full: AtomicBool::new(false),
        }
    }

    /// Mints a stamp above every stamp that was minted or observed here.
    pub(crate) fn stamp(&self, wall_millis: u64) -> Hlc {
        let tick = |last| Some(Hlc::from_u64(last).tick(wall_millis).as_u64());
        match self.hlc.fetch_update(Ordering::AcqRel, Ordering::Acquire, tick) {
            Ok(last) | Err(last) => Hlc::from_u64(last).tick(wall_millis),
        }
    }

    /// Raises the clock to a stamp that came from elsewhere (R11).
    pub(crate) fn observe(&self, hlc: Hlc) {
        if !fault::is_off("R11 the clock is raised by arrival") {
            self.hlc.fetch_max(hlc.as_u64(), Ordering::AcqRel);
        }
    }

    /// Appends records that a crash leaves all or none of, and returns the LSN of the last.
    pub(crate) fn append(&self, records: &[&[u8]]) -> Result<Lsn, EnqueueError> {
        match self.log.enqueue_batch(records) {
            Err(EnqueueError::Poisoned(_)) if fault::is_off("R17 a failed log stops the node") => {
                Ok(self.log.durable())
            }
            appended => {
                let bytes: usize = records.iter().map(|record| record.len()).sum();
                self.logged_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                appended
            }
        }
    }

    /// Bytes of all records that were appended, without their headers.
    pub(crate) fn logged_bytes(&self) -> u64 {
        self.logged_bytes.load(Ordering::Relaxed)
    }

    /// Whether the log takes more before the disk catches up (invariant 8).
    pub(crate) fn has_room(&self) -> bool {
        self.log.has_room() || fault::is_off("8 a full log takes no more")
    }

    /// Whether what waits for the log would wait for ever (R17). The log may have failed before the node is told.
    pub(crate) fn has_failed_log(&self) -> bool {
        let has_failed = self.phase() == Phase::Failed || self.log.poisoned().is_some();
        has_failed && !fault::is_off("R17 a failed log stops the node")
    }

    /// The end of what is told to others as durable.
    pub(crate) fn durable(&self) -> Lsn {
        if self.ignores_failure() { self.log.last() } else { self.log.durable() }
    }

    /// Whether what was changed is told to others before a sync of the log: never, but in a build with faults.
    pub(crate) fn tells_early(&self) -> bool {
        fault::is_off("R1 deltas wait for the log") || self.ignores_failure()
    }

    fn ignores_failure(&self) -> bool {
        fault::is_off("R17 a failed log stops the node") && self.log.poisoned().is_some()
    }

    pub(crate) fn hlc(&self) -> Hlc {
        Hlc::from_u64(self.hlc.load(Ordering::Acquire))
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Guest,
            1 => Phase::Serving,
            2 => Phase::Draining,
            3 => Phase::Failed,
            _ => Phase::Removed,
        }
    }

    /// Moves on to a later phase; a node never goes back. Returns whether it moved.
    pub(crate) fn advance(&self, phase: Phase) -> bool {
        if phase == Phase::Serving {
            self.is_member.store(true, Ordering::Release);
        }
        self.phase.fetch_max(phase as u8, Ordering::AcqRel) < phase as u8
    }

    /// Whether the node holds what its cluster held when it joined: a guest shows nothing (R12), however it ends.
    pub(crate) fn is_member(&self) -> bool {
        self.is_member.load(Ordering::Acquire)
    }

    pub(crate) fn is_skewed(&self) -> bool {
        self.is_skewed.load(Ordering::Acquire)
    }

    pub(crate) fn is_disk_full(&self) -> bool {
        self.is_disk_full.load(Ordering::Acquire)
    }

    pub(crate) fn set_disk_full(&self, is_full: bool) {
        self.is_disk_full.store(is_full, Ordering::Release);
    }

    /// Returns whether this is a change.
    pub(crate) fn set_skewed(&self, is_skewed: bool) -> bool {
        self.is_skewed.swap(is_skewed, Ordering::AcqRel) != is_skewed
    }
}
