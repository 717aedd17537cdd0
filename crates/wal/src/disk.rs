//! What the log asks of the directory it lives in.
//!
//! Two kinds exist: [`FileDisk`] is a directory of the file system, and [`MemoryDisk`] is one that a test can
//! break in the ways real disks break.

mod file;
mod memory;

use std::io;

pub use self::file::FileDisk;
pub use self::memory::{Fault, MemoryDisk, MemoryFile, Sector};

/// A handle to one flat directory; clones are handles to the same one.
///
/// Errors are passed on as they come: the caller decides which of them poison the log. Names are plain file
/// names.
pub trait Disk: Clone + Send + 'static {
    /// An open file.
    type File: DiskFile;

    /// Takes the directory's lock for this handle and its clones, until the last of them is dropped.
    ///
    /// Returns whether the lock was free.
    ///
    /// # Errors
    ///
    /// The lock file cannot be made or locked.
    fn lock(&mut self) -> io::Result<bool>;

    /// Returns the names of all files, in ascending order.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file that exists.
    ///
    /// # Errors
    ///
    /// The file is missing or cannot be opened.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Makes an empty file, in place of one that has the name.
    ///
    /// # Errors
    ///
    /// The file cannot be made.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, in place of one that has it; atomic, and durable after a sync of the
    /// directory.
    ///
    /// # Errors
    ///
    /// The file is missing or cannot be renamed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// The file is missing or cannot be removed.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names durable.
    ///
    /// # Errors
    ///
    /// It is not known which names are durable.
    fn sync_directory(&self) -> io::Result<()>;

    /// Keeps `bytes` durably as `quarantine/<name>` and returns the name of the copy.
    ///
    /// A copy of the same bytes is kept as it is, and one of others is left alone: the new one is then named
    /// `<name>.2`, or with the first number that is free.
    ///
    /// # Errors
    ///
    /// The copy may be missing or incomplete. All others are as they were.
    fn quarantine(&self, name: &str, bytes: &[u8]) -> io::Result<String>;

    /// Moves a file to `quarantine/<to>`, durably.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if the quarantine has a file of that name. After any error the file is in
    /// one of the two places, whole.
    fn set_aside(&self, name: &str, to: &str) -> io::Result<()>;

    /// Returns the names of all files in `quarantine/`, in ascending order.
    ///
    /// # Errors
    ///
    /// The quarantine cannot be read.
    fn list_quarantine(&self) -> io::Result<Vec<String>>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send + 'static {
    /// Returns the length in bytes.
    ///
    /// # Errors
    ///
    /// The length cannot be read.
    fn bytes(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on as far as the file reaches and returns the bytes read.
    ///
    /// # Errors
    ///
    /// Some of the bytes cannot be read; the buffer holds anything.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` from `offset` on.
    ///
    /// # Errors
    ///
    /// Any part may have been written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes an empty file `bytes` long, with its space taken and reading as zeroes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`] if there is no space.
    fn allocate(&mut self, bytes: u64) -> io::Result<()>;

    /// Cuts the file to `bytes`.
    ///
    /// # Errors
    ///
    /// The file keeps its length.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;

    /// Makes the file's bytes and its length durable.
    ///
    /// # Errors
    ///
    /// Any part may be durable, and a second attempt proves nothing.
    fn sync(&mut self) -> io::Result<()>;

    /// Lets the coming reads of what was synced come from the disk itself, where that can be asked for.
    fn forget_cached(&self) {}
}

/// The names that a copy in the quarantine may have, the one that is wanted first.
fn numbered(name: &str) -> impl Iterator<Item = String> {
    std::iter::once(name.to_owned()).chain((2..=u32::MAX).map(move |number| format!("{name}.{number}")))
}
