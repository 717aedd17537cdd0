//! What appending costs the caller, without the wait.

use std::path::Path;

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use trellis_wal::{FileDisk, OpenSeed, open};

use crate::append::RECORD;
use crate::contenders::config;
use crate::table::{median, verdict};

/// Takes the processor time of one thread that enqueues while nobody syncs.
pub(crate) fn measure(rounds: u32, home: &Path) -> Result<String> {
    let directory = TempDir::new_in(home)?;
    let seed = OpenSeed { log_uuid: [7; 16], salt: 11 };
    let mut opened = open(FileDisk::new(directory.path())?, config(), seed)?;
    let mut nanos = Vec::new();
    // The first turn finds a queue that has yet to grow.
    for round in 0..=rounds {
        let started = processor_nanos();
        for _ in 0..RECORDS {
            opened.log.enqueue(&RECORD)?;
        }
        let elapsed = processor_nanos() - started;
        opened.syncer.sync_once()?;
        if round > 0 {
            nanos.push(elapsed / f64::from(RECORDS));
        }
    }
    opened.syncer.seal()?;
    let nanos = median(nanos);
    Ok(format!(
        "enqueue of a record of {} bytes: {nanos:.0} ns of processor time, aim <= 150 {}",
        RECORD.len(),
        verdict(nanos <= 150.0)
    ))
}

fn processor_nanos() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// A fraction of what may be pending.
const RECORDS: u32 = 100_000;
