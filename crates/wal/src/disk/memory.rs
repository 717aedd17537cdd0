//! A directory in memory that fails in the ways real disks fail.
//!
//! What is written and what is durable are kept apart for every sector of a file and for every name, after
//! what ext4 does at a power cut and after a failed sync.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Disk, DiskFile, numbered};
use crate::error::Operation;

/// A directory in memory. Clones share it, so that a test keeps one to break the disk under a log.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
    /// Held by the handle that took the lock and by its clones.
    lock: Option<Arc<()>>,
}

impl MemoryDisk {
    /// Makes an empty directory on a disk without end.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets one coming operation fail; faults on the same operation count independently.
    pub fn inject(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// Lets `operations` more changes happen, and then none: everything fails until [`MemoryDisk::crash`] gives
    /// the disk as it is after the cut.
    pub fn cut_power_after(&self, operations: usize) {
        self.state.lock().operations_left = Some(operations);
    }

    /// Limits the bytes that all files together may have; `None` lifts the limit.
    pub fn limit_bytes(&self, bytes: Option<u64>) {
        self.state.lock().bytes_max = bytes;
    }

    /// Lets every read that touches the byte at `offset` of a file fail.
    pub fn make_unreadable(&self, name: &str, offset: u64) {
        self.state.lock().unreadable.insert((name.to_owned(), offset));
    }

    /// Returns a disk as it would be after a power cut at this moment; this one is left as it is.
    ///
    /// Of the operations on names that are not durable the first `names_kept` survive. A sector that was
    /// written but not synced survives if `keeps` says so, and otherwise holds what was last durable there.
    pub fn crash(&self, names_kept: usize, mut keeps: impl FnMut(&Sector) -> bool) -> Self {
        let state = self.state.lock();
        let mut names = state.durable_names.clone();
        state.unsynced_names.iter().take(names_kept).for_each(|change| change.apply(&mut names));
        let visible = name_by_file(&state.names);
        let files = state
            .files
            .iter()
            .map(|(&id, contents)| {
                let name = visible.get(&id).cloned().unwrap_or_default();
                (id, contents.crash(|index| keeps(&Sector { file: name.clone(), index })))
            })
            .collect();
        let survived = State {
            durable_names: names.clone(),
            names,
            files,
            file_next: state.file_next,
            quarantine: state.quarantine.clone(),
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(survived)), lock: None }
    }

    /// Returns a disk with the same contents, all of them durable, that shares nothing with this one.
    pub fn duplicate(&self) -> Self {
        let copy = Self { state: Arc::new(Mutex::new(self.state.lock().clone())), lock: None };
        let mut state = copy.state.lock();
        state.lock = Weak::new();
        state.files.values_mut().for_each(|contents| *contents = Contents::durable(contents.visible.clone()));
        state.sync_names();
        drop(state);
        copy
    }

    /// Returns every sector that a power cut could take back, by file and position.
    pub fn unsynced_sectors(&self) -> Vec<Sector> {
        let state = self.state.lock();
        let sectors_of = |(name, id): (&String, &u64)| {
            let file = name.clone();
            let indexes = state.files.get(id).map(|contents| contents.unsynced.clone()).unwrap_or_default();
            indexes.into_iter().map(move |index| Sector { file: file.clone(), index })
        };
        state.names.iter().flat_map(sectors_of).collect()
    }

    /// Returns how many operations on names a power cut could take back.
    pub fn unsynced_names(&self) -> usize {
        self.state.lock().unsynced_names.len()
    }

