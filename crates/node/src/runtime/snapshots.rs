//! The snapshots of a running node: when one is due, who asks for one, and what became of the last.

mod duty;
mod taking;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc, oneshot, watch};
use trellis_wal::{Lsn, SnapshotInfo};

pub(crate) use self::duty::{Duty, Found, Limits};
pub(crate) use self::taking::TakeError;
use crate::core::Core;

/// A handle to the duty of taking snapshots.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
}

/// What the duty and its handles share.
#[derive(Debug)]
struct Shared {
    core: Arc<Core>,
    /// Bytes of log behind the newest snapshot at which the next is due.
    log_bytes_max: u64,
    /// Bytes that were behind it when the node started; 0 from the first snapshot of this process on.
    inherited_bytes: AtomicU64,
    /// How much this process had logged when its newest snapshot was begun.
    logged_before: AtomicU64,
    /// The log has grown enough for a snapshot.
    is_long: Notify,
    /// The node is stopping: what is under way need not be gentle any more.
    hurry: watch::Sender<bool>,
    told: watch::Sender<Told>,
}

#[derive(Debug)]
enum Ask {
    Take(oneshot::Sender<Result<Taken, Arc<TakeError>>>),
    Finish(oneshot::Sender<()>),
}

/// What is told of snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The newest one, taken by this process or by one before it.
    pub(crate) newest: Option<Newest>,
    /// How many this process has taken.
    pub(crate) taken: u64,
    /// How many attempts of this process failed.
    pub(crate) failed: u64,
    /// Why the last attempt failed; `None` when it did not.
    pub(crate) failure: Option<String>,
    /// Snapshots that the start passed over, and why.
    pub(crate) rejected: Vec<String>,
}

/// The newest snapshot there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) start: Lsn,
    pub(crate) bytes: u64,
    /// When it was written; `None` when that cannot be told.
    pub(crate) written: Option<SystemTime>,
    /// How long it took, if this process took it.
    pub(crate) duration: Option<Duration>,
}

/// A snapshot that was just published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) info: SnapshotInfo,
    pub(crate) duration: Duration,
}

impl Newest {
    /// Returns how old it is by the wall clock, which may have been set since.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.written.map(|written| written.elapsed().unwrap_or_default())
    }
}

impl Snapshots {
    /// Makes the handle of a node that started as is `told` with so much log behind its snapshot, and what it asks.
    fn new(
        core: Arc<Core>,
        told: Told,
        inherited_bytes: u64,
        log_bytes_max: u64,
    ) -> (Self, mpsc::Receiver<Ask>) {
        let (sender, asks) = mpsc::channel(ASKS_MAX);
        let shared = Arc::new(Shared {
            core,
            log_bytes_max,
            inherited_bytes: AtomicU64::new(inherited_bytes),
            logged_before: AtomicU64::new(0),
            is_long: Notify::new(),
            hurry: watch::Sender::new(false),
            told: watch::Sender::new(told),
        });
        (Self { shared, asks: sender }, asks)
    }

    /// A handle that nobody listens to.
    #[cfg(test)]
    pub(crate) fn idle(core: Arc<Core>) -> Self {
        Self::new(core, Told::default(), 0, u64::MAX).0
    }

    /// Takes a snapshot that holds all that is durable when this is called, and returns when it is published.
    ///
    /// # Errors
    ///
    /// [`TakeError`]; log and older snapshots are as they were.
    pub(crate) async fn take(&self) -> Result<Taken, Arc<TakeError>> {
        let (sender, receiver) = oneshot::channel();
        match self.asks.try_send(Ask::Take(sender)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(Arc::new(TakeError::TooMany)),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Arc::new(TakeError::Stopping)),
        }
        receiver.await.unwrap_or_else(|_| Err(Arc::new(TakeError::Stopping)))
    }

    /// Lets the one under way finish without regard to others, or takes a last one if anything was logged since the
    /// newest. After it none is taken.
    pub(crate) async fn finish(&self) {
        self.shared.hurry.send_replace(true);
        let (sender, receiver) = oneshot::channel();
        if self.asks.send(Ask::Finish(sender)).await.is_ok() {
            let _ = receiver.await;
        }
    }

    /// Has a snapshot taken if the log has become long. Cheap: to be called whenever the log is durable further.
    pub(crate) fn look_at_log(&self) {
        if self.log_bytes() >= self.shared.log_bytes_max {
            self.shared.is_long.notify_one();
        }
    }

    /// Bytes of records behind the newest snapshot.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.shared.inherited_bytes.load(Ordering::Relaxed) + self.shared.bytes_logged_since()
    }

    pub(crate) fn told(&self) -> Told {
        self.shared.told.borrow().clone()
    }
}

impl Shared {
    fn bytes_logged_since(&self) -> u64 {
        self.core.logged_bytes().saturating_sub(self.logged_before.load(Ordering::Relaxed))
    }

    /// Whether a snapshot would hold more than the newest one, or spare the next start a long replay.
    fn is_worth_it(&self) -> bool {
        self.bytes_logged_since() > 0 || self.inherited_bytes.load(Ordering::Relaxed) >= LONG_REPLAY_BYTES
    }
}

/// How many may wait for a snapshot.
const ASKS_MAX: usize = 16;
/// A log that a node found at its start is worth a snapshot of its own from here on.
const LONG_REPLAY_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests;
