//! Requests that wait for the log: each is woken once, by the sync that covers it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use trellis_wal::{Log, Lsn};

/// Who waits for which LSN. Bounded by the number of requests under way.
#[derive(Clone, Debug)]
pub(crate) struct Waiters {
    log: Log,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<(Lsn, u64), oneshot::Sender<Result<(), LogFailed>>>,
    next: u64,
    has_failed: bool,
}

/// The log failed before it was durable that far: whether the write survives is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogFailed;

impl Waiters {
    pub(crate) fn new(log: Log) -> Self {
        Self { log, state: Arc::default() }
    }

    /// Waits until everything up to `lsn` is durable. Giving up waiting does not take the record back.
    pub(crate) async fn durable(&self, lsn: Lsn) -> Result<(), LogFailed> {
        if self.log.durable() >= lsn {
            return Ok(());
        }
        let (sender, receiver) = oneshot::channel();
        let place = {
            let mut state = self.state.lock();
            if state.has_failed {
                return Err(LogFailed);
            }
            // The sync thread publishes first and wakes after: one of both sees the other.
            if self.log.durable() >= lsn {
                return Ok(());
            }
            let ticket = state.next;
            state.next += 1;
            state.waiting.insert((lsn, ticket), sender);
            Place { state: &self.state, key: (lsn, ticket) }
        };
        let answer = receiver.await;
        // Whoever answered has taken the place away: no need for the lock.
        std::mem::forget(place);
        answer.unwrap_or(Err(LogFailed))
    }

    /// Wakes all whose LSN is covered.
    pub(crate) fn wake(&self, durable: Lsn) {
        let due = {
            let mut state = self.state.lock();
            let later = state.waiting.split_off(&(durable.next(), 0));
            std::mem::replace(&mut state.waiting, later)
        };
        for waiter in due.into_values() {
            let _ = waiter.send(Ok(()));
        }
    }

    /// Tells everybody, and everybody who comes later, that the log failed.
    pub(crate) fn fail(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.has_failed = true;
            std::mem::take(&mut state.waiting)
        };
        for waiter in waiting.into_values() {
            let _ = waiter.send(Err(LogFailed));
        }
    }
}

/// A place among those who wait, given up when its holder goes away: a full disk would collect them otherwise.
struct Place<'a> {
    state: &'a Mutex<State>,
    key: (Lsn, u64),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.state.lock().waiting.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use trellis_wal::{Config, MemoryDisk, OpenSeed, Syncer, open};

    use super::*;

    fn log() -> (Log, Syncer<MemoryDisk>) {
        let opened =
            open(MemoryDisk::new(), Config::default(), OpenSeed { log_uuid: [1; 16], salt: 1 }).unwrap();
        (opened.log, opened.syncer)
    }

    #[tokio::test]
    async fn each_is_woken_by_the_sync_that_covers_it_and_not_before() {
        let (log, mut syncer) = log();
        let waiters = Waiters::new(log.clone());
        let (first, second) = (log.enqueue(b"a").unwrap(), log.enqueue(b"b").unwrap());
        let mut waiting = task(waiters.durable(second));
        assert!(waiting.is_pending().await);
        waiters.wake(first);
        assert!(waiting.is_pending().await);
        syncer.sync_once().unwrap();
        waiters.wake(log.durable());
        assert_eq!(waiting.future.await, Ok(()));
        assert_eq!(waiters.durable(first).await, Ok(()));
    }

    #[tokio::test]
    async fn a_failure_reaches_everybody_who_waits_and_who_comes_later() {
        let (log, _syncer) = log();
        let waiters = Waiters::new(log.clone());
        let lsn = log.enqueue(b"a").unwrap();
        let mut waiting = task(waiters.durable(lsn));
        assert!(waiting.is_pending().await);
        waiters.fail();
        assert_eq!(waiting.future.await, Err(LogFailed));
        assert_eq!(waiters.durable(lsn).await, Err(LogFailed));
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing_behind() {
        let (log, _syncer) = log();
        let waiters = Waiters::new(log.clone());
        let lsn = log.enqueue(b"a").unwrap();
        for _ in 0..100 {
            let mut waiting = task(waiters.durable(lsn));
            assert!(waiting.is_pending().await);
        }
        assert_eq!(waiters.state.lock().waiting.len(), 0);
    }

    struct Task<F> {
        future: std::pin::Pin<Box<F>>,
    }

    fn task<F: Future>(future: F) -> Task<F> {
        Task { future: Box::pin(future) }
    }

    impl<F: Future> Task<F> {
        async fn is_pending(&mut self) -> bool {
            std::future::poll_fn(|context| {
                std::task::Poll::Ready(self.future.as_mut().poll(context).is_pending())
            })
            .await
        }
    }
}
