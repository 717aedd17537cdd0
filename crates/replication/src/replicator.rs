//! The state machine of one node: whom to talk to, what to send, what to ask for.
//!
//! It knows clocks, seqs and encoded deltas, and leaves merging to its host. Everything it says of this node is
//! durable: the host tells it of writes and clocks only once they are.

mod donate;
mod pull;
mod push_in;
mod push_out;
mod roster;
mod write_concern;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trellis_crdt::{Hlc, ReplicaId};

use crate::admission::{PROTOCOL_MAX, PROTOCOL_MIN};
use crate::clock::NodeClock;
use crate::concern::Concerns;
use crate::config::{Config, ConfigError};
use crate::counters::{Backlog, Counters};
use crate::identity::{Identity, NodeId};
use crate::message::{Hello, PushReply, PushRequest, PushedDelta, SyncReply, SyncRequest};
use crate::output::{After, Event, LinkId, LinkKind, Message, Output};
use crate::peer::{Peer, PeerStatus};
use crate::replicator::donate::Donation;
use crate::replicator::pull::{Pull, Pulls};
use crate::replicator::push_in::PushIn;
use crate::replicator::push_out::PushOut;
use crate::ring::Ring;
use crate::roster::Roster;

/// Replication as one node sees it.
///
/// Methods come in four kinds: `handle_*` for what happened, verbs for what the host wants, `poll_output` and
/// `poll_timeout` for what the host must do, and getters. After every call of the first two kinds the host
/// drains `poll_output` and then waits no longer than `poll_timeout`.
#[derive(Debug)]
pub struct Replicator {
    config: Config,
    cluster: String,
    local: Identity,
    /// Known here, logged before it is sent.
    roster: Roster,
    /// What the local log has synced.
    clock: NodeClock,
    /// The greatest stamp seen.
    hlc: Hlc,
    durable_lsn: u64,
    ring: Ring,
    /// By certified name.
    peers: BTreeMap<String, Peer>,
    links: BTreeMap<LinkId, Link>,
    pulls: Pulls,
    /// `Some` while this node is a guest.
    bootstrap: Option<Bootstrap>,
    concerns: Concerns,
    /// False once the log failed or the node is leaving: it gives nothing and dials nobody.
    is_serving: bool,
    rng: SmallRng,
    next_link: u64,
    outputs: VecDeque<Output>,
    counters: Counters,
}

/// What the replicator starts from: the result of recovery.
#[derive(Clone, Debug)]
pub struct Start {
    /// The cluster id of the certificate.
    pub cluster: String,
    /// Who this process is.
    pub local: Identity,
    /// Members, removals and replica table from the log, this process included.
    pub roster: Roster,
    /// The durable clock.
    pub clock: NodeClock,
    /// Slots that a guest has not adopted; `None` for a member.
    pub guest_of: Option<BTreeSet<u8>>,
    /// Seeds the choice of partners and the jitter of rounds.
    pub seed: u64,
}

/// What a guest still has to do.
#[derive(Debug)]
struct Bootstrap {
    remaining: BTreeSet<u8>,
    supersedes: Option<NodeId>,
}

#[derive(Debug)]
enum Link {
    PushOut(PushOut),
    PushIn(PushIn),
    SyncOut(Pull),
    SyncIn(Donation),
}

impl Link {
    /// The replica at the other end, once it has shown itself.
    fn replica(&self) -> Option<ReplicaId> {
        match self {
            Self::PushOut(out) => out.replica,
            Self::PushIn(stream) => stream.origin,
            Self::SyncOut(pull) => pull.donor,
            Self::SyncIn(donation) => donation.puller,
        }
    }
}

/// What happened to a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkEvent {
    /// A dialled stream is open.
    Opened,
    /// The peer said something on a `PushIn` link.
    PushRequest(PushRequest),
    /// The peer said something on a `PushOut` link.
    PushReply(PushReply),
    /// The peer said something on a `SyncIn` link.
    SyncRequest(SyncRequest),
    /// The peer said something on a `SyncOut` link.
    SyncReply(SyncReply),
    /// The stream ended or could not be opened; the link is gone.
    Closed,
}

