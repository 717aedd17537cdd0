//! A directory of a file system that reserves no space, as some over a network do: files are filled with zeroes.

use std::fs::File;
use std::io;

use trellis_wal::{Disk, DiskFile, FileDisk};

#[derive(Clone, Debug)]
pub(crate) struct Unreserved(pub(crate) FileDisk);

impl Disk for Unreserved {
    type File = UnreservedFile;

    fn lock(&mut self) -> io::Result<bool> {
        self.0.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn open(&self, name: &str) -> io::Result<UnreservedFile> {
        self.0.open(name).map(UnreservedFile)
    }

    fn create(&self, name: &str) -> io::Result<UnreservedFile> {
        self.0.create(name).map(UnreservedFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }

    fn quarantine(&self, name: &str, bytes: &[u8]) -> io::Result<String> {
        self.0.quarantine(name, bytes)
    }

    fn set_aside(&self, name: &str, to: &str) -> io::Result<()> {
        self.0.set_aside(name, to)
    }

    fn list_quarantine(&self) -> io::Result<Vec<String>> {
        self.0.list_quarantine()
    }
}

#[derive(Debug)]
pub(crate) struct UnreservedFile(File);

impl DiskFile for UnreservedFile {
    fn bytes(&self) -> io::Result<u64> {
        DiskFile::bytes(&self.0)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        DiskFile::read_at(&self.0, buffer, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        DiskFile::write_at(&mut self.0, bytes, offset)
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        let zeroes = vec![0; 1 << 20];
        let mut offset = 0;
        while offset < bytes {
            let chunk = (bytes - offset).min(zeroes.len() as u64);
            DiskFile::write_at(&mut self.0, &zeroes[..chunk as usize], offset)?;
            offset += chunk;
        }
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.truncate(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}
