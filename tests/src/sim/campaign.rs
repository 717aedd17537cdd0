//! Many histories on all cores, and what is told when one of them fails.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::coverage::Coverage;
use super::plan::{Plan, Profile};
use super::world::World;
use crate::invariants::Violation;

/// What came of one history.
#[derive(Debug)]
pub struct History {
    /// The hash of its trace.
    pub hash: u64,
    /// Steps of its trace.
    pub steps: u64,
    /// Virtual time that it took.
    pub micros: u64,
    /// What it met.
    pub coverage: Coverage,
    /// The invariant that did not hold, if one did not.
    pub violation: Option<Violation>,
    /// The last steps of the hosts concerned, in words, if it was told to keep them.
    pub last_steps: Vec<String>,
}

/// Performs a plan to its end or to the first invariant that does not hold. A panic of the code under test is one.
///
/// The last `told` steps are kept in words: of the hosts that a violation concerns, or of all if all steps are wanted.
pub fn run_history(plan: Plan, told: usize) -> History {
    let mut world = World::new(plan, told > 0);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some(violation),
        Err(panic) => {
            let detail = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()))
                .unwrap_or_else(|| "a panic without words".to_owned());
            Some(Violation { invariant: "nothing_panics", hosts: Vec::new(), detail })
        }
    };
    let concerned = violation.as_ref().filter(|_| told < usize::MAX);
    let concerned = concerned.map_or(Vec::new(), |violation| violation.hosts.clone());
    let last_steps = world.trace.last_of(&concerned, told).map(ToString::to_string).collect();
    History {
        hash: world.trace.hash(),
        steps: world.trace.steps(),
        micros: world.now,
        coverage: world.coverage,
        violation,
        last_steps,
    }
}

/// A history that failed.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// As it was asked for.
    pub profile: Profile,
    /// What does not hold.
    pub violation: Violation,
    /// At which step.
    pub step: u64,
    /// When, in virtual microseconds.
    pub micros: u64,
    /// The requests and faults that were kept; `None` for all.
    pub kept: Option<(BTreeSet<usize>, BTreeSet<usize>)>,
    /// Hosts, if it was asked for.
    pub hosts: Option<u8>,
    /// The last steps of the hosts concerned.
    pub last_steps: Vec<String>,
}

impl Failure {
    /// The command that shows it again.
    pub fn command(&self) -> String {
        let mut command = format!("cargo xtask sim --seed {} --profile {}", self.seed, self.profile);
        if let Some(hosts) = self.hosts {
            command += &format!(" --hosts {hosts}");
        }
        if let Some((requests, faults)) = &self.kept {
            command += &format!(" --requests {} --faults {}", listed(requests), listed(faults));
        }
        command
    }
}

/// Numbers and ranges of them, with commas between.
fn listed(numbers: &BTreeSet<usize>) -> String {
    if numbers.is_empty() {
        return "none".to_owned();
    }
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let shown = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        _ => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(",")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "invariant  {}", self.violation.invariant)?;
        writeln!(f, "seen       {}", self.violation.detail)?;
        writeln!(f, "at         step {}, {:.6} s", self.step, self.micros as f64 / 1e6)?;
        if !self.last_steps.is_empty() {
            writeln!(f, "the last steps of the nodes concerned:")?;
            self.last_steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        }
        Ok(())
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first seed; the others follow it.
    pub first: u64,
    /// So many histories.
    pub count: u64,
    /// Or until this time is over, whichever comes first.
    pub limit: Option<Duration>,
    /// What kind of trouble.
    pub profile: Profile,
    /// Hosts of each; `None` for as many as the seeds say.
    pub hosts: Option<u8>,
    /// Threads.
    pub threads: usize,
    /// Whether to say how far it is every few seconds.
    pub shows_progress: bool,
}

/// What came of a campaign.
#[derive(Debug)]
pub struct Report {
    /// Histories that were run.
    pub histories: u64,
    /// Steps of all of them.
    pub steps: u64,
    /// Virtual seconds of all of them.
    pub seconds: f64,
    /// Real time.
    pub elapsed: Duration,
    /// What they met.
    pub coverage: Coverage,
    /// The first failure, by seed.
    pub failure: Option<Failure>,
}

