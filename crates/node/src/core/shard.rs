//! A part of the keyspace with what of it is not durable: the only place where state meets the log.
//!
//! Whoever changes state holds the shard's lock over the change and the enqueueing of its record, so the order of
//! the log is the order of seqs in every slot.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use trellis_crdt::{Dot, Hlc, ReplicaId, VersionVector};
use trellis_replication::MergedDelta;
use trellis_storage::{
    Applied, Keyspace, MergeError, Operation, OperationError, Progress, ReceivedDelta, ReceivedEntry,
    ScanCursor,
};
use trellis_wal::{EnqueueError, Lsn};

use super::fault;
use super::record::Record;
use super::shared::Shared;

/// One of the S shards of a node.
#[derive(Debug)]
pub(crate) struct Shard {
    keyspace: Keyspace,
    /// The actor of the dots minted here.
    origin: ReplicaId,
    /// What becomes true once the log is synced up to each LSN, in LSN order. Bounded by the log's queue.
    pending: VecDeque<(Lsn, Pending)>,
    /// Hash of a key → the LSN of its last change that is not durable. Two keys of one hash wait for each other, which
    /// costs a read at most one sync.
    undurable: BTreeMap<u64, Lsn>,
    /// The greatest LSN that concerns each slot.
    last: BTreeMap<u8, Lsn>,
}

/// A consequence of durability.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A delta of this replica may leave.
    Written { slot: u8, seq: u64, payload: Bytes },
    /// The durable clock moves.
    Clock { slot: u8, origin: ReplicaId, prefix: u64 },
    /// The durable clock moves to all of this.
    Adopted { slot: u8, clock: VersionVector },
    /// Reads of this key wait no longer.
    Read { key_hash: u64 },
}

/// A write that was applied and logged, not yet durable.
#[derive(Debug)]
pub(crate) struct ShardWrite {
    pub(crate) applied: Applied,
    /// What the reply must wait for; `None` if everything it tells is durable.
    pub(crate) lsn: Option<Lsn>,
}

/// Why a write changed nothing.
#[derive(Debug)]
pub(crate) enum WriteError {
    Refused(OperationError),
    Log,
}

impl Shard {
    pub(crate) fn new(keyspace: Keyspace, origin: ReplicaId) -> Self {
        Self { keyspace, origin, pending: VecDeque::new(), undurable: BTreeMap::new(), last: BTreeMap::new() }
    }

    /// Applies a client's operation, logs its deltas, and says what the reply waits for.
    ///
    /// # Errors
    ///
    /// `Refused`: nothing changed. `Log`: the change is in memory and will never be durable, so it is never
    /// shown: the caller must fail the node.
    pub(crate) fn write(
        &mut self,
        operation: &Operation<'_>,
        wall_millis: u64,
        shared: &Shared,
    ) -> Result<ShardWrite, WriteError> {
        let key_hash = self.keyspace.key_hash(operation.key());
        let applied = self
            .keyspace
            .apply(operation, self.origin, || shared.stamp(wall_millis))
            .map_err(WriteError::Refused)?;
        if applied.changes.is_empty() {
            let lsn = self.undurable.get(&key_hash).copied();
            return Ok(ShardWrite { applied, lsn });
        }
        let slot = applied.slot;
        let records: Vec<Vec<u8>> = applied
            .changes
            .iter()
            .map(|change| {
                Record::Delta { slot, origin: self.origin, seq: change.seq, payload: &change.delta }.encode()
            })
            .collect();
        let Ok(lsn) = enqueue_all(shared, &records) else {
            self.never_durable(slot, key_hash);
            return Err(WriteError::Log);
        };
        for change in &applied.changes {
            let payload = Bytes::copy_from_slice(&change.delta);
            self.pending.push_back((lsn, Pending::Written { slot, seq: change.seq, payload }));
            self.pending.push_back((lsn, Pending::Clock { slot, origin: self.origin, prefix: change.seq }));
        }
        self.touched(slot, key_hash, lsn);
        Ok(ShardWrite { applied, lsn: Some(lsn) })
    }

