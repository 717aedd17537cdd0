//! How long a suspect has, given the newest evidence of its life that anyone holds and who accuses it.

use std::time::{Duration, Instant};

use crate::config::{CONFIRMATIONS_MAX, Config};
use crate::evidence::{Sign, Signs};
use crate::fault;

/// One member's suspicion, from the first word of it here until it is refuted or the member is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspicion<I> {
    started: Instant,
    last_called: bool,
    reminded: Instant,
    /// The evidence of its life that others told of.
    pub(crate) signs: Signs<I>,
    /// Who found it silent: distinct, the first one first, at most one and [`CONFIRMATIONS_MAX`].
    pub(crate) accusers: Vec<I>,
    /// Someone called it dead: there is nothing to wait for but the silence.
    pub(crate) is_called_dead: bool,
    /// Not to be judged before, since this process was late.
    not_before: Option<Instant>,
}

impl<I: PartialEq + Clone> Suspicion<I> {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            started: now,
            last_called: false,
            reminded: now,
            signs: Signs::new(),
            accusers: Vec::new(),
            is_called_dead: false,
            not_before: None,
        }
    }

    /// Takes in a sign of life that someone else had.
    ///
    /// A suspect that still speaks hears of the suspicion within two probe intervals and refutes it, so signs are
    /// believed to be no younger than that: `cap`. So nobody keeps the dead alive by what he says.
    pub(crate) fn hear(&mut self, sign: Sign<I>, cap: Duration) {
        let at = sign.at.min(self.started + cap);
        self.signs.hear(Sign { at, ..sign });
    }

    /// Takes in an accuser and returns whether it is a further one.
    pub(crate) fn accuse(&mut self, accuser: I) -> bool {
        let is_further = self.accusers.len() <= CONFIRMATIONS_MAX && !self.accusers.contains(&accuser);
        if is_further {
            self.accusers.push(accuser);
        }
        is_further
    }

    /// The accuser has heard the suspect after all; returns whether it was one.
    pub(crate) fn withdraw(&mut self, accuser: &I) -> bool {
        let before = self.accusers.len();
        self.accusers.retain(|other| other != accuser);
        self.accusers.len() < before
    }

    pub(crate) fn postpone(&mut self, until: Instant) {
        self.not_before = self.not_before.max(Some(until));
    }

    /// Whether an accuser is to tell the suspect of it once more, which counts as done then.
    ///
    /// The first word of it may have been lost, with all its repetitions where the accuser was cut off for a while.
    pub(crate) fn reminds(&mut self, config: &Config, now: Instant) -> bool {
        let is_due = now >= self.next_reminder(config);
        if is_due {
            self.reminded = now;
        }
        is_due
    }

    pub(crate) fn next_reminder(&self, config: &Config) -> Instant {
        self.reminded + config.dead_after / 2
    }

    /// What is to be done about it at `now`.
    ///
    /// News reaches all but a few in a hundred. One interval before the end the suspicion is therefore spread once
    /// more: whoever holds fresher evidence answers with it, and a live suspect hears of it again.
    pub(crate) fn step(
        &mut self,
        evidence: Instant,
        patience: Patience,
        config: &Config,
        now: Instant,
    ) -> Step {
        let deadline = self.deadline(evidence, patience, config);
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
    fn deadline(&self, evidence: Instant, patience: Patience, config: &Config) -> Instant {
        let silence = self.silence(patience, config);
        let due = if fault::is_off("suspicions carry the age of the evidence") {
            self.started + silence - PLAIN_LEAD
        } else {
            (self.started + config.suspicion_min)
                .max(evidence + silence + EVIDENCE_SLACK + patience.round_trip)
        };
        self.not_before.map_or(due, |not_before| due.max(not_before))
    }

    /// How long it must have been silent: all the longer the fewer accusers there are (Dadgar, Phillips, Currey:
    /// Lifeguard, 2018, section IV-B).
    fn silence(&self, patience: Patience, config: &Config) -> Duration {
        let Patience { confirmations, awareness, .. } = patience;
        let min = config.dead_after;
        let confirmed = self.accusers.len().saturating_sub(1);
        if self.is_called_dead || confirmed >= confirmations {
            return min;
        }
        let max = (config.suspicion_max * (awareness + 1)).min(config.suspicion_max * 5 / 2);
        let share = ((confirmed + 1) as f64).ln() / ((confirmations + 1) as f64).ln();
        max - (max - min).mul_f64(share)
    }
}

