//! Snapshots on the agenda: each process takes them in steps, between which everything else goes on.

use trellis_wal::Disk;

use super::{Event, World};
use crate::invariants::{Held, Violation};
use crate::sim::agenda::Micros;
use crate::sim::plan::SnapshotRhythm;
use crate::sim::snapshotting::{Stage, Stepped};

impl World {
    /// Lets a process that starts take snapshots, where the plan has any.
    pub(super) fn begin_snapshots(&mut self, host: u8, number: u32) {
        if let Some(SnapshotRhythm { every_micros: (low, high), .. }) = self.plan.limits.snapshots {
            let after = self.dice.between(low, high);
            self.agenda.enter(self.now + after, Event::Snapshot { host, process: number });
        }
    }

    pub(super) fn on_snapshot(&mut self, host: u8, number: u32) -> Held {
        let Some(rhythm) = self.plan.limits.snapshots else { return Ok(()) };
        if self.process(host, number).is_none_or(|process| process.has_failed) {
            return Ok(());
        }
        let is_stalled = self.host(host).is_stalled;
        let stepped = if is_stalled { Some(Stepped::Waits) } else { self.step_snapshot(host)? };
        let Some(stepped) = stepped else { return Ok(()) };
        let (low, high) = match stepped {
            Stepped::Removed { .. } | Stepped::Failed | Stepped::FoundNoRoom => rhythm.every_micros,
            Stepped::Waits => STALLED,
            _ => rhythm.step_micros,
        };
        let after = self.dice.between(low, high);
        self.agenda.enter(self.now + after, Event::Snapshot { host, process: number });
        Ok(())
    }

    /// Takes a step on the snapshot of a host, or begins one; `None` when nothing runs there.
    pub(super) fn step_snapshot(&mut self, host: u8) -> Result<Option<Stepped>, Violation> {
        let limits = self.plan.limits.snapshots.map(|rhythm| rhythm.capture).unwrap_or_default();
        let Some(process) = &mut self.hosts[usize::from(host)].process else { return Ok(None) };
        let stepped = process.snapshotting.step(&process.core, limits);
        self.on_stepped(host, stepped)?;
        self.settle(host)?;
        Ok(Some(stepped))
    }

    /// Holds what a step of a snapshot did against what a snapshot is for, and counts it.
    pub(super) fn on_stepped(&mut self, host: u8, stepped: Stepped) -> Held {
        let target = &mut self.hosts[usize::from(host)];
        let Some(process) = &mut target.process else { return Ok(()) };
        let log = process.core.log();
        match stepped {
            Stepped::Published { start, end } => {
                self.coverage.count("snapshots published");
                // Its footer says what it was durable up to, whatever becomes of the records.
                process.attested = process.attested.max(end);
                target.directory.durable.published = start;
                self.checks.published(host, end, log.durable())?;
            }
            Stepped::Failed => self.coverage.count("snapshots given up"),
            Stepped::FoundNoRoom => self.coverage.count("snapshots given up for want of room"),
            Stepped::Removed { snapshots, segments } => {
                let has_failed = log.poisoned().is_some();
                let left = target.directory.disk.list().unwrap_or_default();
                self.checks.removed(host, snapshots + segments, has_failed, &left)?;
                self.coverage.add("snapshots removed behind newer ones", snapshots as u64);
                self.coverage.add("segments removed behind snapshots", segments as u64);
            }
            Stepped::Began | Stepped::Went | Stepped::Waits => {}
        }
        if !matches!(stepped, Stepped::Went | Stepped::Waits | Stepped::Removed { .. }) {
            self.note(host, "snapshot", stepped.code(), 0);
        }
        Ok(())
    }

    /// A process that ends takes a last snapshot, and syncs the note of it. Returns whether it is still there.
    pub(super) fn snapshot_at_the_end(&mut self, host: u8) -> Result<bool, Violation> {
        if self.plan.limits.snapshots.is_none() {
            return Ok(true);
        }
        for _ in 0..STEPS_MAX {
            match self.step_snapshot(host)? {
                Some(Stepped::Published { .. }) => {
                    self.coverage.count("snapshots at the end of a process");
                    break;
                }
                Some(Stepped::Failed | Stepped::FoundNoRoom) | None => break,
                Some(_) => {}
            }
            let Some(process) = &mut self.hosts[usize::from(host)].process else { return Ok(false) };
            if process.core.log().durable() < process.core.log().last() && process.syncer.sync_once().is_err()
            {
                return Ok(false);
            }
            self.on_durable(host)?;
        }
        let Some(process) = &mut self.hosts[usize::from(host)].process else { return Ok(false) };
        let is_synced = process.syncer.sync_once().is_ok();
        self.on_durable(host)?;
        Ok(is_synced && self.host(host).process.is_some())
    }
}

