//! A directory of the file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskFile, numbered};

/// A directory of the file system, locked through a file `LOCK` in it.
#[derive(Clone, Debug)]
pub struct FileDisk {
    path: PathBuf,
    is_read_only: bool,
    /// The lock ends with the last clone.
    lock: Option<Arc<DirectoryLock>>,
}

impl FileDisk {
    /// Opens the directory at `path` and makes it if it is missing. Its parent must exist.
    ///
    /// # Errors
    ///
    /// The directory cannot be made, or its name cannot be made durable.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        create_directory(&path)?;
        Ok(Self { path, is_read_only: false, lock: None })
    }

    /// Opens the directory at `path` for tools that only look: nothing in it is made, changed or locked.
    ///
    /// Whatever changes the directory, the lock included, fails with [`io::ErrorKind::ReadOnlyFilesystem`].
    ///
    /// # Errors
    ///
    /// There is no such directory.
    pub fn read_only(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        if !fs::metadata(&path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path, is_read_only: true, lock: None })
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.is_read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }
}

impl Disk for FileDisk {
    type File = File;

    fn lock(&mut self) -> io::Result<bool> {
        self.check_writable()?;
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(self.path.join(LOCK_NAME))?;
        match file.try_lock() {
            Ok(()) => {
                self.lock = Some(Arc::new(DirectoryLock(file)));
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        files_in(&self.path)
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(!self.is_read_only).open(self.path.join(name))
    }

    fn create(&self, name: &str) -> io::Result<File> {
        self.check_writable()?;
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.check_writable()?;
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.check_writable()?;
        fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn quarantine(&self, name: &str, bytes: &[u8]) -> io::Result<String> {
        self.check_writable()?;
        let directory = self.path.join(QUARANTINE_NAME);
        create_directory(&directory)?;
        for name in numbered(name) {
            let path = directory.join(&name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => keep(&file, bytes).inspect_err(|_| {
                    // Half a copy helps nobody, and the next attempt would take another name.
                    let _ = fs::remove_file(&path);
                })?,
                // The one from an earlier opening may not be durable yet.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && holds(&path, bytes)? => {
                    File::open(&path)?.sync_all()?;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            File::open(&directory)?.sync_all()?;
            return Ok(name);
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn set_aside(&self, name: &str, to: &str) -> io::Result<()> {
        self.check_writable()?;
        let directory = self.path.join(QUARANTINE_NAME);
        create_directory(&directory)?;
        let to = directory.join(to);
        // The lock keeps others out, so that nothing appears between the look and the move.
        if fs::exists(&to)? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(self.path.join(name), to)?;
        // The new name before the old one is gone: a power cut leaves at least one of the two.
        File::open(&directory)?.sync_all()?;
        self.sync_directory()
    }

    fn list_quarantine(&self) -> io::Result<Vec<String>> {
        match files_in(&self.path.join(QUARANTINE_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }
}

/// A lock file that this process has locked.
#[derive(Debug)]
struct DirectoryLock(File);

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a child that is being spawned: it has a copy of the descriptor
        // until it runs its program. Where unlocking fails, closing still does what it can.
        let _ = self.0.unlock();
    }
}

impl DiskFile for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match FileExt::read_at(self, &mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(bytes) => read += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        match reserve(self, bytes) {
            // Network and layered file systems know no reservation; writing takes the space as well.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => write_zeroes(self, bytes),
            other => other,
        }
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn forget_cached(&self) {
        // Advice: where it is not taken, reads are served from memory, as they are without it.
        let _ = rustix::fs::fadvise(self, 0, None, rustix::fs::Advice::DontNeed);
    }
}

/// Returns the names of a directory's files, in ascending order.
fn files_in(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // A name that is not UTF-8 is none of the log's.
        if entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    loop {
        // The length grows with the reservation, so that a later sync need not write it with the data.
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_file: &File, _bytes: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn write_zeroes(file: &File, bytes: u64) -> io::Result<()> {
    let zeroes = vec![0; ZERO_CHUNK_BYTES];
    let mut offset = 0;
    while offset < bytes {
        let chunk = (bytes - offset).min(ZERO_CHUNK_BYTES as u64);
        file.write_all_at(&zeroes[..chunk as usize], offset)?;
        offset += chunk;
    }
    Ok(())
}

/// Writes a copy to a file of its own and makes it durable.
fn keep(file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, 0)?;
    file.sync_all()
}

/// Whether a file holds just these bytes.
fn holds(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    Ok(fs::metadata(path)?.len() == bytes.len() as u64 && fs::read(path)? == bytes)
}

/// Makes a directory whose name survives a power cut, if it is not there.
fn create_directory(path: &Path) -> io::Result<()> {
    let is_made = match fs::create_dir(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => false,
        Err(error) => return Err(error),
    };
    // Nothing is put into it before its name is durable: so an empty one may be left by a process that was killed
    // between the two.
    if !is_made && fs::read_dir(path)?.next().is_some() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match File::open(parent.unwrap_or(Path::new("."))) {
        // Then somebody else has made it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_made => Ok(()),
        parent => parent?.sync_all(),
    }
}

const LOCK_NAME: &str = "LOCK";
const QUARANTINE_NAME: &str = "quarantine";
const ZERO_CHUNK_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocated_space_has_its_length_and_reads_as_zeroes() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FileDisk::new(directory.path().join("log")).unwrap();
        for (name, fill) in [
            ("reserved", DiskFile::allocate as fn(&mut File, u64) -> _),
            ("written", |f, n| write_zeroes(f, n)),
        ] {
            let mut file = disk.create(name).unwrap();
            fill(&mut file, (1 << 20) + 3).unwrap();
            assert_eq!(DiskFile::bytes(&file).unwrap(), (1 << 20) + 3);
            let mut bytes = vec![1; 8];
            assert_eq!(DiskFile::read_at(&file, &mut bytes, 1 << 20).unwrap(), 3);
            assert_eq!(bytes[..3], [0; 3]);
        }
        assert_eq!(disk.list().unwrap(), ["reserved", "written"]);
    }

    #[test]
    fn the_lock_is_held_until_the_last_clone_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = FileDisk::new(directory.path()).unwrap();
        let mut second = FileDisk::new(directory.path()).unwrap();
        assert!(first.lock().unwrap());
        let clone = first.clone();
        drop(first);
        assert!(!second.lock().unwrap());
        drop(clone);
        assert!(second.lock().unwrap());
    }

    #[test]
    fn the_lock_ends_although_a_child_has_inherited_its_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = FileDisk::new(directory.path()).unwrap();
        assert!(first.lock().unwrap());
        let inherited = first.lock.as_ref().unwrap().0.try_clone().unwrap();
        drop(first);
        assert!(FileDisk::new(directory.path()).unwrap().lock().unwrap());
        drop(inherited);
    }

    #[test]
    fn a_quarantined_copy_is_kept_beside_the_log_and_not_listed_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FileDisk::new(directory.path()).unwrap();
        let kept = |name| fs::read(directory.path().join("quarantine").join(name)).unwrap();
        for (bytes, name) in
            [("first", "torn"), ("next", "torn.2"), ("first", "torn"), ("next", "torn.2"), ("", "torn.3")]
        {
            assert_eq!(disk.quarantine("torn", bytes.as_bytes()).unwrap(), name);
            assert_eq!(kept(name), bytes.as_bytes());
        }
        assert_eq!(disk.list_quarantine().unwrap(), ["torn", "torn.2", "torn.3"]);
        assert_eq!(disk.list().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_file_is_set_aside_whole_and_never_over_another() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FileDisk::new(directory.path()).unwrap();
        assert_eq!(disk.list_quarantine().unwrap(), Vec::<String>::new());
        for (name, bytes) in [("a", b"1"), ("b", b"2")] {
            fs::write(directory.path().join(name), bytes).unwrap();
        }
        disk.set_aside("a", "kept").unwrap();
        assert_eq!(disk.set_aside("b", "kept").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(directory.path().join("quarantine/kept")).unwrap(), b"1");
        assert_eq!(
            (disk.list().unwrap(), disk.list_quarantine().unwrap()),
            (vec!["b".into()], vec!["kept".into()])
        );
    }

    #[test]
    fn a_disk_that_is_only_looked_at_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a"), b"1").unwrap();
        let mut disk = FileDisk::read_only(directory.path()).unwrap();
        assert_eq!(DiskFile::bytes(&disk.open("a").unwrap()).unwrap(), 1);
        assert!(DiskFile::write_at(&mut disk.open("a").unwrap(), b"2", 0).is_err());
        let refused = [
            disk.lock().unwrap_err(),
            disk.create("b").unwrap_err(),
            disk.rename("a", "b").unwrap_err(),
            disk.remove("a").unwrap_err(),
            disk.quarantine("a", b"").unwrap_err(),
            disk.set_aside("a", "a").unwrap_err(),
        ];
        assert!(refused.iter().all(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem), "{refused:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(FileDisk::read_only(directory.path().join("none")).is_err());
    }
}
