//! A node without its effects: the parts joined, nothing opened, read or awaited.
//!
//! [`Core`] is what the runtime drives with sockets and files, and the simulator with neither. Requests of
//! clients lock one shard; everything about peers locks the control part and, under it, shards.

mod address_book;
mod control;
mod effect;
mod inspect;
mod meta;
mod reading;
mod record;
mod recovery;
mod shard;
mod shared;
mod snapshot;
#[cfg(test)]
pub(crate) mod solo;
mod status;

#[cfg(not(trellis_fault))]
mod fault;
#[cfg(trellis_fault)]
pub mod fault;

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use trellis_crdt::{Kind, VersionVector};
use trellis_replication::{
    Config as ReplicationConfig, ConfigError as ReplicationConfigError, Gossip, Identity, LinkEvent, LinkId,
    LinkKind, Ping, Refusal, Replicator, Start,
};
use trellis_storage::{Operation, OperationError, Outcome, ReadError, slot_of};
use trellis_swim::{Config as SwimConfig, ConfigError as SwimConfigError, Local, Swim};
use trellis_wal::{Log, Lsn};

pub use self::control::PingAnswer;
pub use self::effect::{Answer, Answered, CallFailure, CallId, Effect, Notice, Phase, Request};
pub use self::inspect::Backlog;
pub use self::meta::NodeMeta;
pub use self::record::{Record, RecordError};
pub use self::recovery::{Recovered, Recovery, RecoveryError, ReplayError, RestoreError};
pub use self::snapshot::{Capture, CaptureError, CaptureLimits, ChunkError};
pub use self::status::{MemberStatus, Status};

use self::control::{Control, Host, Join, Parts};
use self::shard::{Shard, WriteError};
use self::shared::Shared;

/// The pure part of a node.
#[derive(Debug)]
pub struct Core {
    shared: Shared,
    shards: Box<[Mutex<Shard>]>,
    control: Mutex<Control>,
    started: Instant,
}

/// Two clocks read at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic.
    pub instant: Instant,
    /// Milliseconds since the Unix epoch.
    pub wall_millis: u64,
}

/// Everything that a core is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster id of the certificate.
    pub cluster: String,
    /// Who this process is. Its replica and epoch were logged and synced before.
    pub local: Identity,
    /// Host and port by which peers reach this node.
    pub peer_address: String,
    /// Host and port by which clients reach this node.
    pub client_address: String,
    /// Peer addresses to begin with.
    pub seeds: Vec<String>,
    /// Limits of replication.
    pub replication: ReplicationConfig,
    /// Rhythms of membership.
    pub swim: SwimConfig,
    /// Time between two ticks of gossip.
    pub gossip_interval: Duration,
    /// Members that one tick reaches.
    pub gossip_fanout: usize,
    /// How far this wall clock may be from the median of all before register writes are refused.
    pub clock_skew_max: Duration,
    /// Seeds every choice and jitter.
    pub seed: u64,
}

/// A write that was applied and logged.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// What to answer, once `lsn` is durable.
    pub outcome: Outcome,
    /// The end of the write in the log; `None` when nothing is waited for.
    pub lsn: Option<Lsn>,
    /// Slot and last seq of what was written; `None` when nothing was.
    pub dot: Option<(u8, u64)>,
}

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request makes no sense here; nothing changed.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// The read makes no sense here.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The node does not serve in this phase; nothing changed.
    #[error("the node is not serving (phase {0:?})")]
    NotServing(Phase),
    /// The log is full of what the disk has not taken yet; nothing changed.
    #[error("the log has no room until the disk catches up")]
    Busy,
    /// The log failed; the change is never shown and never acknowledged.
    #[error("the log failed")]
    LogFailed,
    /// The wall clock is too far from the others'; nothing changed.
    #[error("this node's clock is too far from its peers': register writes are refused")]
    ClockSkew,
}

