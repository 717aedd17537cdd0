//! What happens when a moment has come, or has long passed.

use std::time::{Duration, Instant};

use super::{Swim, Timer};
use crate::fault;
use crate::member::MemberId;
use crate::output::Event;

impl<I: MemberId> Swim<I> {
    /// Does what is due at `now`. Calls that come late, early or twice are harmless; afterwards
    /// [`poll_timeout`](Self::poll_timeout) names a later moment than `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.observe(now);
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::ProbeTimeout(target) => self.on_probe_timeout(target),
                Timer::ProbeEnd(target) => self.on_probe_end(target),
                Timer::Relay(id) => self.on_relay_timeout(id),
                Timer::Suspicion(slot) => self.on_suspicion(slot),
                Timer::ProbeRound => {
                    self.on_probe_round();
                    self.burst_while_broadcasting();
                }
                Timer::Burst => self.on_burst(),
                Timer::ReachOut => self.on_reach_out(),
                Timer::LeaveEnd => self.on_leave_end(),
            }
        }
    }

    /// Takes the time of a call. A timer that is long due says that the host was late.
    pub(super) fn observe(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if let Some(due) = self.timers.next() {
            self.on_delay(self.now.saturating_duration_since(due));
        }
    }

    /// A message that waited for long says so as well.
    pub(super) fn observe_delay(&mut self, received_at: Instant) {
        self.on_delay(self.now.saturating_duration_since(received_at));
    }

    /// Whoever slept has missed answers, news and refutations, and they may be waiting to be handed in: nobody is
    /// judged by what was missed.
    fn on_delay(&mut self, delay: Duration) {
        if delay <= self.config.probe_interval / 4 || fault::is_off("a late member judges nobody") {
            return;
        }
        let until = self.now + 2 * self.config.probe_interval;
        let probed: Vec<_> = self.probes.iter().map(|probe| probe.target).collect();
        probed.into_iter().for_each(|target| self.cancel_probe(target));
        for slot in self.members.suspects() {
            let suspicion = self.members.at_mut(slot).suspicion.as_mut();
            suspicion.into_iter().for_each(|suspicion| suspicion.postpone(until));
            self.on_suspicion(slot);
        }
        self.lag = delay;
        if self.lagged.is_none_or(|lagged| self.now >= lagged + self.config.probe_interval) {
            self.lagged = Some(self.now);
            self.counters.lags += 1;
            self.awareness.worsen(self.config.awareness_max);
            self.emit(Event::SelfLagging(delay));
        }
    }
}
