//! Asking members whether they live: directly, then once more and through helpers, and for others.

use std::time::Instant;

use super::output::{InFlight, Purpose};
use super::{Swim, Timer};
use crate::fault;
use crate::input::{RequestId, TransmitId};
use crate::member::{MemberId, State};
use crate::member_list::Slot;
use crate::message::Body;
use crate::output::TransmitKind;

/// One member being asked. The verdict holds for the process and incarnation that were asked, no other.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) target: Slot,
    stamp: (u64, u64),
    /// The first ping: an answer to an earlier one is late.
    first: TransmitId,
    ends_at: Instant,
    /// Others were asked to try.
    has_helpers: bool,
}

impl<I: MemberId> Swim<I> {
    pub(super) fn on_probe_round(&mut self) {
        self.expire_transmits();
        self.timers.arm(Timer::ProbeRound, self.now + self.awareness.scale(self.config.probe_interval));
        if let Some(target) = self.next_target() {
            self.probe(target);
        }
    }

    /// Every other turn is the successor's, so that each member is asked by its predecessor every two intervals, and
    /// a crash is noticed within three. By chance alone nobody asks it in five of them once in 150 crashes. The turns
    /// between are drawn: a predecessor may be slow, or gone itself.
    fn next_target(&mut self) -> Option<Slot> {
        let probes = &self.probes;
        let is_free = |slot| probes.iter().all(|probe| probe.target != slot);
        self.asks_successor = !self.asks_successor && !fault::is_off("a member is asked by its predecessor");
        let successor = if self.asks_successor { self.members.successor(is_free) } else { None };
        successor.or_else(|| self.members.next_in_turn(&mut self.rng, is_free))
    }

    /// Asks a member, unless it is being asked. Whoever has left asks nobody.
    pub(super) fn probe(&mut self, target: Slot) {
        let is_asked = self.probes.iter().any(|probe| probe.target == target);
        if is_asked || target == Slot::LOCAL || !self.is_running() {
            return;
        }
        self.counters.probes += 1;
        let ends_at = self.now + self.awareness.scale(self.config.probe_interval);
        self.timers
            .arm(Timer::ProbeTimeout(target), self.now + self.awareness.scale(self.config.probe_timeout));
        self.timers.arm(Timer::ProbeEnd(target), ends_at);
        let stamp = self.members.at(target).member.stamp();
        let first = self.ping(target, Purpose::Probe, self.now + self.config.dead_after);
        self.probes.push(Probe { target, stamp, first, ends_at, has_helpers: false });
    }

    /// Asks a member whose link broke. A link that is refused breaks again and again, and those of half a cluster
    /// break at one moment; so each member is asked once per interval, none that this one accuses already, and no
    /// more at a time than leave room for news.
    pub(super) fn probe_at_hint(&mut self, target: Slot) {
        let (now, interval) = (self.now, self.config.probe_interval);
        let expected = self.in_flight.len() + PROBE_TRANSMITS * self.probes.len();
        if self.accuses(target) || expected > self.config.in_flight_max / 2 {
            return;
        }
        let entry = self.members.at_mut(target);
        if entry.hinted.is_none_or(|hinted| now >= hinted + interval) {
            entry.hinted = Some(now);
            self.probe(target);
        }
    }

    fn ping(&mut self, target: Slot, purpose: Purpose<I>, deadline: Instant) -> TransmitId {
        let body = Body::Ping { target: self.members.at(target).member.id.clone() };
        self.send(self.addr_of(target), TransmitKind::PingDirect, purpose, body, deadline)
    }

    /// The direct ping or its answer was perhaps lost: helpers are asked, and it is repeated now, and once more half
    /// way to the verdict. Three pings and three helpers leave one failure in a hundred where every fifth message is
    /// lost, and what a wrong suspicion costs is a message to everybody.
    pub(super) fn on_probe_timeout(&mut self, target: Slot) {
        let Some(probe) = self.probes.iter().find(|probe| probe.target == target) else {
            return;
        };
        let (ends_at, is_first) = (probe.ends_at, !probe.has_helpers);
        self.ping(target, Purpose::Probe, self.now + self.config.dead_after);
        if is_first {
            self.ask_helpers(target);
            self.timers.arm(Timer::ProbeTimeout(target), self.now + (ends_at - self.now) / 2);
        }
    }