/// What became of one delta that was pushed to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergedDelta {
    /// Its slot.
    pub slot: u8,
    /// Its seq.
    pub seq: u64,
    /// The contiguous prefix of its origin in the slot, after it.
    pub prefix: u64,
    /// Whether it was merged, or held already; false when there was no room to remember it beyond a gap.
    pub is_kept: bool,
}

/// What became of one part of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergedPart {
    /// All of these entries were merged; the slot goes on in a later part.
    Entries {
        /// How many.
        entries: usize,
    },
    /// The rest of the slot was merged and the donor's clock adopted.
    Adopted {
        /// The slot.
        slot: u8,
        /// Entries of this part.
        entries: usize,
    },
    /// Something in it was refused: the clock was not adopted.
    Refused,
}

impl Replicator {
    /// Makes the replicator of a process.
    ///
    /// # Errors
    ///
    /// When the limits contradict each other.
    pub fn new(config: Config, start: Start, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut rng = SmallRng::seed_from_u64(start.seed);
        let first_round = now + config.anti_entropy_interval.mul_f64(rng.random_range(0.75..1.25));
        Ok(Self {
            ring: Ring::new(config.ring_bytes),
            config,
            cluster: start.cluster,
            local: start.local,
            roster: start.roster,
            clock: start.clock,
            hlc: Hlc::ZERO,
            durable_lsn: 0,
            peers: BTreeMap::new(),
            links: BTreeMap::new(),
            pulls: Pulls::new(first_round),
            bootstrap: start.guest_of.map(|remaining| Bootstrap { remaining, supersedes: None }),
            concerns: Concerns::default(),
            is_serving: true,
            rng,
            next_link: 1,
            outputs: VecDeque::new(),
            counters: Counters::default(),
        })
    }

    /// Takes over what SWIM says of a peer; an alive one is dialled, a dead one is not.
    pub fn set_alive(&mut self, peer: &str, is_alive: bool, now: Instant) {
        if peer == self.local.name {
            return;
        }
        let known = self.peers.entry(peer.to_owned()).or_insert_with(|| Peer::new(now));
        if known.is_alive != is_alive {
            known.is_alive = is_alive;
            known.retry_at_once(now);
        }
        self.dial_peers(now);
    }

    /// Names a node that answered an inquiry of this guest, as somebody to pull from.
    pub fn add_donor(&mut self, peer: &str, now: Instant) {
        if self.bootstrap.is_some() && peer != self.local.name {
            self.peers.entry(peer.to_owned()).or_insert_with(|| Peer::new(now)).is_donor = true;
            self.want_pull(peer, now);
            self.start_pull(now);
        }
    }

    /// Takes the place of a node of this one's name that was found to be gone.
    ///
    /// A guest says so in its hello; a member, which learns of such a node from somebody who was away, removes it.
    pub fn supersede(&mut self, node: NodeId, now: Instant) {
        match &mut self.bootstrap {
            Some(bootstrap) => bootstrap.supersedes = Some(node),
            None => self.learn(&Roster { removed: [node].into(), ..Roster::default() }, now),
        }
    }

    /// Names a stream that a peer opened.
    pub fn accept(&mut self, peer: &str, kind: LinkKind, now: Instant) -> LinkId {
        let link = self.new_link();
        let state = match kind {
            LinkKind::PushIn | LinkKind::PushOut => Link::PushIn(PushIn::new(peer)),
            LinkKind::SyncIn | LinkKind::SyncOut => Link::SyncIn(Donation::new(peer, now)),
        };
        self.links.insert(link, state);
        link
    }

