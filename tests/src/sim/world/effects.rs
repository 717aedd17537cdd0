//! What a core asks for, performed; and what must be looked at after every call into one.

use std::time::Duration;

use trellis_node::core::{Effect, Notice, Phase};
use trellis_wal::Lsn;

use super::{Event, World};
use crate::invariants::{Context, Held};
use crate::sim::agenda::Micros;
use crate::sim::directory::{Noted, hash_of};
use crate::sim::host::Host;

impl World {
    pub(super) fn on_timer(&mut self, host: u8, number: u32) -> Held {
        let (now, clocks) = (self.now, self.clocks(host));
        let Some(process) = self.process_mut(host, number) else { return Ok(()) };
        if process.wakes_at != now && process.wakes_at > now {
            return Ok(());
        }
        process.wakes_at = Micros::MAX;
        process.core.handle_timeout(clocks);
        self.note(host, "timer", 0, 0);
        self.checks.membership.timer_was_handled(host, &self.hosts[usize::from(host)], clocks.instant)?;
        self.settle(host)?;
        self.checks.is_bounded(host, &self.hosts, &self.plan.limits)
    }

    /// After every call into the core of a host: sees what was logged, performs what is asked, arms timer and disk.
    pub(super) fn settle(&mut self, host: u8) -> Held {
        loop {
            self.see_log(host)?;
            let Some(process) = &self.host(host).process else { return Ok(()) };
            let Some(effect) = process.core.poll_effect() else { break };
            let number = process.number;
            self.perform(host, number, effect)?;
        }
        self.arm_timer(host);
        self.arm_sync(host);
        Ok(())
    }

    /// Reads what the core has enqueued since the last look.
    pub(super) fn see_log(&mut self, host: u8) -> Held {
        let Some(process) = &mut self.hosts[usize::from(host)].process else { return Ok(()) };
        let (log, seen) = (process.core.log(), process.seen);
        if log.last() <= seen {
            return Ok(());
        }
        let mut records: Vec<(Lsn, Vec<u8>)> = Vec::new();
        log.look_at_pending(seen, |lsn, bytes| records.push((lsn, bytes.to_vec())));
        process.seen = log.last();
        let last = process.seen;
        self.checks.appended(host, &records, seen, last)?;
        for (lsn, bytes) in records {
            let noted = Noted::read(lsn, bytes);
            let mut noted = noted.map_err(|error| self.checks.unreadable(host, &error))?;
            self.trace.note(self.now, host, "log", [lsn.as_u64(), hash_of(&noted.bytes)]);
            self.checks.logged(
                host,
                &self.hosts[usize::from(host)],
                &mut noted,
                &mut self.clients.in_hand,
            )?;
            if let Some(process) = &mut self.hosts[usize::from(host)].process {
                if let Some(change) = &noted.change {
                    change.note(&mut process.lists);
                }
                process.undurable.push_back(noted);
            }
        }
        self.checks.changed(host, &self.hosts[usize::from(host)])
    }

    fn perform(&mut self, host: u8, number: u32, effect: Effect) -> Held {
        match effect {
            Effect::Open { link, kind, peer, address } => {
                self.open_stream(host, number, link, kind, &peer, &address);
            }
            Effect::Send { link, message } => return self.send(host, link, message),
            Effect::Close { link } => self.close(host, link),
            Effect::Call { id, peer, address, request, deadline } => {
                let deadline = self.micros(deadline);
                return self.call(host, number, id, (peer, &address), request, deadline);
            }
            Effect::Answer { id, pong } => return self.answer_later(host, number, id, pong),
            Effect::Replicated { ticket } => return self.on_replicated(ticket),
            Effect::LeaveDrained => return self.on_leave_drained(host, number),
            Effect::Phase(phase) => return self.on_phase(host, phase),
            Effect::Notice(notice) => return self.on_notice(host, &notice),
        }
        Ok(())
    }

    fn on_phase(&mut self, host: u8, phase: Phase) -> Held {
        self.note(host, "phase", phase as u64, 0);
        if phase == Phase::Serving {
            self.coverage.count("guests joined");
            self.checks.joined(host, &self.hosts[usize::from(host)])?;
        }
        if phase == Phase::Removed {
            self.coverage.count("nodes that found themselves removed");
            if !self.keeps_notices {
                let at = self.now + self.dice.between(100_000, 3_000_000);
                self.agenda.enter(at, Event::Start { host });
            }
        }
        Ok(())
    }

