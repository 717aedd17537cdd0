//! One bench: each contender by itself, then all in turns, then the table.

use std::fmt;
use std::time::Duration;

use criterion::Criterion;

use crate::contender::Contender;
use crate::machine::Watch;
use crate::rounds::{Rounds, Samples, Spread};
use crate::table::{Aim, Table};

/// Measures contenders and prints the table.
pub struct Bench {
    criterion: Criterion,
    table: Table,
    watch: Watch,
}

impl Bench {
    /// Begins a bench when `cargo bench` asks for it; `None` for `cargo test`, which has nothing to find here.
    pub fn begin() -> Option<Self> {
        if !std::env::args().any(|argument| argument == "--bench") {
            return None;
        }
        let criterion = Criterion::default()
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1))
            .sample_size(20)
            .configure_from_args();
        Some(Self { criterion, table: Table::new(), watch: Watch::start() })
    }

    /// Measures each contender by itself, then lets them take turns.
    pub fn measure(&mut self, what: &str, rounds: Rounds, mut contenders: Vec<Contender<'_>>) -> Samples {
        let mut group = self.criterion.benchmark_group(what);
        for contender in &mut contenders {
            group.bench_function(contender.name(), |bencher| {
                bencher.iter_custom(|times| contender.run(times));
            });
        }
        group.finish();
        rounds.measure(&mut contenders)
    }

    /// Measures work of ours against the same done by a yardstick, and adds the row.
    pub fn compare(&mut self, what: &str, ours: Contender<'_>, yardstick: Contender<'_>, aim: Option<Aim>) {
        let samples = self.measure(what, Rounds::MICRO, vec![ours, yardstick]);
        self.ratio(what, &samples, (0, 1), aim);
    }

    /// Adds a row: the time that `ours` took over that of `base`.
    pub fn ratio(&mut self, what: &str, samples: &Samples, (ours, base): (usize, usize), aim: Option<Aim>) {
        self.table.add(what, samples, ours, Some(base), samples.ratio(ours, base), aim);
    }

    /// Adds a row: how many times as fast as `base` is `ours`.
    pub fn speed(&mut self, what: &str, samples: &Samples, (ours, base): (usize, usize), aim: Option<Aim>) {
        self.table.add(what, samples, ours, Some(base), samples.ratio(base, ours), aim);
    }

    /// Adds a row: how many millions a second the contender does.
    pub fn rate(&mut self, what: &str, samples: &Samples, contender: usize, aim: Option<Aim>) {
        let Spread { low, median, high } = samples.nanos(contender);
        let millions = Spread { low: 1e3 / high, median: 1e3 / median, high: 1e3 / low };
        self.table.add(what, samples, contender, None, millions, aim);
    }

    /// Prints the table.
    pub fn end(self) {
        println!("\n{}\n{}", self.watch.tell(), self.table);
    }
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench")
            .field("table", &self.table)
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}