    /// Takes what happened to a stream. Events of links that are gone are ignored.
    pub fn handle_link(&mut self, link: LinkId, event: LinkEvent, now: Instant) {
        let Some(state) = self.links.get(&link) else { return };
        match (state, event) {
            (Link::PushOut(_), LinkEvent::Opened) => self.handle_push_opened(link, now),
            (Link::PushOut(_), LinkEvent::PushReply(reply)) => self.handle_push_reply(link, reply, now),
            (Link::PushIn(_), LinkEvent::PushRequest(request)) => {
                self.handle_push_request(link, request, now);
            }
            (Link::SyncOut(_), LinkEvent::Opened) => self.handle_sync_opened(link, now),
            (Link::SyncOut(_), LinkEvent::SyncReply(reply)) => self.handle_sync_reply(link, reply, now),
            (Link::SyncIn(_), LinkEvent::SyncRequest(request)) => {
                self.handle_sync_request(link, request, now);
            }
            (_, LinkEvent::Closed) => self.handle_closed(link, now),
            _ => self.close(link, now),
        }
    }

    /// Takes a delta that this replica wrote and that is durable. Per slot they come in the order of their seqs.
    pub fn handle_written(&mut self, slot: u8, seq: u64, payload: Bytes) {
        self.ring.push(PushedDelta { slot, seq, payload });
    }

    /// Takes progress of the durable clock; acknowledgements leave with the next [`flush`](Self::flush).
    pub fn handle_clock(&mut self, slot: u8, origin: ReplicaId, seq: u64) {
        if self.clock.raise(slot, origin, seq) {
            self.acknowledge(slot, origin);
        }
    }

    /// Takes note of the greatest stamp seen and of the end of the synced log, for the next hello.
    pub fn handle_facts(&mut self, hlc: Hlc, durable_lsn: u64) {
        self.hlc = self.hlc.max(hlc);
        self.durable_lsn = self.durable_lsn.max(durable_lsn);
    }

