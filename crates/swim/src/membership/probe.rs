//! Asking members whether they live: directly, then through helpers, and for others.

use std::time::Instant;

use super::{InFlight, Purpose, Swim};
use crate::fault;
use crate::input::RequestId;
use crate::member::{MemberId, State};
use crate::message::Body;
use crate::output::TransmitKind;
use crate::timer::Timer;

/// One member being asked. The verdict holds for the process and incarnation that were asked, no other.
#[derive(Debug)]
pub(super) struct Probe {
    stamp: (u64, u64),
    ends_at: Instant,
    helpers_asked: bool,
}

impl<I: MemberId> Swim<I> {
    pub(super) fn on_probe_round(&mut self, now: Instant) {
        self.timers.arm(Timer::ProbeRound, now + self.config.probe_interval);
        let probes = &self.probes;
        if let Some(target) = self.members.next_in_turn(|id| !probes.contains_key(id)) {
            self.probe(target, now);
        }
    }

    /// Asks a member, unless it is being asked.
    pub(super) fn probe(&mut self, target: I, now: Instant) {
        let Some(member) = self.members.member(&target).filter(|_| !self.probes.contains_key(&target)) else {
            return;
        };
        let (stamp, to) = (member.stamp(), member.addr.clone());
        let ends_at = now + self.config.probe_interval;
        self.counters.probes += 1;
        self.probes.insert(target.clone(), Probe { stamp, ends_at, helpers_asked: false });
        self.timers.arm(Timer::ProbeTimeout(target.clone()), now + self.config.probe_timeout);
        self.timers.arm(Timer::ProbeEnd(target.clone()), ends_at);
        let payload = self.compose(&Body::Ping { target: target.clone() }, Some(&target), false, now);
        let in_flight = InFlight { peer: Some(target), purpose: Purpose::Probe };
        self.transmit(to, TransmitKind::PingDirect, in_flight, payload, ends_at);
    }

    /// The direct ping failed or takes long.
    pub(super) fn ask_helpers(&mut self, target: &I, now: Instant) {
        let Some(probe) = self.probes.get_mut(target).filter(|probe| !probe.helpers_asked) else {
            return;
        };
        probe.helpers_asked = true;
        let ends_at = probe.ends_at;
        self.timers.cancel(&Timer::ProbeTimeout(target.clone()));
        if ends_at <= now {
            return;
        }
        self.counters.probes_indirect += 1;
        for helper in self.members.sample(self.config.indirect_probes, Some(target), &mut self.rng) {
            let Some(to) = self.members.member(&helper).map(|member| member.addr.clone()) else {
                continue;
            };
            let payload =
                self.compose(&Body::PingRequest { target: target.clone() }, Some(&helper), false, now);
            let in_flight =
                InFlight { peer: Some(helper), purpose: Purpose::IndirectProbe { target: target.clone() } };
            self.transmit(to, TransmitKind::PingIndirect, in_flight, payload, ends_at);
        }
    }

    /// The process of `epoch` behind the target has answered; only the one that was asked settles the probe.
    pub(super) fn on_probe_answered(&mut self, target: &I, epoch: u64) {
        if self.probes.get(target).is_some_and(|probe| probe.stamp.0 == epoch) {
            self.cancel_probe(target);
        }
    }

    pub(super) fn cancel_probe(&mut self, target: &I) {
        self.probes.remove(target);
        self.timers.cancel(&Timer::ProbeTimeout(target.clone()));
        self.timers.cancel(&Timer::ProbeEnd(target.clone()));
    }

    pub(super) fn on_probe_end(&mut self, target: &I, now: Instant) {
        let Some(probe) = self.probes.remove(target) else {
            return;
        };
        self.timers.cancel(&Timer::ProbeTimeout(target.clone()));
        self.counters.probes_failed += 1;
        let accused = self.members.member(target).filter(|member| member.stamp() == probe.stamp).cloned();
        if let Some(mut member) = accused.filter(|member| member.state == State::Alive) {
            member.state = if fault::is_off("suspicion comes first") { State::Dead } else { State::Suspect };
            self.counters.suspicions += 1;
            self.replace(member, None, now);
            self.spread(target.clone(), now);
            self.tell(target, now);
        }
    }

    /// Pings a member on behalf of another, whose request is answered when the target answers in time.
    pub(super) fn relay_ping(&mut self, target: I, request: RequestId, now: Instant) {
        let Some(to) = self.members.member(&target).map(|member| member.addr.clone()) else {
            return;
        };
        self.counters.relays += 1;
        let payload = self.compose(&Body::Ping { target: target.clone() }, Some(&target), false, now);
        let in_flight = InFlight { peer: Some(target), purpose: Purpose::Relay { request } };
        self.transmit(to, TransmitKind::PingDirect, in_flight, payload, now + self.config.probe_timeout);
    }

    pub(super) fn relays_count(&self) -> usize {
        self.in_flight.values().filter(|in_flight| matches!(in_flight.purpose, Purpose::Relay { .. })).count()
    }
}
