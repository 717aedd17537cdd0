//! SWIM's outputs performed, and pings answered.

use std::time::Instant;

use bytes::Bytes;
use trellis_replication::{Holder, NodeId, Ping, Pong};
use trellis_swim::{Handled, Member, Output, SendFailure, State, Transmit, TransmitId, TransmitKind};

use super::{Callee, Control, Host, Purpose};
use crate::core::effect::{Answer, Answered, CallFailure, CallId, Effect, Notice, Phase, Request};
use crate::core::meta::NodeMeta;
use crate::core::record::Record;

/// The answer to a ping, or its number if it comes later.
#[derive(Clone, Debug, PartialEq)]
pub enum PingAnswer {
    /// At once.
    Now(Box<Pong>),
    /// By [`Effect::Answer`] with this number, or never: give up at the ping's deadline.
    Later(u64),
}

impl Control {
    /// Performs what SWIM and replication ask for until both ask for nothing more.
    pub(crate) fn drive(&mut self, host: &Host<'_>) {
        loop {
            self.perform_replication(host);
            let mut payload = Vec::new();
            let Some(output) = self.swim.poll_output(&mut payload) else { return };
            match output {
                Output::Transmit(transmit) => self.transmit(host, transmit, payload),
                Output::Reply { request } => self.answer_later(host, request, payload),
                Output::Event(event) => self.on_swim_event(host, event),
            }
        }
    }

    fn transmit(&mut self, host: &Host<'_>, transmit: Transmit<String>, payload: Vec<u8>) {
        let swim = Bytes::from(payload);
        let request = match transmit.kind {
            TransmitKind::PingDirect | TransmitKind::PingIndirect => {
                Request::Ping(Ping { swim, wall_millis: host.now.wall_millis, joining: None })
            }
            TransmitKind::Gossip | TransmitKind::Sync | TransmitKind::Leave => {
                Request::Gossip(self.bare_gossip(swim))
            }
        };
        let to = Callee { name: transmit.peer, address: transmit.to.to_string() };
        self.call(host, Purpose::Swim(transmit.id), to, request, transmit.deadline);
    }

    pub(crate) fn answer_ping(&mut self, host: &Host<'_>, from: &str, ping: &Ping) -> PingAnswer {
        let mut swim = Vec::new();
        if !ping.swim.is_empty() {
            let now = host.now.instant;
            match self.swim.handle_message(&from.to_owned(), &ping.swim, now, now, &mut swim) {
                Ok(Handled::Replied) => {}
                Ok(Handled::Deferred(request)) => {
                    let id = self.next_call;
                    self.next_call += 1;
                    self.deferred.insert(id, request);
                    if self.deferred.len() > DEFERRED_MAX {
                        self.deferred.pop_first();
                    }
                    return PingAnswer::Later(id);
                }
                Err(_) => {}
            }
        }
        let mut pong = self.pong(host, swim);
        pong.holder = ping.joining.as_ref().and_then(|(name, node)| self.holder(host, name, *node));
        PingAnswer::Now(Box::new(pong))
    }

    fn pong(&self, host: &Host<'_>, swim: Vec<u8>) -> Pong {
        Pong {
            identity: self.replicator.local().clone(),
            founding: self.replicator.roster().founding,
            is_guest: self.replicator.is_guest() || host.shared.phase() != Phase::Serving,
            swim: Bytes::from(swim),
            wall_millis: host.now.wall_millis,
            holder: None,
        }
    }

    fn answer_later(&mut self, host: &Host<'_>, request: trellis_swim::RequestId, payload: Vec<u8>) {
        let Some(id) = self.deferred.iter().find(|(_, waiting)| **waiting == request).map(|(id, _)| *id)
        else {
            return;
        };
        self.deferred.remove(&id);
        let pong = Box::new(self.pong(host, payload));
        self.effects.push_back(Effect::Answer { id, pong });
    }

    /// Who holds a name that another node wants to join under.
    ///
    /// A holder that SWIM has not heard of since this process started is sought where it was last reached, and counts
    /// as dead after as long a silence as any other.
    fn holder(&self, host: &Host<'_>, name: &str, newcomer: NodeId) -> Option<Holder> {
        let node = self.replicator.roster().holder(name).filter(|node| *node != newcomer)?;
        let member = self.swim.member(&name.to_owned());
        let meta = member.and_then(|member| NodeMeta::decode(&member.meta)).filter(|meta| meta.node == node);
        let is_dead = match member {
            Some(member) => matches!(member.state, State::Dead | State::Left),
            None => host.now.instant.saturating_duration_since(self.started) > self.silence_max,
        };
        Some(Holder {
            node,
            boot_nonce: meta.map_or(0, |meta| meta.boot_nonce),
            address: self.address_of(name).unwrap_or_default(),
            is_dead,
        })
    }