/// What the length of a suspicion depends on besides itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How many further accusers end the waiting for them.
    pub(crate) confirmations: usize,
    /// The own ill-health.
    pub(crate) awareness: u32,
    /// The longest of late. A sign of life looks younger by the way that the word of it took, so whoever holds a
    /// younger one by less may have kept silent.
    pub(crate) round_trip: Duration,
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

/// Evidence that differs by less is not worth a message. Members may so disagree by as much and a message's way, and
/// none of them is to be early: every deadline is later by both.
pub(crate) const EVIDENCE_SLACK: Duration = Duration::from_millis(100);
/// What it is measured against: a deadline of 8.5 s after the suspicion, whatever anyone heard.
const PLAIN_LEAD: Duration = Duration::from_millis(1500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::SignId;

    #[test]
    fn death_comes_ten_seconds_after_the_newest_evidence_and_four_after_the_suspicion() {
        let config = Config::default();
        let at = moments();
        let suspicion = Suspicion::<u64>::new(at(20));
        assert_eq!(suspicion.deadline(at(18), NONE, &config), at(28) + EVIDENCE_SLACK);
        assert_eq!(suspicion.deadline(at(3), NONE, &config), at(24));
        assert_eq!(suspicion.deadline(at(18), NONE, &Config::fast()), at(24) + EVIDENCE_SLACK);
        let far = Patience { round_trip: Duration::from_millis(300), ..NONE };
        assert_eq!(suspicion.deadline(at(18), far, &config), at(28) + EVIDENCE_SLACK + far.round_trip);
    }

    #[test]
    fn the_youngest_sign_told_of_wins_and_is_not_believed_beyond_two_intervals() {
        let cap = Duration::from_secs(2);
        let at = moments();
        let mut suspicion = Suspicion::<u64>::new(at(20));
        let mut newest_after = |witness, second| {
            suspicion.hear(Sign { id: SignId { witness, stamp: 0 }, at: at(second) }, cap);
            suspicion.signs.newest().unwrap().at
        };
        assert_eq!(newest_after(1, 15), at(15));
        assert_eq!(newest_after(2, 12), at(15));
        assert_eq!(newest_after(3, 25), at(22));
    }

    #[test]
    fn each_further_accuser_shortens_the_wait_to_its_least() {
        let config = Config::default();
        let two = Patience { confirmations: 2, ..NONE };
        let mut suspicion = Suspicion::new(moments()(0));
        let mut seconds = Vec::new();
        for accuser in [7, 7, 8, 9, 10] {
            suspicion.accuse(accuser);
            seconds.push(suspicion.silence(two, &config).as_secs_f64());
        }
        assert_eq!(suspicion.accusers, [7, 8, 9], "each counts once, and no more than three");
        assert_eq!([seconds[0], seconds[1], seconds[3], seconds[4]], [24.0, 24.0, 10.0, 10.0]);
        assert!((seconds[2] - 15.17).abs() < 0.01, "24 - 14 ln 2 / ln 3: {seconds:?}");
        assert!(suspicion.withdraw(&8) && !suspicion.withdraw(&8));
        assert!((suspicion.silence(two, &config).as_secs_f64() - 15.17).abs() < 0.01);
        suspicion.is_called_dead = true;
        assert_eq!(suspicion.silence(two, &config), config.dead_after);
    }

    #[test]
    fn whoever_is_unwell_waits_longer_for_confirmation_up_to_a_minute() {
        let config = Config::default();
        let mut suspicion = Suspicion::new(moments()(0));
        suspicion.accuse(7);
        let silence =
            |awareness| suspicion.silence(Patience { confirmations: 2, awareness, ..NONE }, &config);
        assert_eq!([0, 1, 8].map(silence), [24, 48, 60].map(Duration::from_secs));
    }

    #[test]
    fn there_is_a_last_call_one_interval_before_the_end_and_nothing_after_it() {
        let config = Config::default();
        let at = moments();
        let mut suspicion = Suspicion::<u64>::new(at(0));
        let end = at(10) + EVIDENCE_SLACK;
        let mut step = |now| suspicion.step(at(0), NONE, &config, now);
        assert_eq!(step(at(0)), Step::Wait(end - config.probe_interval));
        assert_eq!(step(end - config.probe_interval), Step::LastCall(end));
        assert_eq!(step(at(10)), Step::Wait(end));
        assert_eq!(step(end), Step::Die);
    }

    fn moments() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |seconds| start + Duration::from_secs(seconds)
    }

    const NONE: Patience = Patience { confirmations: 0, awareness: 0, round_trip: Duration::ZERO };
}
