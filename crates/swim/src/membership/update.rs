//! Taking in what is said of other members.

use std::cmp::Ordering;
use std::time::Instant;

use super::Swim;
use super::Timer;
use crate::fault;
use crate::member::{EPOCH_JUMP_MAX, INCARNATION_JUMP_MAX, Member, MemberId, State};
use crate::member_list::{Rank, Slot};
use crate::message::Update;
use crate::output::{DeathReason, Event};
use crate::suspicion::Suspicion;

/// How a record came here.
#[derive(Debug)]
pub(super) enum Via<'a, I> {
    /// With a request of this member; the reply to it follows.
    Request(&'a I),
    /// With a reply of this member.
    Reply(&'a I),
    /// In an exchange of state with this member, which may have been cut off for long.
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
    /// Takes over records that the host kept from an earlier run, failed members included. They count as heard
    /// of at this moment, not as news. Those beyond the limits of what a member may say are left out and counted
    /// ([`Counters::updates_refused`](crate::Counters::updates_refused)).
    pub fn import(&mut self, members: impl IntoIterator<Item = Member<I>>, now: Instant) {
        self.observe(now);
        for member in members {
            if !member.is_within_limits() {
                self.counters.updates_refused += 1;
                continue;
            }
            // What was suspected then may be anything by this time, and nobody accuses it here.
            let mut update = Update::of(&member);
            if update.state == State::Suspect {
                update.state = State::Alive;
            }
            self.learn(&update, Via::Book);
        }
    }

    pub(super) fn learn(&mut self, update: &Update<'_, I>, via: Via<'_, I>) {
        if update.id == self.local().id {
            self.on_word_of_self(update, via);
            return;
        }
        let slot = self.members.slot(&update.id);
        if !self.admits(update, slot, via) {
            return;
        }
        let order = slot.map_or(Ordering::Greater, |slot| update.order(self.members.at(slot)));
        let is_doubted = slot.is_some_and(|slot| self.doubts(update, slot, via));
        if let (true, Some(slot)) = (order.is_eq(), slot) {
            self.take_age(slot, update);
        }
        if order.is_lt() || (order.is_eq() && update.state != State::Suspect) {
            return;
        }
        let accusers = self.valid_accusers(update);
        let mut member = update.to_member(slot.map(|slot| &self.members.at(slot).member));
        if let (true, Some(slot)) = (is_doubted, slot) {
            member.state = State::Suspect;
            if member == self.members.at(slot).member {
                self.on_doubted_death(slot);
                return;
            }
        } else if let (true, Some(slot)) = (order.is_eq(), slot) {
            self.hear_suspicion(slot, &update.told, &accusers);
            return;
        }
        if member.state == State::Suspect && accusers.is_empty() && !is_doubted {
            self.counters.updates_refused += 1;
            if slot.is_some_and(|slot| self.members.at(slot).member.stamp() == member.stamp()) {
                return;
            }
            // The accusation is void, and without it the record says what the member once said of itself. One that
            // stays suspected for long, by accusers that are long forgotten, would else be unknown to whoever
            // joins.
            member.state = State::Alive;
        }
        self.counters.updates_applied += 1;
        let cap = 2 * self.config.probe_interval;
        let sign = self.sign_of(&update.told, slot);
        let slot = self.replace(member, DeathReason::Told, |suspicion| {
            if is_doubted {
                suspicion.is_called_dead = true;
            } else {
                sign.into_iter().for_each(|sign| suspicion.hear(sign, cap));
                for accuser in accusers {
                    suspicion.accuse(accuser);
                }
            }
        });
        self.on_applied(slot, update, is_doubted, via);
    }

    /// What follows from a newer record of another member besides what it says.
    fn on_applied(&mut self, slot: Slot, update: &Update<'_, I>, is_doubted: bool, via: Via<'_, I>) {
        self.take_age(slot, update);
        if matches!(via, Via::Book) {
            return;
        }
        if is_doubted {
            // The ping tells it. Others are told when it is not answered: their word is as good as this one's.
            self.probe(slot);
            return;
        }
        self.spread(slot);
        if self.members.at(slot).member.state == State::Suspect {
            self.probe_out_of_turn(slot);
        }
    }

    /// Of the dead and departed the greatest age counts that anyone tells of, so that all let go of one at about the
    /// same time, whenever each has heard of it. No age makes it be forgotten before half of the time is over.
    fn take_age(&mut self, slot: Slot, update: &Update<'_, I>) {
        let age = update.told.age.min(self.config.forget_after / 2);
        let since = self.now.checked_sub(age).unwrap_or(self.started);
        let entry = self.members.at_mut(slot);
        if !entry.member.is_up() {
            entry.since = entry.since.min(since);
        }
    }

    /// Whether a record is taken into account at all, before it is compared with what is known.
    fn admits(&mut self, update: &Update<'_, I>, slot: Option<Slot>, via: Via<'_, I>) -> bool {
        let Some(slot) = slot else {
            // Of one that is to be forgotten soon, only those know that knew it when it lived.
            let is_retired = update.told.age >= self.config.forget_after / 2;
            if matches!(update.state, State::Dead | State::Left) && is_retired {
                return false;
            }
            let is_gone = matches!(update.state, State::Dead | State::Left);
            let (is_dead, epoch) = (update.state == State::Dead, update.epoch);
            let rank = Rank { is_in_digest: true, is_dead, epoch, id: &update.id };
            let has_room = self.make_room(Some(rank).filter(|_| is_gone));
            self.counters.members_refused += u64::from(!has_room);
            return has_room;
        };
        let known = &self.members.at(slot).member;
        let own_word = match via {
            Via::Request(from) | Via::Reply(from) | Via::Exchange(from) => *from == update.id,
            Via::Book => true,
        };
        let is_leap = match update.epoch.checked_sub(known.epoch) {
            Some(0) => update.incarnation.saturating_sub(known.incarnation) > INCARNATION_JUMP_MAX,
            jump => jump > Some(EPOCH_JUMP_MAX),
        };
        self.counters.updates_refused += u64::from(is_leap && !own_word);
        !is_leap || own_word
    }

    /// Makes room for a further member, of this rank unless it is up, and returns whether there is: of those that
    /// are dead or have left the least one goes, unless the further one is less.
    fn make_room(&mut self, rank: Option<Rank<'_, I>>) -> bool {
        while self.members.len() >= self.config.members_max {
            let Some(least) = self.members.least_gone() else {
                return false;
            };
            if rank.as_ref().is_some_and(|rank| *rank <= self.members.at(least).rank()) {
                return false;
            }
            self.evict(least);
        }
        true
    }

    /// After `members_max` was lowered, and again when those that were up then have gone: members that have less room
    /// would not take what is kept here, and digests would differ for ever.
    pub(super) fn shrink(&mut self) {
        while self.members.len() > self.config.members_max {
            let Some(least) = self.members.least_gone() else {
                return;
            };
            self.evict(least);
        }
    }

    fn evict(&mut self, slot: Slot) {
        self.counters.members_evicted += 1;
        self.forget_slot(slot);
    }

    /// Accusers that are members, are not the suspect, and are not put forward by others in this one's name.
    fn valid_accusers(&self, update: &Update<'_, I>) -> Vec<I> {
        let is_valid = |accuser: &I| *accuser != update.id && self.members.slot(accuser).is_some();
        let is_other = |accuser: &I| *accuser != self.local().id;
        update.told.accusers.iter().filter(|it| is_valid(it) && is_other(it)).cloned().collect()
    }

    /// Whether a word of the death of a member that is up here is taken as a suspicion only: when this member holds
    /// evidence that is too fresh, or when it comes from one that may have been cut off, as one was that is dead or
    /// out of reach here.
    ///
    /// Both sides of a healed partition call the other's members dead; without doubt they would believe each
    /// other. A suspect that is dead indeed does not refute it, and is dead here as well when its time is over.
    fn doubts(&self, update: &Update<'_, I>, slot: Slot, via: Via<'_, I>) -> bool {
        let entry = self.members.at(slot);
        let may_be_cut_off = match via {
            Via::Exchange(_) | Via::Book => true,
            Via::Request(from) | Via::Reply(from) => !self.members.is_reachable(from),
        };
        update.state == State::Dead
            && entry.member.is_up()
            && !fault::is_off("a word of death is doubted")
            && (may_be_cut_off || self.now < entry.evidence() + self.config.dead_after)
    }

    /// A suspect is called dead by another, too early for what is known here: it needs no further accuser.
    fn on_doubted_death(&mut self, slot: Slot) {
        if let Some(suspicion) = &mut self.members.at_mut(slot).suspicion {
            suspicion.is_called_dead = true;
        }
        self.on_suspicion(slot);
    }

    /// Stores a newer record of another member, with all that follows from it here; `begin` is told of the
    /// suspicion that begins with it, if one does.
    pub(super) fn replace(
        &mut self,
        member: Member<I>,
        reason: DeathReason,
        begin: impl FnOnce(&mut Suspicion<I>),
    ) -> Slot {
        let before = self.members.slot(&member.id);
        if let Some(slot) = before {
            self.timers.cancel(Timer::Suspicion(slot));
            if !member.is_up() {
                self.cancel_probe(slot);
            }
        }
        let suspicion = (member.state == State::Suspect).then(|| {
            let mut suspicion = Suspicion::new(self.now);
            begin(&mut suspicion);
            suspicion
        });
        let by = suspicion.as_ref().and_then(|suspicion| suspicion.accusers.first().cloned());
        self.report(before, &member, reason, by);
        let slot = self.members.put(member, &mut self.rng, self.now);
        self.members.at_mut(slot).suspicion = suspicion;
        self.on_suspicion(slot);
        self.watch_isolation();
        slot
    }

    fn report(&mut self, before: Option<Slot>, after: &Member<I>, reason: DeathReason, by: Option<I>) {
        let before = before.map(|slot| &self.members.at(slot).member);
        let state = before.map(|member| member.state);
        let was_up = before.is_some_and(Member::is_up);
        let is_same = before.is_some_and(|member| {
            (member.epoch, &member.addr, &member.meta) == (after.epoch, &after.addr, &after.meta)
        });
        if after.is_up() {
            if !was_up {
                self.emit(Event::Up(after.clone()));
            } else if state == Some(State::Suspect) {
                self.emit(Event::Refuted(after.clone()));
            }
            if was_up && !is_same {
                self.emit(Event::Updated(after.clone()));
            }
        }
        match after.state {
            State::Alive => {}
            State::Suspect => {
                let by = by.unwrap_or_else(|| self.local().id.clone());
                self.emit(Event::Suspected { member: after.clone(), by });
            }
            State::Dead if was_up => self.emit(Event::Dead { member: after.clone(), reason }),
            State::Left if state.is_some_and(|state| state != State::Left) => {
                self.emit(Event::Left(after.clone()));
            }
            State::Dead | State::Left => {}
        }
    }

    pub(super) fn watch_isolation(&mut self) {
        let is_alone = self.members.peers_up_count() == 0;
        let had_peers = self.members.len() > 1;
        if self.is_running() && had_peers && is_alone != self.is_isolated {
            self.is_isolated = is_alone;
            self.emit(if is_alone { Event::Isolated } else { Event::Healed });
        }
    }
}
