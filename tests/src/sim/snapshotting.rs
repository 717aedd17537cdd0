//! The snapshots of one process, taken as the runtime does, in steps between which anything can happen.

use trellis_node::core::{Capture, CaptureLimits, Core};
use trellis_wal::{Lsn, MemoryDisk, SnapshotError, SnapshotPublication, SnapshotWriter, Snapshots};

/// What a process does about snapshots.
#[derive(Debug)]
pub(crate) struct Snapshotting {
    snapshots: Snapshots<MemoryDisk>,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Nothing,
    Capturing(Capture, SnapshotWriter<MemoryDisk>),
    /// All is captured; the log is not durable as far.
    Waiting(Capture, SnapshotWriter<MemoryDisk>),
    ReadingBack(Lsn, Box<SnapshotPublication<MemoryDisk>>),
    /// It has its name: what it makes needless is to be removed.
    Published,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    Began,
    Went,
    Waits,
    /// It has its name: it starts and ends at these records.
    Published {
        start: Lsn,
        end: Lsn,
    },
    /// So many snapshots and segments were removed.
    Removed {
        snapshots: usize,
        segments: usize,
    },
    /// It is given up; nothing else has changed.
    Failed,
    /// The same, as there was no room for it.
    FoundNoRoom,
}

impl Stepped {
    /// For the trace.
    pub(crate) fn code(self) -> u64 {
        match self {
            Self::Began => 0,
            Self::Went => 1,
            Self::Waits => 2,
            Self::Published { .. } => 3,
            Self::Removed { .. } => 4,
            Self::Failed => 5,
            Self::FoundNoRoom => 6,
        }
    }

    fn failed(error: &SnapshotError) -> Self {
        if matches!(error, SnapshotError::DiskFull) { Self::FoundNoRoom } else { Self::Failed }
    }
}

/// How far a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Nothing,
    Capturing,
    Waiting,
    ReadingBack,
    Published,
}

impl Snapshotting {
    pub(crate) fn new(snapshots: Snapshots<MemoryDisk>) -> Self {
        Self { snapshots, work: Work::Nothing }
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.work {
            Work::Nothing => Stage::Nothing,
            Work::Capturing(..) => Stage::Capturing,
            Work::Waiting(..) => Stage::Waiting,
            Work::ReadingBack(..) => Stage::ReadingBack,
            Work::Published => Stage::Published,
        }
    }

    /// The name of the file that is being written and was not read back yet.
    pub(crate) fn unfinished_name(&self) -> Option<String> {
        match &self.work {
            Work::Capturing(capture, _) | Work::Waiting(capture, _) => {
                Some(format!("snap-{:020}.tmp", capture.start().as_u64()))
            }
            Work::Nothing | Work::ReadingBack(..) | Work::Published => None,
        }
    }

    /// Takes one step, and begins a snapshot when none is under way.
    pub(crate) fn step(&mut self, core: &Core, limits: CaptureLimits) -> Stepped {
        match std::mem::replace(&mut self.work, Work::Nothing) {
            Work::Nothing => self.begin(core, limits),
            Work::Capturing(capture, writer) => self.capture(core, capture, writer),
            Work::Waiting(capture, writer) => self.end(core, capture, writer),
            Work::ReadingBack(start, publication) => self.publish(core, start, publication),
            Work::Published => match self.snapshots.retain() {
                Ok(retained) => {
                    let snapshots = retained.removed.iter().filter(|name| name.ends_with(".snap")).count();
                    Stepped::Removed { snapshots, segments: retained.removed.len() - snapshots }
                }
                Err(_) => Stepped::Failed,
            },
        }
    }

    fn begin(&mut self, core: &Core, limits: CaptureLimits) -> Stepped {
        let Ok(capture) = core.begin_capture(limits) else { return Stepped::Failed };
        let writer = match self.snapshots.begin(capture.start()) {
            Ok(writer) => writer,
            Err(error) => return Stepped::failed(&error),
        };
        self.work = Work::Capturing(capture, writer);
        Stepped::Began
    }

    fn capture(
        &mut self,
        core: &Core,
        mut capture: Capture,
        mut writer: SnapshotWriter<MemoryDisk>,
    ) -> Stepped {
        // A slot without content costs nothing: a step here is one that writes.
        loop {
            if let Some(chunk) = capture.poll_chunk() {
                if let Err(error) = writer.append_chunk(&chunk) {
                    return Stepped::failed(&error);
                }
                self.work = Work::Capturing(capture, writer);
                return Stepped::Went;
            }
            if capture.is_done() {
                self.work = Work::Waiting(capture, writer);
                return Stepped::Waits;
            }
            if core.step_capture(&mut capture).is_err() {
                return Stepped::Failed;
            }
        }
    }

    fn end(&mut self, core: &Core, capture: Capture, writer: SnapshotWriter<MemoryDisk>) -> Stepped {
        if capture.end() > core.log().durable() && core.log().poisoned().is_none() {
            self.work = Work::Waiting(capture, writer);
            return Stepped::Waits;
        }
        match writer.end(core.log(), capture.end()) {
            Ok(publication) => {
                self.work = Work::ReadingBack(capture.start(), Box::new(publication));
                Stepped::Went
            }
            Err(error) => Stepped::failed(&error),
        }
    }

    fn publish(
        &mut self,
        core: &Core,
        start: Lsn,
        mut publication: Box<SnapshotPublication<MemoryDisk>>,
    ) -> Stepped {
        match publication.verify_step() {
            Ok(Some(_)) => {
                self.work = Work::ReadingBack(start, publication);
                return Stepped::Went;
            }
            Ok(None) => {}
            Err(_) => return Stepped::Failed,
        }
        match publication.publish() {
            Ok(info) => {
                core.note_snapshot(start);
                self.work = Work::Published;
                Stepped::Published { start, end: info.end }
            }
            Err(_) => Stepped::Failed,
        }
    }
}
