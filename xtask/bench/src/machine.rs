//! The machine, and how quiet it is.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// What the figures depend on besides the program.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    cores: usize,
    /// Of the last minute, before the bench began its work; unknown where there is no /proc.
    load_average: Option<f64>,
    /// The share of processor time that nobody used in the second before.
    idle_share: Option<f64>,
    /// Bare appends of 4 KiB, each with a sync, one after the other.
    syncs_per_second: f64,
}

impl Machine {
    /// Looks for a second, and syncs a file in `directory` for another.
    pub(crate) fn look(directory: &Path) -> Result<Self> {
        let load_average = fs::read_to_string("/proc/loadavg").ok();
        let load_average = load_average.and_then(|text| text.split(' ').next()?.parse().ok());
        let before = processor_time();
        thread::sleep(LOOK);
        let idle_share = before.zip(processor_time()).map(|(before, after)| after.idle_share_since(&before));
        let cores = thread::available_parallelism()?.get();
        Ok(Self { cores, load_average, idle_share, syncs_per_second: syncs_per_second(directory)? })
    }

    pub(crate) fn json(&self) -> Value {
        let Self { cores, load_average, idle_share, syncs_per_second } = self;
        json!({
            "cores": cores, "loadAverage": load_average, "idleShare": idle_share, "syncsPerSecond": syncs_per_second,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cores; ", self.cores)?;
        match (self.load_average, self.idle_share) {
            (Some(load), Some(idle)) => {
                let is_quiet = if idle >= QUIET { "quiet" } else { "NOT quiet" };
                write!(
                    f,
                    "{is_quiet}: load average {load:.2}, {:.0} % idle before the start; ",
                    100.0 * idle
                )?;
            }
            _ => write!(f, "how quiet it is cannot be told here; ")?,
        }
        write!(f, "{:.0} bare syncs a second", self.syncs_per_second)
    }
}

/// Ticks since the start of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProcessorTime {
    idle: u64,
    all: u64,
}

impl ProcessorTime {
    /// The first line: user nice system idle iowait irq softirq steal; guest times are within user's.
    fn parse(stat: &str) -> Option<Self> {
        let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        let ticks: Vec<u64> = numbers.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { idle: ticks.get(3)? + ticks.get(4)?, all: ticks.iter().sum() })
    }

    fn idle_share_since(&self, before: &Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        self.idle.saturating_sub(before.idle) as f64 / all as f64
    }
}

fn processor_time() -> Option<ProcessorTime> {
    ProcessorTime::parse(&fs::read_to_string("/proc/stat").ok()?)
}

fn syncs_per_second(directory: &Path) -> Result<f64> {
    let path = directory.join("sync.probe");
    let mut file = File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    let started = Instant::now();
    let mut syncs = 0_u32;
    while started.elapsed() < LOOK {
        file.write_all(&[0x55; 4096])?;
        file.sync_data()?;
        syncs += 1;
    }
    let elapsed = started.elapsed();
    fs::remove_file(&path)?;
    Ok(f64::from(syncs) / elapsed.as_secs_f64())
}

const LOOK: Duration = Duration::from_secs(1);
/// Below it others take part of the machine that matters.
const QUIET: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_what_nobody_used_waiting_for_the_disk_included() {
        let before = ProcessorTime::parse("cpu  10 0 10 100 0 0 0 0 0 0\ncpu0 1\n").unwrap();
        let after = ProcessorTime::parse("cpu  20 0 10 160 20 0 0 10 5 0\n").unwrap();
        assert_eq!(before, ProcessorTime { idle: 100, all: 120 });
        assert!((after.idle_share_since(&before) - 0.8).abs() < 1e-9);
        assert_eq!(ProcessorTime::parse("intr 5\n"), None);
    }
}