    /// Merges a delta of another replica and logs it if it is news. `payload` is what `delta` was decoded from.
    ///
    /// # Errors
    ///
    /// `Refused` when the delta contradicts what is held: nothing changed. `Log` as for [`write`](Self::write).
    pub(crate) fn merge_delta(
        &mut self,
        slot: u8,
        dot: Dot,
        delta: &ReceivedDelta,
        payload: &[u8],
        shared: &Shared,
    ) -> Result<MergedDelta, MergeFailure> {
        check_fits(payload, shared)?;
        let merged = self.keyspace.merge_received_delta(delta).map_err(MergeFailure::Refused)?;
        let Dot { actor: origin, seq } = dot;
        let prefix = merged.prefix;
        if let Some(hlc) = merged.stamp {
            shared.observe(hlc);
        }
        if matches!(merged.progress, Progress::Advanced | Progress::Early) {
            let record = Record::Delta { slot, origin, seq, payload }.encode();
            let lsn = self.log_merge(slot, merged.key_hash, &record, shared)?;
            self.pending.push_back((lsn, Pending::Clock { slot, origin, prefix }));
            self.touched(slot, merged.key_hash, lsn);
        }
        Ok(MergedDelta { slot, seq, prefix, is_kept: merged.progress != Progress::Dropped })
    }

    /// Merges an entry of a transfer and logs it if it is news. `payload` is what `entry` was decoded from.
    ///
    /// # Errors
    ///
    /// As for [`merge_delta`](Self::merge_delta).
    pub(crate) fn merge_entry(
        &mut self,
        slot: u8,
        entry: &ReceivedEntry,
        payload: &[u8],
        shared: &Shared,
    ) -> Result<(), MergeFailure> {
        check_fits(payload, shared)?;
        let merged = self.keyspace.merge_received_entry(entry).map_err(MergeFailure::Refused)?;
        if let Some(hlc) = merged.stamp {
            shared.observe(hlc);
        }
        if merged.changed {
            let record = Record::Entry { slot, payload }.encode();
            let lsn = self.log_merge(slot, merged.key_hash, &record, shared)?;
            self.touched(slot, merged.key_hash, lsn);
        }
        Ok(())
    }

    /// Logs what was merged; what the log refuses is never shown.
    fn log_merge(
        &mut self,
        slot: u8,
        key_hash: u64,
        record: &[u8],
        shared: &Shared,
    ) -> Result<Lsn, MergeFailure> {
        shared.append(&[record]).map_err(|error| {
            self.never_durable(slot, key_hash);
            MergeFailure::Log(error)
        })
    }

    /// Logs a change of a slot that is about no key.
    fn log_of(&mut self, slot: u8, record: &[u8], shared: &Shared) -> Result<Lsn, MergeFailure> {
        shared.append(&[record]).map_err(|error| {
            self.last.insert(slot, NEVER);
            MergeFailure::Log(error)
        })
    }

    /// What the log refused is in memory: it is never shown, and its slot is never told of.
    fn never_durable(&mut self, slot: u8, key_hash: u64) {
        self.undurable.insert(key_hash, NEVER);
        self.last.insert(slot, NEVER);
    }

    /// Adopts a donor's clock after the entries of its transfer (R3).
    ///
    /// # Errors
    ///
    /// `Log` as for [`write`](Self::write).
    pub(crate) fn adopt(
        &mut self,
        slot: u8,
        clock: &VersionVector,
        hlc: Hlc,
        shared: &Shared,
    ) -> Result<(), MergeFailure> {
        if !fault::is_off("R11 hellos and transfers raise the clock") {
            shared.observe(hlc);
        }
        self.keyspace.adopt(slot, clock);
        let record = Record::Adoption { slot, clock: clock.clone(), hlc }.encode();
        let lsn = self.log_of(slot, &record, shared)?;
        self.pending.push_back((lsn, Pending::Adopted { slot, clock: self.keyspace.clock(slot).clone() }));
        self.last.insert(slot, lsn);
        Ok(())
    }

