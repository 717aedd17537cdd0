//! A disk on which a sync can be held up.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;
use trellis_wal::{Disk, DiskFile, MemoryDisk, MemoryFile};

/// A disk in memory whose syncs wait at a gate: whoever has its other end lets one through by sending, which returns
/// when there is one, and all by dropping it.
#[derive(Clone)]
pub(crate) struct SlowDisk {
    disk: MemoryDisk,
    gate: Arc<Mutex<Receiver<()>>>,
}

impl SlowDisk {
    pub(crate) fn new(disk: MemoryDisk) -> (Self, SyncSender<()>) {
        let (open, gate) = sync_channel(0);
        (Self { disk, gate: Arc::new(Mutex::new(gate)) }, open)
    }

    fn file(&self, file: MemoryFile) -> SlowFile {
        SlowFile { file, gate: Arc::clone(&self.gate) }
    }
}

impl Disk for SlowDisk {
    type File = SlowFile;

    fn lock(&mut self) -> io::Result<bool> {
        self.disk.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn open(&self, name: &str) -> io::Result<SlowFile> {
        Ok(self.file(self.disk.open(name)?))
    }

    fn create(&self, name: &str) -> io::Result<SlowFile> {
        Ok(self.file(self.disk.create(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }

    fn quarantine(&self, name: &str, bytes: &[u8]) -> io::Result<String> {
        self.disk.quarantine(name, bytes)
    }

    fn set_aside(&self, name: &str, to: &str) -> io::Result<()> {
        self.disk.set_aside(name, to)
    }

    fn list_quarantine(&self) -> io::Result<Vec<String>> {
        self.disk.list_quarantine()
    }
}

pub(crate) struct SlowFile {
    file: MemoryFile,
    gate: Arc<Mutex<Receiver<()>>>,
}

impl DiskFile for SlowFile {
    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        // The wait ends as well when the other end is dropped.
        let _ = self.gate.lock().recv();
        self.file.sync()
    }
}
