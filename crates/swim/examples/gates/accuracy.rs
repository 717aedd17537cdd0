//! G2: nobody crashes, so nobody may be called dead, however long one waits.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use trellis_swim::Config;

use crate::cluster::{Cluster, SECOND};
use crate::record::What;
use crate::table::Table;

/// How much is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Of each size at 5 % loss, at least; a tenth of it at 20 %.
    pub(crate) node_hours: f64,
    /// Of the first run of each size; the others follow.
    pub(crate) first_seed: u64,
    /// What is counted does not depend on it.
    pub(crate) threads: usize,
}

/// What many runs gave. A death and a suspicion count once for each member that reports it.
#[derive(Default)]
struct Tally {
    runs: u64,
    deaths: u64,
    suspicions: u64,
    /// Runs with deaths, so that they can be run again.
    seeds: Vec<u64>,
}

pub(crate) fn measure(table: &mut Table, effort: Effort) {
    for (loss, share, allowed_per_hour) in [(0.05, 1.0, 0.0), (0.2, 0.1, 0.01)] {
        for count in [64, 256] {
            let hours_of_run = count as f64 * RUN.as_secs_f64() / 3600.0;
            let runs = (effort.node_hours * share / hours_of_run).ceil().max(1.0) as u64;
            let began = Instant::now();
            let tally = run_all(count, loss, runs, effort);
            let node_hours = tally.runs as f64 * hours_of_run;
            let rate = node_hours / began.elapsed().as_secs_f64();
            let of = format!("N={count} loss={:.0} %", loss * 100.0);
            eprintln!("accuracy {of}: {node_hours:.0} node-hours, {rate:.1} a second");
            if !tally.seeds.is_empty() {
                eprintln!("accuracy {of}: deaths with the seeds {:?}", tally.seeds);
            }
            let allowed = (node_hours * allowed_per_hour).floor();
            let shown = format!("{} in {node_hours:.1} node-hours", tally.deaths);
            let is_kept = tally.deaths as f64 <= allowed;
            table.check(("G2", &of, "false deaths, no crash"), shown, format!("<= {allowed}"), is_kept);
            let each_hour = tally.suspicions as f64 / node_hours / (count - 1) as f64;
            table.note(("G2", &of, "suspicions of a member"), format!("{each_hour:.3} an hour"));
        }
    }
}

fn run_all(count: usize, loss: f64, runs: u64, effort: Effort) -> Tally {
    let next = AtomicU64::new(0);
    let total = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..effort.threads {
            scope.spawn(|| {
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        break;
                    }
                    let seed = effort.first_seed + run;
                    let [deaths, suspicions] = run_one(count, loss, seed);
                    let mut total = total.lock().expect("a run that fails ends all");
                    total.add(seed, deaths, suspicions);
                    if total.runs % (runs / 20).max(1) == 0 {
                        let Tally { runs: done, deaths, .. } = *total;
                        eprintln!("accuracy N={count} loss={loss}: {done} of {runs} runs, {deaths} deaths");
                    }
                }
            });
        }
    });
    let mut total = total.into_inner().expect("a run that fails ends all");
    total.seeds.sort_unstable();
    total
}

impl Tally {
    fn add(&mut self, seed: u64, deaths: u64, suspicions: u64) {
        self.runs += 1;
        self.deaths += deaths;
        self.suspicions += suspicions;
        if deaths > 0 && self.seeds.len() < SEEDS_MAX {
            self.seeds.push(seed);
        }
    }
}

/// Deaths and suspicions.
fn run_one(count: usize, loss: f64, seed: u64) -> [u64; 2] {
    let mut cluster = Cluster::warm(count, seed, Config::default());
    cluster.network.loss = loss;
    let mut sums = [0; 2];
    while cluster.elapsed() < RUN {
        cluster.run_for(10 * SECOND);
        for (sum, what) in sums.iter_mut().zip([What::Dead, What::Suspected]) {
            *sum += cluster.record.of(what, Duration::ZERO).count() as u64;
        }
        // Suspicions of hours would fill the memory.
        cluster.record.happened.clear();
    }
    sums
}

/// Short, so that many seeds are seen.
const RUN: Duration = Duration::from_secs(300);
const SEEDS_MAX: usize = 16;
