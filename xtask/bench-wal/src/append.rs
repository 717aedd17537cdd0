//! Durable appends by many threads, each of which waits for its own record.

use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use hdrhistogram::Histogram;
use tempfile::TempDir;

use crate::contenders::{Kind, alone, bare};
use crate::table::{columns, median, short, verdict};

/// What one turn gave.
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// Nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

/// All turns: by number of threads, by contender, by round; the bare thread is the first contender.
pub(crate) struct Appends {
    threads: Vec<usize>,
    /// Ours first.
    contenders: Vec<&'static Kind>,
    samples: Vec<Vec<Vec<Sample>>>,
    /// Of a caller of ours who syncs by itself, and so hands nothing over.
    alone: Vec<Sample>,
}

impl Appends {
    pub(crate) fn new(threads: &[usize], contenders: Vec<&'static Kind>) -> Self {
        let empty = || (0..=contenders.len()).map(|_| Vec::new()).collect();
        Self {
            threads: threads.to_vec(),
            samples: threads.iter().map(|_| empty()).collect(),
            contenders,
            alone: Vec::new(),
        }
    }

    pub(crate) fn round(&mut self, round: u32, home: &Path, duration: Duration) -> Result<()> {
        for (&threads, samples) in self.threads.iter().zip(&mut self.samples) {
            let count = samples.len();
            for position in 0..count {
                let index = if round.is_multiple_of(2) { position } else { count - 1 - position };
                let directory = TempDir::new_in(home)?;
                let sample = match index.checked_sub(1).map(|index| self.contenders[index]) {
                    None => in_thread(|| bare(directory.path(), &RECORD, threads, duration)),
                    Some(kind) => append(kind, directory.path(), threads, duration)
                        .with_context(|| format!("{} with {threads} threads failed", kind.name)),
                };
                samples[index].push(sample?);
            }
            if threads == 1 {
                let directory = TempDir::new_in(home)?;
                self.alone.push(in_thread(|| alone(directory.path(), &RECORD, duration))?);
            }
        }
        Ok(())
    }

    /// Rates, and what they are of the bare thread's; after them the aims.
    pub(crate) fn table(&self) -> String {
        let mut header = vec![String::new()];
        header.extend(self.threads.iter().map(|threads| match threads {
            1 => "1 THREAD".to_owned(),
            threads => format!("{threads} THREADS"),
        }));
        let mut rows = Vec::new();
        for (index, name) in self.names().enumerate() {
            let mut row = vec![name.to_owned()];
            row.extend(self.samples.iter().map(|samples| {
                let rate = short(median(rates(&samples[index])));
                let micros = |quantile| {
                    let nanos =
                        samples[index].iter().map(|sample| sample.latency.value_at_quantile(quantile));
                    median(nanos.map(|nanos| nanos as f64 / 1000.0).collect())
                };
                let of_bare = ratio(&samples[index], &samples[0]);
                format!("{rate}/s  {of_bare:.2}  ({:.0}/{:.0})", micros(0.5), micros(0.99))
            }));
            rows.push(row);
        }
        let mut aims = vec!["aim of the bare thread".to_owned()];
        let mut best = vec!["trellis-wal / best rival".to_owned()];
        for (threads, samples) in self.threads.iter().zip(&self.samples) {
            let aim = AIMS.iter().find(|(known, _)| known == threads);
            aims.push(aim.map_or(String::new(), |(_, aim)| {
                format!(">= {aim:.2} {}", verdict(ratio(&samples[1], &samples[0]) >= *aim))
            }));
            // Every rival has its own ratio; the smallest is that to the best of them.
            let ratios = samples[2..].iter().map(|rival| ratio(&samples[1], rival));
            let least = ratios.fold(f64::INFINITY, f64::min);
            let aim = if *threads >= 256 { 2.0 } else { 1.0 };
            best.push(match least.is_finite() {
                true => format!("{least:.2}, aim >= {aim:.1} {}", verdict(least >= aim)),
                false => String::new(),
            });
        }
        rows.extend([aims, best]);
        format!(
            "durable appends of {} bytes: rate, share of the bare thread's, (p50/p99 in us)\n{}",
            RECORD.len(),
            columns(&header, &rows)
        )
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once("bare thread").chain(self.contenders.iter().map(|kind| kind.name))
    }

    /// One append alone, against a bare write and sync.
    pub(crate) fn latency(&self) -> String {
        let Some(samples) = self.threads.iter().position(|&threads| threads == 1).map(|at| &self.samples[at])
        else {
            return String::new();
        };
        let p50 = |sample: &Sample| sample.latency.value_at_quantile(0.5) as f64;
        let lines = [("by Log::append", &samples[1]), ("by enqueue and sync_once", &self.alone)].map(
            |(how, ours)| {
                let ratio =
                    median(ours.iter().zip(&samples[0]).map(|(ours, bare)| p50(ours) / p50(bare)).collect());
                let (is_met, of) = (verdict(ratio <= 1.15), "of write + fdatasync, aim <= 1.15");
                format!("latency of one durable append, {how}, p50: {ratio:.2} {of} {is_met}\n")
            },
        );
        lines.concat()
    }
}

/// Runs this in a thread of its own, as all others that append do.
fn in_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(work).join().map_err(|_| anyhow!("a thread panicked"))?)
}

fn append(kind: &Kind, directory: &Path, threads: usize, duration: Duration) -> Result<Sample> {
    let contender = (kind.open)(directory)?;
    for count in 0..WARM_UP {
        contender.append(u64::MAX - 1, count, &RECORD)?;
    }
    let barrier = Barrier::new(threads);
    let (appender, barrier) = (&*contender, &barrier);
    let outcomes: Vec<Result<_>> = thread::scope(|scope| {
        let work = move |thread: usize| -> Result<_> {
            let mut latency = Histogram::new(3)?;
            barrier.wait();
            let started = Instant::now();
            let mut count = 0;
            while started.elapsed() < duration {
                let begun = Instant::now();
                appender.append(thread as u64, count, &RECORD)?;
                latency.record(begun.elapsed().as_nanos() as u64)?;
                count += 1;
            }
            Ok((latency, started.elapsed()))
        };
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<_>>| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow!("a thread panicked")),
        };
        threads.into_iter().map(join).collect()
    });
    let mut latency = Histogram::new(3)?;
    let mut elapsed = Duration::ZERO;
    for outcome in outcomes {
        let (own, time) = outcome?;
        latency.add(own)?;
        elapsed = elapsed.max(time);
    }
    contender.close()?;
    Ok(Sample { per_second: latency.len() as f64 / elapsed.as_secs_f64(), latency })
}

fn rates(samples: &[Sample]) -> Vec<f64> {
    samples.iter().map(|sample| sample.per_second).collect()
}

/// The median of the rounds' ratios.
fn ratio(samples: &[Sample], base: &[Sample]) -> f64 {
    median(samples.iter().zip(base).map(|(sample, base)| sample.per_second / base.per_second).collect())
}

/// Neither all zeroes nor the same byte throughout.
pub(crate) const RECORD: [u8; 100] = {
    let mut record = [0; 100];
    let mut index = 0;
    while index < record.len() {
        record[index] = (index as u8).wrapping_mul(37).wrapping_add(11);
        index += 1;
    }
    record
};
const WARM_UP: u64 = 32;
/// What share of the bare thread's rate is aimed at, by threads.
const AIMS: &[(usize, f64)] = &[(1, 0.95), (8, 0.5), (64, 0.35), (256, 0.15)];
