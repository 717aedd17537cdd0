//! okaywal: an entry a record, with files as large as ours.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use okaywal::{Configuration, Entry, EntryId, LogManager, SegmentReader, WriteAheadLog};

use super::{Contender, Kind};

pub(super) const KIND: Kind = Kind { name: "okaywal", open, fill, recover };

struct Okay(WriteAheadLog);

impl Contender for Okay {
    fn append(&self, _thread: u64, _count: u64, record: &[u8]) -> Result<()> {
        let mut entry = self.0.begin_entry()?;
        entry.write_chunk(record)?;
        entry.commit()?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.shutdown()?)
    }
}

/// Counts what is recovered; checkpoints keep nothing.
#[derive(Debug, Default)]
struct Counting(Arc<AtomicU64>);

impl LogManager for Counting {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        let chunks = entry.read_all_chunks()?.map_or(0, |chunks| chunks.len());
        self.0.fetch_add(chunks as u64, Ordering::Relaxed);
        Ok(())
    }

    fn checkpoint_to(&mut self, _: EntryId, _: &mut SegmentReader, _: &WriteAheadLog) -> io::Result<()> {
        Ok(())
    }
}

fn open(directory: &Path) -> Result<Box<dyn Contender>> {
    Ok(Box::new(Okay(configuration(directory).open(Counting::default())?)))
}

/// Many chunks an entry, each of which is a record.
fn fill(directory: &Path, record: &[u8], records: u64) -> Result<()> {
    let log = configuration(directory).checkpoint_after_bytes(u64::MAX).open(Counting::default())?;
    let mut left = records;
    while left > 0 {
        let mut entry = log.begin_entry()?;
        for _ in 0..left.min(1000) {
            entry.write_chunk(record)?;
        }
        entry.commit()?;
        left -= left.min(1000);
    }
    // A shutdown takes a checkpoint, which would leave nothing to recover.
    drop(log);
    Ok(())
}

fn recover(directory: &Path) -> Result<u64> {
    let count = Arc::new(AtomicU64::new(0));
    let configuration = configuration(directory).checkpoint_after_bytes(u64::MAX);
    let log = configuration.open(Counting(Arc::clone(&count)))?;
    drop(log);
    Ok(count.load(Ordering::Relaxed))
}

fn configuration(directory: &Path) -> Configuration {
    Configuration::default_for(directory).preallocate_bytes(64 << 20).checkpoint_after_bytes(60 << 20)
}
