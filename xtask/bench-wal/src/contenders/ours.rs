//! trellis-wal, with a thread that syncs and one that makes the next segment ahead.

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use hdrhistogram::Histogram;
use trellis_wal::{Config, Disk, FileDisk, Log, OpenSeed, Opened, open};

use super::{Contender, Kind};
use crate::append::Sample;

pub(super) const KIND: Kind = Kind { name: "trellis-wal", open: start, fill, recover };

pub(crate) struct Ours {
    pub(crate) log: Log,
    threads: Vec<JoinHandle<()>>,
}

impl Ours {
    /// Opens a log; `makes_spares` gives the making of segments a thread of its own.
    pub(crate) fn start<D: Disk>(disk: D, config: Config, makes_spares: bool) -> Result<Self> {
        let Opened { log, syncer, .. } = open(disk, config, SEED)?;
        let mut threads = Vec::new();
        if makes_spares {
            let spares = syncer.spare_maker();
            threads.push(thread::spawn(move || spares.run()));
        }
        threads.push(thread::spawn(move || syncer.run(|_| {})));
        Ok(Self { log, threads })
    }
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
    Ok(Box::new(Ours::start(FileDisk::new(directory)?, config(), true)?))
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
    let mut opened = opened(directory)?;
    let expected = opened.report.records;
    let mut records = 0;
    while let Some(record) = opened.records.next_record() {
        record?;
        records += 1;
    }
    ensure!(records == expected, "{records} of {expected} records came back");
    Ok(records)
}

fn opened(directory: &Path) -> Result<Opened<FileDisk>> {
    Ok(open(FileDisk::new(directory)?, config(), SEED)?)
}

pub(crate) fn config() -> Config {
    Config::default()
}

const SEED: OpenSeed = OpenSeed { log_uuid: [7; 16], salt: 11 };
