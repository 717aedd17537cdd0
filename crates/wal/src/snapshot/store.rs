//! The snapshots beside a log: choosing one to start from, keeping two, and the log back to the older.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{SnapshotReader, SnapshotWriter, parse_snapshot_name};
use crate::disk::Disk;
use crate::error::{Operation, RetainError, SnapshotDamage, SnapshotError};
use crate::fault;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::segment::parse_file_name;

/// The snapshots of an open log, in the log's directory.
pub struct Snapshots<D: Disk> {
    disk: D,
    log: Log,
    log_uuid: [u8; 16],
    known: Arc<Known>,
}

impl<D: Disk> Snapshots<D> {
    pub(crate) fn new(disk: D, log: Log, log_uuid: [u8; 16], verified: Option<Lsn>) -> Self {
        let known = Known::default();
        verified.into_iter().for_each(|start| known.on_verified(start));
        Self { disk, log, log_uuid, known: Arc::new(known) }
    }

    /// Begins a snapshot that will hold all that the durable records up to `start` did, and possibly more.
    ///
    /// A record whose effect is captured and which is replayed as well must do no harm: replay starts behind
    /// `start`. Write one snapshot at a time.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::NotDurable`], [`SnapshotError::DiskFull`] or [`SnapshotError::Disk`]; nothing is left behind.
    pub fn begin(&self, start: Lsn) -> Result<SnapshotWriter<D>, SnapshotError> {
        let durable = self.log.durable();
        if start > durable {
            return Err(SnapshotError::NotDurable { end: start, durable });
        }
        SnapshotWriter::create(self.disk.clone(), self.log_uuid, start, Arc::clone(&self.known))
    }

    /// Keeps the two newest verified snapshots and the log back to the older one's start, and removes what is older.
    ///
    /// A snapshot that was not verified since the log was opened is read now, all of it. With fewer than two that
    /// are whole nothing is removed. The segment that holds the older one's start stays, and so does the one that is
    /// being written. Damaged snapshots stay until two newer ones are whole.
    ///
    /// # Errors
    ///
    /// [`RetainError`]; what was removed before the error is gone, oldest first, and everything else is there.
    pub fn retain(&mut self) -> Result<Retained, RetainError> {
        let names = self.disk.list().map_err(failed(Operation::Read, ""))?;
        let mut retained = Retained::default();
        let mut snapshots: Vec<Lsn> = names.iter().filter_map(|name| parse_snapshot_name(name)).collect();
        snapshots.sort_unstable();
        for &start in snapshots.iter().rev() {
            if self.is_verified(start) {
                retained.kept.push(start);
            }
            if retained.kept.len() == KEPT {
                break;
            }
        }
        if retained.kept.len() < KEPT {
            return Ok(retained);
        }
        let is_newest_trusted = fault::is_off("the log is kept back to the older snapshot");
        let oldest_kept = retained.kept[if is_newest_trusted { 0 } else { KEPT - 1 }];
        let old = |name: &&String| parse_snapshot_name(name).is_some_and(|start| start < oldest_kept);
        let snapshots = names.iter().filter(old).cloned();
        let victims: Vec<_> = snapshots.chain(removable_segments(&names, oldest_kept)).collect();
        if victims.is_empty() {
            return Ok(retained);
        }
        // What a snapshot makes needless goes only when the snapshot's name is durable.
        self.sync_directory()?;
        for name in victims {
            self.check_trust()?;
            self.disk.remove(&name).map_err(failed(Operation::Remove, &name))?;
            retained.removed.push(name);
        }
        self.sync_directory()?;
        Ok(retained)
    }

    fn is_verified(&self, start: Lsn) -> bool {
        if self.known.is_verified(start) {
            return true;
        }
        let name = super::snapshot_name(start);
        let is_whole = usable_snapshot(&self.disk, &name, Some(self.log_uuid), |_, _| {}).is_ok();
        if is_whole {
            self.known.on_verified(start);
        }
        is_whole
    }

    fn sync_directory(&self) -> Result<(), RetainError> {
        self.check_trust()?;
        sync_names(&self.disk).map_err(|error| {
            self.known.distrust();
            failed(Operation::SyncDirectory, "")(error)
        })
    }

    /// Nothing is removed beside a log that has failed, or after a name may have been lost.
    fn check_trust(&self) -> Result<(), RetainError> {
        if let Some(poisoned) = self.log.poisoned()
            && !fault::is_off("nothing is removed beside a failed log")
        {
            return Err(poisoned.into());
        }
        if self.known.is_distrusted() { Err(RetainError::Distrusted) } else { Ok(()) }
    }
}

impl<D: Disk> fmt::Debug for Snapshots<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("known", &self.known).finish_non_exhaustive()
    }
}

