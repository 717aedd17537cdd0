//! One snapshot from its beginning to its publication, gently, in steps that each occupy a thread for a moment.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use trellis_wal::{
    Disk, RetainError, SnapshotError, SnapshotInfo, SnapshotPublication, SnapshotWriter, Snapshots,
};

use crate::core::{Capture, CaptureError, CaptureLimits, Core};
use crate::runtime::waiters::Waiters;

/// What a snapshot needs.
#[derive(Debug)]
pub(super) struct Taking<D: Disk> {
    pub(super) core: Arc<Core>,
    pub(super) waiters: Waiters,
    pub(super) snapshots: Arc<Mutex<Snapshots<D>>>,
    /// Bytes a second at most.
    pub(super) rate: u64,
}

/// A snapshot that has its name.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) info: SnapshotInfo,
    /// What it made needless.
    pub(super) removed: Vec<String>,
    /// Why not all of that was removed.
    pub(super) not_removed: Option<RetainError>,
}

/// Why no snapshot was taken. Log and older snapshots are as they were.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// What is in memory may never be durable.
    #[error(transparent)]
    LogFailed(#[from] CaptureError),
    /// The disk refused a step.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The log waits for room on the disk, and has more right to it.
    #[error("the disk is full, and the log waits for it")]
    DiskFull,
    /// Others wait for one already.
    #[error("too many wait for a snapshot already")]
    TooMany,
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
    /// A step panicked.
    #[error("a defect ended the snapshot: the panic is in the node's own log")]
    Defect,
}

/// One that is being written.
struct Draft<D: Disk> {
    capture: Capture,
    writer: SnapshotWriter<D>,
}

impl<D: Disk> Taking<D> {
    /// Takes a snapshot; from when `hurry` says so, as fast as it can.
    ///
    /// # Errors
    ///
    /// [`TakeError`]; dropping the future has the same effect.
    pub(super) async fn take(&self, hurry: &mut watch::Receiver<bool>) -> Result<Done, TakeError> {
        let mut draft = self.begin().await?;
        let mut next = Instant::now();
        loop {
            let before = draft.writer.progress().file_bytes;
            let core = Arc::clone(&self.core);
            draft = blocking(move || draft.step(&core)).await?;
            if draft.capture.is_done() {
                break;
            }
            next += self.time_of(draft.writer.progress().file_bytes - before);
            self.pause(next, hurry).await?;
        }
        self.await_log(&draft).await?;
        let publication = self.read_back(draft, hurry).await?;
        self.publish(publication).await
    }

    /// Ends what was written and reads it back, as gently as it was written.
    async fn read_back(
        &self,
        draft: Draft<D>,
        hurry: &mut watch::Receiver<bool>,
    ) -> Result<SnapshotPublication<D>, TakeError> {
        let core = Arc::clone(&self.core);
        let Draft { capture, writer } = draft;
        let mut publication = blocking(move || Ok(writer.end(core.log(), capture.end())?)).await?;
        let (mut next, mut done) = (Instant::now(), 0);
        loop {
            let (stepped, progress) = blocking(move || {
                let progress = publication.verify_step()?;
                Ok((publication, progress))
            })
            .await?;
            let Some(progress) = progress else { return Ok(stepped) };
            publication = stepped;
            next += self.time_of(progress.file_bytes - done);
            done = progress.file_bytes;
            self.pause(next, hurry).await?;
        }
    }

    /// Waits until then, or until there is a hurry.
    async fn pause(&self, end: Instant, hurry: &mut watch::Receiver<bool>) -> Result<(), TakeError> {
        loop {
            self.leave_room()?;
            let look = end.min(Instant::now() + DISK_FULL_LOOK);
            tokio::select! {
                () = sleep_until(look) => if look == end { return Ok(()) },
                // Whoever holds the other end lives longer than this, but for a defect.
                _ = hurry.wait_for(|is_hurried| *is_hurried) => return Ok(()),
            }
        }
    }

    /// Refuses to go on with what takes the room that the log waits for, and cannot be published before it has some:
    /// the next step captures what waits.
    fn leave_room(&self) -> Result<(), TakeError> {
        let is_waiting = self.core.log().durable() < self.core.log().last();
        if self.core.is_disk_full() && is_waiting { Err(TakeError::DiskFull) } else { Ok(()) }
    }

    async fn begin(&self) -> Result<Draft<D>, TakeError> {
        let (core, snapshots) = (Arc::clone(&self.core), Arc::clone(&self.snapshots));
        blocking(move || {
            let capture = core.begin_capture(CaptureLimits::default())?;
            let writer = snapshots.lock().begin(capture.start())?;
            Ok(Draft { capture, writer })
        })
        .await
    }

    /// How long writing so much should take.
    fn time_of(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.rate.max(1) as f64)
    }

    /// Waits until the log is durable as far as what was captured reaches.
    async fn await_log(&self, draft: &Draft<D>) -> Result<(), TakeError> {
        let end = draft.capture.end();
        loop {
            match timeout(DISK_FULL_LOOK, self.waiters.durable(end)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => return Err(CaptureError.into()),
                Err(_) => self.leave_room()?,
            }
        }
    }

    async fn publish(&self, publication: SnapshotPublication<D>) -> Result<Done, TakeError> {
        let (core, snapshots) = (Arc::clone(&self.core), Arc::clone(&self.snapshots));
        blocking(move || {
            let info = publication.publish()?;
            core.note_snapshot(info.start);
            let (removed, not_removed) = match snapshots.lock().retain() {
                Ok(retained) => (retained.removed, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            Ok(Done { info, removed, not_removed })
        })
        .await
    }
}

impl<D: Disk> Draft<D> {
    /// Captures and writes about a chunk.
    fn step(mut self, core: &Core) -> Result<Self, TakeError> {
        while !self.capture.is_done() {
            if let Some(chunk) = self.capture.poll_chunk() {
                self.writer.append_chunk(&chunk)?;
                break;
            }
            core.step_capture(&mut self.capture)?;
        }
        Ok(self)
    }
}

/// Runs a step where it may block. A step that was begun is done, even if nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, TakeError> + Send + 'static,
) -> Result<T, TakeError> {
    tokio::task::spawn_blocking(step).await.unwrap_or(Err(TakeError::Defect))
}

/// How often a snapshot that waits looks whether the log does so too, for room on the disk.
const DISK_FULL_LOOK: Duration = Duration::from_secs(1);
