//! Outgoing deltas: dialling peers, the hello, and sending from the ring within a window.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use trellis_crdt::ReplicaId;

use super::{Link, Replicator};
use crate::config::Config;
use crate::message::{Hello, PushReply, PushRequest, PushedDelta, Refusal};
use crate::output::{After, Event, LinkId, LinkKind, Message};
use crate::peer::Peer;
use crate::ring::{Ring, delta_bytes};
use crate::roster::Roster;

/// One stream of this replica's deltas to a peer.
#[derive(Debug)]
pub(crate) struct PushOut {
    pub(crate) peer: String,
    /// Who answered the hello.
    pub(super) replica: Option<ReplicaId>,
    phase: Phase,
    /// Ring position of the next delta to send.
    next: u64,
    /// Everything before this position is acknowledged or fell out of the ring.
    unacknowledged: u64,
    /// Ends of the messages in flight and when they left.
    sent: VecDeque<(u64, Instant)>,
    in_flight_bytes: usize,
    last_sent: Option<Instant>,
    round_trip: Option<Duration>,
    /// Offers of the oldest unacknowledged delta without an answer.
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Dialling,
    Greeting { since: Instant },
    Open,
}

impl PushOut {
    fn new(peer: &str, ring: &Ring) -> Self {
        Self {
            peer: peer.to_owned(),
            replica: None,
            phase: Phase::Dialling,
            next: ring.first(),
            unacknowledged: ring.first(),
            sent: VecDeque::new(),
            in_flight_bytes: 0,
            last_sent: None,
            round_trip: None,
            attempts: 0,
        }
    }

    pub(crate) fn is_drained(&self, ring: &Ring) -> bool {
        self.phase == Phase::Open && self.unacknowledged == ring.end()
    }

    pub(super) fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(super) fn has_greeted(&self) -> bool {
        self.phase != Phase::Dialling
    }

    pub(crate) fn timeout(&self, config: &Config, ring: &Ring) -> Option<Instant> {
        match self.phase {
            Phase::Dialling => None,
            Phase::Greeting { since } => Some(since + config.transfer_timeout),
            Phase::Open => {
                let has_room = self.in_flight_bytes < config.window_bytes;
                let waits = self.next < ring.end() && has_room;
                let company = self.last_sent.filter(|_| waits).map(|at| at + config.coalesce);
                company.into_iter().chain(self.retry_at(config)).min()
            }
        }
    }

    /// When the oldest message in flight is offered again: after four round trips, doubled with each attempt.
    fn retry_at(&self, config: &Config) -> Option<Instant> {
        let (_, sent_at) = self.sent.front()?;
        let usual = self.round_trip.map_or(config.retry_min * 4, |trip| trip * 4).max(config.retry_min);
        Some(*sent_at + (usual * (1 << self.attempts.min(6))).min(config.retry_max))
    }

    fn rewind(&mut self) {
        self.next = self.unacknowledged;
        self.sent.clear();
        self.in_flight_bytes = 0;
        self.attempts += 1;
    }

    /// Moves over what the peer has, and measures the round trip of what it acknowledged.
    fn advance(&mut self, ring: &Ring, has: impl Fn(&PushedDelta) -> bool, now: Instant) {
        let before = self.unacknowledged;
        self.unacknowledged = self.unacknowledged.max(ring.first());
        while ring.get(self.unacknowledged).is_some_and(&has) {
            self.unacknowledged += 1;
        }
        self.next = self.next.max(self.unacknowledged);
        if self.unacknowledged == before {
            return;
        }
        self.attempts = 0;
        while let Some((end, sent_at)) =
            self.sent.front().copied().filter(|(end, _)| *end <= self.unacknowledged)
        {
            self.sent.pop_front();
            if end == self.unacknowledged || self.sent.is_empty() {
                let sample = now.saturating_duration_since(sent_at);
                self.round_trip = Some(self.round_trip.map_or(sample, |smooth| (smooth * 7 + sample) / 8));
            }
        }
        let in_flight = self.unacknowledged..self.next;
        self.in_flight_bytes = if self.sent.is_empty() {
            0
        } else {
            in_flight.filter_map(|at| ring.get(at)).filter(|delta| !has(delta)).map(delta_bytes).sum()
        };
    }
}

