//! From an accusation to its end: refuted, taken back, or dead.

use std::time::Instant;

use super::leave::Phase;
use super::{Swim, Timer};
use crate::config::DeadPolicy;
use crate::evidence::{Sign, SignId};
use crate::fault;
use crate::member::{Member, MemberId, State};
use crate::member_list::{Entry, Slot};
use crate::message::Told;
use crate::output::{DeathReason, Event};
use crate::suspicion::{EVIDENCE_SLACK, Patience, Step};

impl<I: MemberId> Swim<I> {
    /// An own probe has failed: the target is suspected, or one that is suspected has a further accuser. It is told
    /// at once.
    pub(super) fn accuse(&mut self, target: Slot) {
        let me = self.local().id.clone();
        let mut member = self.members.at(target).member.clone();
        if member.state == State::Suspect {
            let suspicion = self.members.at_mut(target).suspicion.as_mut();
            if !suspicion.is_some_and(|suspicion| suspicion.accuse(me)) {
                return;
            }
            self.counters.confirmations += 1;
            self.on_suspicion(target);
        } else {
            member.state = if fault::is_off("suspicion comes first") { State::Dead } else { State::Suspect };
            self.counters.suspicions += 1;
            self.replace(member, DeathReason::Silence, |suspicion| {
                suspicion.accuse(me);
            });
        }
        self.spread(target);
        self.tell(target, false);
    }

    /// Takes in what another says of a suspect: who accuses it, and how old its last sign of life is. Tells on what
    /// is news to others.
    pub(super) fn hear_suspicion(&mut self, slot: Slot, told: &Told<I>, accusers: &[I]) {
        let (now, cap) = (self.now, 2 * self.config.probe_interval);
        let sign = self.sign_of(told, Some(slot));
        let entry = self.members.at_mut(slot);
        let before = entry.evidence();
        let Some(suspicion) = &mut entry.suspicion else {
            return;
        };
        sign.into_iter().for_each(|sign| suspicion.hear(sign, cap));
        let further = accusers.iter().filter(|accuser| suspicion.accuse((*accuser).clone())).count();
        let after = entry.evidence();
        self.on_suspicion(slot);
        let is_stale = now.checked_sub(told.age).is_none_or(|told| told + EVIDENCE_SLACK < after);
        let is_fresher = after > before + EVIDENCE_SLACK;
        // Of one that is out of reach it is of no use to agree on when exactly it was last heard.
        let is_settled = self.members.at(slot).is_unreachable || self.news.contains(slot);
        if further > 0 || is_fresher || (is_stale && !is_settled) {
            self.spread(slot);
        }
    }

    /// The sign of life that comes with a suspicion, unless it is the own one, told back.
    pub(super) fn sign_of(&self, told: &Told<I>, slot: Option<Slot>) -> Option<Sign<I>> {
        let id = told.sign.clone()?;
        let own = slot.and_then(|slot| self.own_sign(self.members.at(slot)));
        let is_own = own.is_some_and(|own| *own.witness == id.witness && own.stamp >= id.stamp);
        let is_own = is_own && !fault::is_off("a sign of life has a name");
        let at = self.now.checked_sub(told.age).filter(|_| !is_own)?;
        Some(Sign { id, at })
    }

    /// Whoever has not heard the member waits as if it had when it came to know it, but is no witness of its life.
    pub(super) fn own_sign(&self, entry: &Entry<I>) -> Option<SignId<&I>> {
        let after = entry.heard?.saturating_duration_since(self.started);
        let Member { id, epoch, .. } = self.local();
        // Above those of an earlier process, where epochs are milliseconds.
        Some(SignId { witness: id, stamp: epoch.saturating_add(after.as_millis() as u64) })
    }

    /// Of those that hear of a suspicion the nearest before the suspect on the circle ask it at once: so it hears of it
    /// early, and when it is dead indeed, there are soon enough accusers, whatever the dice say. More of them than need
    /// to confirm it, as some may be dead themselves.
    pub(super) fn probe_out_of_turn(&mut self, slot: Slot) {
        if fault::is_off("suspects are probed out of turn") || !self.is_running() {
            return;
        }
        if self.members.is_predecessor(slot, 2 * self.config.confirmations.max(1)) {
            self.probe(slot);
        }
    }

