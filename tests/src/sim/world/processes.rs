//! Processes start, stop, crash, and leave; and what their disks give back is held against what was durable.

use std::collections::BTreeSet;

use trellis_node::core::Phase;
use trellis_replication::NodeId;
use trellis_wal::{Disk, Lsn, OpenError, RecoveryReport, RejectedSnapshot, SnapshotDamage};

use super::{Event, World};
use crate::invariants::{Held, segment_first};
use crate::sim::directory::{Archive, Durable, Noted};
use crate::sim::host::{Backup, Boot, BootError, Booted, Process, boot};
use crate::sim::plan::Crash;

impl World {
    /// Starts the process of a host; one that runs is killed first, as by an operator.
    pub(super) fn start(&mut self, host: u8) -> Held {
        if self.host(host).is_retired {
            return Ok(());
        }
        let was_removed = self.host(host).phase() == Some(Phase::Removed);
        let is_useless = |process: &Process| process.has_failed || process.is_stale;
        let has_failed = self.host(host).process.as_ref().is_some_and(is_useless);
        if self.host(host).process.is_some() {
            if !was_removed && !has_failed && !self.keeps_notices {
                return Ok(());
            }
            let how = if self.dice.per_mille(500) { Crash::LosesNothing } else { Crash::LosesAll };
            self.kill(host, how);
        }
        if was_removed {
            self.wipe(host);
        }
        let others = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(index, other)| *index != usize::from(host) && !other.is_twin);
        let seeds = others.map(|(_, other)| other.address.clone()).collect();
        self.host_mut(host).seeds = seeds;
        self.processes += 1;
        let boot_with = Boot {
            number: self.processes,
            axis: self.axis,
            at: self.now,
            limits: &self.plan.limits,
            founds: host == 0 && self.processes == 1,
        };
        let booted = boot(&self.hosts[usize::from(host)], &boot_with, &mut self.dice);
        match booted {
            Ok(booted) => self.on_booted(host, booted),
            Err(error) => self.on_boot_failed(host, error),
        }
    }

    fn on_booted(&mut self, host: u8, booted: Booted) -> Held {
        let Booted { mut process, report, is_fresh, records, facts } = booted;
        self.coverage.count("starts");
        self.count_start(host, &report);
        let published = self.host(host).directory.durable.published;
        self.checks.started_behind(host, published, &report, &self.rotted)?;
        self.coverage.add("segments followed by others", report.segments.saturating_sub(1) as u64);
        if process.was_guest && !is_fresh {
            self.coverage.count("guests restarted");
        }
        if process.was_guest && is_fresh {
            self.hosts[usize::from(host)].directory.forgotten.clone_from(&self.checks.stable);
        }
        self.absorb(host, &report, records)?;
        self.checks.starts_as_replayed(host, &self.hosts[usize::from(host)], &facts)?;
        self.begin_snapshots(host, process.number);
        let target = &mut self.hosts[usize::from(host)];
        for record in std::mem::take(&mut process.undurable) {
            target.directory.durable.take(&record).map_err(|error| self.checks.unreadable(host, &error))?;
        }
        target.directory.durable.own_replicas.insert(process.replica);
        process.lists = target.directory.durable.lists.clone();
        self.trace.note(self.now, host, "start", [process.replica.as_u64(), process.seen.as_u64()]);
        self.checks.started(host, &process)?;
        target.process = Some(process);
        target.paused_until = target.paused_until.min(self.now);
        self.checks.is_as_replayed(host, &self.hosts[usize::from(host)])?;
        self.settle(host)
    }

    fn count_start(&mut self, host: u8, report: &RecoveryReport) {
        if !report.rejected.is_empty() {
            self.coverage.count("starts that passed a damaged snapshot over");
        }
        if report.relogged > 0 {
            self.coverage.count("starts that logged a tail again");
        }
        if report.snapshot.is_none() {
            return;
        }
        self.coverage.count("starts from a snapshot");
        if !report.rejected.is_empty() {
            self.coverage.count("starts from the older snapshot");
        }
        let names = self.host(host).directory.disk.list().unwrap_or_default();
        if names.iter().find_map(|name| segment_first(name)).is_some_and(|first| first > Lsn::ZERO.next()) {
            self.coverage.count("starts without the first segments of the log");
        }
    }

    /// Holds what a log gave back against what was durable and what was ever appended, and takes over the rest.
    fn absorb(&mut self, host: u8, report: &RecoveryReport, records: Vec<(Lsn, Vec<u8>)>) -> Held {
        if report.torn_bytes > 0 {
            self.coverage.count("torn tails opened");
        }
        if !report.tail_certain {
            self.coverage.count("tails not certain");
        }
        self.coverage.add("records logged again", report.relogged);
        let target = &mut self.hosts[usize::from(host)];
        let rotten = target.rotten.take();
        let found = report.last;
        let mut archive = std::mem::take(&mut target.copied);
        let (upto, attested) = (target.directory.durable.upto, std::mem::take(&mut target.attested));
        if found < upto {
            // Rot of what nothing attests cannot be told from a torn tail; the log says that it is not certain.
            if rotten.is_none() || report.tail_certain || found < attested {
                return Err(self.checks.lost(host, found, upto));
            }
            self.checks.lost_disk(&target.directory);
            // Its next epoch may be one that was used, if its wall clock is behind.
            self.checks.membership.shared_names.insert(target.name.to_owned());
            self.lineages += 1;
            target.directory.lineage = self.lineages;
            let durable = &mut target.directory.durable;
            archive = std::mem::take(&mut durable.records);
            *durable = Durable::new(&self.plan.limits);
        }
        let torn = target.batches.iter().find(|(first, last)| (*first..*last).contains(&found));
        if let (Some((first, last)), true) = (torn, found >= upto) {
            return Err(self.checks.torn(host, *first, *last, found));
        }
        target.batches.clear();
        let submitted = std::mem::take(&mut target.submitted);
        let is_unknown = rotten.is_some() || std::mem::take(&mut target.has_unknown_disk);
        self.take_what_a_snapshot_holds(host, report.start, &archive)?;
        for (lsn, bytes) in records {
            let durable = &mut self.hosts[usize::from(host)].directory.durable;
            match durable.held(lsn, &bytes) {
                Some(true) => {}
                Some(false) => return Err(self.checks.changed_on_disk(host, lsn)),
                None => {
                    self.checks.was_submitted(host, lsn, &bytes, &submitted, is_unknown)?;
                    let read = Noted::read(lsn, bytes);
                    let mut noted = read.map_err(|error| self.checks.unreadable(host, &error))?;
                    self.checks.complete(&mut noted);
                    durable.take(&noted).map_err(|error| self.checks.unreadable(host, &error))?;
                }
            }
        }
        Ok(())
    }

    /// The records up to the start of a snapshot are in no log any more: what the snapshot makes of them is held against
    /// a replay of all.
    fn take_what_a_snapshot_holds(&mut self, host: u8, start: Lsn, archive: &Archive) -> Held {
        let durable = &mut self.hosts[usize::from(host)].directory.durable;
        while durable.upto < start {
            let known = usize::try_from(durable.upto.as_u64()).ok().and_then(|index| archive.get(index));
            let Some(bytes) = known else {
                let detail =
                    format!("its snapshot starts at {start}, and was durable up to {}", durable.upto);
                return Err(self.checks.unreadable(host, &detail));
            };
            let read = Noted::read(durable.upto.next(), bytes.to_vec());
            let mut noted = read.map_err(|error| self.checks.unreadable(host, &error))?;
            self.checks.complete(&mut noted);
            durable.take(&noted).map_err(|error| self.checks.unreadable(host, &error))?;
        }
        Ok(())
    }

    fn on_boot_failed(&mut self, host: u8, error: BootError) -> Held {
        self.trace.tell(self.now, host, "does not start", || format!("{error:?}"));
        let again = self.now + 1_000_000;
        match error {
            BootError::Replay(detail) => return Err(self.checks.unreadable(host, &detail)),
            BootError::Open(
                OpenError::Corrupt { .. } | OpenError::EndMissing { .. } | OpenError::NoSnapshot { .. },
            ) if self.host(host).rotten.is_some() => {
                let is_of_snapshots = matches!(error, BootError::Open(OpenError::NoSnapshot { .. }));
                let of = if is_of_snapshots {
                    "starts refused for want of a snapshot"
                } else {
                    "starts refused for damage"
                };
                self.coverage.count(of);
                self.replace_rotten_disk(host);
            }
            BootError::Open(OpenError::Corrupt { file, offset, damage, .. }) => {
                let detail = format!("{file} at {offset}: {damage}");
                return Err(self.checks.unreadable(host, &detail));
            }
            BootError::Open(OpenError::NoSnapshot { rejected, .. }) if rejected.iter().any(is_unread) => {
                self.coverage.count("starts refused for a read error");
            }
            BootError::Open(error @ (OpenError::EndMissing { .. } | OpenError::NoSnapshot { .. })) => {
                return Err(self.checks.unreadable(host, &error.to_string()));
            }
            BootError::Snapshot(SnapshotDamage::Unreadable { .. }) => {
                self.coverage.count("starts refused for a read error");
            }
            BootError::Snapshot(damage) => return Err(self.checks.unreadable(host, &damage.to_string())),
            BootError::Open(OpenError::Read { .. }) => self.coverage.count("starts refused for a read error"),
            BootError::Open(_) => {}
            BootError::FirstWrite(failed) => {
                self.absorb(host, &failed.report, failed.records)?;
                self.hosts[usize::from(host)].submitted = failed.appended;
            }
        }
        self.agenda.enter(again, Event::Start { host });
        Ok(())
    }

    /// An operator gives a damaged disk up where another member can stand in, and otherwise finds its copy.
    fn replace_rotten_disk(&mut self, host: u8) {
        let Some((copy, _)) = self.host_mut(host).rotten.take() else { return };
        self.host_mut(host).directory.disk = copy;
        if self.can_lose(host) {
            self.wipe(host);
        }
    }

    /// Counts what a process has met, when it ends.
    pub(super) fn count_process(&mut self, status: &trellis_node::core::Status) {
        let (replication, swim) = (&status.replication, &status.swim);
        let storage = &status.usage.counters;
        for (what, count) in [
            ("gaps asked for", replication.ranges_wanted),
            ("gaps filled from the ring", replication.ranges_answered),
            ("gaps beyond the ring", replication.ranges_gone),
            ("deltas offered again", replication.deltas_offered_again),
            ("rounds in sync", replication.pulls_in_sync),
            ("deltas early", storage.deltas_early),
            ("deltas dropped for want of room", storage.deltas_dropped),
            ("deltas twice", storage.deltas_duplicate),
            ("slots adopted", storage.adoptions),
            ("entries that changed something", storage.entries_changed),
            ("members called dead", swim.deaths),
            ("suspicions refuted", swim.refutations),
        ] {
            self.coverage.add(what, count);
        }
    }

    /// Gives a host an empty disk in place of its own.
    pub(super) fn wipe(&mut self, host: u8) {
        let directory = self.new_directory();
        self.checks.lost_disk(&self.hosts[usize::from(host)].directory);
        if self.host(host).has_jumped {
            // Its next epoch may be one that was used: nothing but the wall clock says otherwise.
            self.checks.membership.shared_names.insert(self.host(host).name.to_owned());
        }
        let (old, is_sound) = (&self.host(host).directory, self.host(host).rotten.is_none());
        let attic = (is_sound && old.durable.upto > Lsn::ZERO).then(|| Backup {
            disk: old.disk.duplicate(),
            node: old.node,
            records: old.durable.records.clone(),
        });
        let target = self.host_mut(host);
        target.attic = attic.or(target.attic.take());
        target.directory = directory;
        target.submitted = Vec::new();
        target.batches = Vec::new();
        target.attested = Lsn::ZERO;
        target.rotten = None;
        target.copied = Archive::new();
        target.backup = None;
        self.note(host, "wiped", 0, 0);
    }

    /// Whether what a host holds can be lost without losing the cluster: another member must be able to stand in.
    pub(super) fn can_lose(&self, host: u8) -> bool {
        let removed = self.removed();
        self.hosts.iter().enumerate().any(|(index, other)| {
            let recovery = &other.directory.durable.recovery;
            let is_member = !recovery.is_fresh() && recovery.guest_of().is_none();
            let is_in = !removed.contains(&other.directory.node) && !other.is_retired && !other.is_twin;
            index != usize::from(host) && is_member && is_in && other.rotten.is_none()
        })
    }

    /// Nodes that any log says to be removed.
    fn removed(&self) -> BTreeSet<NodeId> {
        let rosters = self.hosts.iter().map(|host| host.directory.durable.recovery.roster());
        rosters.flat_map(|roster| roster.removed.iter().copied()).collect()
    }

    /// Says goodbye, some time after writes were refused.
    pub(super) fn on_leave(&mut self, host: u8, number: u32) -> Held {
        let clocks = self.clocks(host);
        let Some(process) = self.process_mut(host, number) else { return Ok(()) };
        if process.is_leaving {
            // Nobody has heard the goodbye for too long.
            self.kill(host, Crash::LosesAll);
            return Ok(());
        }
        process.is_leaving = true;
        process.core.leave(clocks);
        self.note(host, "leaves", 0, 0);
        self.agenda.enter(self.now + 4_000_000, Event::Leave { host, process: number });
        self.settle(host)
    }

    pub(super) fn on_leave_drained(&mut self, host: u8, number: u32) -> Held {
        if self.process(host, number).is_none_or(|process| !process.is_leaving) {
            return Ok(());
        }
        self.see_log(host)?;
        self.note(host, "left", 0, 0);
        // A clean end: what is pending is synced and the log sealed, before anything else can happen.
        let target = &mut self.hosts[usize::from(host)];
        let Some(process) = &mut target.process else { return Ok(()) };
        let synced = process.syncer.sync_once();
        self.on_durable(host)?;
        if synced.is_err() {
            return Ok(());
        }
        if !self.snapshot_at_the_end(host)? {
            return Ok(());
        }
        let target = &mut self.hosts[usize::from(host)];
        if let Some(process) = target.process.take() {
            let (core, syncer, links) = (process.core, process.syncer, process.links);
            // A seal that fails leaves a log that was not closed, which opens all the same.
            let _ = syncer.seal();
            target.submitted = process.undurable.into();
            self.count_process(&core.status(self.clocks(host)));
            drop(core);
            self.abandon_streams(host, links.values().copied().collect());
            self.on_clients_process_gone(host, number);
            self.checks.stopped(host, number);
        }
        Ok(())
    }
}

/// A snapshot that is passed over since the disk did not deliver it, this time.
fn is_unread(rejected: &RejectedSnapshot) -> bool {
    matches!(rejected.damage, SnapshotDamage::Unreadable { .. })
}
