//! Faults as they begin and end.

use trellis_node::core::Phase;
use trellis_storage::{ElementCursor, Operation as Asked};
use trellis_wal::{Disk, Fault as DiskFault, MemoryDisk, Operation};

use super::{Event, World};
use crate::invariants::{Held, Violation};
use crate::model::What;
use crate::sim::agenda::Micros;
use crate::sim::directory::Durable;
use crate::sim::host::{Backup, Host};
use crate::sim::network::HOSTS_MAX;
use crate::sim::plan::{Crash, FaultKind, keys};

impl World {
    pub(super) fn on_fault_begins(&mut self, index: usize) -> Held {
        let (kind, lasts) = (self.plan.faults[index].kind, self.plan.faults[index].lasts);
        if self.is_healed {
            return Ok(());
        }
        self.trace.note(self.now, 0, "fault", [index as u64, lasts]);
        self.trace.tell(self.now, 0, "fault", || format!("{index}: {kind:?} for {lasts} us"));
        if self.begin(kind, lasts)? {
            self.coverage.count(kind.name());
            self.agenda.enter(self.now + lasts, Event::FaultEnds { fault: index });
        }
        Ok(())
    }

    /// Begins a fault; false when there is nothing for it to befall.
    fn begin(&mut self, kind: FaultKind, lasts: Micros) -> Result<bool, Violation> {
        match kind {
            FaultKind::OneWayCut { .. } | FaultKind::Partition { .. } => {
                if !self.divides(kind) {
                    return Ok(false);
                }
                self.change_cuts(kind, true);
            }
            FaultKind::BreakLinks { host } => {
                for stream in self.streams_between(|a, _| a == host) {
                    self.break_stream(stream);
                }
            }
            FaultKind::CutTransfers { after } => {
                self.network.cutting_transfers += 1;
                self.network.chunks_before_cut = after;
            }
            FaultKind::GarbleTransfers => self.network.is_garbling = true,
            FaultKind::RefuseConnections { host } => self.host_mut(host).refusing += 1,
            FaultKind::SlowInbox { host, micros } => self.host_mut(host).inbox_delay = micros,
            FaultKind::Pause { host } => {
                if self.host(host).process.is_none() {
                    return Ok(false);
                }
                let until = self.now + lasts;
                let paused = &mut self.host_mut(host).paused_until;
                *paused = until.max(*paused);
            }
            FaultKind::Storm => self.network.storms += 1,
            FaultKind::Crash { host, how } => {
                if matches!(how, Crash::TearsSectors | Crash::TearsPages) {
                    self.delete_several(host)?;
                }
                return Ok(self.strike(host, how));
            }
            FaultKind::CrashAll { how } => {
                for host in 0..self.hosts.len() as u8 {
                    self.strike(host, how);
                }
            }
            FaultKind::FailSync { host, .. }
            | FaultKind::FailWrite { host }
            | FaultKind::SlowDisk { host, .. }
                if self.host(host).process.is_none() =>
            {
                return Ok(false);
            }
            FaultKind::FailSync { host, is_for_good } => {
                let count = if is_for_good { 4 } else { 1 };
                for after in 0..count {
                    self.inject(host, Operation::Sync, after);
                }
            }
            FaultKind::FailWrite { host } => self.inject(host, Operation::Write, 0),
            FaultKind::FillDisk { host } => self.fill_disk(host),
            FaultKind::SlowDisk { host, micros } => self.host_mut(host).sync_delay = micros,
            FaultKind::FailRead { host } => {
                if !self.strike(host, Crash::LosesAll) {
                    return Ok(false);
                }
                let after = self.dice.below(3) as usize;
                self.inject(host, Operation::Read, after);
            }
            FaultKind::Rot { host, place } => {
                if !self.can_be_damaged(host) || !self.strike(host, Crash::LosesAll) {
                    return Ok(false);
                }
                self.rot(host, place);
            }
            FaultKind::SpoilSnapshot { host } => return self.spoil_snapshot_soon(host),
            FaultKind::LoseDisk { host } => {
                if !self.can_be_damaged(host) {
                    return Ok(false);
                }
                self.strike(host, Crash::LosesAll);
                self.wipe(host);
            }
            FaultKind::Backup { host } => {
                if self.host(host).rotten.is_some() {
                    return Ok(false);
                }
                self.back_up(host);
            }
            FaultKind::Restore { host } => return Ok(self.restore(host)),
            FaultKind::ReturnDisk { host } => {
                let target = self.host_mut(host);
                if target.attic.is_none() {
                    return Ok(false);
                }
                std::mem::swap(&mut target.attic, &mut target.backup);
                let is_returned = self.restore(host);
                let target = self.host_mut(host);
                std::mem::swap(&mut target.attic, &mut target.backup);
                return Ok(is_returned);
            }
            FaultKind::Clone { host } => return self.clone_host(host),
            FaultKind::WallJump { host, millis } => {
                let target = self.host_mut(host);
                target.has_jumped = true;
                target.wall_ahead = (target.wall_ahead + millis).clamp(-WALL_AHEAD_MAX, WALL_AHEAD_MAX);
            }
            FaultKind::Leave { host } => return Ok(self.begin_leave(host)),
            FaultKind::Join => return self.join(),
        }
        Ok(true)
    }

