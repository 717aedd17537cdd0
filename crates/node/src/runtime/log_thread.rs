//! The one thread that writes and syncs the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tokio::sync::Notify;
use trellis_wal::{FileDisk, SyncError, Syncer};

use super::waiters::Waiters;

/// What the log thread tells the rest of the node.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogSignal {
    /// The log is durable further than before, or failed.
    pub(crate) progress: Arc<Notify>,
    has_failed: Arc<AtomicBool>,
}

impl LogSignal {
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }
}

/// Starts the thread; it ends when the log is closed or failed.
pub(crate) fn spawn(
    syncer: Syncer<FileDisk>,
    waiters: Waiters,
    signal: LogSignal,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("wal-sync".to_owned()).spawn(move || {
        syncer.run(|synced| {
            match synced {
                Ok(durable) => waiters.wake(durable),
                Err(error @ SyncError::DiskFull) => {
                    tracing::warn!(%error, "the log waits for the disk; writes wait with it");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the log failed: this node acknowledges nothing until it is restarted");
                    signal.has_failed.store(true, Ordering::Release);
                    waiters.fail();
                }
            }
            signal.progress.notify_one();
        });
    })
}