    /// Returns a file's bytes as a reader sees them; `None` if there is no such file.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        Some(state.files.get(state.names.get(name)?)?.visible.clone())
    }

    /// Gives a file these bytes, durably and outside of all faults, as rot or a careless hand would.
    pub fn overwrite(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state.lock();
        let id = state.create(name);
        state.files.insert(id, Contents::durable(bytes.to_vec()));
        state.sync_names();
    }

    /// Removes a file, durably and outside of all faults.
    pub fn delete(&self, name: &str) {
        let mut state = self.state.lock();
        state.names.remove(name);
        state.sync_names();
    }

    /// Returns the quarantined copies by name.
    pub fn quarantined(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.lock().quarantine.clone()
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn lock(&mut self) -> io::Result<bool> {
        let mut state = self.state.lock();
        if state.lock.upgrade().is_some() {
            return Ok(false);
        }
        let held = Arc::new(());
        state.lock = Arc::downgrade(&held);
        self.lock = Some(held);
        Ok(true)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.attempt(Operation::Read)?;
        Ok(state.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let id = *self.state.lock().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(MemoryFile { state: Arc::clone(&self.state), id })
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let mut state = self.state.lock();
        state.attempt(Operation::Create)?;
        let id = state.create(name);
        Ok(MemoryFile { state: Arc::clone(&self.state), id })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.attempt(Operation::Rename)?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_names(NameChange::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.attempt(Operation::Remove)?;
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_names(NameChange::Remove { name: name.to_owned() });
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.attempt(Operation::SyncDirectory)?;
        state.sync_names();
        Ok(())
    }

    fn quarantine(&self, name: &str, bytes: &[u8]) -> io::Result<String> {
        let mut state = self.state.lock();
        state.attempt(Operation::Quarantine)?;
        let is_free = |name: &String| state.quarantine.get(name).is_none_or(|kept| kept == bytes);
        let name = numbered(name).find(is_free).ok_or(io::ErrorKind::AlreadyExists)?;
        state.quarantine.insert(name.clone(), bytes.to_vec());
        Ok(name)
    }

    fn set_aside(&self, name: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.attempt(Operation::Quarantine)?;
        if state.quarantine.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        let bytes = state.contents(id).visible.clone();
        state.quarantine.insert(to.to_owned(), bytes);
        state.change_names(NameChange::Remove { name: name.to_owned() });
        state.sync_names();
        Ok(())
    }

    fn list_quarantine(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.attempt(Operation::Read)?;
        Ok(state.quarantine.keys().cloned().collect())
    }
}

/// An open file of a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryFile {
    state: Arc<Mutex<State>>,
    id: u64,
}

impl DiskFile for MemoryFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.state.lock().contents(self.id).visible.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.attempt(Operation::Read)?;
        let range = offset..offset + buffer.len() as u64;
        let touches =
            |(name, at): &(String, u64)| range.contains(at) && state.names.get(name) == Some(&self.id);
        if state.unreadable.iter().any(touches) {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
        }
        let visible = &state.contents(self.id).visible;
        let from = visible.len().min(offset as usize);
        let bytes = (visible.len() - from).min(buffer.len());
        buffer[..bytes].copy_from_slice(&visible[from..from + bytes]);
        Ok(bytes)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.reserve(self.id, offset + bytes.len() as u64)?;
        let attempt = state.attempt(Operation::Write);
        // A write that fails has written some of its bytes.
        let written = match attempt {
            Ok(()) => bytes,
            Err(_) if state.has_power() => &bytes[..bytes.len() / 2],
            Err(_) => &[],
        };
        state.contents(self.id).write(written, offset as usize);
        attempt
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.attempt(Operation::Allocate)?;
        state.reserve(self.id, bytes)?;
        state.contents(self.id).visible.resize(bytes as usize, 0);
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.attempt(Operation::Truncate)?;
        state.contents(self.id).visible.truncate(bytes as usize);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state.lock();
        let attempt = state.attempt(Operation::Sync);
        match attempt {
            Ok(()) => state.contents(self.id).sync(),
            // The kernel marks the pages clean: they stay readable, and no later sync writes them.
            Err(_) if state.has_power() => state.contents(self.id).unsynced.clear(),
            Err(_) => {}
        }
        attempt
    }
}

/// One operation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which operation.
    pub operation: Operation,
    /// How many of them succeed before.
    pub after: usize,
    /// The error it fails with.
    pub kind: io::ErrorKind,
}

/// The 512 bytes that a disk writes whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sector {
    /// Name of the file; empty if it has none any more.
    pub file: String,
    /// Position in the file, in sectors.
    pub index: usize,
}

impl Sector {
    /// Bytes of one sector.
    pub const BYTES: usize = 512;
}

#[derive(Clone, Debug, Default)]
struct State {
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<NameChange>,
    files: BTreeMap<u64, Contents>,
    file_next: u64,
    quarantine: BTreeMap<String, Vec<u8>>,
    bytes_max: Option<u64>,
    faults: Vec<Fault>,
    /// How many changes happen before the power is cut, if it is to be cut.
    operations_left: Option<usize>,
    unreadable: BTreeSet<(String, u64)>,
    lock: Weak<()>,
}