    pub(super) fn on_fault_ends(&mut self, index: usize) -> Held {
        if self.is_healed {
            return Ok(());
        }
        self.end(self.plan.faults[index].kind)
    }

    fn end(&mut self, kind: FaultKind) -> Held {
        match kind {
            FaultKind::OneWayCut { .. } | FaultKind::Partition { .. } => {
                self.change_cuts(kind, false);
                self.flush_owed();
            }
            FaultKind::CutTransfers { .. } => {
                self.network.cutting_transfers = self.network.cutting_transfers.saturating_sub(1);
            }
            FaultKind::GarbleTransfers => self.network.is_garbling = false,
            FaultKind::RefuseConnections { host } => {
                let target = self.host_mut(host);
                target.refusing = target.refusing.saturating_sub(1);
            }
            FaultKind::SlowInbox { host, .. } => self.host_mut(host).inbox_delay = 0,
            FaultKind::Storm => self.network.storms = self.network.storms.saturating_sub(1),
            FaultKind::SlowDisk { host, .. } => self.host_mut(host).sync_delay = 0,
            FaultKind::FillDisk { host } => self.host(host).directory.disk.limit_bytes(None),
            FaultKind::CrashAll { .. } => {
                for host in 0..self.hosts.len() as u8 {
                    if self.host(host).process.is_none() {
                        self.start(host)?;
                    }
                }
            }
            FaultKind::Crash { host, .. }
            | FaultKind::FailRead { host }
            | FaultKind::Rot { host, .. }
            | FaultKind::LoseDisk { host }
            | FaultKind::Restore { host }
            | FaultKind::ReturnDisk { host }
            | FaultKind::Leave { host } => {
                if self.host(host).process.is_none() {
                    self.start(host)?;
                }
            }
            FaultKind::Clone { host } => self.end_twin(host)?,
            FaultKind::BreakLinks { .. }
            | FaultKind::FailSync { .. }
            | FaultKind::FailWrite { .. }
            | FaultKind::SpoilSnapshot { .. }
            | FaultKind::Backup { .. }
            | FaultKind::Pause { .. }
            | FaultKind::WallJump { .. }
            | FaultKind::Join => {}
        }
        Ok(())
    }

