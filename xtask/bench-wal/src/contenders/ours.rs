//! trellis-wal, with one thread that syncs.

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use hdrhistogram::Histogram;
use trellis_wal::{Config, FileDisk, Log, OpenSeed, Opened, open};

use super::{Contender, Kind};
use crate::append::Sample;

pub(super) const KIND: Kind = Kind { name: "trellis-wal", open: start, fill, recover };

struct Ours {
    log: Log,
    threads: [JoinHandle<()>; 2],
}

impl Contender for Ours {
    fn append(&self, _thread: u64, _count: u64, record: &[u8]) -> Result<()> {
        self.log.append(record)?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.log.close();
        self.threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked")))
    }
}

fn start(directory: &Path) -> Result<Box<dyn Contender>> {
    let Opened { log, syncer, .. } = opened(directory)?;
    let spares = syncer.spare_maker();
    let threads = [thread::spawn(move || spares.run()), thread::spawn(move || syncer.run(|_| {}))];
    Ok(Box::new(Ours { log, threads }))
}

/// Appends and syncs in one thread.
pub(crate) fn alone(directory: &Path, record: &[u8], duration: Duration) -> Result<Sample> {
    let Opened { log, mut syncer, .. } = opened(directory)?;
    let mut latency = Histogram::new(3)?;
    let started = Instant::now();
    while started.elapsed() < duration {
        let begun = Instant::now();
        log.enqueue(record)?;
        syncer.sync_once()?;
        latency.record(begun.elapsed().as_nanos() as u64)?;
    }
    let per_second = latency.len() as f64 / started.elapsed().as_secs_f64();
    syncer.seal()?;
    Ok(Sample { per_second, latency })
}

fn fill(directory: &Path, record: &[u8], records: u64) -> Result<()> {
    let Opened { log, mut syncer, .. } = opened(directory)?;
    for _ in 0..records {
        if !log.has_room() {
            syncer.sync_once()?;
        }
        log.enqueue(record)?;
    }
    syncer.sync_once()?;
    Ok(syncer.seal()?)
}

fn recover(directory: &Path) -> Result<u64> {
    let opened = opened(directory)?;
    let expected = opened.report.records;
    let mut records = 0;
    for record in opened.records {
        record?;
        records += 1;
    }
    ensure!(records == expected, "{records} of {expected} records came back");
    Ok(records)
}

fn opened(directory: &Path) -> Result<Opened<FileDisk>> {
    let seed = OpenSeed { log_uuid: [7; 16], salt: 11 };
    Ok(open(FileDisk::new(directory)?, config(), seed)?)
}

pub(crate) fn config() -> Config {
    Config::default()
}