/// What is kept and what was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// The starts of the snapshots that are kept, the newest first; two at most.
    pub kept: Vec<Lsn>,
    /// The names of the files that were removed, in that order.
    pub removed: Vec<String>,
}

/// A snapshot that was not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedSnapshot {
    /// Name of its file.
    pub name: String,
    /// What is wrong with it.
    pub damage: SnapshotDamage,
}

impl fmt::Display for RejectedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.damage)
    }
}

/// Finds the newest snapshot that is whole, and tells which newer ones are not.
///
/// A snapshot of another log than `log_uuid`, if that is known, is not used.
pub(crate) fn newest_whole<D: Disk>(
    disk: &D,
    names: &[String],
    log_uuid: Option<[u8; 16]>,
    on_progress: &mut dyn FnMut(u64, u64),
) -> (Option<SnapshotReader<D>>, Vec<RejectedSnapshot>) {
    let mut rejected = Vec::new();
    let mut found: Vec<_> =
        names.iter().filter_map(|name| Some((parse_snapshot_name(name)?, name))).collect();
    found.sort_unstable();
    for (_, name) in found.into_iter().rev() {
        match usable_snapshot(disk, name, log_uuid, &mut *on_progress) {
            Ok(snapshot) => return (Some(snapshot), rejected),
            Err(damage) => rejected.push(RejectedSnapshot { name: name.clone(), damage }),
        }
    }
    (None, rejected)
}

/// Opens a snapshot of the log with this UUID, if that is known.
pub(crate) fn usable_snapshot<D: Disk>(
    disk: &D,
    name: &str,
    log_uuid: Option<[u8; 16]>,
    on_progress: impl FnMut(u64, u64),
) -> Result<SnapshotReader<D>, SnapshotDamage> {
    let snapshot = SnapshotReader::open_with(disk, name, on_progress)?;
    let found = snapshot.info().log_uuid;
    if log_uuid.is_some_and(|log_uuid| log_uuid != found) {
        return Err(SnapshotDamage::Foreign { log_uuid: found });
    }
    Ok(snapshot)
}

/// Returns those of `names` that are segments which a log needs no more to be replayed behind `start`, oldest first.
///
/// They end before `start`: the segment that holds it stays, so that the log can be seen to reach back to it, and
/// the newest segment stays always. `names` may hold names of other files.
pub fn removable_segments(names: &[String], start: Lsn) -> Vec<String> {
    let mut segments: Vec<_> = names.iter().filter_map(|name| Some((parse_file_name(name)?, name))).collect();
    segments.sort_unstable();
    let pairs = segments.iter().zip(segments.iter().skip(1));
    let ended = pairs.take_while(|(_, (successor_first, _))| *successor_first <= start);
    ended.map(|((_, name), _)| (*name).clone()).collect()
}

/// What the snapshots of one opening have learnt of each other.
#[derive(Debug, Default)]
pub(crate) struct Known {
    state: Mutex<KnownState>,
}

impl Known {
    /// Notes that the snapshot with this start was read and is whole.
    pub(crate) fn on_verified(&self, start: Lsn) {
        self.state.lock().verified.insert(start);
    }

    /// Notes that a name may not be durable.
    pub(crate) fn distrust(&self) {
        self.state.lock().is_distrusted = true;
    }

    fn is_verified(&self, start: Lsn) -> bool {
        self.state.lock().verified.contains(&start)
    }

    fn is_distrusted(&self) -> bool {
        self.state.lock().is_distrusted
    }
}

#[derive(Debug, Default)]
struct KnownState {
    verified: BTreeSet<Lsn>,
    is_distrusted: bool,
}

/// Makes names durable.
pub(super) fn sync_names<D: Disk>(disk: &D) -> io::Result<()> {
    if fault::is_off("a snapshot's name is synced") {
        return Ok(());
    }
    disk.sync_directory()
}

fn failed(operation: Operation, file: &str) -> impl FnOnce(io::Error) -> RetainError {
    let file = file.to_owned();
    move |source| RetainError::Disk { operation, file, source }
}

/// How many verified snapshots are kept: the newest may prove damaged.
const KEPT: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::file_name;

    #[test]
    fn segments_that_end_before_the_start_are_removable_and_the_newest_never_is() {
        let names: Vec<_> = [21, 1, 11]
            .map(|first| file_name(Lsn::from_u64(first)))
            .into_iter()
            .chain(["LOCK".into()])
            .collect();
        let removable = |start| removable_segments(&names, Lsn::from_u64(start)).len();
        assert_eq!([0, 10, 11, 20, 21, 99].map(removable), [0, 0, 1, 1, 2, 2]);
        assert_eq!(removable_segments(&names, Lsn::from_u64(30)), [names[1].clone(), names[2].clone()]);
        assert_eq!(removable_segments(&[], Lsn::MAX), Vec::<String>::new());
    }
}