    /// Nothing goes wrong from here on; whoever is down starts.
    pub(crate) fn heal(&mut self) -> Held {
        if self.is_healed {
            return Ok(());
        }
        self.is_healed = true;
        self.note(0, "healed", 0, 0);
        self.network.mend();
        self.flush_owed();
        for host in 0..self.hosts.len() as u8 {
            let target = self.host_mut(host);
            (target.refusing, target.inbox_delay, target.sync_delay) = (0, 0, 0);
            target.directory.disk.limit_bytes(None);
            self.replace_faulty_disk(host);
            if self.host(host).is_twin && !self.host(host).is_retired {
                // The one that stays shows itself anew.
                let original = self.index_of(self.host(host).name);
                self.retire_twin(host);
                self.strike(original, Crash::LosesAll);
            }
        }
        for host in 0..self.hosts.len() as u8 {
            if self.host(host).phase() == Some(Phase::Draining) {
                self.strike(host, Crash::LosesAll);
            }
            if self.host(host).process.is_none() {
                self.start(host)?;
            }
        }
        self.checks.healed(self.now);
        Ok(())
    }

    /// Moves a disk at which something is still to fail into another machine: what it has synced is there.
    fn replace_faulty_disk(&mut self, host: u8) {
        if !std::mem::take(&mut self.host_mut(host).has_faulty_disk) || self.strike(host, Crash::LosesAll) {
            return;
        }
        let disk = self.host(host).directory.disk.crash(0, |_| false);
        self.host_mut(host).directory.disk = disk;
    }

    fn change_cuts(&mut self, kind: FaultKind, is_begin: bool) {
        let is_meant = |from: u8, to: u8| match kind {
            FaultKind::OneWayCut { from: a, to: b } => from == a && to == b && a != b,
            FaultKind::Partition { side } => (side >> from) & 1 != (side >> to) & 1,
            _ => false,
        };
        for from in 0..HOSTS_MAX as u8 {
            for to in (0..HOSTS_MAX as u8).filter(|to| is_meant(from, *to)) {
                self.network.cut(from, to, is_begin);
            }
        }
        // Some streams end with the cut, others outlive it.
        if is_begin {
            for stream in self.streams_between(is_meant) {
                if self.dice.per_mille(400) {
                    self.break_stream(stream);
                }
            }
        }
    }

    /// Whether a cut keeps anybody from anybody.
    fn divides(&self, kind: FaultKind) -> bool {
        match kind {
            FaultKind::OneWayCut { from, to } => from != to,
            FaultKind::Partition { side } => {
                let inside = (0..self.hosts.len()).filter(|host| (side >> host) & 1 == 1).count();
                inside > 0 && inside < self.hosts.len()
            }
            _ => false,
        }
    }

    /// Kills a process that runs; false if none does.
    fn strike(&mut self, host: u8, how: Crash) -> bool {
        if self.host(host).process.is_none() {
            return false;
        }
        self.host_mut(host).paused_until = self.now;
        self.kill(host, how);
        true
    }

    /// A client deletes a key of several kinds, if there is one: a write of several records, for a crash to tear.
    fn delete_several(&mut self, host: u8) -> Held {
        let Some(core) = self.host(host).core() else { return Ok(()) };
        let has_several = |key: &&&str| core.read(key, None).is_ok_and(|(read, _)| read.kinds.len() > 1);
        if let Some(key) = keys().iter().find(has_several) {
            self.write(host, &Asked::Delete { key, kind: None, from: ElementCursor::START }, What::Delete)?;
        }
        Ok(())
    }

    fn inject(&mut self, host: u8, operation: Operation, after: usize) {
        let fault = DiskFault { operation, after, kind: std::io::ErrorKind::Other };
        let target = self.host_mut(host);
        target.has_faulty_disk = true;
        target.directory.disk.inject(fault);
    }

    fn fill_disk(&mut self, host: u8) {
        let disk = &self.host(host).directory.disk;
        let names = disk.list().unwrap_or_default();
        let bytes: usize = names.iter().filter_map(|name| disk.contents(name)).map(|bytes| bytes.len()).sum();
        disk.limit_bytes(Some(bytes as u64));
    }

    /// Whether what a host holds may be lost, and is there to be lost.
    fn can_be_damaged(&self, host: u8) -> bool {
        self.can_lose(host) && self.host(host).directory.durable.upto > trellis_wal::Lsn::ZERO
    }

