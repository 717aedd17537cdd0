//! A graceful departure, and the way back.

use std::time::Instant;

use rand::Rng;

use super::output::Purpose;
use super::{Swim, Timer};
use crate::member::{MemberId, State};
use crate::member_list::Slot;
use crate::output::Event;

/// Where a member is between its start and its departure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// It has left and tells the others.
    Leaving,
    /// The others are told; it only answers.
    Gone,
}

impl<I: MemberId> Swim<I> {
    /// Leaves: tells the others, and reports [`Event::LeaveDrained`] when they are told or `leave_timeout` has
    /// passed. Probes end at once. Leaving twice is leaving once.
    pub fn leave(&mut self, now: Instant) {
        self.observe(now);
        if !self.is_running() {
            return;
        }
        self.phase = Phase::Leaving;
        self.probes.clear();
        self.forget_transmits(|_| true);
        self.timers.clear();
        self.members.change_local(|local| local.state = State::Left);
        self.raise_incarnation(self.local().incarnation);
        self.timers.arm(Timer::LeaveEnd, now + self.config.leave_timeout);
        self.on_burst();
    }

    pub(super) fn end_leave_when_told(&mut self) {
        if self.phase == Phase::Leaving && !self.news.contains(Slot::LOCAL) {
            self.on_leave_end();
        }
    }

    pub(super) fn on_leave_end(&mut self) {
        self.phase = Phase::Gone;
        self.forget_transmits(|in_flight| matches!(in_flight.purpose, Purpose::Relay { .. }));
        self.news.clear();
        self.broadcasts.clear();
        self.timers.clear();
        self.emit(Event::LeaveDrained);
    }

    /// A departure that was not told so far is none. The members that are suspected at this moment get their time anew.
    pub(super) fn return_after_leave(&mut self) {
        if self.is_running() {
            return;
        }
        self.phase = Phase::Running;
        self.timers.cancel(Timer::LeaveEnd);
        self.forget_transmits(|_| true);
        self.members.change_local(|local| local.state = State::Alive);
        self.raise_epoch(self.local().stamp());
        let until = self.now + self.config.suspicion_min;
        for slot in self.members.suspects() {
            self.timers.arm(Timer::Suspicion(slot), until);
        }
        let first_round = self.config.probe_interval.mul_f64(self.rng.random_range(0.0..1.0));
        self.timers.arm(Timer::ProbeRound, self.now + first_round);
    }
}