    fn on_notice(&mut self, host: u8, notice: &Notice) -> Held {
        use trellis_replication::{Event as Replication, Refusal};
        self.trace.note(self.now, host, "notice", [hash_of(format!("{notice:?}").as_bytes()), 0]);
        self.trace.tell(self.now, host, "notice", || format!("{notice:?}"));
        if self.keeps_notices {
            self.notices.push((host, format!("{notice:?}")));
        }
        match notice {
            Notice::Conflict { .. } => self.coverage.count("conflicts reported"),
            Notice::Replication(Replication::Superseded { .. }) => self.coverage.count("nodes superseded"),
            Notice::Replication(Replication::RefusedBy { refusal: Refusal::Stale { .. }, .. }) => {
                self.on_stale(host);
            }
            Notice::Replication(Replication::Refused { refusal: Refusal::Removed { .. }, .. }) => {
                self.coverage.count("refused as removed");
            }
            Notice::Replication(Replication::Refused { refusal: Refusal::Stale { .. }, .. }) => {
                self.coverage.count("refused as stale");
            }
            Notice::Replication(Replication::PullFailed { .. }) => self.coverage.count("transfers given up"),
            _ => {}
        }
        let context = match notice {
            Notice::Membership { name, .. } => self.context(host, name),
            _ => Context::default(),
        };
        if let Notice::Unmergeable { detail, .. } = notice
            && self.network.has_garbled
            && detail.contains(NONSENSE)
        {
            self.coverage.count("parts of transfers refused");
            return Ok(());
        }
        self.checks.noticed(host, notice, &context)
    }

    /// An operator starts a process anew that its peers take for an older one of its node.
    fn on_stale(&mut self, host: u8) {
        let at = self.now + self.dice.between(2_500_000, 6_000_000);
        if let Some(process) = &mut self.hosts[usize::from(host)].process
            && !process.is_stale
            && !self.keeps_notices
        {
            process.is_stale = true;
            self.coverage.count("processes taken for stale");
            self.agenda.enter(at, Event::Start { host });
        }
    }

    /// What is so while a host tells of a member.
    fn context(&self, host: u8, member: &str) -> Context {
        let are_up = |host: &&Host| host.process.is_some() && host.paused_until <= self.now;
        let now = self.clocks(host).instant;
        let heard = self
            .host(host)
            .core()
            .and_then(|core| core.look_at_peers(|_, swim| swim.last_heard(&member.to_owned())));
        Context {
            now: self.now,
            up: self.hosts.iter().filter(are_up).map(|host| host.name.to_owned()).collect(),
            silence: heard.map(|heard| now.saturating_duration_since(heard)),
            dead_after: self.plan.limits.swim.dead_after,
            at_hand: self.at_hand(host, member),
        }
    }

    /// For how long the process of a member has run, awake, with everybody within everybody's reach.
    fn at_hand(&self, observer: u8, member: &str) -> Duration {
        let of_the_name = self.hosts.iter().filter(|host| host.name == member && !host.is_retired);
        let times = of_the_name.filter(|host| host.is_in_good_standing()).filter_map(|host| {
            let started_at = host.process.as_ref()?.started_at;
            let since = started_at.max(host.paused_until).max(self.network.rough_at);
            Some(Duration::from_micros(self.now.saturating_sub(since)))
        });
        times.min().filter(|_| self.host(observer).is_in_good_standing()).unwrap_or_default()
    }

    fn arm_timer(&mut self, host: u8) {
        let now = self.now;
        let Some(process) = &self.host(host).process else { return };
        let Some(due) = process.core.poll_timeout() else { return };
        let at = self.micros(due).max(now);
        let number = process.number;
        if let Some(process) = self.process_mut(host, number)
            && at < process.wakes_at
        {
            process.wakes_at = at;
            self.agenda.enter(at, Event::Timer { host, process: number });
        }
    }

    /// A moment of a core on the axis of virtual time, rounded up so that it is due when it has come.
    pub(super) fn micros(&self, moment: std::time::Instant) -> Micros {
        let nanos = moment.saturating_duration_since(self.axis).as_nanos();
        Micros::try_from(nanos.div_ceil(1_000)).unwrap_or(Micros::MAX)
    }
}

/// What a node says of bytes that nobody can read.
const NONSENSE: &str = "cannot be decoded";
