//! The thread that syncs a log, on the agenda: group after group, each taking its time.

use trellis_wal::SyncError;

use super::{Event, World};
use crate::invariants::Held;
use crate::sim::agenda::Micros;

impl World {
    pub(super) fn arm_sync(&mut self, host: u8) {
        let (now, (low, high)) = (self.now, self.plan.limits.sync_micros);
        let Some(process) = &mut self.hosts[usize::from(host)].process else { return };
        let log = process.core.log();
        if process.is_syncing || process.is_poisoned || log.last() <= log.durable() {
            return;
        }
        process.is_syncing = true;
        let number = process.number;
        let takes = self.dice.between(low, high) + self.host(host).sync_delay;
        self.agenda.enter(now + takes, Event::Sync { host, process: number });
    }

    pub(super) fn on_sync(&mut self, host: u8, number: u32) -> Held {
        let now = self.now;
        if self.host(host).is_stalled && self.process(host, number).is_some() {
            self.agenda.enter(now + 500, Event::Sync { host, process: number });
            return Ok(());
        }
        let process = self.hosts[usize::from(host)].process.as_mut();
        let Some(process) = process.filter(|process| process.number == number) else { return Ok(()) };
        process.is_syncing = false;
        process.last_sync = now;
        let before = process.core.log().durable();
        let synced = process.syncer.sync_once();
        if process.core.log().durable() > before {
            // Each record says what was durable when it was written.
            process.attested = before.max(process.attested);
        }
        let (durable, last) = (process.core.log().durable(), process.core.log().last());
        self.trace.note(now, host, "sync", [durable.as_u64(), last.as_u64()]);
        match synced {
            Ok(_) => {
                self.on_disk_full(host, false);
                self.on_durable(host)?;
                if durable == last {
                    self.agenda.enter(now + IDLE_BEFORE_ATTEST, Event::Attest { host, process: number });
                }
            }
            Err(SyncError::DiskFull) => {
                self.coverage.count("disks found full");
                // What waits is tried again after a while, whatever is appended meanwhile.
                process.is_syncing = true;
                self.agenda.enter(now + DISK_FULL_PAUSE, Event::Sync { host, process: number });
                self.on_disk_full(host, true);
                self.on_durable(host)?;
            }
            Err(_) => {
                self.on_durable(host)?;
                self.log_fails_soon(host, number);
            }
        }
        self.settle(host)
    }

    pub(super) fn on_attest(&mut self, host: u8, number: u32) -> Held {
        let now = self.now;
        let Some(process) = self.process_mut(host, number) else { return Ok(()) };
        let is_idle = !process.is_syncing && process.last_sync + IDLE_BEFORE_ATTEST <= now;
        if !is_idle || process.is_poisoned {
            return Ok(());
        }
        match process.syncer.attest() {
            Ok(()) => process.attested = process.core.log().durable(),
            Err(SyncError::Poisoned(_)) => self.log_fails_soon(host, number),
            Err(_) => {}
        }
        Ok(())
    }

    fn on_disk_full(&mut self, host: u8, is_full: bool) {
        if let Some(core) = self.host(host).core()
            && core.is_disk_full() != is_full
        {
            core.handle_disk_full(is_full);
        }
    }

    /// The log is durable further than before: what waited for it goes on.
    pub(super) fn on_durable(&mut self, host: u8) -> Held {
        let clocks = self.clocks(host);
        let target = &mut self.hosts[usize::from(host)];
        let Some(process) = &mut target.process else { return Ok(()) };
        let durable = process.core.log().durable();
        while process.undurable.front().is_some_and(|record| record.lsn <= durable) {
            let Some(record) = process.undurable.pop_front() else { break };
            target.directory.durable.take(&record).map_err(|error| self.checks.unreadable(host, &error))?;
        }
        process.core.handle_durable(clocks);
        self.settle(host)?;
        self.checks.is_as_replayed(host, &self.hosts[usize::from(host)])?;
        self.on_clients_durable(host)
    }

    /// The thread of the log tells the core a moment later, and meanwhile the core works on.
    fn log_fails_soon(&mut self, host: u8, number: u32) {
        let at = self.now + self.dice.below(5_000);
        if let Some(process) = self.process_mut(host, number) {
            process.is_poisoned = true;
            self.agenda.enter(at, Event::LogFails { host, process: number });
        }
    }

    pub(super) fn on_log_failed(&mut self, host: u8, number: u32) -> Held {
        if self.process(host, number).is_none() {
            return Ok(());
        }
        self.coverage.count("logs failed");
        let clocks = self.clocks(host);
        if let Some(process) = self.process_mut(host, number) {
            process.has_failed = true;
            process.core.handle_log_failed(clocks);
        }
        self.note(host, "log failed", 0, 0);
        self.on_clients_process_gone(host, number);
        if !self.keeps_notices {
            let at = self.now + self.dice.between(100_000, 4_000_000);
            self.agenda.enter(at, Event::Start { host });
        }
        self.settle(host)
    }
}

/// As in the syncer's own loop.
const IDLE_BEFORE_ATTEST: Micros = 10_000;
/// As in the syncer's own loop.
const DISK_FULL_PAUSE: Micros = 500_000;