    /// Drops what is stable of up to `examine_max` atoms of a slot, and logs it. Returns of how many atoms.
    ///
    /// Nothing waits for these records: clock, digest and what reads show are as before, and a crash that takes one
    /// back brings back what is as good as dropped. What may be dropped next, and a floor, leave after them, since
    /// messages wait for all that is logged.
    ///
    /// # Errors
    ///
    /// `Log`: something was dropped without a record; the caller must fail the node.
    pub(crate) fn collect(
        &mut self,
        slot: u8,
        stable: &VersionVector,
        examine_max: usize,
        shared: &Shared,
    ) -> Result<usize, MergeFailure> {
        let mut dropped = 0;
        for _ in 0..examine_max.min(self.keyspace.collectable_len(slot)) {
            // Dropping can wait, writes should not.
            if !shared.has_room() {
                break;
            }
            for collected in self.keyspace.collect(slot, stable, 1) {
                let record = Record::Collected { payload: &collected.encode() }.encode();
                let lsn = self.log_of(slot, &record, shared)?;
                self.last.insert(slot, lsn);
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    /// Takes out what is true from here on, in LSN order.
    pub(crate) fn take_durable(&mut self, durable: Lsn) -> Vec<Pending> {
        let mut due = Vec::new();
        while self.pending.front().is_some_and(|(lsn, _)| *lsn <= durable) {
            let Some((lsn, pending)) = self.pending.pop_front() else { break };
            if let Pending::Read { key_hash } = pending {
                if self.undurable.get(&key_hash) == Some(&lsn) {
                    self.undurable.remove(&key_hash);
                }
            } else {
                due.push(pending);
            }
        }
        due
    }

    /// Tells whether a delta of this replica waits for the log, so that peers have not been told of it.
    pub(crate) fn has_undurable_writes(&self) -> bool {
        self.pending.iter().any(|(_, pending)| matches!(pending, Pending::Written { .. }))
    }

    /// What a read of `key` must wait for (invariant 4); `None` if its last change is durable.
    pub(crate) fn undurable(&self, key: &str) -> Option<Lsn> {
        if fault::is_off("4 reads wait for the log") {
            return None;
        }
        self.undurable.get(&self.keyspace.key_hash(key)).copied()
    }

    /// What a read of any key of this shard must wait for.
    pub(crate) fn last_pending(&self) -> Option<Lsn> {
        if fault::is_off("4 reads wait for the log") {
            return None;
        }
        let failed = self.undurable.values().max().copied().filter(|lsn| *lsn == NEVER);
        failed.or_else(|| self.pending.back().map(|(lsn, _)| *lsn))
    }

    /// The digest of a slot that is settled and wholly durable (R13, invariant 7), with its clock.
    pub(crate) fn settled_digest(&self, slot: u8, durable: Lsn) -> Option<(u128, &VersionVector)> {
        let is_durable = self.last.get(&slot).is_none_or(|lsn| *lsn <= durable);
        let is_settled = self.keyspace.is_settled(slot) || fault::is_off("R13 settled slots only");
        (is_durable && is_settled).then(|| (self.keyspace.digest(slot), self.keyspace.clock(slot)))
    }

    /// Goes on with a scan of one of this shard's slots; `None` when something was dropped under it (R10).
    pub(crate) fn scan(&self, cursor: &mut ScanCursor, bytes_max: usize) -> Option<(Vec<Bytes>, bool)> {
        let step = self.keyspace.scan(cursor, bytes_max);
        let ignores_drops = step.is_void && fault::is_off("R10 nothing is dropped during a scan");
        let scanned = (step.entries.into_iter().map(Bytes::from).collect(), step.is_done || ignores_drops);
        (!step.is_void || ignores_drops).then_some(scanned)
    }

    /// Tells whether a slot holds what the log refused: it belongs into no snapshot.
    pub(crate) fn has_never_durable(&self, slot: u8) -> bool {
        self.last.get(&slot) == Some(&NEVER)
    }

    /// Number of consequences that wait for the log.
    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    fn touched(&mut self, slot: u8, key_hash: u64, lsn: Lsn) {
        self.pending.push_back((lsn, Pending::Read { key_hash }));
        self.undurable.insert(key_hash, lsn);
        self.last.insert(slot, lsn);
    }
}

/// Why something from a peer was not merged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeFailure {
    /// It contradicts itself or what is held: nothing changed.
    #[error(transparent)]
    Refused(#[from] MergeError),
    /// Nothing changed.
    #[error("it names replica {0}, whose node is not known here")]
    UnknownReplica(ReplicaId),
    /// Nothing changed.
    #[error("it names operation {claimed} of this replica, which has made {written}")]
    NeverWritten { claimed: u64, written: u64 },
    /// Nothing changed.
    #[error("its record would have {bytes} bytes, and wal.record_bytes_max is {limit}")]
    TooLarge { bytes: usize, limit: usize },
    /// It is in memory and will never be durable.
    #[error(transparent)]
    Log(EnqueueError),
}

/// What the log would not take must not be merged: the node would hold what it cannot make durable.
fn check_fits(payload: &[u8], shared: &Shared) -> Result<(), MergeFailure> {
    let (bytes, limit) = (payload.len() + RECORD_OVERHEAD_BYTES, shared.log.record_bytes_max());
    if bytes <= limit { Ok(()) } else { Err(MergeFailure::TooLarge { bytes, limit }) }
}

fn enqueue_all(shared: &Shared, records: &[Vec<u8>]) -> Result<Lsn, EnqueueError> {
    match records {
        [record] => shared.append(&[record]),
        records => shared.append(&records.iter().map(Vec::as_slice).collect::<Vec<_>>()),
    }
}

/// Kind, slot, origin and seq before the payload of a record.
const RECORD_OVERHEAD_BYTES: usize = 20;
/// The LSN of a change that the log refused: no sync ever reaches it.
const NEVER: Lsn = Lsn::MAX;