    pub(crate) fn handle_answer(
        &mut self,
        host: &Host<'_>,
        id: CallId,
        answered: Result<Answered, CallFailure>,
    ) {
        let Some(call) = self.calls.remove(&id) else { return };
        let now = host.now.instant;
        let answered = answered.and_then(|answered| call.check(answered));
        if let Ok(Answered { from, answer: Answer::Pong(pong) }) = &answered {
            self.measure_skew(host, from, pong.wall_millis, call.sent_wall_millis);
        }
        match (call.purpose, answered) {
            (Purpose::Swim(transmit), Ok(Answered { from, answer })) => {
                self.take_swim_reply(transmit, &from, answer.swim(), now);
            }
            (Purpose::Gossip { swim }, Ok(Answered { from, answer: Answer::Gossip(gossip) })) => {
                if let Some(transmit) = swim {
                    self.take_swim_reply(transmit, &from, &gossip.swim, now);
                }
                if let Err(refusal) = self.take_gossip(host, &from, &gossip) {
                    let refused = trellis_replication::Event::Refused { peer: from, refusal };
                    self.notice(Notice::Replication(refused));
                }
            }
            (Purpose::Inquiry { seed }, answered) => self.handle_inquiry(host, seed, as_pong(answered)),
            (Purpose::Holder { donor, node }, answered) => {
                self.handle_holder(host, &donor, node, as_pong(answered));
            }
            (Purpose::Swim(transmit) | Purpose::Gossip { swim: Some(transmit) }, Err(failure)) => {
                self.swim.handle_send_failure(transmit, send_failure(failure), now);
            }
            (Purpose::Gossip { .. }, _) => {}
        }
    }

    /// A reply that SWIM cannot read, or that is of another than it asked, is as good as none: its own timers take care of
    /// it.
    fn take_swim_reply(&mut self, transmit: TransmitId, from: &str, reply: &[u8], now: Instant) {
        if self.swim.handle_reply(transmit, &from.to_owned(), reply, now, now).is_err() {
            self.swim.handle_send_failure(transmit, SendFailure::Closed, now);
        }
    }

    /// Hands SWIM's bytes of a gossip exchange over and returns its answer, empty for none.
    pub(super) fn answer_swim_gossip(&mut self, host: &Host<'_>, from: &str, swim: &Bytes) -> Bytes {
        if swim.is_empty() {
            return Bytes::new();
        }
        let (now, mut reply) = (host.now.instant, Vec::new());
        match self.swim.handle_message(&from.to_owned(), swim, now, now, &mut reply) {
            Ok(Handled::Replied) => Bytes::from(reply),
            Ok(Handled::Deferred(_)) | Err(_) => Bytes::new(),
        }
    }

    fn on_swim_event(&mut self, host: &Host<'_>, event: trellis_swim::Event<String>) {
        use trellis_swim::Event as Swim;
        match event {
            Swim::Up(member) => self.on_member(host, &member, Some("alive")),
            Swim::Updated(member) => self.on_member(host, &member, None),
            Swim::Refuted(member) => self.on_member(host, &member, Some("alive")),
            Swim::Suspected { member, .. } => self.on_member(host, &member, Some("suspect")),
            // A node leaves no verdict to its operator, so swim does not say this to it. Such a member is suspected
            // still.
            Swim::Unreachable(member) => self.on_member(host, &member, None),
            Swim::Dead { member, .. } => self.on_gone(host, member.id, "dead"),
            Swim::Left(member) => self.on_gone(host, member.id, "left"),
            Swim::Conflict(member) => {
                self.conflicts += 1;
                let detail = format!(
                    "another process shows this name, at {}: stop one of the two; if there is none, a member lies",
                    member.addr
                );
                self.notice(Notice::Conflict { name: member.id, detail });
            }
            Swim::SelfAccused(member) => self.notice(Notice::Accused { state: state_word(member.state) }),
            Swim::SelfLagging(late) => self.notice(Notice::Late { late }),
            Swim::Isolated => self.notice(Notice::Isolated { is_isolated: true }),
            Swim::Healed => self.notice(Notice::Isolated { is_isolated: false }),
            Swim::LeaveDrained => self.effects.push_back(Effect::LeaveDrained),
            // No node offers any or tells any on: what nodes say to all others goes by replication, which misses nobody.
            Swim::Broadcast { .. } => {}
        }
    }

