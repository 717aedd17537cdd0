//! What an append takes that finds its segment full, by who makes the next one.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use tempfile::TempDir;
use trellis_wal::{Config, Disk, FileDisk};

use crate::contenders::{Contender, Ours, config};
use crate::table::median;
use crate::unreserved::Unreserved;

/// One thread appends; one append of 256 rotates.
pub(crate) fn measure(rounds: u32, home: &Path, duration: Duration) -> Result<String> {
    let config = Config {
        segment_bytes: 4 << 20,
        record_bytes_max: RECORD_BYTES as u32,
        batch_bytes_max: 2 << 20,
        ..config()
    };
    let mut turns = [const { Vec::new() }; WAYS.len()];
    for round in 0..rounds as usize {
        for position in 0..WAYS.len() {
            let index = (position + round) % WAYS.len();
            let directory = TempDir::new_in(home)?;
            let disk = FileDisk::new(directory.path())?;
            let (_, is_reserved, makes_spares) = WAYS[index];
            turns[index].push(match is_reserved {
                true => turn(disk, config.clone(), makes_spares, duration)?,
                false => turn(Unreserved(disk), config.clone(), makes_spares, duration)?,
            });
        }
    }
    let lines = WAYS.iter().zip(&turns).map(|((way, ..), turns)| {
        let micros = |index: usize| median(turns.iter().map(|turn: &[f64; 3]| turn[index]).collect());
        format!("  {way}: {:.0} us; of all, p50 {:.0} us, p99 {:.0} us\n", micros(0), micros(1), micros(2))
    });
    let lines: String = lines.collect();
    Ok(format!("appends of 16 KiB that find their segment of 4 MiB full, one of {PER_SEGMENT}, p50\n{lines}"))
}

/// How the space of a segment is taken, and when; whether it can be reserved, whether a thread makes it ahead.
const WAYS: [(&str, bool, bool); 4] = [
    ("space reserved, when it is needed", true, false),
    ("space reserved, ahead by a thread of its own", true, true),
    ("space filled with zeroes, when it is needed", false, false),
    ("space filled with zeroes, ahead by a thread of its own", false, true),
];

/// Microseconds: of an append that rotates the median, and of all of them the median and the 99th percentile.
fn turn(disk: impl Disk, config: Config, makes_spares: bool, duration: Duration) -> Result<[f64; 3]> {
    let ours = Ours::start(disk, config, makes_spares)?;
    let record = vec![7; RECORD_BYTES];
    let mut latency = Histogram::<u64>::new(3)?;
    let mut rotations = Vec::new();
    let started = Instant::now();
    for number in 0.. {
        if started.elapsed() >= duration {
            break;
        }
        let begun = Instant::now();
        ours.log.append(&record)?;
        let nanos = begun.elapsed().as_nanos() as u64;
        latency.record(nanos)?;
        if number > 0 && number % PER_SEGMENT == 0 {
            rotations.push(nanos as f64 / 1000.0);
        }
    }
    Box::new(ours).close()?;
    let of_all = |quantile| latency.value_at_quantile(quantile) as f64 / 1000.0;
    Ok([median(rotations), of_all(0.5), of_all(0.99)])
}

/// How many records a segment takes between its header and its seal.
const PER_SEGMENT: usize = ((4 << 20) - 4096 - 24) / (RECORD_BYTES + 24);
const RECORD_BYTES: usize = 16 << 10;
