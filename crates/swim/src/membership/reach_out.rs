//! Contacting those that are not up, for ever: seeds to join, dead members to heal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::Rng;

use super::update::Via;
use super::{InFlight, Purpose, Swim};
use crate::fault;
use crate::member::{MemberId, State};
use crate::message::{Body, Header, Update};
use crate::output::TransmitKind;
use crate::timer::Timer;

/// The addresses that a cluster can be found at, each with the member that answered there last.
#[derive(Debug)]
pub(super) struct Seeds<I> {
    known: BTreeMap<String, Option<I>>,
    /// The last one that was tried.
    tried: Option<String>,
    backoff: Duration,
}

impl<I: MemberId> Seeds<I> {
    pub(super) fn new(backoff: Duration) -> Self {
        Self { known: BTreeMap::new(), tried: None, backoff }
    }

    /// The next addresses in turn, at most `count`, that `is_wanted`.
    fn next_in_turn(&mut self, count: usize, is_wanted: impl Fn(&str, Option<&I>) -> bool) -> Vec<String> {
        let after = |addr: &str| self.tried.as_deref().is_none_or(|tried| addr > tried);
        let (later, earlier): (Vec<_>, Vec<_>) = self.known.iter().partition(|(addr, _)| after(addr));
        let wanted = later.into_iter().chain(earlier).filter(|(addr, id)| is_wanted(addr, id.as_ref()));
        let next: Vec<String> = wanted.take(count).map(|(addr, _)| addr.clone()).collect();
        self.tried = next.last().cloned().or(self.tried.take());
        next
    }
}

impl<I: MemberId> Swim<I> {
    /// Contacts the seeds, these in place of all earlier ones: at once, then again with growing pauses while nobody
    /// is known, and for ever at a bounded rate whenever no member that is up answers at one of them.
    ///
    /// After [`leave`](Self::leave) the member comes back under a higher epoch.
    pub fn join(&mut self, seeds: impl IntoIterator<Item = String>, now: Instant) {
        self.return_after_leave(now);
        self.seeds = Seeds::new(self.config.join_backoff);
        self.seeds.known.extend(seeds.into_iter().map(|addr| (addr, None)));
        self.on_reach_out(now);
    }

    pub(super) fn on_reach_out(&mut self, now: Instant) {
        let alone = self.members.peers_up_count() == 0;
        let count = if alone { self.config.burst_fanout } else { 1 };
        let seeds = self.seeds_to_contact(count);
        let pause =
            if alone && !seeds.is_empty() { self.next_backoff() } else { self.config.reach_out_interval };
        // Members that lost each other at one moment do not all call at one moment.
        self.timers.arm(Timer::ReachOut, now + pause.mul_f64(self.rng.random_range(0.75..=1.0)));
        for addr in &seeds {
            let in_flight = InFlight { peer: None, purpose: Purpose::Exchange { seed: Some(addr.clone()) } };
            self.exchange(addr.clone(), in_flight, now);
        }
        if let Some((dead, addr)) = self.dead_to_contact().filter(|(_, addr)| !seeds.contains(addr)) {
            let in_flight = InFlight { peer: Some(dead), purpose: Purpose::Exchange { seed: None } };
            self.exchange(addr, in_flight, now);
        }
    }

    /// The peer lacks something of this member, or this member of it; at most once per probe interval each.
    pub(super) fn exchange_at_wish_of(&mut self, peer: &I, now: Instant) {
        let interval = self.config.probe_interval;
        if !self.is_running() || !self.has_room() {
            return;
        }
        let Some(entry) = self.members.entry_mut(peer) else {
            return;
        };
        if entry.exchanged.is_some_and(|exchanged| now < exchanged + interval) {
            return;
        }
        entry.exchanged = Some(now);
        let to = entry.member.addr.clone();
        self.exchange(
            to,
            InFlight { peer: Some(peer.clone()), purpose: Purpose::Exchange { seed: None } },
            now,
        );
    }

    pub(super) fn on_whole_state(
        &mut self,
        purpose: Purpose<I>,
        header: Header,
        instance: u64,
        updates: Vec<Update<I>>,
        now: Instant,
    ) {
        let Some(sender) = updates.first().map(|update| update.member.clone()) else {
            return;
        };
        if let Purpose::Exchange { seed: Some(addr) } = purpose {
            self.seeds.known.entry(addr).and_modify(|id| *id = Some(sender.id.clone()));
        }
        self.seeds.backoff = self.config.join_backoff;
        if sender.id == self.local().id {
            if instance != self.instance {
                self.report_conflict(sender, now);
            }
            return;
        }
        self.learn_all(updates, Via::Exchange(&sender.id), now);
        self.on_life(&sender.id, header.epoch, now);
    }

    fn exchange(&mut self, to: String, in_flight: InFlight<I>, now: Instant) {
        self.counters.exchanges += 1;
        let payload = self.whole_state(Body::Join { instance: self.instance }, now);
        self.transmit(to, TransmitKind::Join, in_flight, payload, now + self.config.probe_interval);
    }

    /// Seeds at which no member that is up has answered; a seed that is this member itself counts as up.
    fn seeds_to_contact(&mut self, count: usize) -> Vec<String> {
        let members = &self.members;
        self.seeds.next_in_turn(count, |addr, id| {
            let is_settled = |id| members.is_up(id) || fault::is_off("the dead are contacted");
            addr != members.local().addr && !id.is_some_and(is_settled)
        })
    }

    /// A dead member at random, with probability dead / up: so the cluster as a whole makes one attempt per dead
    /// member and interval, whatever its size.
    fn dead_to_contact(&mut self) -> Option<(I, String)> {
        if fault::is_off("the dead are contacted") {
            return None;
        }
        let dead: Vec<_> = self.members.iter().filter(|member| member.state == State::Dead).collect();
        let up_count = self.members.peers_up_count() + 1;
        let draw = self.rng.random_range(0..up_count.max(dead.len()).max(1));
        let member = dead.get(draw)?;
        Some((member.id.clone(), member.addr.clone()))
    }

    fn next_backoff(&mut self) -> Duration {
        let pause = self.seeds.backoff;
        self.seeds.backoff = (2 * pause).min(self.config.reach_out_interval);
        pause
    }
}
