//! What happens when a moment has come.

use std::time::Instant;

use super::Swim;
use crate::input::SendFailure;
use crate::member::MemberId;
use crate::timer::Timer;

impl<I: MemberId> Swim<I> {
    /// Does what is due at `now`. Calls that come late, early or twice are harmless; afterwards
    /// [`poll_timeout`](Self::poll_timeout) names a later moment than `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Transmit(id) => self.handle_send_failure(id, SendFailure::TimedOut, now),
                Timer::ProbeTimeout(target) => self.ask_helpers(&target, now),
                Timer::ProbeEnd(target) => self.on_probe_end(&target, now),
                Timer::Suspicion(id) => self.on_suspicion(&id, now),
                Timer::ProbeRound => self.on_probe_round(now),
                Timer::Burst => self.on_burst(now),
                Timer::ReachOut => self.on_reach_out(now),
                Timer::LeaveEnd => self.on_leave_end(),
            }
        }
    }
}