    /// The target has not answered, or its link says that it cannot.
    pub(super) fn ask_helpers(&mut self, target: Slot) {
        let is_waiting = |probe: &Probe| probe.target == target && !probe.has_helpers;
        let Some(place) = self.probes.iter().position(is_waiting) else {
            return;
        };
        self.timers.cancel(Timer::ProbeTimeout(target));
        self.counters.probes_indirect += 1;
        let ends_at = self.probes[place].ends_at;
        let helpers = self.pick_helpers(target);
        self.probes[place].has_helpers = true;
        for helper in helpers {
            let body = Body::PingRequest { target: self.members.at(target).member.id.clone() };
            let purpose = Purpose::IndirectProbe { target };
            self.send(self.addr_of(helper), TransmitKind::PingIndirect, purpose, body, ends_at);
        }
    }

    /// Members at random, rather such as are not suspected themselves: the silence of a helper that is dead would be
    /// taken for the own ill-health, and make this member slow just when many are to be found.
    fn pick_helpers(&mut self, target: Slot) -> Vec<Slot> {
        let count = self.config.indirect_probes;
        let mut helpers = self.members.sample(3 * count, Some(target), &mut self.rng);
        helpers.sort_by_key(|helper| self.members.at(*helper).member.state);
        helpers.truncate(count);
        helpers
    }

    /// The process of `epoch` behind the target has answered; only the one that was asked settles the probe.
    pub(super) fn on_probe_answered(&mut self, target: Slot, epoch: u64, id: TransmitId) {
        let settles = |probe: &Probe| probe.target == target && probe.stamp.0 == epoch && id >= probe.first;
        if self.probes.iter().any(settles) {
            self.cancel_probe(target);
            self.awareness.improve();
            if std::mem::take(&mut self.members.at_mut(target).is_unproven) {
                self.spread(target);
            }
        } else if self.members.at(target).member.epoch == epoch {
            self.on_late_answer(target);
        }
    }

    /// A member that was given up did answer: whoever asked was too hasty, and takes the accusation back.
    fn on_late_answer(&mut self, target: Slot) {
        self.counters.probes_answered_late += 1;
        let me = self.local().id.clone();
        let suspicion = self.members.at_mut(target).suspicion.as_mut();
        if suspicion.is_some_and(|suspicion| suspicion.withdraw(&me)) {
            self.awareness.worsen(self.config.awareness_max);
            self.on_suspicion(target);
        }
    }

    /// Ends a probe without a verdict; what is still answered to it is no more than news.
    pub(super) fn cancel_probe(&mut self, target: Slot) {
        self.probes.retain(|probe| probe.target != target);
        self.timers.cancel(Timer::ProbeTimeout(target));
        self.timers.cancel(Timer::ProbeEnd(target));
        for in_flight in &mut self.in_flight {
            let is_of_it = match in_flight.purpose {
                Purpose::Probe => in_flight.peer == Some(target),
                Purpose::IndirectProbe { target: other } => other == target,
                _ => false,
            };
            if is_of_it {
                in_flight.purpose = Purpose::News;
            }
        }
    }

    pub(super) fn on_probe_end(&mut self, target: Slot) {
        let Some(place) = self.probes.iter().position(|probe| probe.target == target) else {
            return;
        };
        let probe = self.probes.remove(place);
        self.timers.cancel(Timer::ProbeTimeout(target));
        self.counters.probes_failed += 1;
        let missing = self.silent_helpers_count(&probe);
        self.counters.nacks_missing += missing as u64;
        if missing > 0 {
            self.awareness.worsen(self.config.awareness_max);
        }
        let member = &self.members.at(target).member;
        if member.stamp() == probe.stamp && matches!(member.state, State::Alive | State::Suspect) {
            self.accuse(target);
        }
    }

    /// How many helpers have said nothing, not even that the target does not answer, though they are thought alive.
    fn silent_helpers_count(&self, probe: &Probe) -> usize {
        let is_silent = |in_flight: &&InFlight<I>| {
            let target =
                matches!(in_flight.purpose, Purpose::IndirectProbe { target } if target == probe.target);
            target && in_flight.id >= probe.first
        };
        let helpers = self.in_flight.iter().filter(is_silent).filter_map(|in_flight| in_flight.peer);
        helpers.filter(|helper| self.members.at(*helper).member.state == State::Alive).count()
    }

    /// Pings a member on behalf of another, whose request is answered in any case.
    pub(super) fn relay_ping(&mut self, target: I, slot: Slot, request: RequestId) {
        self.counters.relays += 1;
        let deadline = self.now + self.config.probe_timeout;
        let body = Body::Ping { target };
        let purpose = Purpose::Relay { request };
        let id = self.send(self.addr_of(slot), TransmitKind::PingDirect, purpose, body, deadline);
        self.arm_relay(id);
    }

    pub(super) fn relays_count(&self) -> usize {
        self.in_flight.iter().filter(|in_flight| matches!(in_flight.purpose, Purpose::Relay { .. })).count()
    }
}

/// What a probe that fails sends, with the usual number of helpers.
const PROBE_TRANSMITS: usize = 6;