/// For histories that are written by hand.
impl World {
    /// Begins a snapshot at a node: where its log's replay starts is noted, and nothing else.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn begin_snapshot(&mut self, name: &str) -> Held {
        let host = self.index_of(name);
        match self.step_snapshot(host)? {
            Some(Stepped::Began) => Ok(()),
            other => Err(violation(host, format!("no snapshot begins at {name}: {other:?}"))),
        }
    }

    /// Takes so many steps of the snapshot that is under way.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn go_on_with_snapshot(&mut self, name: &str, steps: usize) -> Held {
        let host = self.index_of(name);
        (0..steps).try_for_each(|_| self.step_snapshot(host).map(drop))
    }

    /// Takes the snapshot that is under way so far that only the log keeps it from its end.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold, or that it comes to an end before.
    pub fn capture_all(&mut self, name: &str) -> Held {
        self.advance_to(name, Stage::Waiting)
    }

    /// Takes the snapshot that is under way so far that it has its name, and removes nothing.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold, or that it comes to no end.
    pub fn publish_snapshot(&mut self, name: &str) -> Held {
        self.advance_to(name, Stage::Published)
    }

    fn advance_to(&mut self, name: &str, stage: Stage) -> Held {
        let host = self.index_of(name);
        for _ in 0..STEPS_MAX {
            let at = self.host(host).process.as_ref().map(|process| process.snapshotting.stage());
            match at {
                Some(at) if at == stage => return Ok(()),
                None | Some(Stage::Nothing | Stage::Published) => break,
                Some(_) => self.step_snapshot(host).map(drop)?,
            }
        }
        Err(violation(host, format!("the snapshot of {name} is never {stage:?}")))
    }

    /// How many snapshots were given up.
    pub fn snapshots_given_up(&self) -> u64 {
        self.coverage.get("snapshots given up")
    }

    /// Takes the snapshot that is under way to its end, and removes what it makes needless; returns how many files.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn finish_snapshot(&mut self, name: &str) -> Result<u64, Violation> {
        let host = self.index_of(name);
        for _ in 0..STEPS_MAX {
            match self.step_snapshot(host)? {
                Some(Stepped::Removed { snapshots, segments }) => return Ok((snapshots + segments) as u64),
                Some(Stepped::Failed | Stepped::FoundNoRoom) | None => break,
                Some(Stepped::Waits) => self.run_to(self.now + STALLED.0)?,
                Some(_) => {}
            }
        }
        Err(violation(host, format!("the snapshot of {name} comes to no end")))
    }

    /// Takes a whole snapshot of a node.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn snapshot(&mut self, name: &str) -> Result<u64, Violation> {
        self.begin_snapshot(name)?;
        self.finish_snapshot(name)
    }

    /// How many starts there were from a snapshot.
    pub fn starts_from_snapshots(&self) -> u64 {
        self.coverage.get("starts from a snapshot")
    }

    /// How many files the log of a host has.
    pub fn log_files(&self, name: &str) -> usize {
        let names = self.host(self.index_of(name)).directory.disk.list().unwrap_or_default();
        names.iter().filter(|name| name.ends_with(".log")).count()
    }

    /// Lets a bit of the newest snapshot rot at a host that is down.
    pub fn rot_newest_snapshot(&mut self, name: &str) {
        let host = self.index_of(name);
        let disk = self.host(host).directory.disk.clone();
        let names = disk.list().unwrap_or_default();
        let newest = names.iter().rfind(|name| name.ends_with(".snap")).expect("there is a snapshot");
        let mut bytes = disk.contents(newest).expect("it has contents");
        let middle = bytes.len() - 100;
        bytes[middle] ^= 1;
        disk.overwrite(newest, &bytes);
        self.rotted.insert(newest.clone());
    }
}

fn violation(host: u8, detail: String) -> Violation {
    Violation { invariant: "the_scenario_goes_on", hosts: vec![host], detail }
}

/// Until what stalls is looked at again.
const STALLED: (Micros, Micros) = (300, 3_000);
/// Many times what a snapshot of a history takes.
const STEPS_MAX: usize = 100_000;
