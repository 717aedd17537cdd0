//! raft-engine: a key and a value a record, a region a thread, without compression.

use std::path::Path;

use anyhow::{Result, ensure};
use raft_engine::{Config, Engine, LogBatch, ReadableSize};

use super::{Contender, Kind};

pub(super) const KIND: Kind = Kind { name: "raft-engine", open, fill, recover };

struct Raft(Engine);

impl Contender for Raft {
    fn append(&self, thread: u64, count: u64, record: &[u8]) -> Result<()> {
        let mut batch = LogBatch::with_capacity(1);
        // A few keys again and again, as it holds all of them in memory.
        batch.put(thread + 1, (count % 1024).to_be_bytes().to_vec(), record.to_vec())?;
        self.0.write(&mut batch, true)?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

fn open(directory: &Path) -> Result<Box<dyn Contender>> {
    Ok(Box::new(Raft(Engine::open(config(directory))?)))
}

fn fill(directory: &Path, record: &[u8], records: u64) -> Result<()> {
    let engine = Engine::open(config(directory))?;
    let mut batch = LogBatch::with_capacity(1);
    for count in 0..records {
        batch.put(1, count.to_be_bytes().to_vec(), record.to_vec())?;
        engine.write(&mut batch, false)?;
    }
    Ok(engine.sync()?)
}

fn recover(directory: &Path) -> Result<u64> {
    let engine = Engine::open(config(directory))?;
    let mut records = 0;
    engine.scan_raw_messages(1, None, None, false, |_, _| {
        records += 1;
        true
    })?;
    ensure!(engine.raft_groups().len() <= 1, "one region was filled");
    Ok(records)
}

fn config(directory: &Path) -> Config {
    Config {
        dir: directory.display().to_string(),
        batch_compression_threshold: ReadableSize(0),
        target_file_size: ReadableSize::mb(64),
        ..Config::default()
    }
}
