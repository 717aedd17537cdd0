//! Reading a log back after it was closed, from the cache of the operating system.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::append::RECORD;
use crate::contenders::{CONTENDERS, Kind};
use crate::table::{columns, median, verdict};

/// Fills a log of each kind, and recovers it in every round.
pub(crate) fn measure(rounds: u32, home: &Path, own_bytes: u64, rival_bytes: u64) -> Result<String> {
    let longer = RECORD.repeat(10);
    let mut logs = Vec::new();
    for (index, kind) in CONTENDERS.iter().enumerate() {
        let bytes = if index == 0 { own_bytes } else { rival_bytes };
        for record in [&RECORD[..], &longer] {
            logs.push(Filled::new(kind, home, record, bytes)?);
        }
    }
    let own = logs[0].directory.clone();
    let mut read = Vec::new();
    for round in 1..=rounds {
        for log in &mut logs {
            log.recover()?;
        }
        read.push(read_all(&own)?);
        eprintln!("recovery: round {round} of {rounds}");
    }
    let mut rows: Vec<_> = logs.iter().map(Filled::row).collect();
    rows.push(vec![
        "the files of the first, read only".to_owned(),
        String::new(),
        format!("{:.0}", median(read)),
    ]);
    let header = ["RECOVERY", "RECORDS", "MB/S OF PAYLOAD", ""].map(str::to_owned);
    let table = columns(&header, &rows);
    logs.iter().try_for_each(|log| fs::remove_dir_all(&log.directory))?;
    Ok(table)
}

struct Filled {
    kind: &'static Kind,
    directory: PathBuf,
    record_bytes: u64,
    records: u64,
    rates: Vec<f64>,
}

impl Filled {
    fn new(kind: &'static Kind, home: &Path, record: &[u8], bytes: u64) -> Result<Self> {
        let record_bytes = record.len() as u64;
        let records = bytes / record_bytes;
        let directory = home.join(format!("{}-{record_bytes}", kind.name));
        fs::create_dir(&directory)?;
        (kind.fill)(&directory, record, records)
            .with_context(|| format!("{} cannot be filled", kind.name))?;
        Ok(Self { kind, directory, record_bytes, records, rates: Vec::new() })
    }

    fn recover(&mut self) -> Result<()> {
        let started = Instant::now();
        let found = (self.kind.recover)(&self.directory)?;
        let elapsed = started.elapsed().as_secs_f64();
        ensure!(found == self.records, "{} recovers {found} of {} records", self.kind.name, self.records);
        self.rates.push((self.records * self.record_bytes) as f64 / 1e6 / elapsed);
        Ok(())
    }

    fn row(&self) -> Vec<String> {
        let rate = median(self.rates.clone());
        let is_ours = self.kind.name == CONTENDERS[0].name;
        let aim = if is_ours { format!("aim >= 1000 {}", verdict(rate >= 1000.0)) } else { String::new() };
        let records = format!("{} of {} B", self.records, self.record_bytes);
        vec![self.kind.name.to_owned(), records, format!("{rate:.0}"), aim]
    }
}

/// Returns MB read a second.
fn read_all(directory: &Path) -> Result<f64> {
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    let started = Instant::now();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !path.is_file() {
            continue;
        }
        let mut file = File::open(path)?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => bytes += read,
            }
        }
    }
    Ok(bytes as f64 / 1e6 / started.elapsed().as_secs_f64())
}