    fn back_up(&mut self, host: u8) {
        let directory = &self.host(host).directory;
        // What a copy of a running machine's disk holds: what is durable.
        let disk: MemoryDisk = directory.disk.crash(0, |_| false);
        let backup = Backup { disk, node: directory.node, records: self.host(host).archive() };
        self.host_mut(host).backup = Some(backup);
    }

    fn restore(&mut self, host: u8) -> bool {
        if !self.can_be_damaged(host) || self.host(host).backup.is_none() {
            return false;
        }
        self.strike(host, Crash::LosesAll);
        // Its next epoch is one that was used, if its wall clock is behind.
        self.checks.membership.shared_names.insert(self.host(host).name.to_owned());
        self.checks.lost_disk(&self.hosts[usize::from(host)].directory);
        self.lineages += 1;
        let (lineage, durable) = (self.lineages, Durable::new(&self.plan.limits));
        let target = self.host_mut(host);
        let Some(backup) = &target.backup else { return false };
        target.directory.disk = backup.disk.duplicate();
        target.directory.node = backup.node;
        target.directory.lineage = lineage;
        target.directory.durable = durable;
        target.copied = backup.records.clone();
        target.submitted = Vec::new();
        target.batches = Vec::new();
        target.attested = trellis_wal::Lsn::ZERO;
        target.rotten = None;
        target.has_unknown_disk = true;
        true
    }

    pub(super) fn clone_host(&mut self, host: u8) -> Result<bool, Violation> {
        let source = self.host(host);
        let has_twin = self.hosts.iter().any(|other| other.is_twin && other.name == source.name);
        let is_serving = source.phase() == Some(Phase::Serving) && !source.is_twin;
        if self.hosts.len() >= HOSTS_MAX || has_twin || !is_serving {
            return Ok(false);
        }
        let mut directory = self.new_directory();
        let source = self.host(host);
        directory.disk = source.directory.disk.crash(0, |_| false);
        directory.node = source.directory.node;
        let mut twin = Host::new(source.name, directory);
        twin.copied = source.directory.durable.records.clone();
        twin.address = format!("{}-twin", source.name);
        twin.wall_ahead = source.wall_ahead;
        twin.is_twin = true;
        self.checks.membership.shared_names.insert(twin.name.to_owned());
        twin.has_unknown_disk = true;
        self.hosts.push(twin);
        let index = (self.hosts.len() - 1) as u8;
        self.start(index)?;
        Ok(true)
    }

    pub(super) fn end_twin(&mut self, host: u8) -> Held {
        let name = self.host(host).name;
        let twin =
            self.hosts.iter().position(|other| other.is_twin && other.name == name && !other.is_retired);
        if let Some(twin) = twin {
            self.retire_twin(twin as u8);
            // The one that stays shows itself anew.
            self.strike(host, Crash::LosesAll);
            self.start(host)?;
        }
        Ok(())
    }

    fn retire_twin(&mut self, twin: u8) {
        self.strike(twin, Crash::LosesAll);
        self.host_mut(twin).is_retired = true;
    }

    fn begin_leave(&mut self, host: u8) -> bool {
        let at = self.now + self.dice.between(10_000, 1_500_000);
        let Some(process) = &self.host(host).process else { return false };
        if process.core.phase() != Phase::Serving {
            return false;
        }
        process.core.drain();
        let number = process.number;
        self.agenda.enter(at, Event::Leave { host, process: number });
        true
    }

    fn join(&mut self) -> Result<bool, Violation> {
        let joined = self.hosts.iter().filter(|host| !host.is_twin).count();
        if joined >= usize::from(self.plan.hosts) + 2 || self.hosts.len() >= HOSTS_MAX {
            return Ok(false);
        }
        let host = self.add_host();
        self.start(host)?;
        Ok(true)
    }
}

/// Within what a hybrid logical clock is expected to bear.
const WALL_AHEAD_MAX: i64 = 7_200_000;
