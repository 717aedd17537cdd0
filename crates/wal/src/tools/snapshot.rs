//! Snapshots, looked at one by one.

use std::fmt;

use super::Verdict;
use crate::disk::Disk;
use crate::error::SnapshotDamage;
use crate::snapshot::{Scan, SnapshotInfo, SnapshotReader, Step};

/// Reads all of a snapshot.
pub fn verify_snapshot<D: Disk>(disk: &D, name: &str) -> SnapshotView {
    let outcome = SnapshotReader::open(disk, name).map(|snapshot| snapshot.info().clone());
    SnapshotView { name: name.to_owned(), outcome }
}

/// Shows every chunk of a snapshot up to the first that is damaged, and reads all of it like [`verify_snapshot`].
pub fn inspect_snapshot<D: Disk>(
    disk: &D,
    name: &str,
    mut show: impl FnMut(SnapshotChunk<'_>),
) -> SnapshotView {
    let outcome = Scan::open(disk, name).and_then(|mut scan| {
        loop {
            let (index, _, offset) = scan.position();
            match scan.step()? {
                Step::Chunk => show(SnapshotChunk { index, offset, payload: scan.chunk() }),
                Step::End(_) => return Ok(()),
            }
        }
    });
    match outcome {
        Ok(()) => verify_snapshot(disk, name),
        Err(damage) => SnapshotView { name: name.to_owned(), outcome: Err(damage) },
    }
}

/// A snapshot, whole or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotView {
    /// Name of its file.
    pub name: String,
    /// What it holds, or what is wrong with it.
    pub outcome: Result<SnapshotInfo, SnapshotDamage>,
}

impl SnapshotView {
    /// Returns how bad it is.
    pub fn verdict(&self) -> Verdict {
        self.outcome.as_ref().map_or_else(Verdict::of_snapshot, |_| Verdict::Clean)
    }
}

impl fmt::Display for SnapshotView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(info) => info.fmt(f),
            Err(damage) => write!(f, "{}: {damage}", self.name),
        }
    }
}

/// A chunk of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotChunk<'a> {
    /// Its position, from 0.
    pub index: u64,
    /// Where it starts in the file.
    pub offset: u64,
    /// Its bytes.
    pub payload: &'a [u8],
}

impl fmt::Display for SnapshotChunk<'_> {
    /// Prints the length; with `#` the bytes as well, as hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, offset, payload } = self;
        write!(f, "chunk {index} offset {offset}: {} bytes", payload.len())?;
        if f.alternate() && !payload.is_empty() {
            f.write_str(": ")?;
            payload.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}