impl Replicator {
    /// A member dials every alive peer; who is still a guest gives nothing.
    pub(super) fn wants_dial(&self, peer: &Peer) -> bool {
        self.is_serving && self.bootstrap.is_none() && peer.is_alive && peer.push.is_none()
    }

    pub(super) fn dial_peers(&mut self, now: Instant) {
        let due: Vec<String> = self
            .peers
            .iter()
            .filter(|(_, peer)| self.wants_dial(peer) && peer.dial_at <= now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let link = self.dial(&name, LinkKind::PushOut, Link::PushOut(PushOut::new(&name, &self.ring)));
            if let Some(peer) = self.peers.get_mut(&name) {
                peer.push = Some(link);
            }
        }
    }

    pub(super) fn handle_push_opened(&mut self, link: LinkId, now: Instant) {
        let hello = self.hello();
        if let Some(Link::PushOut(out)) = self.links.get_mut(&link) {
            out.phase = Phase::Greeting { since: now };
            self.send(link, Message::PushRequest(PushRequest::Hello(hello)), After::Everything);
        }
    }

    pub(super) fn handle_push_reply(&mut self, link: LinkId, reply: PushReply, now: Instant) {
        match reply {
            PushReply::Hello(hello) => self.handle_push_welcome(link, &hello, now),
            PushReply::Refused(refusal) => self.handle_refused(link, refusal, now),
            PushReply::Acked(prefixes) => self.handle_acked(link, &prefixes, now),
            PushReply::Wanted { slot, first, last } => self.handle_wanted(link, slot, first, last),
        }
    }

    fn handle_push_welcome(&mut self, link: LinkId, hello: &Hello, now: Instant) {
        let Some(name) = self.push_out(link).map(|out| out.peer.clone()) else { return };
        if self.push_out(link).is_none_or(|out| !matches!(out.phase, Phase::Greeting { .. })) {
            return self.close(link, now);
        }
        if let Err(refusal) = self.meet(&name, hello, now) {
            self.on_refusing(&name, &refusal);
            return self.close(link, now);
        }
        if let Some(peer) = self.peers.get_mut(&name) {
            peer.retry_at_once(now);
        }
        if let Some(out) = self.push_out(link) {
            out.phase = Phase::Open;
            out.replica = Some(hello.identity.replica);
        }
        self.pump(link, now);
    }

    pub(super) fn handle_refused(&mut self, link: LinkId, refusal: Refusal, now: Instant) {
        let peer = match self.links.get(&link) {
            Some(Link::PushOut(out)) => out.peer.clone(),
            Some(Link::SyncOut(pull)) => pull.peer.clone(),
            _ => return,
        };
        let is_removed = refusal == Refusal::Removed { node: self.local.node };
        self.event(Event::RefusedBy { peer, refusal });
        self.close(link, now);
        if is_removed {
            let removed = [self.local.node].into_iter().collect();
            self.learn(&Roster { removed, ..Roster::default() }, now);
        }
    }

    fn handle_acked(&mut self, link: LinkId, prefixes: &[(u8, u64)], now: Instant) {
        let local = self.local.replica;
        let Some(Link::PushOut(out)) = self.links.get_mut(&link) else { return };
        let Some(peer) = self.peers.get_mut(&out.peer) else { return };
        for (slot, prefix) in prefixes {
            let written = self.clock.prefix(*slot, local);
            peer.clock.raise(*slot, local, (*prefix).min(written));
        }
        out.advance(&self.ring, |delta| peer.clock.prefix(delta.slot, local) >= delta.seq, now);
        for (slot, _) in prefixes {
            self.settle_concerns(*slot);
        }
        self.pump(link, now);
    }