/// A contradiction in the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// In the limits of replication.
    #[error(transparent)]
    Replication(#[from] ReplicationConfigError),
    /// In the rhythms of membership.
    #[error(transparent)]
    Swim(#[from] SwimConfigError),
}

impl Core {
    /// Makes a core of what recovery found.
    ///
    /// # Errors
    ///
    /// When the settings contradict each other.
    pub fn new(settings: Settings, recovered: Recovered, log: Log, now: Now) -> Result<Self, SettingsError> {
        let is_guest = recovered.guest_of.is_some();
        let mut swim = Swim::new(
            settings.swim.clone(),
            Local {
                id: settings.local.name.clone(),
                epoch: settings.local.epoch,
                addr: settings.peer_address.clone(),
                meta: NodeMeta {
                    node: settings.local.node,
                    replica: settings.local.replica,
                    boot_nonce: settings.local.boot_nonce,
                    is_guest,
                    client_address: settings.client_address.clone(),
                }
                .encode(),
            },
            recovery::cluster_hash(&settings.cluster),
            settings.seed,
            now.instant,
        )?;
        let join = is_guest.then(|| Join::new(settings.seeds.clone(), now.instant));
        if !is_guest {
            let mut seeds = settings.seeds.clone();
            seeds.extend(recovered.addresses.addresses().values().cloned());
            swim.join(seeds, now.instant);
        }
        let replica = settings.local.replica;
        let start = Start {
            cluster: settings.cluster,
            local: settings.local,
            roster: recovered.roster,
            clock: recovered.clock,
            guest_of: recovered.guest_of,
            seed: settings.seed,
        };
        let replicator = Replicator::new(settings.replication, start, now.instant)?;
        let parts = Parts {
            replicator,
            swim,
            addresses: recovered.addresses,
            join,
            gossip_interval: settings.gossip_interval,
            gossip_fanout: settings.gossip_fanout,
            clock_skew_max: settings.clock_skew_max,
            silence_max: settings.swim.dead_after,
        };
        let phase = if is_guest { Phase::Guest } else { Phase::Serving };
        let shards =
            recovered.keyspaces.into_iter().map(|keyspace| Mutex::new(Shard::new(keyspace, replica)));
        let core = Self {
            shared: Shared::new(log, recovered.hlc, phase),
            shards: shards.collect(),
            control: Mutex::new(Control::new(parts, now.instant)),
            started: now.instant,
        };
        core.with_control(now, Control::begin);
        Ok(core)
    }

    /// Applies and logs a client's operation; the answer is due once `lsn` is durable.
    ///
    /// # Errors
    ///
    /// Nothing changed, except for `LogFailed`, after which the node serves no writes.
    pub fn write(&self, operation: &Operation<'_>, now: Now) -> Result<Written, RequestError> {
        let phase = self.shared.phase();
        if phase != Phase::Serving {
            return Err(RequestError::NotServing(phase));
        }
        if self.shared.is_skewed() && is_stamped(operation) {
            return Err(RequestError::ClockSkew);
        }
        if !self.shared.has_room() {
            return Err(RequestError::Busy);
        }
        let written =
            self.shard(slot_of(operation.key())).lock().write(operation, now.wall_millis, &self.shared);
        match written {
            Ok(write) => {
                if self.shared.tells_early() {
                    self.handle_durable(now);
                }
                let dot = write.applied.changes.last().map(|change| (write.applied.slot, change.seq));
                Ok(Written { outcome: write.applied.outcome, lsn: write.lsn, dot })
            }
            Err(WriteError::Refused(error)) => Err(error.into()),
            Err(WriteError::Log) => {
                self.handle_log_failed(now);
                Err(RequestError::LogFailed)
            }
        }
    }

    /// Registers a durable write that waits for `nodes` nodes, this one included; the answer is
    /// [`Effect::Replicated`].
    pub fn await_replicas(&self, ticket: u64, dot: (u8, u64), nodes: u32, now: Now) {
        self.with_control(now, |control, _| control.replicator.await_replicas(ticket, dot.0, dot.1, nodes));
    }

    /// Forgets a waiting write and returns how many nodes are known to hold it.
    pub fn cancel_replicas(&self, ticket: u64) -> u32 {
        self.control.lock().replicator.cancel_replicas(ticket)
    }

    /// Names a stream that a peer opened; `PushIn` or `SyncIn`.
    pub fn accept(&self, peer: &str, kind: LinkKind, now: Now) -> LinkId {
        self.with_control(now, |control, host| control.accept(host, peer, kind))
    }

    /// Takes what happened to a stream.
    pub fn handle_link(&self, link: LinkId, event: LinkEvent, now: Now) {
        self.with_control(now, |control, host| control.handle_link(host, link, event));
    }

    /// Answers a ping of the node whose certificate says `from`.
    pub fn answer_ping(&self, from: &str, ping: &Ping, now: Now) -> PingAnswer {
        self.with_control(now, |control, host| control.answer_ping(host, from, ping))
    }

    /// Answers gossip of the node whose certificate says `from`.
    ///
    /// # Errors
    ///
    /// When that node was removed or belongs to another founding.
    pub fn answer_gossip(&self, from: &str, gossip: &Gossip, now: Now) -> Result<Gossip, Refusal> {
        self.with_control(now, |control, host| control.answer_gossip(host, from, gossip))
    }

    /// Takes the outcome of an [`Effect::Call`]. An answer of another node than was asked, or of one that gives another
    /// name than its certificate, counts as [`CallFailure::Closed`].
    pub fn handle_answer(&self, call: CallId, answered: Result<Answered, CallFailure>, now: Now) {
        self.with_control(now, |control, host| control.handle_answer(host, call, answered));
    }

    /// Takes note that the log is durable further than before.
    pub fn handle_durable(&self, now: Now) {
        self.with_control(now, Control::handle_durable);
    }

    /// Takes note that the log waits for room on the disk, or no longer does: writes wait with it.
    pub fn handle_disk_full(&self, is_full: bool) {
        self.shared.set_disk_full(is_full);
    }

    /// Takes note that the log failed: readiness goes down, nothing is acknowledged any more (R17).
    pub fn handle_log_failed(&self, now: Now) {
        self.with_control(now, Control::fail);
    }

    /// Does what is due.
    pub fn handle_timeout(&self, now: Now) {
        self.with_control(now, Control::handle_timeout);
    }

    /// Refuses writes from here on, so that what was written can be drained.
    pub fn drain(&self) {
        self.control.lock().drain(&self.shared);
    }

    /// Says goodbye to the other members; what is to be said comes as effects.
    pub fn leave(&self, now: Now) {
        self.with_control(now, |control, host| {
            control.leave(host.now.instant);
        });
    }

    /// Tells whether everything that this process wrote is durable and held by all alive peers, or whether the log
    /// failed, so that neither comes about any more.
    pub fn is_drained(&self) -> bool {
        let control = self.control.lock();
        let is_undurable = self.shards.iter().any(|shard| shard.lock().has_undurable_writes());
        self.phase() == Phase::Failed || (!is_undurable && control.replicator.is_drained())
    }

    /// Drops of a slot what every member has heard of, and logs what it dropped (R10); returns of how many atoms.
    ///
    /// `stable` is covered by the durable clock of every member, confirmed as R9 demands. Looks at up to
    /// `examine_max` of the atoms that have something to drop, fewer when the log has no room. Drops nothing while
    /// the slot is scanned for a peer, and nothing at a node that is a guest, removed, or has a failed log.
    ///
    /// No part of the node calls it: neither stability (R9) nor the floor's inheritance (R8) is there, without which
    /// whoever comes back with an old state keeps what all others have forgotten.
    pub fn collect(&self, slot: u8, stable: &VersionVector, examine_max: usize, now: Now) -> usize {
        self.with_control(now, |control, host| control.collect(host, slot, stable, examine_max))
    }

    /// Returns the next thing for the runtime to do.
    pub fn poll_effect(&self) -> Option<Effect> {
        self.control.lock().poll_effect()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.control.lock().poll_timeout()
    }

    /// Returns what the node is able to do.
    pub fn phase(&self) -> Phase {
        self.shared.phase()
    }

    /// Tells whether what this node holds durably counts for a client: what a removed node holds counts nothing
    /// (R15). To be asked right before a write is answered.
    pub fn counts(&self) -> bool {
        self.phase() != Phase::Removed || fault::is_off("R15 a removed node counts nothing")
    }

    /// Tells whether writes wait for room on the disk.
    pub fn is_disk_full(&self) -> bool {
        self.shared.is_disk_full()
    }

    /// Returns the log of this node.
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    fn shard(&self, slot: u8) -> &Mutex<Shard> {
        &self.shards[usize::from(slot) % self.shards.len()]
    }

    /// Runs `handle` under the control lock and performs what comes of it within the node.
    fn with_control<T>(&self, now: Now, handle: impl FnOnce(&mut Control, &Host<'_>) -> T) -> T {
        let host = Host { shared: &self.shared, shards: &self.shards, now };
        let mut control: MutexGuard<'_, Control> = self.control.lock();
        let result = handle(&mut control, &host);
        control.drive(&host);
        if self.shared.tells_early() {
            control.handle_durable(&host);
            control.drive(&host);
        }
        result
    }
}

/// Whether the operation writes a stamp into a register: the only thing for which wall clocks must agree.
fn is_stamped(operation: &Operation<'_>) -> bool {
    match operation {
        Operation::Set { kind, .. } => *kind == Kind::LwwRegister,
        Operation::Delete { kind, .. } => kind.is_none_or(|kind| kind == Kind::LwwRegister),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use trellis_storage::Cursor;

    use super::solo::Solo;
    use super::*;

    #[test]
    fn a_write_is_read_only_once_it_is_durable() {
        let mut solo = Solo::founder(Instant::now());
        let written = solo.increment("hits", 1);
        assert_eq!(solo.core.read("hits", None).unwrap().1, written.lsn);
        assert_eq!(solo.core.read("misses", None).unwrap().1, None);
        solo.sync();
        assert_eq!(solo.core.read("hits", None).unwrap().1, None);
    }

    #[test]
    fn a_guest_serves_nothing_when_its_log_fails_or_when_it_is_about_to_stop() {
        for phase in [Phase::Failed, Phase::Draining] {
            let solo = Solo::guest(Instant::now());
            match phase {
                Phase::Failed => solo.core.handle_log_failed(solo.now),
                _ => solo.core.drain(),
            }
            let refused = RequestError::NotServing(phase);
            assert_eq!(solo.core.read("hits", None).map(drop), Err(refused.clone()));
            assert_eq!(solo.core.list(Cursor::START, "", None, 10, 10).map(drop), Err(refused));
        }
    }

    #[test]
    fn a_node_whose_log_fails_while_it_drains_waits_for_nothing() {
        let solo = Solo::founder(Instant::now());
        solo.increment("hits", 1);
        solo.core.drain();
        assert!(!solo.core.is_drained());
        solo.core.handle_log_failed(solo.now);
        assert!(solo.core.is_drained());
        let effects: Vec<Effect> = std::iter::from_fn(|| solo.core.poll_effect()).collect();
        for phase in [Phase::Draining, Phase::Failed] {
            assert!(effects.contains(&Effect::Phase(phase)), "{phase:?}");
        }
    }
}
