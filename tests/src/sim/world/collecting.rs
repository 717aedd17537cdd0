//! Collection, and old states that turn up after it.
//!
//! The simulator sees all disks at once, so it can tell what is stable; no node collects by itself.

use std::collections::BTreeSet;

use trellis_crdt::VersionVector;
use trellis_storage::{ElementCursor, slot_of};

use super::script::Scripted;
use super::{Event, World};
use crate::invariants::{Held, Violation};
use crate::sim::agenda::Micros;
use crate::sim::plan::keys;

impl World {
    /// What the durable clocks of all hosts cover in a slot. That is stable where all of them are equal; while they are
    /// not, something of a member may be on its way that is older than what its clock covers (R9).
    fn common_clock(&self, slot: u8) -> VersionVector {
        least(self.hosts.iter().map(|host| host.directory.durable.clock(slot)))
    }

    /// What is stable at a host (R9): of each other one it takes the last clock that its own one dominated.
    fn stable_clock(&mut self, host: u8, slot: u8) -> VersionVector {
        let own = self.host(host).directory.durable.clock(slot).clone();
        for other in 0..self.hosts.len() as u8 {
            let theirs = self.host(other).directory.durable.clock(slot);
            if own.dominates(theirs) {
                self.confirmed.insert((host, other, slot), theirs.clone());
            }
        }
        let none = VersionVector::new();
        let confirmed = |other| self.confirmed.get(&(host, other, slot)).unwrap_or(&none);
        least((0..self.hosts.len() as u8).map(confirmed))
    }

    /// Has a node drop what is stable in a slot, of so many atoms at most.
    fn collect_slot(
        &mut self,
        host: u8,
        slot: u8,
        stable: &VersionVector,
        examine_max: usize,
    ) -> Scripted<usize> {
        let clocks = self.clocks(host);
        let core = self.host(host).core();
        let dropped = core.map_or(0, |core| core.collect(slot, stable, examine_max, clocks));
        self.coverage.add("atoms of which something was dropped", dropped as u64);
        if dropped > 0 {
            self.checks.dropped(slot, stable);
        }
        self.see_log(host)?;
        self.settle(host)?;
        Ok(dropped)
    }

    /// Some node drops something; until the trouble is over, another one does a moment later.
    pub(super) fn on_collect(&mut self) -> Held {
        let host = self.dice.below(self.hosts.len() as u64) as u8;
        if self.host(host).paused_until <= self.now {
            for slot in slots() {
                let examine_max = self.dice.pick(&[1, 3, 100]);
                let stable = self.stable_clock(host, slot);
                self.collect_slot(host, slot, &stable, examine_max)?;
            }
        }
        if !self.is_healed {
            let at = self.now + self.dice.between(20_000, 1_500_000);
            self.agenda.enter(at, Event::Collect);
        }
        Ok(())
    }

    /// All nodes are in step: each drops all that can be dropped, and nothing is left of it, though a log without room
    /// or a transfer under way may hold that up for a moment. Where only disablings are left of a flag they stay.
    pub(super) fn collect_all(&mut self) -> Held {
        for _ in 0..COLLECTIONS_MAX {
            if self.collect_everywhere()? == 0 {
                return Ok(());
            }
            self.run_to(self.now + BETWEEN_COLLECTIONS)?;
        }
        let detail = "all nodes are in step, and not all is dropped".to_owned();
        Err(Violation { invariant: "what_is_stable_is_dropped", hosts: Vec::new(), detail })
    }

    /// Returns how many atoms have something left to drop.
    fn collect_everywhere(&mut self) -> Scripted<usize> {
        let mut left = 0;
        for host in 0..self.hosts.len() as u8 {
            for slot in slots() {
                let stable = self.stable_clock(host, slot);
                self.collect_slot(host, slot, &stable, usize::MAX)?;
                left += self
                    .host(host)
                    .core()
                    .map_or(0, |core| core.look_at_slot(slot, |keyspace| keyspace.collectable_len(slot)));
            }
        }
        Ok(left)
    }

    /// Has a node drop what all nodes hold durably in the slot of a key. Returns of how many atoms it dropped something.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn collect(&mut self, name: &str, key: &str) -> Scripted<usize> {
        let (slot, host) = (slot_of(key), self.index_of(name));
        let stable = self.common_clock(slot);
        self.collect_slot(host, slot, &stable, usize::MAX)
    }

    /// Whether these have equal clocks of the slot of a key, all of which is durable.
    pub fn have_equal_clocks(&self, names: &[&str], key: &str) -> bool {
        let slot = slot_of(key);
        let mut clocks =
            names.iter().map(|name| self.host(self.index_of(name)).directory.durable.clock(slot));
        let first = clocks.next();
        clocks.all(|clock| Some(clock) == first)
    }

    /// How many pieces and how many names of origins a node keeps under a key, shown or not.
    pub fn kept_of(&self, name: &str, key: &str) -> (usize, usize) {
        let explained = self.core(name).and_then(|core| {
            let explain = |keyspace: &trellis_storage::Keyspace| {
                keyspace.explain(key, ElementCursor::START, usize::MAX).ok()
            };
            core.look_at_slot(slot_of(key), explain)
        });
        let atoms = explained.map_or_else(Vec::new, |explained| explained.atoms);
        let pieces = atoms.iter().map(|atom| atom.pieces.len()).sum();
        (pieces, atoms.iter().map(|atom| atom.list.len()).sum())
    }

    /// Keeps transfers from reaching a host, or nobody's: it can give state and take none.
    pub fn starve(&mut self, name: Option<&str>) {
        self.network.starved = name.map(|name| self.index_of(name));
    }

    /// Keeps a copy of every push from here on.
    pub fn keep_pushes(&mut self) {
        self.network.kept = Some(Vec::new());
    }

    /// Lets every push that was kept arrive once more, as far as its stream is still there.
    pub fn repeat_pushes(&mut self) {
        self.repeat_kept();
    }
}

/// Times that all nodes are asked to drop all, and how long they have between.
const COLLECTIONS_MAX: usize = 20;
const BETWEEN_COLLECTIONS: Micros = 1_000_000;

/// What all of these cover.
fn least<'a>(clocks: impl Iterator<Item = &'a VersionVector> + Clone) -> VersionVector {
    let Some(first) = clocks.clone().next() else { return VersionVector::new() };
    let least = |origin| clocks.clone().map(|clock| clock.get(origin)).min().unwrap_or(0);
    first.iter().map(|(origin, _)| (origin, least(origin))).filter(|(_, seq)| *seq > 0).collect()
}

/// Those of the keys that clients use.
fn slots() -> BTreeSet<u8> {
    keys().iter().map(|key| slot_of(key)).collect()
}
