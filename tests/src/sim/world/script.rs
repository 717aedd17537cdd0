//! Histories that are written by hand: named scenarios, and what they do to a cluster step by step.

use std::time::Duration;

use trellis_crdt::Kind;
use trellis_node::core::{Core, Phase};
use trellis_storage::{ElementCursor, Operation, ReadValue};

use super::clients::Outcome;
use super::{Event, World};
use crate::invariants::{Checks, Held, Violation};
use crate::model::What;
use crate::sim::agenda::Micros;
use crate::sim::directory::{Archive, Directory};
use crate::sim::marks::{token_of, value_of};
use crate::sim::plan::{Crash, Limits, Plan, Profile, Rot, Weather};

/// What a step of a scripted history gives, or the invariant that it broke.
pub type Scripted<T> = Result<T, Violation>;

impl World {
    /// A cluster of so many hosts that has formed and is at rest.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn formed(hosts: u8, limits: Limits) -> Scripted<Self> {
        Self::formed_from(hosts, limits, 1)
    }

    /// The same, with choices drawn from this seed.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn formed_from(hosts: u8, limits: Limits, seed: u64) -> Scripted<Self> {
        let plan = Plan {
            seed,
            profile: Profile::Mixed,
            hosts,
            limits,
            weather: Weather::FAIR,
            requests: Vec::new(),
            faults: Vec::new(),
            collects: false,
            heals_at: Micros::MAX,
        };
        let mut world = Self::empty(plan, true);
        world.keeps_notices = true;
        for host in 0..hosts {
            world.agenda.enter(u64::from(host) * 1_000, Event::Start { host });
        }
        world.run_until("all are in step", |world| Checks::is_at_rest(&world.hosts))?;
        Ok(world)
    }

    /// Runs for some virtual time.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn run_for(&mut self, time: Duration) -> Held {
        self.run_to(self.now + time.as_micros() as Micros)
    }

    /// Runs until something is so, a minute at most.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold, or that it did not come about.
    pub fn run_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Held {
        let deadline = self.now + MINUTE;
        while !is_so(self) {
            if self.now > deadline || !self.step()? {
                let detail = format!("not within a minute: {what}; {:#?}", self.notices);
                return Err(Violation { invariant: "the_scenario_goes_on", hosts: Vec::new(), detail });
            }
        }
        Ok(())
    }

    /// Everything is mended, and the cluster must come to rest with all invariants of a cluster at rest.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn rest(&mut self) -> Held {
        self.network.is_garbling = false;
        self.hosts.iter_mut().for_each(|host| (host.is_stalled, host.loses_calls) = (false, false));
        self.heal()?;
        self.run_until("the cluster is at rest", |world| Checks::is_at_rest(&world.hosts))?;
        self.checks.at_rest(&self.hosts)
    }

    /// Adds to a pn-counter.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn increment(&mut self, name: &str, key: &'static str, amount: i64) -> Scripted<Outcome> {
        self.ask(name, &Operation::Increment { key, kind: Kind::PnCounter, amount }, What::Add(amount))
    }

    /// Writes a token into a register.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn set(&mut self, name: &str, key: &'static str, kind: Kind, token: u64) -> Scripted<Outcome> {
        let value = value_of(token, 0);
        self.ask(name, &Operation::Set { key, kind, value: &value }, What::Write(token))
    }

    /// Adds an element to an or-set.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn add_element(&mut self, name: &str, key: &'static str, element: &str) -> Scripted<Outcome> {
        let (kind, element) = (Kind::OrSet, element.as_bytes());
        self.ask(name, &Operation::Add { key, kind, element }, What::Enable)
    }

    /// Removes an element from an or-set.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn remove_element(&mut self, name: &str, key: &'static str, element: &str) -> Scripted<Outcome> {
        let (kind, element) = (Kind::OrSet, element.as_bytes());
        self.ask(name, &Operation::Remove { key, kind, element }, What::Disable)
    }

    /// Enables or disables a flag.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn switch(&mut self, name: &str, key: &'static str, kind: Kind, enabled: bool) -> Scripted<Outcome> {
        let what = if enabled { What::Enable } else { What::Disable };
        self.ask(name, &Operation::Switch { key, kind, enabled }, what)
    }

    /// Deletes what a key holds, in one step.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn delete(&mut self, name: &str, key: &'static str) -> Scripted<Outcome> {
        self.ask(name, &Operation::Delete { key, kind: None, from: ElementCursor::START }, What::Delete)
    }

    /// Adds to a pn-counter for a client that waits until so many nodes hold it. The ticket tells whether it was
    /// answered.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn increment_for(
        &mut self,
        name: &str,
        key: &'static str,
        amount: i64,
        replicas: u32,
    ) -> Scripted<u64> {
        let host = self.index_of(name);
        let operation = Operation::Increment { key, kind: Kind::PnCounter, amount };
        let (outcome, dots) = self.write(host, &operation, What::Add(amount))?;
        let Outcome::Taken(Some(written)) = outcome else { return Ok(NO_TICKET) };
        self.wait_for_write(host, written.lsn, dots, replicas)
    }

    /// Whether the client of this ticket was answered.
    pub fn is_answered(&self, ticket: u64) -> bool {
        self.is_client_answered(ticket)
    }

    /// Lets a client read a key: what it is told must be durable when it is told.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn read_for(&mut self, name: &str, key: &'static str) -> Held {
        let host = self.index_of(name);
        self.read_for_script(host, key)
    }

    fn ask(&mut self, name: &str, operation: &Operation<'_>, what: What) -> Scripted<Outcome> {
        let host = self.index_of(name);
        self.write(host, operation, what).map(|(outcome, _)| outcome)
    }

    /// What a counter shows, 0 when it is not there.
    pub fn value(&self, name: &str, key: &str) -> i64 {
        match self.core(name).and_then(|core| core.read(key, None).ok()).and_then(|(read, _)| read.value) {
            Some(ReadValue::Counter(total)) => total.value,
            _ => 0,
        }
    }

    /// The tokens that a register shows.
    pub fn tokens(&self, name: &str, key: &str) -> Vec<u64> {
        match self.core(name).and_then(|core| core.read(key, None).ok()).and_then(|(read, _)| read.value) {
            Some(ReadValue::Values(values)) => values.iter().filter_map(|value| token_of(value)).collect(),
            _ => Vec::new(),
        }
    }

    /// The kinds under which a key holds something.
    pub fn kinds(&self, name: &str, key: &str) -> Vec<Kind> {
        let read = self.core(name).and_then(|core| core.read(key, None).ok());
        read.map_or_else(Vec::new, |(read, _)| read.kinds)
    }

    /// Whether an element is in an or-set.
    pub fn has_element(&self, name: &str, key: &str, element: &str) -> bool {
        let told = self.core(name).and_then(|core| core.contains(key, Kind::OrSet, element.as_bytes()).ok());
        told.is_some_and(|((is_there, _), _)| is_there)
    }

    /// Whether all of these show this total.
    pub fn all_show(&self, names: &[&str], key: &str, total: i64) -> bool {
        names.iter().all(|name| self.value(name, key) == total)
    }

    /// The core of a host that runs.
    pub fn core(&self, name: &str) -> Option<&Core> {
        self.host(self.index_of(name)).core()
    }

    /// What a host is able to do; `None` while it is down.
    pub fn phase(&self, name: &str) -> Option<Phase> {
        self.host(self.index_of(name)).phase()
    }

    /// Kills a process; its disk keeps what was synced.
    pub fn crash(&mut self, name: &str) {
        self.kill(self.index_of(name), Crash::LosesAll);
    }

    /// Kills a process while its machine goes on: what it had written can be read, synced or not.
    pub fn end_process(&mut self, name: &str) {
        self.kill(self.index_of(name), Crash::LosesNothing);
    }

    /// Lets a bit rot among the records of a host that is down.
    pub fn rot_disk(&mut self, name: &str) {
        self.rot(self.index_of(name), Rot::Middle);
    }

    /// Kills a process whose disk was about to sync: the power goes when it has written everything, and of that only
    /// the first sectors stay.
    pub fn crash_while_writing(&mut self, name: &str, sectors_kept: usize) {
        let host = self.index_of(name);
        let target = &mut self.hosts[usize::from(host)];
        let Some(process) = &mut target.process else { return };
        target.directory.disk.cut_power_after(1);
        // That the sync fails is what is wanted.
        let _ = process.syncer.sync_once();
        let mut left = sectors_kept;
        let torn = target.directory.disk.crash(0, |_| {
            let is_kept = left > 0;
            left = left.saturating_sub(1);
            is_kept
        });
        self.kill(host, Crash::LosesAll);
        self.host_mut(host).directory.disk = torn;
    }

    /// Starts a host, or a new one if there is none of the name.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn boot(&mut self, name: &str) -> Held {
        if !self.hosts.iter().any(|host| host.name == name) {
            self.add_host();
        }
        self.start(self.index_of(name))
    }

    /// Replaces the disk of a host that is down by an empty one; the old one can be put back.
    pub fn replace_disk(&mut self, name: &str) -> Disk {
        let host = self.index_of(name);
        let directory = &self.host(host).directory;
        let old = Disk::of(directory, directory.disk.duplicate());
        self.wipe(host);
        old
    }

    /// A copy of what is durable at a host.
    pub fn copy_disk(&self, name: &str) -> Disk {
        let directory = &self.host(self.index_of(name)).directory;
        Disk::of(directory, directory.disk.crash(0, |_| false))
    }

    /// Puts a disk into a host that is down.
    pub fn put_disk(&mut self, name: &str, disk: &Disk) {
        let host = self.index_of(name);
        self.wipe(host);
        let directory = &mut self.host_mut(host).directory;
        (directory.disk, directory.node) = (disk.disk.duplicate(), disk.node);
        let target = self.host_mut(host);
        (target.has_unknown_disk, target.copied) = (true, disk.records.clone());
    }

    /// Starts a second process under the name of a host, from a copy of its disk. It goes by `<name>-twin` here.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn boot_twin(&mut self, name: &str) -> Held {
        self.clone_host(self.index_of(name)).map(drop)
    }

    /// Ends the twin of a host for good, and starts the host itself anew.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn retire_twin_of(&mut self, name: &str) -> Held {
        self.end_twin(self.index_of(name))
    }

    /// Cuts two hosts off from each other, or mends that.
    pub fn cut(&mut self, one: &str, other: &str, is_cut: bool) {
        let (one, other) = (self.index_of(one), self.index_of(other));
        self.network.cut(one, other, is_cut);
        self.network.cut(other, one, is_cut);
        if !is_cut {
            self.flush_owed();
        }
    }

    /// Lets a process do nothing for some time.
    pub fn pause(&mut self, name: &str, time: Duration) {
        let (host, now) = (self.index_of(name), self.now);
        self.host_mut(host).paused_until = now + time.as_micros() as Micros;
    }

    /// What the network does from here on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.network.weather = weather;
    }

    /// Breaks every stream there is.
    pub fn break_all_streams(&mut self) {
        for stream in self.streams_between(|_, _| true) {
            self.break_stream(stream);
        }
    }

    /// Breaks every stream of a host.
    pub fn break_streams_of(&mut self, name: &str) {
        let host = self.index_of(name);
        for stream in self.streams_between(|one, _| one == host) {
            self.break_stream(stream);
        }
    }

    /// Lets the pings and the gossip of a host be lost, in both directions, while its streams go on.
    pub fn lose_calls_of(&mut self, name: &str, is_losing: bool) {
        let host = self.index_of(name);
        self.host_mut(host).loses_calls = is_losing;
    }

    /// Lets streams of transfers break after so many chunks, or no longer.
    pub fn cut_transfers_after(&mut self, chunks: Option<u8>) {
        self.network.cutting_transfers = u32::from(chunks.is_some());
        self.network.chunks_before_cut = chunks.unwrap_or(0);
    }

    /// Lets the entries of all transfers arrive as nonsense, or no longer.
    pub fn garble_transfers(&mut self, is_garbling: bool) {
        self.network.is_garbling = is_garbling;
    }

    /// Keeps the disk of a host from taking anything, or lets it.
    pub fn stall(&mut self, name: &str, is_stalled: bool) {
        let host = self.index_of(name);
        self.host_mut(host).is_stalled = is_stalled;
    }

    /// Lets the next sync of a host's disk fail.
    pub fn fail_next_sync(&self, name: &str) {
        let fault = trellis_wal::Fault {
            operation: trellis_wal::Operation::Sync,
            after: 0,
            kind: std::io::ErrorKind::Other,
        };
        self.host(self.index_of(name)).directory.disk.inject(fault);
    }

    /// Sets a wall clock this far ahead, or behind.
    pub fn set_wall_ahead(&mut self, name: &str, millis: i64) {
        let host = self.index_of(name);
        self.host_mut(host).wall_ahead = millis;
    }

    /// Whether the node of this name has said something that contains these words.
    pub fn has_said(&self, name: &str, words: &str) -> bool {
        let host = self.index_of(name);
        self.notices.iter().any(|(who, notice)| *who == host && notice.contains(words))
    }

    /// A count of the trace so far.
    pub fn counter(&self, name: &str, count: impl Fn(&trellis_replication::Counters) -> u64) -> u64 {
        self.core(name).map_or(0, |core| core.look_at_peers(|replicator, _| count(replicator.counters())))
    }
}

/// A disk outside of any host.
#[derive(Debug)]
pub struct Disk {
    disk: trellis_wal::MemoryDisk,
    node: trellis_replication::NodeId,
    records: Archive,
}

impl Disk {
    fn of(directory: &Directory, disk: trellis_wal::MemoryDisk) -> Self {
        Self { disk, node: directory.node, records: directory.durable.records.clone() }
    }
}

const MINUTE: Micros = 60_000_000;
/// Of a write that was refused; no client ever has it.
const NO_TICKET: u64 = 0;
