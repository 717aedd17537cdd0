//! Collection in histories that are written by hand, and old states that turn up after it.
//!
//! A script sees all nodes at once, so it can tell what is stable; no node of a history collects by itself.

use trellis_crdt::VersionVector;
use trellis_storage::{ElementCursor, slot_of};

use super::World;
use super::script::Scripted;

impl World {
    /// What the durable clocks of all hosts cover in the slot of a key: R9, without a doubt.
    pub fn stable_clock(&self, key: &str) -> VersionVector {
        let slot = slot_of(key);
        let clocks = || self.hosts.iter().map(|host| host.directory.durable.clock(slot));
        let Some(first) = clocks().next() else { return VersionVector::new() };
        let least = first
            .iter()
            .map(|(origin, _)| (origin, clocks().map(|clock| clock.get(origin)).min().unwrap_or(0)));
        least.filter(|(_, seq)| *seq > 0).collect()
    }

    /// Whether these have equal clocks of the slot of a key, all of which is durable.
    pub fn have_equal_clocks(&self, names: &[&str], key: &str) -> bool {
        let slot = slot_of(key);
        let mut clocks =
            names.iter().map(|name| self.host(self.index_of(name)).directory.durable.clock(slot));
        let first = clocks.next();
        clocks.all(|clock| Some(clock) == first)
    }

    /// Has a node drop what is stable in the slot of a key. Returns of how many atoms it dropped something.
    ///
    /// # Errors
    ///
    /// An invariant that does not hold.
    pub fn collect(&mut self, name: &str, key: &str) -> Scripted<usize> {
        let (host, stable) = (self.index_of(name), self.stable_clock(key));
        let clocks = self.clocks(host);
        let core = self.host(host).core();
        let dropped = core.map_or(0, |core| core.collect(slot_of(key), &stable, usize::MAX, clocks));
        self.see_log(host)?;
        self.settle(host)?;
        Ok(dropped)
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
