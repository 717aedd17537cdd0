//! What happened, step by step: hashed always, kept in words when a failure is to be told.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::agenda::Micros;

/// The steps of one history. Two runs of one seed are the same when their hashes are.
#[derive(Debug)]
pub struct Trace {
    hasher: SipHasher13,
    steps: u64,
    last: VecDeque<Step>,
    keeps: usize,
    is_verbose: bool,
}

/// One line of a trace.
#[derive(Clone, Debug)]
pub struct Step {
    /// When.
    pub at: Micros,
    /// Which host.
    pub host: u8,
    /// What, and two numbers that say more.
    pub what: &'static str,
    /// As the label says.
    pub numbers: [u64; 2],
    /// In words, where there are any.
    pub words: String,
}

impl Trace {
    pub(crate) fn new(is_verbose: bool) -> Self {
        let keeps = if is_verbose { STEPS_KEPT } else { 0 };
        Self { hasher: SipHasher13::new(), steps: 0, last: VecDeque::new(), keeps, is_verbose }
    }

    /// Notes a step.
    pub(crate) fn note(&mut self, at: Micros, host: u8, what: &'static str, numbers: [u64; 2]) {
        self.hasher.write_u64(at);
        self.hasher.write_u8(host);
        self.hasher.write(what.as_bytes());
        self.hasher.write_u64(numbers[0]);
        self.hasher.write_u64(numbers[1]);
        self.steps += 1;
        if self.is_verbose {
            self.keep(Step { at, host, what, numbers, words: String::new() });
        }
    }

    /// Notes in words what the numbers of steps do not tell; only a verbose trace keeps it.
    pub(crate) fn tell(&mut self, at: Micros, host: u8, what: &'static str, words: impl FnOnce() -> String) {
        if self.is_verbose {
            self.keep(Step { at, host, what, numbers: [0, 0], words: words() });
        }
    }

    fn keep(&mut self, step: Step) {
        if self.last.len() >= self.keeps {
            self.last.pop_front();
        }
        self.last.push_back(step);
    }

    /// How many steps there were.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The hash of all steps.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The last steps of these hosts, oldest first; none unless the trace is verbose.
    pub fn last_of<'a>(&'a self, hosts: &'a [u8], count: usize) -> impl Iterator<Item = &'a Step> {
        let are_meant = move |step: &&Step| hosts.is_empty() || hosts.contains(&step.host);
        let skipped = self.last.iter().filter(are_meant).count().saturating_sub(count);
        self.last.iter().filter(are_meant).skip(skipped)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.at / 1_000_000, self.at % 1_000_000);
        write!(f, "{seconds:>4}.{micros:06} n{} {}", self.host + 1, self.what)?;
        if self.words.is_empty() {
            write!(f, " {} {}", self.numbers[0], self.numbers[1])
        } else {
            write!(f, ": {}", self.words)
        }
    }
}

/// Enough for a whole history.
const STEPS_KEPT: usize = 200_000;
