//! The one thread that writes and syncs the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tokio::sync::Notify;
use trellis_wal::{Disk, SyncError, Syncer};

use super::waiters::Waiters;

/// What the log thread tells the rest of the node.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogSignal {
    /// The log is durable further than before, or failed.
    pub(crate) progress: Arc<Notify>,
    has_failed: Arc<AtomicBool>,
    is_disk_full: Arc<AtomicBool>,
}

impl LogSignal {
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    pub(crate) fn is_disk_full(&self) -> bool {
        self.is_disk_full.load(Ordering::Acquire)
    }

    fn fail(&self, waiters: &Waiters) {
        self.has_failed.store(true, Ordering::Release);
        waiters.fail();
        self.progress.notify_one();
    }
}

/// Starts the thread; it ends when the log is closed or failed.
pub(crate) fn spawn(
    syncer: Syncer<impl Disk>,
    waiters: Waiters,
    signal: LogSignal,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("wal-sync".to_owned()).spawn(move || {
        let _told = TellOnPanic { waiters: waiters.clone(), signal: signal.clone() };
        syncer.run(move |synced| {
            match synced {
                Ok(durable) => {
                    waiters.wake(durable);
                    if signal.is_disk_full.swap(false, Ordering::AcqRel) {
                        tracing::info!("the disk has room again");
                    }
                }
                Err(error @ SyncError::DiskFull) => {
                    if !signal.is_disk_full.swap(true, Ordering::AcqRel) {
                        tracing::error!(%error, "the log waits for the disk; writes wait with it");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the log failed: this node acknowledges nothing until it is restarted");
                    signal.fail(&waiters);
                    return;
                }
            }
            signal.progress.notify_one();
        });
    })
}

/// A log whose thread panicked is a log that failed: nobody waits for it in vain.
struct TellOnPanic {
    waiters: Waiters,
    signal: LogSignal,
}

impl Drop for TellOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.signal.fail(&self.waiters);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use trellis_wal::{Config, MemoryDisk, OpenSeed, open};

    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_thread_is_a_failure_of_the_log() {
        let opened =
            open(MemoryDisk::new(), Config::default(), OpenSeed { log_uuid: [1; 16], salt: 1 }).unwrap();
        let lsn = opened.log.enqueue(b"a").unwrap();
        let (waiters, signal) = (Waiters::new(opened.log.clone()), LogSignal::default());
        let told = TellOnPanic { waiters: waiters.clone(), signal: signal.clone() };
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _told = told;
            panic!("a defect of the test");
        }));
        assert!(panicked.is_err() && signal.has_failed());
        assert!(waiters.durable(lsn).await.is_err());
        signal.progress.notified().await;
    }
}
