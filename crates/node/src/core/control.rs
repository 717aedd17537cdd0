//! The part of a core that knows other nodes: replication, membership, joining, and what waits for the log.

mod collection;
mod gossip;
mod join;
mod links;
mod membership;
mod peers;
mod skew;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use trellis_replication::{LinkId, NodeId, Replicator};
use trellis_storage::ScanCursor;
use trellis_swim::{Swim, TransmitId};
use trellis_wal::Lsn;

pub(crate) use self::join::Join;
pub use self::membership::PingAnswer;
use super::Now;
use super::address_book::AddressBook;
use super::effect::{Answer, Answered, CallFailure, CallId, Effect, Notice, Phase, Request};
use super::fault;
use super::inspect::Backlog;
use super::shard::Shard;
use super::shared::Shared;

/// Peers, sessions and membership, behind one lock. Locks are taken in the order control, shard.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) replicator: Replicator,
    pub(crate) swim: Swim<String>,
    /// Messages that wait for the log, in their order on each link (R1).
    held: BTreeMap<LinkId, VecDeque<(Lsn, Effect)>>,
    scans: BTreeMap<LinkId, ScanCursor>,
    /// Whose streams of deltas are open, or being opened; of streams that replication knows only.
    push_peers: BTreeMap<LinkId, String>,
    effects: VecDeque<Effect>,
    calls: BTreeMap<CallId, Call>,
    next_call: u64,
    /// Survives restarts by the log.
    pub(crate) addresses: AddressBook,
    /// How many members SWIM had let go of when they were last forgotten here.
    forgotten: u64,
    join: Option<Join>,
    /// Once this is durable, the node is a guest no longer.
    pub(crate) guest_end: Option<Lsn>,
    gossip: gossip::Rhythm,
    skew: skew::Skew,
    started: Instant,
    /// SWIM calls a member dead after so long a silence.
    silence_max: Duration,
    /// Pings to be answered later: SWIM's number of the request and who asked.
    deferred: BTreeMap<u64, trellis_swim::RequestId>,
    pub(crate) diverged: u64,
    pub(crate) conflicts: u64,
}

/// A call under way and what its answer is for.
#[derive(Debug)]
struct Call {
    purpose: Purpose,
    /// Who is to answer, where it is known.
    peer: Option<String>,
    deadline: Instant,
    sent_wall_millis: u64,
}

impl Call {
    /// Passes the answer of the node that was asked, or of any where none was named, as long as it gives no other name
    /// than its certificate. An address may be another node's by this time.
    fn check(&self, answered: Answered) -> Result<Answered, CallFailure> {
        let is_of_the_callee = self.peer.as_ref().is_none_or(|peer| *peer == answered.from);
        let is_honest = match &answered.answer {
            Answer::Pong(pong) => pong.identity.name == answered.from,
            Answer::Gossip(_) => true,
        };
        if is_of_the_callee && is_honest { Ok(answered) } else { Err(CallFailure::Closed) }
    }
}

#[derive(Debug)]
enum Purpose {
    /// SWIM's own.
    Swim(TransmitId),
    /// The tick of this core, and SWIM's number of the message it carries.
    Gossip { swim: Option<TransmitId> },
    /// A guest asks a seed who holds its name.
    Inquiry { seed: String },
    /// A guest asks at the address of the holder of its name.
    Holder { donor: String, node: NodeId },
}

/// What a control part starts with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) replicator: Replicator,
    pub(crate) swim: Swim<String>,
    pub(crate) addresses: AddressBook,
    pub(crate) join: Option<Join>,
    pub(crate) gossip_interval: Duration,
    pub(crate) gossip_fanout: usize,
    pub(crate) clock_skew_max: Duration,
    pub(crate) silence_max: Duration,
}

impl Control {
    pub(crate) fn new(parts: Parts, now: Instant) -> Self {
        Self {
            replicator: parts.replicator,
            swim: parts.swim,
            held: BTreeMap::new(),
            scans: BTreeMap::new(),
            push_peers: BTreeMap::new(),
            effects: VecDeque::new(),
            calls: BTreeMap::new(),
            next_call: 1,
            addresses: parts.addresses,
            forgotten: 0,
            join: parts.join,
            guest_end: None,
            gossip: gossip::Rhythm::new(parts.gossip_interval, parts.gossip_fanout, now),
            skew: skew::Skew::new(parts.clock_skew_max),
            started: now,
            silence_max: parts.silence_max,
            deferred: BTreeMap::new(),
            diverged: 0,
            conflicts: 0,
        }
    }

