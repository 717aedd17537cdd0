//! fjall: a batch a record, synced with `SyncAll`; what counts is its journal.

use std::path::Path;

use anyhow::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Contender, Kind};

pub(super) const KIND: Kind = Kind { name: "fjall", open, fill, recover };

struct Fjall {
    database: Database,
    keyspace: Keyspace,
}

impl Contender for Fjall {
    fn append(&self, thread: u64, count: u64, record: &[u8]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.keyspace, key(thread, count), record);
        Ok(batch.commit()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

fn open(directory: &Path) -> Result<Box<dyn Contender>> {
    Ok(Box::new(opened(directory)?))
}

fn fill(directory: &Path, record: &[u8], records: u64) -> Result<()> {
    let Fjall { database, keyspace } = opened(directory)?;
    for count in 0..records {
        keyspace.insert(key(0, count), record)?;
    }
    Ok(database.persist(PersistMode::SyncAll)?)
}

fn recover(directory: &Path) -> Result<u64> {
    Ok(opened(directory)?.keyspace.len()? as u64)
}

fn opened(directory: &Path) -> Result<Fjall> {
    // So that the journal is not flushed away while it is measured.
    let database = Database::builder(directory).max_journaling_size(8 << 30).open()?;
    let keyspace =
        database.keyspace("records", || KeyspaceCreateOptions::default().max_memtable_size(2 << 30))?;
    Ok(Fjall { database, keyspace })
}

fn key(thread: u64, count: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&thread.to_be_bytes());
    key[8..].copy_from_slice(&count.to_be_bytes());
    key
}