impl State {
    /// Counts an operation and fails it if a fault says so.
    fn attempt(&mut self, operation: Operation) -> io::Result<()> {
        if let Some(left) = &mut self.operations_left {
            match left.checked_sub(1) {
                None => return Err(io::ErrorKind::NotConnected.into()),
                Some(_) if operation == Operation::Read => {}
                Some(fewer) => *left = fewer,
            }
        }
        let mut failure = None;
        self.faults.retain_mut(|fault| {
            if fault.operation != operation {
                return true;
            }
            if fault.after == 0 {
                failure = Some(fault.kind);
                return false;
            }
            fault.after -= 1;
            true
        });
        failure.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn has_power(&self) -> bool {
        self.operations_left != Some(0)
    }

    /// Fails if a file of `bytes` would not fit beside the others that have a name.
    fn reserve(&self, id: u64, bytes: u64) -> io::Result<()> {
        let used = |(&other, contents): (&u64, &Contents)| {
            let is_named = self.names.values().any(|&named| named == other);
            if is_named && other != id { contents.visible.len() as u64 } else { 0 }
        };
        let current = self.files.get(&id).map_or(0, |contents| contents.visible.len() as u64);
        let total = self.files.iter().map(used).sum::<u64>() + bytes.max(current);
        match self.bytes_max {
            Some(limit) if bytes > current && total > limit => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn create(&mut self, name: &str) -> u64 {
        let id = self.file_next;
        self.file_next += 1;
        self.files.insert(id, Contents::default());
        self.change_names(NameChange::Create { name: name.to_owned(), file: id });
        id
    }

    fn contents(&mut self, id: u64) -> &mut Contents {
        self.files.entry(id).or_default()
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn sync_names(&mut self) {
        self.unsynced_names.clear();
        self.durable_names = self.names.clone();
    }
}

#[derive(Clone, Debug)]
enum NameChange {
    Create { name: String, file: u64 },
    Rename { from: String, to: String },
    Remove { name: String },
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create { name, file } => {
                names.insert(name.clone(), *file);
            }
            Self::Rename { from, to } => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove { name } => {
                names.remove(name);
            }
        }
    }
}

/// The bytes of one file: what readers see and what a power cut leaves.
#[derive(Clone, Debug, Default)]
struct Contents {
    visible: Vec<u8>,
    durable: Vec<u8>,
    unsynced: BTreeSet<usize>,
}

impl Contents {
    fn durable(bytes: Vec<u8>) -> Self {
        Self { visible: bytes.clone(), durable: bytes, unsynced: BTreeSet::new() }
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        self.visible.resize(self.visible.len().max(end), 0);
        self.visible[offset..end].copy_from_slice(bytes);
        self.unsynced.extend(offset / Sector::BYTES..end.div_ceil(Sector::BYTES));
    }

    /// Makes durable what was written since the last attempt, and the length.
    fn sync(&mut self) {
        self.durable.resize(self.visible.len(), 0);
        for index in std::mem::take(&mut self.unsynced) {
            copy_sector(index, &self.visible, &mut self.durable);
        }
    }

    /// Returns what is left after a power cut.
    fn crash(&self, mut keeps: impl FnMut(usize) -> bool) -> Self {
        let mut durable = self.durable.clone();
        for &index in self.unsynced.iter().filter(|&&index| keeps(index)) {
            let end = self.visible.len().min((index + 1) * Sector::BYTES);
            durable.resize(durable.len().max(end), 0);
            copy_sector(index, &self.visible, &mut durable);
        }
        Self::durable(durable)
    }
}

fn copy_sector(index: usize, from: &[u8], to: &mut [u8]) {
    let end = from.len().min(to.len()).min((index + 1) * Sector::BYTES);
    let start = end.min(index * Sector::BYTES);
    to[start..end].copy_from_slice(&from[start..end]);
}

fn name_by_file(names: &BTreeMap<String, u64>) -> BTreeMap<u64, String> {
    names.iter().map(|(name, &id)| (id, name.clone())).collect()
}

#[cfg(test)]
mod tests;
