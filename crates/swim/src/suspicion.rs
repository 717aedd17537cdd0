//! How long a suspect has, given the newest evidence of its life that anyone holds.

use std::time::{Duration, Instant};

use crate::config::Config;

/// One member's suspicion, from the first word of it here until it is refuted or the member is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspicion {
    started: Instant,
    last_called: bool,
    /// The newest evidence of life that others told of.
    pub(crate) evidence_told: Option<Instant>,
}

impl Suspicion {
    pub(crate) fn new(now: Instant) -> Self {
        Self { started: now, last_called: false, evidence_told: None }
    }

    /// Takes in that someone has evidence of this age.
    ///
    /// A suspect that still speaks hears of the suspicion within two probe intervals and refutes it, so evidence
    /// told of is believed no further. That bounds how far the time a message travels, which makes evidence look
    /// younger with every hop, can add up.
    pub(crate) fn hear(&mut self, age: Duration, config: &Config, now: Instant) {
        let told = now.checked_sub(age).map(|at| at.min(self.started + 2 * config.probe_interval));
        self.evidence_told = self.evidence_told.max(told);
    }

    /// What is to be done about it at `now`.
    ///
    /// News reaches all but a few in a hundred. One interval before the end the suspicion is therefore spread once
    /// more: whoever holds fresher evidence answers with it, and a live suspect hears of it again.
    pub(crate) fn step(&mut self, evidence: Instant, config: &Config, now: Instant) -> Step {
        let deadline = self.deadline(evidence, config);
        let last_call = deadline - config.probe_interval;
        if now >= deadline {
            return Step::Die;
        } else if self.last_called {
            return Step::Wait(deadline);
        } else if now < last_call {
            return Step::Wait(last_call);
        }
        self.last_called = true;
        Step::LastCall(deadline)
    }

    /// When the member is dead, unless something is heard until then.
    fn deadline(&self, evidence: Instant, config: &Config) -> Instant {
        (self.started + config.suspicion_min).max(evidence + config.dead_after + EVIDENCE_SLACK)
    }
}

/// How a suspicion goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing until then.
    Wait(Instant),
    /// Spread the suspicion, then nothing until then.
    LastCall(Instant),
    /// The member is dead.
    Die,
}

/// Evidence that differs by less is not worth a message. Members may so disagree by as much, and none of them is
/// to be early: every deadline is later by it.
pub(crate) const EVIDENCE_SLACK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn death_comes_ten_seconds_after_the_newest_evidence_and_four_after_the_suspicion() {
        let config = Config::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let suspicion = Suspicion::new(at(20));
        assert_eq!(suspicion.deadline(at(18), &config), at(28) + EVIDENCE_SLACK);
        assert_eq!(suspicion.deadline(at(3), &config), at(24));
        assert_eq!(suspicion.deadline(at(18), &Config::fast()), at(24) + EVIDENCE_SLACK);
    }

    #[test]
    fn the_youngest_evidence_told_of_wins_and_is_not_believed_beyond_two_intervals() {
        let config = Config::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut suspicion = Suspicion::new(at(20));
        suspicion.hear(Duration::from_secs(5), &config, at(20));
        assert_eq!(suspicion.evidence_told, Some(at(15)));
        suspicion.hear(Duration::from_secs(9), &config, at(21));
        assert_eq!(suspicion.evidence_told, Some(at(15)));
        suspicion.hear(Duration::ZERO, &config, at(25));
        assert_eq!(suspicion.evidence_told, Some(at(22)));
    }
}
