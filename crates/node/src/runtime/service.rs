//! Requests of clients, from the core's answer to the moment it may be told.

use std::sync::Arc;
use std::time::Duration;

use trellis_crdt::Kind;
use trellis_storage::{Cursor, ListPage, Operation, Outcome, Read};
use trellis_wal::Lsn;

use super::clock;
use super::concerns::Concerns;
use super::driver::Driver;
use super::memory::MemoryGauge;
use super::waiters::Waiters;
use crate::core::{Core, Phase, RequestError};

/// What clients ask of a node, over whatever transport.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    core: Arc<Core>,
    waiters: Waiters,
    driver: Driver,
    concerns: Concerns,
    memory: MemoryGauge,
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    /// Wait for the local log; otherwise the reply is early and a crash may lose the write.
    pub(crate) is_synced: bool,
    /// Nodes that must hold it durably, this one included; 0 and 1 mean this one.
    pub(crate) replicas: u32,
    /// How long to wait for other nodes.
    pub(crate) patience: Duration,
}

/// Why a request has no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServiceError {
    /// The core refused it; nothing changed.
    Refused(RequestError),
    /// The log failed while it was waited for; whether the write survives is unknown.
    LogFailed,
    /// The process takes more memory than it is allowed to; nothing changed.
    MemoryLimit,
    /// Too few nodes were heard of in time; the write stands.
    TooFewReplicas { reached: u32, wanted: u32 },
    /// The cluster removed this node while the write waited: nobody takes it from here any more.
    RemovedMeanwhile,
}

impl Service {
    pub(crate) fn new(
        core: Arc<Core>,
        waiters: Waiters,
        driver: Driver,
        concerns: Concerns,
        memory: MemoryGauge,
    ) -> Self {
        Self { core, waiters, driver, concerns, memory }
    }

    pub(crate) async fn write(
        &self,
        operation: Operation<'_>,
        promise: Promise,
    ) -> Result<Outcome, ServiceError> {
        if self.memory.is_over() && !matches!(operation, Operation::Delete { .. }) {
            return Err(ServiceError::MemoryLimit);
        }
        self.await_room().await?;
        let written = self.core.write(&operation, clock::now()).map_err(ServiceError::Refused);
        if let Err(ServiceError::Refused(RequestError::LogFailed)) = &written {
            self.driver.pump();
        }
        let written = written?;
        let is_shared = promise.replicas > 1 && written.dot.is_some();
        if promise.is_synced || is_shared {
            self.await_durable(written.lsn).await?;
        }
        if let (true, Some(dot)) = (is_shared, written.dot) {
            self.await_replicas(dot, promise).await?;
        }
        if written.dot.is_some() && !self.core.counts() {
            return Err(ServiceError::RemovedMeanwhile);
        }
        Ok(written.outcome)
    }

    pub(crate) async fn read(&self, key: &str, kind: Option<Kind>) -> Result<Read, ServiceError> {
        let (read, lsn) = self.core.read(key, kind).map_err(ServiceError::Refused)?;
        self.await_durable(lsn).await?;
        Ok(read)
    }

    /// One page of a listing: as many slots as it takes to find `out_max` keys, within what one call may examine.
    pub(crate) async fn list(
        &self,
        mut cursor: Cursor,
        prefix: &str,
        kind: Option<Kind>,
        out_max: usize,
    ) -> Result<ListPage, ServiceError> {
        let mut keys = Vec::new();
        for _ in 0..SLOTS_A_PAGE {
            let wanted = out_max - keys.len();
            let (page, lsn) = self
                .core
                .list(cursor, prefix, kind, EXAMINED_A_STEP, wanted)
                .map_err(ServiceError::Refused)?;
            self.await_durable(lsn).await?;
            keys.extend(page.keys);
            match page.next {
                Some(next) if keys.len() < out_max => cursor = next,
                next => return Ok(ListPage { keys, next }),
            }
        }
        Ok(ListPage { keys, next: Some(cursor) })
    }

    /// Room in the log is awaited before any lock is taken: by the LSN whose sync makes some.
    async fn await_room(&self) -> Result<(), ServiceError> {
        let log = self.core.log();
        while !log.has_room() && self.core.phase() == Phase::Serving {
            self.waiters.durable(log.durable().next()).await.map_err(|_| ServiceError::LogFailed)?;
        }
        Ok(())
    }

    async fn await_durable(&self, lsn: Option<Lsn>) -> Result<(), ServiceError> {
        match lsn {
            Some(lsn) => self.waiters.durable(lsn).await.map_err(|_| ServiceError::LogFailed),
            None => Ok(()),
        }
    }

    async fn await_replicas(&self, dot: (u8, u64), promise: Promise) -> Result<(), ServiceError> {
        let (ticket, reached) = self.concerns.open();
        let _cancel = CancelOnDrop { core: &self.core, concerns: &self.concerns, ticket };
        self.core.await_replicas(ticket, dot, promise.replicas, clock::now());
        self.driver.pump();
        match tokio::time::timeout(promise.patience, reached).await {
            Ok(Ok(())) => Ok(()),
            _ => {
                let reached = self.core.cancel_replicas(ticket);
                Err(ServiceError::TooFewReplicas { reached, wanted: promise.replicas })
            }
        }
    }
}

/// A client that goes away leaves no ticket behind.
struct CancelOnDrop<'a> {
    core: &'a Core,
    concerns: &'a Concerns,
    ticket: u64,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.concerns.forget(self.ticket) {
            self.core.cancel_replicas(self.ticket);
        }
    }
}

/// Slots looked at for one page of a listing: all of them when they are empty.
const SLOTS_A_PAGE: usize = 256;
/// Keys looked at under a shard's lock at a time.
const EXAMINED_A_STEP: usize = 1000;