    /// Takes a suspicion as far as it is due. Whoever has left judges nobody.
    pub(super) fn on_suspicion(&mut self, slot: Slot) {
        if self.phase == Phase::Gone {
            return;
        }
        let patience = self.patience();
        let (now, accuses) = (self.now, self.accuses(slot));
        let waits_for_host = self.waits_for_host(slot);
        let entry = self.members.at_mut(slot);
        let evidence = entry.evidence();
        let Some(suspicion) = entry.suspicion.as_mut().filter(|_| !(entry.is_unreachable && waits_for_host))
        else {
            return;
        };
        match suspicion.step(evidence, patience, &self.config, now) {
            Step::Wait(until) if accuses => {
                let is_reminded = suspicion.reminds(&self.config, now);
                let until = until.min(suspicion.next_reminder(&self.config));
                self.timers.arm(Timer::Suspicion(slot), until);
                if is_reminded {
                    self.tell(slot, false);
                }
            }
            Step::Wait(until) => self.timers.arm(Timer::Suspicion(slot), until),
            Step::LastCall(until) => {
                self.timers.arm(Timer::Suspicion(slot), until);
                self.spread(slot);
                if accuses {
                    self.tell(slot, false);
                }
            }
            Step::Die if waits_for_host => self.leave_to_host(slot),
            Step::Die if self.config.dead_policy == DeadPolicy::Manual => {
                self.call_dead(slot, DeathReason::Told);
            }
            Step::Die => {
                self.counters.deaths += 1;
                self.call_dead(slot, DeathReason::Silence);
            }
        }
    }

    /// Calls a suspect dead at the host's word, at once and at all members, and returns whether it did. It works with
    /// either [`DeadPolicy`](crate::DeadPolicy), and before the suspect's time is over as well: the host may know of a
    /// machine that is gone. Members that have a sign of life of the last `dead_after` wait for that time.
    ///
    /// Nothing is called dead that is alive, dead or departed here, unknown, or the local member; nor after a departure
    /// of the local one. A member that lives nevertheless refutes its death as any other.
    pub fn confirm_dead(&mut self, id: &I, now: Instant) -> bool {
        self.observe(now);
        let slot = self.members.slot(id).filter(|slot| self.members.at(*slot).suspicion.is_some());
        let Some(slot) = slot.filter(|_| self.is_running()) else {
            return false;
        };
        self.call_dead(slot, DeathReason::Confirmed);
        true
    }

    fn call_dead(&mut self, slot: Slot, reason: DeathReason) {
        let mut member = self.members.at(slot).member.clone();
        member.state = State::Dead;
        self.replace(member, reason, |_| {});
        self.spread(slot);
    }

    /// Whether it is for the host to call the suspect dead. Where another has called it dead, that one's host did,
    /// or its clock: here such a word may be doubted, but not for longer than the suspect has to refute it.
    fn waits_for_host(&self, slot: Slot) -> bool {
        let suspicion = self.members.at(slot).suspicion.as_ref();
        let is_called_dead = suspicion.is_some_and(|suspicion| suspicion.is_called_dead);
        self.config.dead_policy == DeadPolicy::Manual && !is_called_dead
    }

    /// A suspect's time is over, and its death is left to the host. It keeps its state, but is treated as the dead
    /// are: no member depends on its answers, and it is contacted at their rate.
    fn leave_to_host(&mut self, slot: Slot) {
        self.counters.unreachables += 1;
        self.timers.cancel(Timer::Suspicion(slot));
        self.cancel_probe(slot);
        self.members.set_unreachable(slot);
        self.emit(Event::Unreachable(self.members.at(slot).member.clone()));
        self.watch_isolation();
    }

    /// The policy has changed. This is done at the moment that is awaited next, so that the host is not late for it.
    pub(super) fn judge_the_unreachable_anew(&mut self) {
        let unreachable = self.members.gone().filter(|(_, entry)| entry.is_unreachable);
        let unreachable: Vec<_> = unreachable.map(|(slot, _)| slot).collect();
        if let Some(next) = self.timers.next() {
            unreachable.into_iter().for_each(|slot| self.timers.arm(Timer::Suspicion(slot), next));
        }
    }

    /// Whether an own probe found the suspect silent.
    pub(super) fn accuses(&self, slot: Slot) -> bool {
        let suspicion = self.members.at(slot).suspicion.as_ref();
        suspicion.is_some_and(|suspicion| suspicion.accusers.contains(&self.local().id))
    }

    /// In clusters below four there may be nobody left to confirm.
    fn patience(&self) -> Patience {
        let peers = self.members.peers_up_count();
        let confirmations = if peers < 3 { 0 } else { self.config.confirmations.min(peers - 1) };
        let round_trip = self.round_trip.longest(self.config.probe_timeout);
        Patience { confirmations, awareness: self.awareness.score(), round_trip }
    }
}
