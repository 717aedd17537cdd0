//! Bits that change on a disk: in what lies there, and in what is being written.

use trellis_wal::{Disk, DiskFile, Lsn, MemoryDisk};

use super::World;
use crate::invariants::{Violation, snapshot_start};
use crate::sim::plan::Rot;

impl World {
    /// Lets bits rot in the log of a host that is down.
    pub(super) fn rot(&mut self, host: u8, place: Rot) {
        let disk = self.host(host).directory.disk.clone();
        let before = disk.duplicate();
        let names = files_that_rot(&disk);
        let Some(last) = names.iter().rfind(|name| name.ends_with(".log")) else { return };
        let newest = names.iter().rfind(|name| name.ends_with(".snap"));
        let name = match place {
            Rot::Tail => last,
            Rot::Snapshot => newest.unwrap_or(last),
            Rot::Header | Rot::Middle => &names[self.dice.below(names.len() as u64) as usize],
        };
        let name = name.clone();
        let Some(mut bytes) = disk.contents(&name) else { return };
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let range = match place {
            Rot::Header => 0..128.min(used),
            Rot::Middle | Rot::Snapshot => HEADER_BYTES.min(used)..used,
            Rot::Tail => used.saturating_sub(64).max(HEADER_BYTES.min(used))..used,
        };
        if range.is_empty() {
            return;
        }
        let at = range.start + self.dice.below(range.len() as u64) as usize;
        bytes[at] ^= 1 << self.dice.below(8);
        disk.overwrite(&name, &bytes);
        let what = if name.ends_with(".snap") { "rot in a snapshot" } else { "rot in a segment" };
        self.coverage.count(what);
        self.rotted.insert(name);
        self.host_mut(host).rotten = Some((before, place));
        self.note(host, "rot", at as u64, used as u64);
    }

    /// Lets a bit of the snapshot that a process writes go wrong, or of the next one; false when it can write none.
    pub(super) fn spoil_snapshot_soon(&mut self, host: u8) -> Result<bool, Violation> {
        if self.plan.limits.snapshots.is_none() {
            return Ok(false);
        }
        for _ in 0..STEPS_MAX {
            if self.spoil_snapshot(host) {
                return Ok(true);
            }
            if self.step_snapshot(host)?.is_none() {
                break;
            }
        }
        Ok(false)
    }

    /// Lets a bit of the snapshot that a process writes go wrong on its way; false when it writes none.
    fn spoil_snapshot(&mut self, host: u8) -> bool {
        let target = self.host(host);
        let name = target.process.as_ref().and_then(|process| process.snapshotting.unfinished_name());
        let disk = target.directory.disk.clone();
        let file = name.and_then(|name| Some((disk.contents(&name)?.len() as u64, disk.open(&name).ok()?)));
        let Some((bytes, mut file)) = file.filter(|(bytes, _)| *bytes > HEADER_BYTES as u64) else {
            return false;
        };
        // In a chunk: a header that is spoiled is met as soon as the file is opened to be read back.
        let (at, bit) = (self.dice.between(HEADER_BYTES as u64, bytes - 1), 1 << self.dice.below(8));
        let mut byte = [0];
        let is_spoiled = file.read_at(&mut byte, at).is_ok_and(|read| read == 1)
            && file.write_at(&[byte[0] ^ bit], at).is_ok();
        self.note(host, "spoiled", at, bytes);
        is_spoiled
    }
}

/// For histories that are written by hand.
impl World {
    /// Lets a bit rot near the end of the log of a host that is down.
    pub fn rot_tail(&mut self, name: &str) {
        self.rot(self.index_of(name), Rot::Tail);
    }

    /// Lets a bit of the snapshot that a node writes go wrong on its way to the disk.
    pub fn spoil_snapshot_of(&mut self, name: &str) {
        assert!(self.spoil_snapshot(self.index_of(name)), "a snapshot is being written at {name}");
    }

    /// How many starts were refused for a damaged log.
    pub fn starts_refused(&self) -> u64 {
        self.coverage.get("starts refused for damage")
    }
}

/// The snapshots, and the segments that the next start reads if the newest of them is whole. What it does not read would
/// rot unseen, until a second rot takes the snapshot that stands for it.
fn files_that_rot(disk: &MemoryDisk) -> Vec<String> {
    let mut names = disk.list().unwrap_or_default();
    let newest = names.iter().filter_map(|name| snapshot_start(name)).max().unwrap_or(Lsn::ZERO);
    let unread = trellis_wal::removable_segments(&names, newest);
    let is_snapshot = |name: &String| name.ends_with(".snap");
    names.retain(|name| is_snapshot(name) || (name.ends_with(".log") && !unread.contains(name)));
    names
}

/// From the middle of a snapshot into the next one.
const STEPS_MAX: usize = 200;
/// Bytes of a segment before its first record, and of a snapshot before its first chunk.
const HEADER_BYTES: usize = 4096;
