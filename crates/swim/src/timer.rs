//! What waits for which moment.

use std::cmp::Reverse;
use std::time::Instant;

use crate::input::TransmitId;
use crate::member_list::Slot;

/// The closed list of what the core waits for. Of timers due at one moment the order below decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The target has not answered: helpers are to try, and it is asked again.
    ProbeTimeout(Slot),
    /// The probe's verdict is due.
    ProbeEnd(Slot),
    /// A ping on behalf of another was not answered: say so.
    Relay(TransmitId),
    /// The suspect's time is over.
    Suspicion(Slot),
    /// The next member is to be probed.
    ProbeRound,
    /// News is to be sent.
    Burst,
    /// Seeds and dead members are to be contacted.
    ReachOut,
    /// The departure counts as told.
    LeaveEnd,
}

/// Armed timers, each kind (with its subject) at most once.
///
/// A sorted vector, the earliest last: there are a handful in quiet periods, when nothing is to be allocated, and
/// at most one per suspect and probe besides. Every operation is linear in the armed timers.
#[derive(Debug)]
pub(crate) struct Timers {
    by_time: Vec<Reverse<(Instant, Timer)>>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self { by_time: Vec::with_capacity(16) }
    }

    /// Sets the timer to `at`, whatever it was set to.
    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        self.cancel(timer);
        let entry = Reverse((at, timer));
        let place = self.by_time.partition_point(|other| *other < entry);
        self.by_time.insert(place, entry);
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(place) = self.by_time.iter().rposition(|Reverse((_, other))| *other == timer) {
            self.by_time.remove(place);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.by_time.clear();
    }

    /// Takes the earliest timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.by_time.pop().map(|Reverse((_, timer))| timer)
    }

    pub(crate) fn is_armed(&self, timer: Timer) -> bool {
        self.by_time.iter().any(|Reverse((_, other))| *other == timer)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.last().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_timer_fires_once_at_the_moment_it_was_last_armed_for() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let slot = Slot::LOCAL;
        let mut timers = Timers::new();
        timers.arm(Timer::ProbeEnd(slot), start + second);
        timers.arm(Timer::ProbeEnd(slot), start + 3 * second);
        timers.arm(Timer::Burst, start + 2 * second);
        assert_eq!(timers.next(), Some(start + 2 * second));
        assert_eq!(timers.pop_due(start + second), None);
        assert_eq!(timers.pop_due(start + 4 * second), Some(Timer::Burst));
        assert_eq!(timers.pop_due(start + 4 * second), Some(Timer::ProbeEnd(slot)));
        assert_eq!(timers.pop_due(start + 4 * second), None);
    }

    #[test]
    fn of_timers_due_at_one_moment_the_first_in_the_list_comes_first() {
        let now = Instant::now();
        let mut timers = Timers::new();
        timers.arm(Timer::ReachOut, now);
        timers.arm(Timer::ProbeTimeout(Slot::LOCAL), now);
        timers.arm(Timer::ProbeRound, now);
        let order: Vec<_> = std::iter::from_fn(|| timers.pop_due(now)).collect();
        assert_eq!(order, [Timer::ProbeTimeout(Slot::LOCAL), Timer::ProbeRound, Timer::ReachOut]);
    }
}
