//! What this member makes of what others say of it.

use std::time::Instant;

use super::Swim;
use super::update::Via;
use crate::fault;
use crate::member::{EPOCH_MAX, INCARNATION_MAX, Member, MemberId, State};
use crate::message::{Body, Update};
use crate::output::Event;

impl<I: MemberId> Swim<I> {
    /// Answers every record that would supersede the own one with a newer one of its own.
    pub(super) fn on_word_of_self(&mut self, heard: Member<I>, via: Via<'_, I>, now: Instant) {
        let local = self.local();
        let is_minted_here = (&heard.addr, &heard.meta) == (&local.addr, &local.meta);
        if !self.is_running() {
            return;
        }
        let is_answered = if heard.epoch > local.epoch || (heard.stamp() == local.stamp() && !is_minted_here)
        {
            self.on_other_process(heard, via, now)
        } else if heard > *local && !fault::is_off("suspects refute") {
            self.counters.refutations += 1;
            self.raise_incarnation(heard.incarnation, now);
            true
        } else {
            false
        };
        if let (true, Via::Gossip(peer) | Via::Exchange(peer)) = (is_answered, via) {
            self.tell(peer, now);
        }
    }

    /// Another process was known by the own id: an earlier one of this member, or one that lives as well.
    ///
    /// An earlier one was called dead before this process is as old as the silence before a death. So a record
    /// that is alive and still above the own one after that time is a live process's. Two live processes outdo
    /// each other for as long as both run, so each does it at most once per probe interval.
    ///
    /// Returns whether the own record is above the one heard.
    fn on_other_process(&mut self, heard: Member<I>, via: Via<'_, I>, now: Instant) -> bool {
        let is_young = now < self.started + self.config.dead_after;
        let epoch = heard.epoch;
        if heard.state == State::Alive && !is_young && !matches!(via, Via::Book) {
            self.report_conflict(heard, now);
        }
        let interval = self.config.probe_interval;
        if self.epoch_raised.is_some_and(|raised| now < raised + interval) {
            return false;
        }
        self.epoch_raised = Some(now);
        self.raise_epoch(epoch, now);
        true
    }

    /// A request on a link that proves the own id: a loop to oneself, or another process.
    pub(super) fn on_request_of_own_name(
        &mut self,
        body: &Body<I>,
        updates: Vec<Update<I>>,
        now: Instant,
    ) -> Vec<u8> {
        match body {
            Body::Join { instance } if *instance == self.instance => {}
            Body::Join { .. } => {
                let record =
                    updates.into_iter().next().map_or_else(|| self.local().clone(), |update| update.member);
                self.report_conflict(record, now);
            }
            _ => return self.compose(&Body::Ack, None, false, now),
        }
        self.whole_state(self.state_body(), now)
    }

    pub(super) fn report_conflict(&mut self, record: Member<I>, now: Instant) {
        self.counters.conflicts += 1;
        let interval = self.config.probe_interval;
        if self.conflict_reported.is_none_or(|reported| now >= reported + interval) {
            self.conflict_reported = Some(now);
            self.emit(Event::Conflict(record));
        }
    }

    /// Takes an incarnation above `heard` and spreads the word.
    pub(super) fn raise_incarnation(&mut self, heard: u64, now: Instant) {
        if heard >= INCARNATION_MAX {
            return self.raise_epoch(self.local().epoch, now);
        }
        self.members.local_mut().incarnation = heard + 1;
        self.spread(self.local().id.clone(), now);
    }

    /// Takes an epoch above `heard` and spreads the word.
    pub(super) fn raise_epoch(&mut self, heard: u64, now: Instant) {
        let local = self.members.local_mut();
        local.epoch = (heard + 1).min(EPOCH_MAX);
        local.incarnation = 0;
        self.spread(self.local().id.clone(), now);
    }
}
