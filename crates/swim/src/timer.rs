//! What waits for which moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::input::TransmitId;

/// The closed list of what the core waits for. Of timers due at one moment the order below decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer<I> {
    /// A transmission gets no reply any more.
    Transmit(TransmitId),
    /// The target has not answered: helpers are to try.
    ProbeTimeout(I),
    /// The probe's verdict is due.
    ProbeEnd(I),
    /// The suspect's time is over.
    Suspicion(I),
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
#[derive(Debug)]
pub(crate) struct Timers<I> {
    by_time: BTreeSet<(Instant, Timer<I>)>,
    armed: BTreeMap<Timer<I>, Instant>,
}

impl<I: Ord + Clone> Timers<I> {
    pub(crate) fn new() -> Self {
        Self { by_time: BTreeSet::new(), armed: BTreeMap::new() }
    }

    /// Sets the timer to `at`, whatever it was set to.
    pub(crate) fn arm(&mut self, timer: Timer<I>, at: Instant) {
        self.cancel(&timer);
        self.by_time.insert((at, timer.clone()));
        self.armed.insert(timer, at);
    }

    pub(crate) fn cancel(&mut self, timer: &Timer<I>) {
        if let Some(at) = self.armed.remove(timer) {
            self.by_time.remove(&(at, timer.clone()));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.by_time.clear();
        self.armed.clear();
    }

    /// Takes the earliest timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer<I>> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.by_time.pop_first()?;
        self.armed.remove(&timer);
        Some(timer)
    }

    pub(crate) fn is_armed(&self, timer: &Timer<I>) -> bool {
        self.armed.contains_key(timer)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
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
        let mut timers = Timers::new();
        timers.arm(Timer::ProbeEnd(7), start + second);
        timers.arm(Timer::ProbeEnd(7), start + 3 * second);
        timers.arm(Timer::Burst, start + 2 * second);
        assert_eq!(timers.next(), Some(start + 2 * second));
        assert_eq!(timers.pop_due(start + second), None);
        assert_eq!(timers.pop_due(start + 4 * second), Some(Timer::Burst));
        assert_eq!(timers.pop_due(start + 4 * second), Some(Timer::ProbeEnd(7)));
        assert_eq!(timers.pop_due(start + 4 * second), None);
    }
}
