//! What the slowest appends take, those that find the segment full, by who makes the next one.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use tempfile::TempDir;
use trellis_wal::Config;

use crate::contenders::{Contender, Ours, config};
use crate::table::median;

/// One thread appends; one append of 256 rotates.
pub(crate) fn measure(rounds: u32, home: &Path, duration: Duration) -> Result<String> {
    let config = Config {
        segment_bytes: 4 << 20,
        record_bytes_max: RECORD_BYTES as u32,
        batch_bytes_max: 2 << 20,
        ..config()
    };
    let mut turns = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for position in 0..2 {
            let index = (position + round as usize) % 2;
            let directory = TempDir::new_in(home)?;
            turns[index].push(turn(directory.path(), config.clone(), index == 1, duration)?);
        }
    }
    let line = |turns: &[[f64; 2]], how| {
        let micros = |index: usize| median(turns.iter().map(|turn| turn[index]).collect());
        format!("  {how}: p50 {:.0} us, p99.8 {:.0} us\n", micros(0), micros(1))
    };
    Ok(format!(
        "appends of 16 KiB, of which one in 256 finds its segment of 4 MiB full\n{}{}",
        line(&turns[0], "the next segment made when it is needed"),
        line(&turns[1], "made ahead by a thread of its own")
    ))
}

fn turn(directory: &Path, config: Config, makes_spares: bool, duration: Duration) -> Result<[f64; 2]> {
    let ours = Ours::start(directory, config, makes_spares)?;
    let record = vec![7; RECORD_BYTES];
    let mut latency = Histogram::<u64>::new(3)?;
    let started = Instant::now();
    while started.elapsed() < duration {
        let begun = Instant::now();
        ours.log.append(&record)?;
        latency.record(begun.elapsed().as_nanos() as u64)?;
    }
    Box::new(ours).close()?;
    Ok([0.5, 0.998].map(|quantile| latency.value_at_quantile(quantile) as f64 / 1000.0))
}

const RECORD_BYTES: usize = 16 << 10;
