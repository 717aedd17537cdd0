//! Spreading news: in bursts while there is any, at once to whom it concerns, and on the host's own rounds.

use std::sync::Arc;
use std::time::Instant;

use super::leave::Phase;
use super::output::{Intent, Purpose, Request};
use super::{Swim, Timer};
use crate::member::MemberId;
use crate::member_list::Slot;
use crate::message::Body;
use crate::output::{Transmit, TransmitKind};

impl<I: MemberId> Swim<I> {
    /// At most `count` members that are up, with their addresses, at random: the targets of a round of the host's
    /// own gossip.
    pub fn gossip_targets(&mut self, count: usize) -> Vec<(I, Arc<str>)> {
        let count = if self.phase == Phase::Gone { 0 } else { count };
        let sample = self.members.sample(count, None, &mut self.rng);
        let members = sample.into_iter().map(|slot| &self.members.at(slot).member);
        members.map(|member| (member.id.clone(), member.addr.clone())).collect()
    }

    /// A message of news for `peer`, possibly empty of any, to ride on a message of the host's; its bytes are left
    /// in `payload`, and the reply goes to [`handle_reply`](Self::handle_reply). `None` when the peer is not known,
    /// or too much is under way.
    pub fn gossip_payload(&mut self, peer: &I, now: Instant, payload: &mut Vec<u8>) -> Option<Transmit<I>> {
        self.observe(now);
        let slot = self.members.slot(peer).filter(|slot| *slot != Slot::LOCAL)?;
        if self.phase == Phase::Gone || !self.has_room() {
            return None;
        }
        let (to, _) = self.addr_of(slot);
        let deadline = now + self.config.probe_interval;
        let id = self.expect_reply(Some(slot), Purpose::News, deadline);
        let (kind, body) = (TransmitKind::Gossip, Body::Gossip);
        self.transmit(Request { id, to, kind, body, tells_own: false, deadline }, payload)
    }

    /// Makes a member's record news.
    pub(super) fn spread(&mut self, slot: Slot) {
        if self.phase == Phase::Gone || self.members.at(slot).is_unproven {
            return;
        }
        self.news.push(slot);
        if !self.timers.is_armed(Timer::Burst) {
            self.timers.arm(Timer::Burst, self.now + self.config.burst_interval);
        }
    }

    pub(super) fn on_burst(&mut self) {
        let targets = self.members.sample(self.config.burst_fanout, None, &mut self.rng);
        if targets.is_empty() {
            // Whoever comes gets the whole state.
            self.news.clear();
        }
        if !(self.news.is_empty() && self.broadcasts.is_empty()) {
            targets.into_iter().for_each(|target| self.tell(target, false));
        }
        self.end_leave_when_told();
        if !self.news.is_empty() {
            self.timers.arm(Timer::Burst, self.now + self.config.burst_interval);
        }
        self.burst_while_broadcasting();
    }

    /// Sends news to one member at once, and the own record with it if so wished.
    pub(super) fn tell(&mut self, slot: Slot, tells_own: bool) {
        if slot == Slot::LOCAL || !self.has_room() {
            return;
        }
        self.counters.gossips += 1;
        let is_running = self.is_running();
        let kind = if is_running { TransmitKind::Gossip } else { TransmitKind::Leave };
        let tells_own = tells_own || !is_running;
        let deadline = self.now + self.config.probe_interval;
        let (to, peer) = self.addr_of(slot);
        let id = self.expect_reply(peer, Purpose::News, deadline);
        let body = Body::Gossip;
        self.intents.push_back(Intent::Send(Request { id, to, kind, body, tells_own, deadline }));
    }

    /// Tells a member the own record, or asks for its record, at most once per probe interval: one that refuses to
    /// learn is not told without end.
    pub(super) fn exchange_records(&mut self, slot: Slot) {
        let (now, interval) = (self.now, self.config.probe_interval);
        let entry = self.members.at_mut(slot);
        if entry.told.is_none_or(|told| now >= told + interval) {
            entry.told = Some(now);
            self.tell(slot, true);
        }
    }
}
