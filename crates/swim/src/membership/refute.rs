//! What this member makes of what others say of it.

use super::Swim;
use super::update::Via;
use crate::fault;
use crate::member::{EPOCH_JUMP_MAX, EPOCH_MAX, INCARNATION_MAX, Member, MemberId, State};
use crate::member_list::Slot;
use crate::message::{Body, Update};
use crate::output::Event;

impl<I: MemberId> Swim<I> {
    /// Answers every record that would supersede the own one with a newer one of its own, and tells it to whoever
    /// said so and to the accusers at once.
    pub(super) fn on_word_of_self(&mut self, heard: &Update<'_, I>, via: Via<'_, I>) {
        let local = self.local();
        let is_minted_here = (heard.addr, heard.meta) == (&*local.addr, &*local.meta);
        if !self.is_running() {
            return;
        }
        // Of the greatest stamp nothing is above it, and whatever is answered would be answered with the same for ever.
        let is_last = heard.stamp() == STAMP_MAX && heard.order(self.members.at(Slot::LOCAL)).is_gt();
        if is_last || leaves_too_little(heard.epoch, local.epoch, via) {
            return self.report_conflict(heard.to_member(None));
        }
        // Nobody else raises an incarnation, or says anything else of it.
        let is_of_other = heard.stamp() >= local.stamp() && !is_minted_here;
        if heard.epoch > local.epoch || is_of_other {
            if !self.on_other_process(heard.to_member(None), via) {
                return;
            }
        } else if heard.order(self.members.at(Slot::LOCAL)).is_gt() && !fault::is_off("suspects refute") {
            let record = heard.to_member(Some(local));
            self.counters.refutations += 1;
            self.emit(Event::SelfAccused(record));
            self.raise_incarnation(heard.incarnation);
        } else {
            return;
        }
        let teller = match via {
            // The reply to the request says it.
            Via::Request(_) | Via::Book => None,
            Via::Reply(peer) | Via::Exchange(peer) => self.members.slot(peer),
        };
        teller.into_iter().for_each(|slot| self.tell(slot, true));
        for accuser in
            heard.told.accusers.iter().filter_map(|accuser| self.slot_of_up(accuser)).collect::<Vec<_>>()
        {
            if Some(accuser) != teller {
                self.tell(accuser, true);
            }
        }
    }

    /// Another process was known by the own id: an earlier one of this member, or one that lives as well.
    ///
    /// An earlier one was called dead before this process is as old as the silence before a death. So a record
    /// that is alive and still above the own one after that time is a live process's. Two live processes outdo
    /// each other for as long as both run, so each does it at most once per probe interval.
    ///
    /// Returns whether the own record is above the one heard.
    fn on_other_process(&mut self, heard: Member<I>, via: Via<'_, I>) -> bool {
        let now = self.now;
        let is_young = now < self.started + self.config.dead_after;
        let stamp = heard.stamp();
        if heard.state == State::Alive && !is_young && !matches!(via, Via::Book) {
            self.report_conflict(heard);
        }
        let interval = self.config.probe_interval;
        if self.epoch_raised.is_some_and(|raised| now < raised + interval) {
            return false;
        }
        self.epoch_raised = Some(now);
        self.raise_epoch(stamp);
        true
    }

    /// A request on a link that proves the own id: a loop to oneself, or another process.
    pub(super) fn on_request_of_own_name(
        &mut self,
        body: &Body<I>,
        updates: &[Update<'_, I>],
        reply: &mut Vec<u8>,
    ) {
        match body {
            Body::Sync { instance, ask } => {
                if *instance != self.instance {
                    let local = self.local();
                    let record =
                        updates.first().map_or_else(|| local.clone(), |update| update.to_member(None));
                    self.report_conflict(record);
                }
                self.compose_state(reply, ask);
            }
            _ => self.compose(reply, &Body::Ack, None, super::compose::Extras::default()),
        }
    }

    pub(super) fn report_conflict(&mut self, record: Member<I>) {
        self.counters.conflicts += 1;
        let interval = self.config.probe_interval;
        if self.conflict_reported.is_none_or(|reported| self.now >= reported + interval) {
            self.conflict_reported = Some(self.now);
            self.emit(Event::Conflict(record));
        }
    }

    /// Takes an incarnation above `heard` and spreads the word.
    pub(super) fn raise_incarnation(&mut self, heard: u64) {
        if heard >= INCARNATION_MAX {
            return self.raise_epoch((self.local().epoch, heard));
        }
        self.members.change_local(|local| local.incarnation = heard + 1);
        self.spread(Slot::LOCAL);
    }

    /// Takes an epoch above that of the stamp, or where there is none a higher incarnation, and spreads the word.
    pub(super) fn raise_epoch(&mut self, (epoch, incarnation): (u64, u64)) {
        let raised = match epoch {
            EPOCH_MAX.. => (EPOCH_MAX, (incarnation + 1).min(INCARNATION_MAX)),
            _ => (epoch + 1, 0),
        };
        self.members.change_local(|local| (local.epoch, local.incarnation) = raised);
        self.spread(Slot::LOCAL);
    }
}

/// Whether to outdo this epoch would leave next to nothing above. Whoever followed each word of others could be led to
/// the greatest stamp by one false one, and be called dead there for good.
fn leaves_too_little<I>(heard: u64, own: u64, via: Via<'_, I>) -> bool {
    let is_leap = heard.saturating_sub(own) > EPOCH_JUMP_MAX;
    heard > EPOCH_MAX / 2 && is_leap && !matches!(via, Via::Book)
}

const STAMP_MAX: (u64, u64) = (EPOCH_MAX, INCARNATION_MAX);