    fn on_member(&mut self, host: &Host<'_>, member: &Member<String>, state: Option<&'static str>) {
        let name = member.id.clone();
        if name == self.replicator.local().name {
            return;
        }
        self.note_address(host, name.clone(), member.addr.to_string());
        let is_guest = NodeMeta::decode(&member.meta).is_some_and(|meta| meta.is_guest);
        let is_alive = matches!(member.state, State::Alive | State::Suspect);
        self.replicator.set_alive(&name, is_alive && !is_guest, host.now.instant);
        if let Some(state) = state {
            self.notice(Notice::Membership { name, state });
        }
    }

    /// Keeps where a node is reached, over restarts too.
    pub(super) fn note_address(&mut self, host: &Host<'_>, name: String, address: String) {
        if !address.is_empty() && self.addresses.tell(&name, &address, self.replicator.roster()) {
            self.log(host, &Record::PeerAddress { name, address });
        }
    }

    /// Whoever SWIM has forgotten, for its age or for want of room, and is no member, is forgotten altogether.
    pub(super) fn forget_the_gone(&mut self, host: &Host<'_>) {
        let counters = self.swim.counters();
        let forgotten = counters.members_forgotten + counters.members_evicted;
        if std::mem::replace(&mut self.forgotten, forgotten) == forgotten {
            return;
        }
        let is_known = |name: &str| self.swim.member(&name.to_owned()).is_some();
        self.replicator.forget_peers(is_known);
        for name in self.addresses.forgotten(self.replicator.roster(), is_known) {
            self.addresses.tell(&name, "", self.replicator.roster());
            self.log(host, &Record::PeerAddress { name, address: String::new() });
        }
    }

    /// Name and address of every other member that SWIM knows as up.
    pub(super) fn swim_addresses(&self) -> Vec<(String, String)> {
        let others = self.swim.members().filter(|member| member.id != self.swim.local().id && member.is_up());
        others.map(|member| (member.id.clone(), member.addr.to_string())).collect()
    }

    /// Of others nothing is remembered: nobody would say when to forget it.
    pub(super) fn is_up(&self, name: &str) -> bool {
        self.swim.member(&name.to_owned()).is_some_and(Member::is_up)
    }

    fn on_gone(&mut self, host: &Host<'_>, name: String, state: &'static str) {
        self.replicator.set_alive(&name, false, host.now.instant);
        self.skew.forget(&name);
        self.gossip.forget(&name);
        self.notice(Notice::Membership { name, state });
    }

    pub(super) fn alive_members(&self) -> Vec<String> {
        self.swim
            .members()
            .filter(|member| matches!(member.state, State::Alive | State::Suspect))
            .filter(|member| !NodeMeta::decode(&member.meta).is_some_and(|meta| meta.is_guest))
            .map(|member| member.id.clone())
            .collect()
    }

    /// Shows the others that this node is a member from here on.
    pub(super) fn update_meta(&mut self, host: &Host<'_>) {
        let mut meta = NodeMeta::decode(&self.swim.local().meta).unwrap_or_default();
        meta.is_guest = self.replicator.is_guest();
        let encoded = meta.encode();
        let _ = self.swim.update_meta(encoded, host.now.instant);
    }

    pub(crate) fn leave(&mut self, now: Instant) {
        self.swim.leave(now);
    }

    fn measure_skew(&mut self, host: &Host<'_>, peer: &str, theirs: u64, sent: u64) {
        if peer == self.replicator.local().name || !self.is_up(peer) {
            return;
        }
        self.skew.measure(peer, theirs, sent, host.now.wall_millis);
        let is_beyond = self.skew.is_beyond();
        if host.shared.set_skewed(is_beyond) {
            self.notice(Notice::ClockSkew { ahead_millis: self.skew.ahead_millis(), is_beyond });
        }
    }
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Alive => "alive",
        State::Suspect => "suspect",
        State::Dead => "dead",
        State::Left => "left",
    }
}

fn as_pong(answered: Result<Answered, CallFailure>) -> Result<Pong, CallFailure> {
    match answered?.answer {
        Answer::Pong(pong) => Ok(*pong),
        Answer::Gossip(_) => Err(CallFailure::Closed),
    }
}

fn send_failure(failure: CallFailure) -> SendFailure {
    match failure {
        CallFailure::Refused => SendFailure::Refused,
        CallFailure::TimedOut => SendFailure::TimedOut,
        CallFailure::Closed => SendFailure::Closed,
    }
}

/// Indirect probes that this node makes for others at the same time; beyond, the oldest goes unanswered.
const DEFERRED_MAX: usize = 1024;

#[cfg(test)]
mod tests;
