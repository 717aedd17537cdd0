//! Contacting those that are not up, for ever: seeds to join, dead members to heal. And forgetting, in the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;

use super::{Swim, Timer};
use crate::fault;
use crate::member::{MemberId, State};
use crate::member_list::{Entry, Slot};

/// The addresses that a cluster can be found at.
#[derive(Debug)]
pub(super) struct Seeds<I> {
    known: Vec<Seed<I>>,
    /// The next one in turn.
    next: usize,
    pub(super) backoff: Duration,
}

#[derive(Debug)]
struct Seed<I> {
    addr: Arc<str>,
    /// The member that answered there last.
    member: Option<I>,
}

impl<I: PartialEq + Clone> Seeds<I> {
    pub(super) fn new(backoff: Duration) -> Self {
        Self { known: Vec::new(), next: 0, backoff }
    }

    pub(super) fn on_answer(&mut self, addr: &str, id: &I) {
        let seed = self.known.iter_mut().find(|seed| *seed.addr == *addr);
        seed.into_iter().for_each(|seed| seed.member = Some(id.clone()));
    }

    /// The next addresses in turn, at most `count`, that `is_wanted`.
    fn next_in_turn(&mut self, count: usize, is_wanted: impl Fn(&str, Option<&I>) -> bool) -> Vec<Arc<str>> {
        let mut next = Vec::new();
        for _ in 0..self.known.len() {
            if next.len() == count {
                break;
            }
            let seed = &self.known[self.next % self.known.len()];
            self.next = (self.next + 1) % self.known.len();
            if is_wanted(&seed.addr, seed.member.as_ref()) {
                next.push(seed.addr.clone());
            }
        }
        next
    }
}

impl<I: MemberId> Swim<I> {
    /// Contacts the seeds, these in place of all earlier ones: at once, then again with growing pauses while nobody
    /// is known, and for ever at a bounded rate whenever no member that is up answers at one of them.
    ///
    /// After [`leave`](Self::leave) the member comes back under a higher epoch.
    pub fn join(&mut self, seeds: impl IntoIterator<Item = String>, now: Instant) {
        self.observe(now);
        self.return_after_leave();
        self.seeds = Seeds::new(self.config.join_backoff);
        for addr in seeds {
            if self.seeds.known.iter().all(|seed| *seed.addr != *addr) {
                self.seeds.known.push(Seed { addr: addr.into(), member: None });
            }
        }
        self.on_reach_out();
    }

    pub(super) fn on_reach_out(&mut self) {
        self.forget_the_long_gone();
        self.shrink();
        let alone = self.members.peers_up_count() == 0;
        let count = if alone { self.config.burst_fanout } else { 1 };
        let seeds = self.seeds_to_contact(count);
        let pause =
            if alone && !seeds.is_empty() { self.next_backoff() } else { self.config.reach_out_interval };
        // Members that lost each other at one moment do not all call at one moment.
        let pause = pause.mul_f64(self.rng.random_range(0.75..=1.0));
        self.timers.arm(Timer::ReachOut, self.now + pause);
        for addr in &seeds {
            self.exchange((addr.clone(), None), Some(addr.clone()));
        }
        if let Some(dead) = self.dead_to_contact() {
            let to = self.addr_of(dead);
            if self.members.at(dead).is_unreachable {
                // Digests do not show what it is thought of, so it is told that itself.
                self.tell(dead, true);
            } else if !seeds.contains(&to.0) {
                self.exchange(to, None);
            }
        }
    }

    /// Seeds at which no member that is up and within reach has answered; a seed that is this member itself counts
    /// as up.
    fn seeds_to_contact(&mut self, count: usize) -> Vec<Arc<str>> {
        let members = &self.members;
        self.seeds.next_in_turn(count, |addr, id| {
            let is_settled = |id| members.is_reachable(id) || fault::is_off("the dead are contacted");
            *addr != *members.local().addr && !id.is_some_and(is_settled)
        })
    }

    /// A dead member, or one out of reach, at random, with probability dead / up: so the cluster as a whole makes
    /// one attempt per dead member and interval, whatever its size.
    fn dead_to_contact(&mut self) -> Option<Slot> {
        if fault::is_off("the dead are contacted") {
            return None;
        }
        let is_dead = |entry: &Entry<I>| entry.member.state == State::Dead || entry.is_unreachable;
        let dead = self.members.gone().filter(|(_, entry)| is_dead(entry));
        let dead: Vec<_> = dead.map(|(slot, _)| slot).collect();
        let up_count = self.members.peers_up_count() + 1;
        let draw = self.rng.random_range(0..up_count.max(dead.len()).max(1));
        dead.get(draw).copied()
    }

    fn next_backoff(&mut self) -> Duration {
        let pause = self.seeds.backoff;
        self.seeds.backoff = (2 * pause).min(self.config.reach_out_interval);
        pause
    }

    /// Members drop a record at different moments. From half of the time on it is therefore in no digest, and whoever
    /// does not know it does not take it.
    fn forget_the_long_gone(&mut self) {
        let (now, after) = (self.now, self.config.forget_after);
        let age = |since: Instant| now.saturating_duration_since(since);
        let is_old = |entry: &Entry<I>| !entry.member.is_up() && age(entry.since) >= after / 2;
        let gone = self.members.gone().filter(|(_, entry)| is_old(entry));
        let gone: Vec<_> = gone.map(|(slot, entry)| (slot, entry.since, entry.is_retired)).collect();
        for (slot, since, is_retired) in gone {
            if age(since) >= after {
                self.counters.members_forgotten += 1;
                self.forget_slot(slot);
            } else if !is_retired {
                self.members.retire(slot);
            }
        }
    }

    /// Drops a member that is not up, with all that refers to it.
    pub(super) fn forget_slot(&mut self, slot: Slot) {
        self.cancel_probe(slot);
        self.timers.cancel(Timer::Suspicion(slot));
        self.news.remove(slot);
        self.broadcasts.forget(slot);
        self.forget_transmits(|in_flight| in_flight.peer == Some(slot));
        self.members.remove(slot);
    }
}