    /// Sends what has become durable since the last call: deltas to peers, acknowledgements to origins.
    pub fn flush(&mut self, now: Instant) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            match self.links.get(&link) {
                Some(Link::PushOut(_)) => self.pump(link, now),
                Some(Link::PushIn(_)) => self.send_acknowledgements(link),
                _ => {}
            }
        }
    }

    /// Does what is due. Early, late and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.dial_peers(now);
        self.flush(now);
        self.expire_transfers(now);
        self.start_anti_entropy(now);
        self.start_pull(now);
    }

    /// Pulls from `peer` as soon as no other transfer is under way, as after a digest that differs.
    pub fn reconcile_with(&mut self, peer: &str, now: Instant) {
        self.want_pull(peer, now);
        self.start_pull(now);
    }

    /// Stops giving anything to peers and dialling them: the log failed, or the node is about to stop.
    pub fn stop(&mut self, now: Instant) {
        self.is_serving = false;
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.close(link, now);
        }
    }

    /// Returns the next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due. O(peers).
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.is_serving {
            return None;
        }
        let dials = self.peers.values().filter(|peer| self.wants_dial(peer)).map(|peer| peer.dial_at);
        let links = self.links.values().filter_map(|link| match link {
            Link::PushOut(out) => out.timeout(&self.config, &self.ring),
            Link::PushIn(_) => None,
            Link::SyncOut(pull) => Some(pull.deadline),
            Link::SyncIn(donation) => Some(donation.deadline),
        });
        let pulls = self.pulls.timeout(self.bootstrap.is_none());
        dials.chain(links).chain(pulls).min()
    }

    /// Tells whether every alive peer has acknowledged every delta of this process.
    pub fn is_drained(&self) -> bool {
        self.peers.values().filter(|peer| peer.is_alive).filter_map(|peer| peer.push).all(
            |link| matches!(self.links.get(&link), Some(Link::PushOut(out)) if out.is_drained(&self.ring)),
        )
    }

    /// Tells whether this node has not adopted every slot yet.
    pub fn is_guest(&self) -> bool {
        self.bootstrap.is_some()
    }

    /// Tells whether the roster says that this node was removed.
    pub fn is_removed(&self) -> bool {
        self.roster.removed.contains(&self.local.node)
    }

    /// Returns how many slots a guest has not adopted; 0 for a member.
    pub fn slots_remaining(&self) -> usize {
        self.bootstrap.as_ref().map_or(0, |guest| guest.remaining.len())
    }

    /// Returns the slots that a guest has not adopted; `None` for a member.
    pub fn slots_to_adopt(&self) -> Option<&BTreeSet<u8>> {
        self.bootstrap.as_ref().map(|guest| &guest.remaining)
    }

    /// Returns members, removals and replica table.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Returns the durable clock.
    pub fn clock(&self) -> &NodeClock {
        &self.clock
    }

    /// Returns who this process is.
    pub fn local(&self) -> &Identity {
        &self.local
    }

    /// Returns what is known of every peer that was ever met, by name.
    pub fn peers(&self) -> impl Iterator<Item = (&str, PeerStatus<'_>)> {
        self.peers.iter().map(|(name, peer)| (name.as_str(), peer.status(&self.clock, self.local.replica)))
    }

    /// Returns the counts since start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts what waits. O(links).
    pub fn backlog(&self) -> Backlog {
        let mut backlog = Backlog {
            peers: self.peers.len(),
            links: self.links.len(),
            outputs: self.outputs.len(),
            concerns: self.concerns.len(),
            ring_bytes: self.ring.bytes(),
            ..Backlog::default()
        };
        for link in self.links.values() {
            match link {
                Link::PushOut(out) => {
                    backlog.in_flight_bytes_max = backlog.in_flight_bytes_max.max(out.in_flight_bytes());
                }
                Link::PushIn(stream) => backlog.wanted_max = backlog.wanted_max.max(stream.wanted_len()),
                Link::SyncIn(_) => backlog.donations += 1,
                Link::SyncOut(_) => backlog.pulls += 1,
            }
        }
        backlog
    }

    /// Returns the bytes of the ring in use.
    pub fn ring_bytes(&self) -> usize {
        self.ring.bytes()
    }

    fn hello(&self) -> Box<Hello> {
        Box::new(Hello {
            cluster: self.cluster.clone(),
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            identity: self.local.clone(),
            is_guest: self.is_guest(),
            supersedes: self.bootstrap.as_ref().and_then(|bootstrap| bootstrap.supersedes),
            durable_lsn: self.durable_lsn,
            roster: self.roster.clone(),
            clock: if self.is_guest() { NodeClock::new() } else { self.clock.clone() },
            hlc: self.hlc,
        })
    }

    fn new_link(&mut self) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        link
    }

    fn dial(&mut self, peer: &str, kind: LinkKind, state: Link) -> LinkId {
        let link = self.new_link();
        self.links.insert(link, state);
        self.outputs.push_back(Output::Dial { peer: peer.to_owned(), link, kind });
        link
    }

    fn send(&mut self, link: LinkId, message: Message, after: After) {
        self.outputs.push_back(Output::Send { link, message, after });
    }

    /// Closes a link from this side and lets go of its state, as if the peer had closed it.
    fn close(&mut self, link: LinkId, now: Instant) {
        if self.links.contains_key(&link) {
            self.outputs.push_back(Output::Close { link });
            self.handle_closed(link, now);
        }
    }

    fn handle_closed(&mut self, link: LinkId, now: Instant) {
        match self.links.remove(&link) {
            Some(Link::PushOut(out)) => {
                if let Some(peer) = self.peers.get_mut(&out.peer)
                    && peer.push == Some(link)
                {
                    peer.push = None;
                    peer.back_off(now, self.config.retry_max);
                }
            }
            Some(Link::SyncOut(pull)) => {
                self.outputs
                    .retain(|output| !matches!(output, Output::MergePart { link: of, .. } if *of == link));
                self.on_pull_lost(pull, now);
            }
            Some(Link::SyncIn(_)) => self.outputs.push_back(Output::ScanEnded { link }),
            Some(Link::PushIn(_)) | None => {}
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

#[cfg(test)]
mod tests;
