//! Taking in what is said of other members.

use std::time::{Duration, Instant};

use super::Swim;
use super::leave::Phase;
use crate::fault;
use crate::member::{Member, MemberId, State};
use crate::message::Update;
use crate::output::Event;
use crate::suspicion::{EVIDENCE_SLACK, Step, Suspicion};
use crate::timer::Timer;

/// How a record came here.
#[derive(Debug)]
pub(super) enum Via<'a, I> {
    /// As news from this member.
    Gossip(&'a I),
    /// With the whole state of this member, which may have been cut off for long.
    Exchange(&'a I),
    /// From the host's book of an earlier run.
    Book,
}

impl<I> Clone for Via<'_, I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I> Copy for Via<'_, I> {}

impl<I: MemberId> Swim<I> {
    pub(super) fn learn_from_book(&mut self, member: Member<I>, now: Instant) {
        self.learn(Update { member, evidence_age: None }, Via::Book, now);
    }

    pub(super) fn learn(&mut self, update: Update<I>, via: Via<'_, I>, now: Instant) {
        let Update { mut member, evidence_age } = update;
        if member.id == self.local().id {
            self.on_word_of_self(member, via, now);
            return;
        }
        let id = member.id.clone();
        let is_doubted = self.doubts(&member, via, now);
        if is_doubted {
            member.state = State::Suspect;
        }
        match self.members.member(&id) {
            None if self.members.len() >= self.config.members_max => self.counters.members_refused += 1,
            Some(known) if member < *known => {}
            Some(known) if member == *known => self.hear_evidence(&id, evidence_age, now),
            _ => {
                self.counters.updates_applied += 1;
                self.replace(member, evidence_age, now);
                if !matches!(via, Via::Book) {
                    self.spread(id.clone(), now);
                }
                if is_doubted {
                    self.tell(&id, now);
                }
            }
        }
    }

    /// Whether a word of the death of a member that is up here is taken as a suspicion only: when it comes from
    /// one that may have been cut off, or when this member holds evidence that is too fresh.
    ///
    /// Both sides of a healed partition call the other's members dead; without doubt they would believe each
    /// other. A suspect that is dead indeed is called so by the own clock soon.
    fn doubts(&self, member: &Member<I>, via: Via<'_, I>, now: Instant) -> bool {
        member.state == State::Dead
            && !fault::is_off("a word of death is doubted")
            && self.members.entry(&member.id).filter(|entry| entry.member.is_up()).is_some_and(|entry| {
                !matches!(via, Via::Gossip(_)) || now < entry.evidence() + self.config.dead_after
            })
    }

    /// Stores a newer record of another member, with all that follows from it here.
    pub(super) fn replace(&mut self, member: Member<I>, evidence_age: Option<Duration>, now: Instant) {
        let id = member.id.clone();
        let before = self.members.member(&id).cloned();
        self.timers.cancel(&Timer::Suspicion(id.clone()));
        if !member.is_up() {
            self.cancel_probe(&id);
        }
        self.report(before.as_ref(), &member);
        self.members.put(member.clone(), &mut self.rng, now);
        let Some(entry) = self.members.entry_mut(&id) else {
            return;
        };
        entry.suspicion = (member.state == State::Suspect).then(|| Suspicion::new(now));
        if let Some(suspicion) = &mut entry.suspicion {
            evidence_age.into_iter().for_each(|age| suspicion.hear(age, &self.config, now));
        }
        if self.phase != Phase::Gone {
            self.on_suspicion(&id, now);
        }
    }

    /// Takes in what another knows of a suspect's last sign of life, and tells on what is news to others.
    fn hear_evidence(&mut self, id: &I, age: Option<Duration>, now: Instant) {
        let Some((age, entry)) = age.zip(self.members.entry_mut(id)) else {
            return;
        };
        let before = entry.evidence();
        let Some(suspicion) = &mut entry.suspicion else {
            return;
        };
        suspicion.hear(age, &self.config, now);
        let after = entry.evidence();
        self.on_suspicion(id, now);
        let is_stale = now.checked_sub(age).is_none_or(|told| told + EVIDENCE_SLACK < after);
        if after > before + EVIDENCE_SLACK || (is_stale && !self.news.contains(id)) {
            self.spread(id.clone(), now);
        }
    }

    /// Takes a suspicion as far as it is due.
    pub(super) fn on_suspicion(&mut self, id: &I, now: Instant) {
        let Some(entry) = self.members.entry_mut(id) else {
            return;
        };
        let evidence = entry.evidence();
        let Some(suspicion) = &mut entry.suspicion else {
            return;
        };
        match suspicion.step(evidence, &self.config, now) {
            Step::Wait(until) => self.timers.arm(Timer::Suspicion(id.clone()), until),
            Step::LastCall(until) => {
                self.timers.arm(Timer::Suspicion(id.clone()), until);
                self.spread(id.clone(), now);
            }
            Step::Die => {
                let mut member = entry.member.clone();
                member.state = State::Dead;
                self.counters.deaths += 1;
                self.replace(member, None, now);
                self.spread(id.clone(), now);
            }
        }
    }

    fn report(&mut self, before: Option<&Member<I>>, after: &Member<I>) {
        let was_up = before.is_some_and(Member::is_up);
        let was_suspect = before.is_some_and(|member| member.state == State::Suspect);
        if after.is_up() {
            let is_same = before.is_some_and(|member| {
                (member.epoch, &member.addr, &member.meta) == (after.epoch, &after.addr, &after.meta)
            });
            if !was_up {
                self.emit(Event::Up(after.clone()));
            } else if was_suspect {
                self.emit(Event::Refuted(after.clone()));
            }
            if was_up && !is_same {
                self.emit(Event::Updated(after.clone()));
            }
        }
        match after.state {
            State::Alive => {}
            State::Suspect => self.emit(Event::Suspected(after.clone())),
            State::Dead if was_up => self.emit(Event::Dead(after.clone())),
            State::Left if before.is_some_and(|member| member.state != State::Left) => {
                self.emit(Event::Left(after.clone()));
            }
            State::Dead | State::Left => {}
        }
    }
}