    /// A node whose log says that the cluster removed it does not serve again (R14).
    pub(crate) fn begin(&mut self, host: &Host<'_>) {
        if self.replicator.is_removed() {
            self.set_phase(host, Phase::Removed);
            self.notice(Notice::Replication(trellis_replication::Event::SelfRemoved));
        }
    }

    pub(crate) fn backlog(&self) -> Backlog {
        Backlog {
            held_messages: self.held.values().map(VecDeque::len).sum(),
            scans: self.scans.len(),
            push_streams: self.push_peers.len(),
            addresses: self.addresses.addresses().len(),
            gossip_hashes: self.gossip.hashes_count(),
            clocks: self.skew.len(),
            effects: self.effects.len(),
            calls: self.calls.len(),
            deferred_pings: self.deferred.len(),
            undurable: 0,
            replication: self.replicator.backlog(),
        }
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let join = self.join.as_ref().map(Join::due);
        [self.replicator.poll_timeout(), self.swim.poll_timeout(), Some(self.gossip.due()), join]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn handle_timeout(&mut self, host: &Host<'_>) {
        let now = host.now.instant;
        self.expire_calls(host);
        self.replicator.handle_timeout(now);
        self.swim.handle_timeout(now);
        self.gossip_if_due(host);
        self.forget_the_gone(host);
        self.inquire_if_due(host);
    }

    pub(crate) fn clock_ahead_millis(&self) -> i64 {
        self.skew.ahead_millis()
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.effects.push_back(Effect::Notice(notice));
    }

    fn call(&mut self, host: &Host<'_>, purpose: Purpose, to: Callee, request: Request, deadline: Instant) {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let (peer, sent_wall_millis) = (to.name.clone(), host.now.wall_millis);
        self.calls.insert(id, Call { purpose, peer, deadline, sent_wall_millis });
        self.effects.push_back(Effect::Call { id, peer: to.name, address: to.address, request, deadline });
    }

    /// The runtime answers every call by its deadline; one that it lost must not be kept for ever.
    fn expire_calls(&mut self, host: &Host<'_>) {
        let is_over = |call: &Call| call.deadline + CALL_GRACE <= host.now.instant;
        let over: Vec<CallId> =
            self.calls.iter().filter(|(_, call)| is_over(call)).map(|(id, _)| *id).collect();
        for id in over {
            self.handle_answer(host, id, Err(CallFailure::TimedOut));
        }
    }

    pub(crate) fn set_phase(&mut self, host: &Host<'_>, phase: Phase) {
        if host.shared.advance(phase) {
            self.effects.push_back(Effect::Phase(phase));
        }
        if phase != Phase::Serving {
            self.replicator.stop(host.now.instant);
        }
    }

    /// Streams stay open, so that peers can take what was written.
    pub(crate) fn drain(&mut self, shared: &Shared) {
        if shared.advance(Phase::Draining) {
            self.effects.push_back(Effect::Phase(Phase::Draining));
        }
    }

    /// The log failed: nothing is acknowledged or given any more (R17).
    pub(crate) fn fail(&mut self, host: &Host<'_>) {
        if fault::is_off("R17 a failed log stops the node") {
            return;
        }
        if fault::is_off("R17 a failed node says nothing") {
            host.shared.advance(Phase::Failed);
            return;
        }
        self.held.clear();
        self.set_phase(host, Phase::Failed);
    }
}

/// What control needs of the rest of the node while it handles something.
#[derive(Clone, Copy)]
pub(crate) struct Host<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) shards: &'a [parking_lot::Mutex<Shard>],
    pub(crate) now: Now,
}

impl Host<'_> {
    pub(crate) fn shard(&self, slot: u8) -> parking_lot::MutexGuard<'_, Shard> {
        self.shards[usize::from(slot) % self.shards.len()].lock()
    }
}

/// Whom a call is for.
struct Callee {
    name: Option<String>,
    address: String,
}

/// Beyond its deadline, so that the runtime's own answer comes first.
const CALL_GRACE: Duration = Duration::from_secs(1);