impl Campaign {
    /// Runs until the end or the first failure.
    pub fn run(&self) -> Report {
        let started = Instant::now();
        let (next, done, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let total: Mutex<Totals> = Mutex::default();
        // Nothing is sent: the channel closes when the last worker has ended, in whatever way.
        let (works, ended) = mpsc::channel::<Infallible>();
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                let works = works.clone();
                let (next, done, is_over, total) = (&next, &done, &is_over, &total);
                scope.spawn(move || {
                    self.work(started, (next, done, is_over), total);
                    drop(works);
                });
            }
            drop(works);
            if self.shows_progress {
                show_progress(started, &done, &ended);
            }
        });
        let total = total.into_inner().unwrap_or_default();
        Report {
            histories: total.histories,
            steps: total.steps,
            seconds: total.micros as f64 / 1e6,
            elapsed: started.elapsed(),
            coverage: total.coverage,
            failure: total.failed.map(|seed| self.tell(seed)),
        }
    }

    fn work(
        &self,
        started: Instant,
        (next, done, is_over): (&AtomicU64, &AtomicU64, &AtomicBool),
        total: &Mutex<Totals>,
    ) {
        let mut own = Totals::default();
        while !is_over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count || self.limit.is_some_and(|limit| started.elapsed() >= limit) {
                break;
            }
            let seed = self.first + number;
            let history = run_history(Plan::of(seed, self.profile, self.hosts), 0);
            own.histories += 1;
            own.steps += history.steps;
            own.micros += history.micros;
            own.coverage.merge(&history.coverage);
            if history.violation.is_some() {
                own.failed = Some(seed);
                is_over.store(true, Ordering::Relaxed);
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        total.lock().unwrap_or_else(std::sync::PoisonError::into_inner).merge(own);
    }

    /// Runs a failed seed once more, with a trace in words.
    fn tell(&self, seed: u64) -> Failure {
        let history = run_history(Plan::of(seed, self.profile, self.hosts), STEPS_TOLD);
        let violation = history.violation.unwrap_or_else(|| Violation {
            invariant: "same_seed_same_trace",
            hosts: Vec::new(),
            detail: "the failure did not come again".to_owned(),
        });
        Failure {
            seed,
            profile: self.profile,
            violation,
            step: history.steps,
            micros: history.micros,
            kept: None,
            hosts: self.hosts,
            last_steps: history.last_steps,
        }
    }
}

fn show_progress(started: Instant, done: &AtomicU64, ended: &Receiver<Infallible>) {
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(PROGRESS) {
        let (done, seconds) = (done.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
        eprintln!("{done} histories, {:.0} a second", done as f64 / seconds);
    }
}

#[derive(Debug, Default)]
struct Totals {
    histories: u64,
    steps: u64,
    micros: u64,
    coverage: Coverage,
    failed: Option<u64>,
}

impl Totals {
    fn merge(&mut self, other: Self) {
        self.histories += other.histories;
        self.steps += other.steps;
        self.micros += other.micros;
        self.coverage.merge(&other.coverage);
        self.failed = [self.failed, other.failed].into_iter().flatten().min();
    }
}

/// Steps that are told of a failure.
pub const STEPS_TOLD: usize = 60;
const PROGRESS: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_the_same_trace_whenever_it_runs() {
        for seed in 0..20 {
            let [one, two] = [(); 2].map(|()| run_history(Plan::of(seed, Profile::All, None), 0));
            assert_eq!((one.hash, one.steps), (two.hash, two.steps), "seed {seed}");
            assert_eq!(one.coverage, two.coverage, "seed {seed}");
        }
    }

    #[test]
    fn numbers_are_listed_in_ranges() {
        assert_eq!(listed(&BTreeSet::new()), "none");
        assert_eq!(listed(&BTreeSet::from([1, 3, 4, 5, 9])), "1,3-5,9");
    }

    #[test]
    fn words_do_not_change_a_trace_and_seeds_do() {
        let run = |seed, told| run_history(Plan::of(seed, Profile::Mixed, None), told).hash;
        assert_eq!(run(1, 0), run(1, usize::MAX));
        assert_ne!(run(1, 0), run(2, 0));
    }

    #[test]
    fn histories_of_every_profile_hold() {
        for profile in Profile::EACH {
            let campaign = Campaign {
                first: 1_000,
                count: 12,
                limit: None,
                profile,
                hosts: None,
                threads: 2,
                shows_progress: false,
            };
            let report = campaign.run();
            assert!(report.failure.is_none(), "{}", report.failure.expect("it failed"));
            assert_eq!(report.histories, 12);
        }
    }
}
