//! Something that can be done many times, and how long that takes.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Something that is measured.
pub struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// Does `work` again and again. Dropping what it returns counts.
    pub fn repeated<T>(name: &'static str, mut work: impl FnMut() -> T + 'a) -> Self {
        Self::timed(name, move |times| {
            let started = Instant::now();
            for _ in 0..times {
                black_box(work());
            }
            started.elapsed()
        })
    }

    /// Does `work` to a fresh clone of `subject` each time. Neither cloning nor dropping it counts.
    pub fn on_clones<S: Clone + 'a>(
        name: &'static str,
        subject: S,
        mut work: impl FnMut(&mut S) + 'a,
    ) -> Self {
        let mut clones = Vec::with_capacity(CLONES);
        Self::timed(name, move |times| {
            let mut left = times;
            let mut elapsed = Duration::ZERO;
            while left > 0 {
                let count = left.min(CLONES as u64);
                clones.clear();
                clones.extend((0..count).map(|_| subject.clone()));
                let started = Instant::now();
                for clone in black_box(&mut clones) {
                    work(clone);
                }
                elapsed += started.elapsed();
                left -= count;
            }
            elapsed
        })
    }

    /// Leaves it to `run` to do something so many times and to tell how long that took.
    pub fn timed(name: &'static str, run: impl FnMut(u64) -> Duration + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Does it so many times and tells how long that took.
    pub fn run(&mut self, times: u64) -> Duration {
        (self.run)(times)
    }
}

impl fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contender").field("name", &self.name).finish_non_exhaustive()
    }
}

/// So many that reading the clock does not count, and so few that they stay in the nearest caches.
const CLONES: usize = 64;