    /// R5: exactly the range, from the ring, or nothing of it.
    fn handle_wanted(&mut self, link: LinkId, slot: u8, first: u64, last: u64) {
        let last = last.min(self.clock.prefix(slot, self.local.replica));
        if first == 0 || first > last || !self.push_out(link).is_some_and(|out| out.is_open()) {
            return;
        }
        let Some(deltas) = self.ring.range(slot, first, last) else {
            self.counters.ranges_gone += 1;
            self.send(link, Message::PushRequest(PushRequest::Gone { slot }), After::Nothing);
            return;
        };
        self.counters.ranges_answered += 1;
        let mut room = self.config.window_bytes;
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        for delta in deltas {
            let bytes = delta_bytes(&delta);
            if bytes > room {
                break;
            }
            room -= bytes;
            batch_bytes += bytes;
            batch.push(delta);
            if batch_bytes >= self.config.batch_bytes {
                self.send_deltas(link, std::mem::take(&mut batch));
                batch_bytes = 0;
            }
        }
        self.send_deltas(link, batch);
    }

    /// Sends what waits for the peer of `link`, as far as window and coalescing allow.
    pub(super) fn pump(&mut self, link: LinkId, now: Instant) {
        let local = self.local.replica;
        while let Some(Link::PushOut(out)) = self.links.get_mut(&link) {
            if let Phase::Greeting { since } = out.phase
                && since + self.config.transfer_timeout <= now
            {
                self.close(link, now);
                return;
            }
            let Some(peer) = self.peers.get(&out.peer) else { return };
            if !out.is_open() {
                return;
            }
            let has = |delta: &PushedDelta| peer.clock.prefix(delta.slot, local) >= delta.seq;
            let has_lost = out.unacknowledged < self.ring.first();
            out.advance(&self.ring, has, now);
            if out.retry_at(&self.config).is_some_and(|at| at <= now) {
                self.counters.deltas_offered_again += out.next - out.unacknowledged;
                out.rewind();
            }
            let (batch, end) = take_batch(out, &self.ring, &self.config, has);
            if batch.is_empty() {
                out.next = end;
            }
            let is_idle = out.sent.is_empty();
            let waits_for_company = !is_idle
                && batch.iter().map(delta_bytes).sum::<usize>() < self.config.batch_bytes
                && out.last_sent.is_some_and(|at| at + self.config.coalesce > now);
            if !batch.is_empty() && !waits_for_company {
                out.in_flight_bytes += batch.iter().map(delta_bytes).sum::<usize>();
                out.next = end;
                out.sent.push_back((end, now));
                out.last_sent = Some(now);
                self.send_deltas(link, batch);
            } else if !has_lost {
                return;
            }
            if has_lost {
                let slot = self.ring.get(self.ring.first()).map_or(0, |delta| delta.slot);
                self.send(link, Message::PushRequest(PushRequest::Gone { slot }), After::Nothing);
            }
        }
    }

    fn send_deltas(&mut self, link: LinkId, deltas: Vec<PushedDelta>) {
        if !deltas.is_empty() {
            self.counters.deltas_sent += deltas.len() as u64;
            self.send(link, Message::PushRequest(PushRequest::Deltas(deltas)), After::Nothing);
        }
    }

    fn push_out(&mut self, link: LinkId) -> Option<&mut PushOut> {
        match self.links.get_mut(&link) {
            Some(Link::PushOut(out)) => Some(out),
            _ => None,
        }
    }
}

/// Collects the next deltas that the peer lacks, at most a batch and within the window, and where they end.
fn take_batch(
    out: &PushOut,
    ring: &Ring,
    config: &Config,
    has: impl Fn(&PushedDelta) -> bool,
) -> (Vec<PushedDelta>, u64) {
    let room = config.window_bytes.saturating_sub(out.in_flight_bytes).min(config.batch_bytes);
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut position = out.next;
    while bytes < room
        && let Some(delta) = ring.get(position)
    {
        position += 1;
        if !has(delta) {
            bytes += delta_bytes(delta);
            batch.push(delta.clone());
        }
    }
    (batch, position)
}
