//! The end of a process that nobody asked it for, and what its disk makes of the moment.

use trellis_wal::{Disk, Lsn};

use super::World;
use crate::invariants::segment_first;
use crate::sim::host::Process;
use crate::sim::plan::Crash;
use crate::sim::snapshotting::{Stage, Stepped};

impl World {
    /// Ends the process of a host as `how` says. What was appended may turn up at the next start, or not.
    pub(super) fn kill(&mut self, host: u8, how: Crash) {
        let target = &mut self.hosts[usize::from(host)];
        let Some(mut process) = target.process.take() else { return };
        target.submitted = std::mem::take(&mut process.undurable).into();
        target.batches = std::mem::take(&mut process.batches);
        target.attested = process.attested;
        let tears = matches!(how, Crash::TearsSectors | Crash::TearsPages);
        if tears && !process.is_poisoned {
            self.cut_power(host, &mut process);
        }
        let number = process.number;
        let links = process.links.values().copied().collect();
        self.count_process(&process.core.status(self.clocks(host)));
        self.count_segments(host, process.began);
        let stage = process.snapshotting.stage();
        self.coverage.count(match stage {
            Stage::Nothing => "crashes beside no snapshot",
            Stage::Capturing => "crashes while a snapshot is captured",
            Stage::Waiting => "crashes while a snapshot waits for the log",
            Stage::ReadingBack => "crashes while a snapshot is read back",
            Stage::Published => "crashes before a snapshot made anything needless",
        });
        let is_writing = !matches!(stage, Stage::Nothing | Stage::Published);
        let disk = &self.hosts[usize::from(host)].directory.disk;
        let left = match how {
            // The process would remove its unfinished file: one that is killed does not.
            Crash::LosesNothing => is_writing.then(|| disk.duplicate()),
            Crash::LosesAll => Some(disk.crash(0, |_| false)),
            Crash::TearsSectors | Crash::TearsPages => {
                let names = self.dice.below(disk.unsynced_names() as u64 + 1) as usize;
                if names < disk.unsynced_names() {
                    self.coverage.count("names lost in a crash");
                }
                let kept = self.dice.below(1001);
                let (dice, bits) = (&mut self.dice, self.processes);
                let page_key = u64::from(bits);
                Some(disk.crash(names, |sector| {
                    if how == Crash::TearsSectors {
                        return dice.per_mille(kept);
                    }
                    // All sectors of a page share its fate.
                    let page = (sector.index as u64 / 8).wrapping_add(page_key);
                    page.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 1 == 1
                }))
            }
        };
        drop(process);
        if let Some(left) = left {
            let target = self.host_mut(host);
            target.directory.disk = left;
            target.has_faulty_disk &= how == Crash::LosesNothing;
        }
        self.note(host, "killed", u64::from(number), how as u64);
        self.abandon_streams(host, links);
        self.on_clients_process_gone(host, number);
        self.checks.stopped(host, number);
    }

    /// The power goes within the next steps of the log and of the snapshot that is under way. Whether the disk failed is
    /// no matter: the process is gone.
    fn cut_power(&mut self, host: u8, process: &mut Process) {
        let operations = self.dice.below(12) as usize;
        self.host(host).directory.disk.cut_power_after(operations);
        let mut stage = process.snapshotting.stage();
        if stage == Stage::Nothing || self.dice.per_mille(500) {
            let _ = process.syncer.sync_once();
        }
        let limits = self.plan.limits.snapshots.map(|rhythm| rhythm.capture).unwrap_or_default();
        while stage != Stage::Nothing {
            match process.snapshotting.step(&process.core, limits) {
                Stepped::Published { start, end } => {
                    let target = self.host_mut(host);
                    target.attested = target.attested.max(end);
                    target.directory.durable.published = start;
                }
                Stepped::Failed | Stepped::FoundNoRoom => {
                    self.coverage.count(match stage {
                        Stage::ReadingBack => "power cuts while a snapshot gets its name",
                        Stage::Published => "power cuts while files are removed",
                        _ => "power cuts while a snapshot is written",
                    });
                    return;
                }
                Stepped::Waits if process.snapshotting.stage() == stage => return,
                Stepped::Began | Stepped::Went | Stepped::Waits | Stepped::Removed { .. } => {}
            }
            stage = process.snapshotting.stage();
        }
    }

    /// Counts the segments that a process has begun because the one before was full.
    pub(super) fn count_segments(&mut self, host: u8, began: Lsn) {
        let names = self.host(host).directory.disk.list().unwrap_or_default();
        let is_later = |name: &&String| segment_first(name).is_some_and(|first| first > began.next());
        self.coverage.add("segments begun as one was full", names.iter().filter(is_later).count() as u64);
    }
}
