//! The task that takes snapshots: one at a time, when one is due or asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{self, sleep_until};
use trellis_wal::{Disk, RecoveryReport, RejectedSnapshot, RetainError};

use super::taking::{TakeError, Taking};
use super::{Ask, Newest, Shared, Snapshots, Taken, Told};
use crate::core::Core;
use crate::runtime::waiters::Waiters;

/// When snapshots are taken, and how gently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Time after which one is due, if anything was logged.
    pub(crate) interval: Duration,
    /// Bytes of log at which one is due.
    pub(crate) log_bytes: u64,
    /// Bytes a second that are written at most.
    pub(crate) bytes_per_second: u64,
}

/// What a start found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) report: &'a RecoveryReport,
    /// When the snapshot was, if there is one and it can be told.
    pub(crate) written: Option<SystemTime>,
    /// Of the records behind the snapshot.
    pub(crate) replayed_bytes: u64,
}

/// Takes the snapshots of a node, for as long as it runs.
#[derive(Debug)]
pub(crate) struct Duty<D: Disk> {
    shared: Arc<Shared>,
    asks: mpsc::Receiver<Ask>,
    hurry: watch::Receiver<bool>,
    taking: Taking<D>,
    interval: Duration,
}

impl<D: Disk> Duty<D> {
    /// Makes the duty of a node that has started from what it `found`, and a handle to it.
    pub(crate) fn new(
        core: Arc<Core>,
        waiters: Waiters,
        snapshots: trellis_wal::Snapshots<D>,
        found: Found<'_>,
        limits: Limits,
    ) -> (Self, Snapshots) {
        let Found { report, written, replayed_bytes } = found;
        let newest = report.snapshot.as_ref();
        let newest =
            newest.map(|info| Newest { start: info.start, bytes: info.file_bytes, written, duration: None });
        let rejected = report.rejected.iter().map(RejectedSnapshot::to_string).collect();
        let told = Told { newest, rejected, ..Told::default() };
        let (handle, asks) = Snapshots::new(Arc::clone(&core), told, replayed_bytes, limits.log_bytes);
        let taking = Taking {
            core,
            waiters,
            snapshots: Arc::new(Mutex::new(snapshots)),
            rate: limits.bytes_per_second,
        };
        handle.look_at_log();
        let (shared, hurry) = (Arc::clone(&handle.shared), handle.shared.hurry.subscribe());
        (Self { shared, asks, hurry, taking, interval: limits.interval }, handle)
    }

    /// Works until it is told to finish.
    pub(crate) async fn run(mut self) {
        let mut due = time::Instant::now() + self.interval;
        let mut is_pausing = false;
        loop {
            let mut asked = Asked::default();
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.shared.is_long.notified(), if !is_pausing => {}
                ask = self.asks.recv() => match ask {
                    Some(ask) => asked.add(ask),
                    None => return,
                }
            }
            // One snapshot is enough for all who wait for one.
            while let Ok(ask) = self.asks.try_recv() {
                asked.add(ask);
            }
            if asked.takers.is_empty()
                && let Some(done) = asked.finisher
            {
                return self.finish(done).await;
            }
            if asked.takers.is_empty() && !self.shared.is_worth_it() {
                (due, is_pausing) = (time::Instant::now() + self.interval, false);
                continue;
            }
            let taken = self.take().await;
            is_pausing = taken.is_err();
            due = time::Instant::now()
                + if is_pausing { self.interval.min(PAUSE_AFTER_FAILURE) } else { self.interval };
            for taker in asked.takers {
                let _ = taker.send(taken.clone());
            }
            if let Some(done) = asked.finisher {
                return self.finish(done).await;
            }
        }
    }

    async fn finish(mut self, done: oneshot::Sender<()>) {
        if self.shared.is_worth_it() {
            let _ = self.take().await;
        }
        // The log's directory is let go of before whoever waits goes on.
        drop(self.taking);
        let _ = done.send(());
    }

    /// Takes one and notes what became of it.
    async fn take(&mut self) -> Result<Taken, Arc<TakeError>> {
        let (started, logged) = (Instant::now(), self.shared.core.logged_bytes());
        let outcome = self.taking.take(&mut self.hurry).await;
        match outcome {
            Ok(done) => {
                let taken = Taken { info: done.info, duration: started.elapsed() };
                self.shared.inherited_bytes.store(0, Ordering::Relaxed);
                self.shared.logged_before.store(logged, Ordering::Relaxed);
                let (start, bytes, millis) =
                    (taken.info.start, taken.info.file_bytes, taken.duration.as_millis());
                tracing::info!(%start, bytes, millis, removed = done.removed.len(), "a snapshot was taken");
                if let Some(error) = &done.not_removed {
                    tracing::warn!(%error, "what the snapshot makes needless is still there");
                }
                self.shared.told.send_modify(|told| {
                    told.taken += 1;
                    told.failure = done.not_removed.as_ref().map(RetainError::to_string);
                    told.newest = Some(Newest {
                        start,
                        bytes,
                        written: Some(SystemTime::now()),
                        duration: Some(taken.duration),
                    });
                });
                Ok(taken)
            }
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(error = cause, "no snapshot was taken: the log grows on");
                self.shared.told.send_modify(|told| {
                    told.failed += 1;
                    told.failure = Some(error.to_string());
                });
                Err(Arc::new(error))
            }
        }
    }
}

/// Who waits.
#[derive(Debug, Default)]
struct Asked {
    takers: Vec<oneshot::Sender<Result<Taken, Arc<TakeError>>>>,
    finisher: Option<oneshot::Sender<()>>,
}

impl Asked {
    fn add(&mut self, ask: Ask) {
        match ask {
            Ask::Take(taker) => self.takers.push(taker),
            Ask::Finish(done) => self.finisher = Some(done),
        }
    }
}

/// After a failure: a disk that is full or failing is not tried without end.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);
