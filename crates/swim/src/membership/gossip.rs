//! Spreading news: on every message, in bursts while there is any, and on the host's own rounds.

use std::time::{Duration, Instant};

use super::leave::Phase;
use super::{InFlight, Purpose, Swim};
use crate::codec;
use crate::dissemination::retransmits;
use crate::member::{Member, MemberId, State};
use crate::message::{Body, Header};
use crate::output::{Transmit, TransmitKind};
use crate::timer::Timer;

impl<I: MemberId> Swim<I> {
    /// At most `count` members that are up, with their addresses, at random: the targets of a round of the host's
    /// own gossip.
    pub fn gossip_targets(&mut self, count: usize) -> Vec<(I, String)> {
        let count = if self.phase == Phase::Gone { 0 } else { count };
        let sample = self.members.sample(count, None, &mut self.rng);
        sample
            .into_iter()
            .filter_map(|id| Some((id.clone(), self.members.member(&id)?.addr.clone())))
            .collect()
    }

    /// A message of news for `peer`, possibly empty of any, to ride on a message of the host's; the reply goes to
    /// [`handle_reply`](Self::handle_reply). `None` when the peer is not known, or too much is under way.
    pub fn gossip_payload(&mut self, peer: &I, now: Instant) -> Option<Transmit<I>> {
        if *peer == self.local().id || !self.has_room() || self.phase == Phase::Gone {
            return None;
        }
        let to = self.members.member(peer)?.addr.clone();
        let payload = self.compose(&Body::Gossip, Some(peer), false, now);
        let in_flight = InFlight { peer: Some(peer.clone()), purpose: Purpose::Gossip };
        let deadline = now + self.config.probe_interval;
        Some(self.register(to, TransmitKind::Gossip, in_flight, payload, deadline))
    }

    /// Makes a member's record news.
    pub(super) fn spread(&mut self, id: I, now: Instant) {
        if self.phase == Phase::Gone {
            return;
        }
        self.news.push(id);
        if !self.timers.is_armed(&Timer::Burst) {
            self.timers.arm(Timer::Burst, now + self.config.burst_interval);
        }
    }

    pub(super) fn on_burst(&mut self, now: Instant) {
        let targets = self.members.sample(self.config.burst_fanout, None, &mut self.rng);
        if targets.is_empty() {
            // Whoever comes gets the whole state.
            self.news.clear();
        }
        for target in targets {
            if !self.news.is_empty() {
                self.tell(&target, now);
            }
        }
        self.end_leave_when_told();
        if !self.news.is_empty() {
            self.timers.arm(Timer::Burst, now + self.config.burst_interval);
        }
    }

    /// Sends news to one member at once; a suspect's own suspicion comes first in it.
    pub(super) fn tell(&mut self, id: &I, now: Instant) {
        if !self.has_room() || *id == self.local().id {
            return;
        }
        let Some(to) = self.members.member(id).map(|member| member.addr.clone()) else {
            return;
        };
        self.counters.gossips += 1;
        let kind = if self.is_running() { TransmitKind::Gossip } else { TransmitKind::Leave };
        let payload = self.compose(&Body::Gossip, Some(id), false, now);
        let in_flight = InFlight { peer: Some(id.clone()), purpose: Purpose::Gossip };
        self.transmit(to, kind, in_flight, payload, now + self.config.probe_timeout);
    }

    /// The reply to a ping or to news. A peer that speaks of itself less than is recorded is told the record, so
    /// that it can refute it or raise its epoch.
    pub(super) fn reply_to(
        &mut self,
        peer: &I,
        header: Header,
        wants_exchange: bool,
        now: Instant,
    ) -> Vec<u8> {
        let is_behind = self.members.member(peer).is_some_and(|member| header.stamp() < member.stamp());
        self.compose_with(&Body::Ack, Some(peer), wants_exchange, is_behind, now)
    }

    /// A message with what news has room in it.
    pub(super) fn compose(
        &mut self,
        body: &Body<I>,
        to: Option<&I>,
        wants_exchange: bool,
        now: Instant,
    ) -> Vec<u8> {
        self.compose_with(body, to, wants_exchange, false, now)
    }

    fn compose_with(
        &mut self,
        body: &Body<I>,
        to: Option<&I>,
        wants_exchange: bool,
        tells_own_record: bool,
        now: Instant,
    ) -> Vec<u8> {
        let mut bytes = codec::encode_head(self.cluster, self.header(wants_exchange), body);
        let receiver = to.and_then(|id| self.members.member(id));
        if let Some(member) = receiver.filter(|member| tells_own_record || is_accused(member)) {
            codec::encode_update(&mut bytes, member, self.evidence_age(&member.id, now));
        }
        let mut sent = Vec::new();
        let mut record = Vec::new();
        for id in self.news.in_order() {
            // The receiver was told above what it does not know of itself. Nobody else is to be told in a pair.
            if Some(id) == to {
                if self.members.peers_up_count() == 1 {
                    sent.push(id.clone());
                }
                continue;
            }
            let Some(member) = self.members.member(id) else {
                continue;
            };
            record.clear();
            codec::encode_update(&mut record, member, self.evidence_age(id, now));
            if bytes.len() + record.len() > self.config.gossip_bytes_max {
                break;
            }
            bytes.extend_from_slice(&record);
            sent.push(id.clone());
        }
        let limit = retransmits(self.config.retransmit_factor, self.members.peers_up_count() + 1);
        for id in &sent {
            self.news.on_sent(id, limit);
        }
        bytes
    }

    /// All records, the own one first. [`Config::validate`](crate::Config::validate) sees to it that they fit.
    pub(super) fn whole_state(&self, body: Body<I>, now: Instant) -> Vec<u8> {
        let mut bytes = codec::encode_head(self.cluster, self.header(false), &body);
        let local = self.local();
        codec::encode_update(&mut bytes, local, Duration::ZERO);
        for member in self.members.iter().filter(|member| member.id != local.id) {
            codec::encode_update(&mut bytes, member, self.evidence_age(&member.id, now));
        }
        bytes
    }

    pub(super) fn state_body(&self) -> Body<I> {
        Body::State { instance: self.instance }
    }

    fn header(&self, wants_exchange: bool) -> Header {
        let (epoch, incarnation) = self.local().stamp();
        Header { epoch, incarnation, wants_exchange }
    }

    fn evidence_age(&self, id: &I, now: Instant) -> Duration {
        self.members.entry(id).map_or(Duration::MAX, |entry| now.saturating_duration_since(entry.evidence()))
    }
}

fn is_accused<I: MemberId>(member: &Member<I>) -> bool {
    matches!(member.state, State::Suspect | State::Dead)
}
