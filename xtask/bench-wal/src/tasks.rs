//! Tasks of tokio, each of which awaits its own record, and one caller who keeps batches under way.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use trellis_wal::{AsyncLog, FileDisk};

use crate::append::RECORD;
use crate::contenders::{Contender, Kind, Ours, bare, config};
use crate::table::{columns, median, short, verdict};

/// Rates of all rounds, by contender: ours first.
pub(crate) struct Tasks {
    contenders: Vec<&'static Kind>,
    rates: Vec<Vec<f64>>,
    /// Of batches with a window, and of a bare thread with the same batches.
    windows: Vec<(f64, f64)>,
}

impl Tasks {
    pub(crate) fn new(contenders: Vec<&'static Kind>) -> Self {
        Self { rates: contenders.iter().map(|_| Vec::new()).collect(), contenders, windows: Vec::new() }
    }

    pub(crate) fn round(&mut self, round: u32, home: &Path, duration: Duration) -> Result<()> {
        for position in 0..self.contenders.len() {
            let last = self.contenders.len() - 1;
            let index = if round.is_multiple_of(2) { position } else { last - position };
            let directory = TempDir::new_in(home)?;
            let kind = self.contenders[index];
            let rate = match index {
                0 => ours(directory.path(), duration),
                _ => blocking(kind, directory.path(), duration),
            };
            self.rates[index].push(rate.with_context(|| format!("{} with tasks failed", kind.name))?);
        }
        let (own, other) = (TempDir::new_in(home)?, TempDir::new_in(home)?);
        let ceiling = bare(other.path(), &RECORD, BATCH, duration)?.per_second;
        self.windows.push((window(own.path(), duration)?, ceiling));
        Ok(())
    }

    pub(crate) fn tell(&self) -> String {
        let header = [String::new(), format!("{TASKS} TASKS")];
        let rate = |rates: &Vec<f64>| format!("{}/s", short(median(rates.clone())));
        let name = |index: usize, kind: &Kind| match index {
            0 => format!("{}, AsyncLog::append", kind.name),
            _ => format!("{}, spawn_blocking", kind.name),
        };
        let lines = self.contenders.iter().zip(&self.rates).enumerate();
        let rows: Vec<_> = lines.map(|(index, (kind, rates))| vec![name(index, kind), rate(rates)]).collect();
        let to_rival = |rates: &Vec<f64>| {
            median(self.rates[0].iter().zip(rates).map(|(ours, rival)| ours / rival).collect())
        };
        let least = self.rates[1..].iter().map(to_rival).fold(f64::INFINITY, f64::min);
        let of_best = match least.is_finite() {
            true => format!("of the best rival: {least:.1}, aim >= 3 {}\n", verdict(least >= 3.0)),
            false => String::new(),
        };
        let share = median(self.windows.iter().map(|(ours, bare)| ours / bare).collect());
        format!(
            "durable appends of {} bytes by tasks of tokio on two workers\n{}{of_best}\n\
             one caller, batches of {BATCH} with {WINDOW} under way: {}/s, {share:.2} of a bare thread with the same \
             batches, aim >= 0.60 {}\n",
            RECORD.len(),
            columns(&header, &rows),
            short(median(self.windows.iter().map(|(ours, _)| *ours).collect())),
            verdict(share >= 0.6)
        )
    }
}

fn ours(directory: &Path, duration: Duration) -> Result<f64> {
    let ours = Ours::start(FileDisk::new(directory)?, config(), true)?;
    let runtime = runtime()?;
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let log = AsyncLog::from(&ours.log);
            runtime.spawn(async move {
                let mut count = 0;
                while started.elapsed() < duration {
                    log.append(&RECORD).await?;
                    count += 1;
                }
                Ok(count)
            })
        })
        .collect();
    let rate = per_second(&runtime, tasks, started)?;
    Box::new(ours).close()?;
    Ok(rate)
}

/// As a program does that has a log which blocks.
fn blocking(kind: &Kind, directory: &Path, duration: Duration) -> Result<f64> {
    let contender = Arc::new((kind.open)(directory)?);
    let runtime = runtime()?;
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let contender = Arc::clone(&contender);
            runtime.spawn(async move {
                let mut count = 0;
                while started.elapsed() < duration {
                    let contender = Arc::clone(&contender);
                    tokio::task::spawn_blocking(move || contender.append(task as u64, count, &RECORD))
                        .await??;
                    count += 1;
                }
                Ok(count)
            })
        })
        .collect();
    let rate = per_second(&runtime, tasks, started)?;
    drop(runtime);
    Arc::into_inner(contender).ok_or_else(|| anyhow!("a task still has the log"))?.close()?;
    Ok(rate)
}

fn per_second(
    runtime: &Runtime,
    tasks: Vec<tokio::task::JoinHandle<Result<u64>>>,
    started: Instant,
) -> Result<f64> {
    let mut count = 0;
    for task in tasks {
        count += runtime.block_on(task)??;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn window(directory: &Path, duration: Duration) -> Result<f64> {
    let ours = Ours::start(FileDisk::new(directory)?, config(), true)?;
    let batch = [&RECORD[..]; BATCH];
    let mut under_way = VecDeque::new();
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < duration {
        if under_way.len() == WINDOW
            && let Some(oldest) = under_way.pop_front()
        {
            ours.log.wait_durable_blocking(oldest)?;
            count += BATCH;
        }
        under_way.push_back(ours.log.enqueue_batch(&batch)?);
    }
    let rate = count as f64 / started.elapsed().as_secs_f64();
    Box::new(ours).close()?;
    Ok(rate)
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).max_blocking_threads(TASKS).build()?)
}

const TASKS: usize = 256;
const BATCH: usize = 128;
const WINDOW: usize = 4;
