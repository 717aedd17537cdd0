//! What the histories have met: a run that never met something that is built has not tested it.

use std::collections::BTreeMap;

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    counts: BTreeMap<&'static str, u64>,
}

impl Coverage {
    /// Counts something.
    pub(crate) fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.counts.entry(what).or_default() += count;
        }
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for (what, count) in &other.counts {
            self.add(what, *count);
        }
    }

    /// How often this happened.
    pub fn get(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// All counts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.counts.iter().map(|(what, count)| (*what, *count))
    }

    /// What must happen in a run over all profiles and has not.
    pub fn missing(&self) -> Vec<&'static str> {
        EXPECTED.iter().copied().filter(|what| self.get(what) == 0).collect()
    }
}

/// Everything that is built and can be met.
const EXPECTED: &[&str] = &[
    // faults
    "one-way cut",
    "partition",
    "broken streams",
    "cut transfers",
    "garbled transfers",
    "refused connections",
    "slow inbox",
    "pause",
    "storm",
    "crash that loses all",
    "crash that loses nothing",
    "crash that tears sectors",
    "crash that tears pages",
    "crash of all",
    "sync that fails once",
    "sync that fails for good",
    "write that fails",
    "full disk",
    "slow disk",
    "read that fails",
    "rot in a header",
    "rot in the middle",
    "rot at the tail",
    "lost disk",
    "backup",
    "restored disk",
    "cloned disk",
    "wall clock forth",
    "wall clock back",
    "leave",
    "join",
    // of messages
    "messages lost",
    "messages doubled",
    "messages overtaking",
    "messages late",
    "streams broken by a message",
    "transfers cut",
    "calls lost",
    "calls doubled",
    "calls refused",
    // of logs
    "starts",
    "names lost in a crash",
    "torn tails opened",
    "tails not certain",
    "records logged again",
    "segments followed by others",
    "starts refused for damage",
    "starts refused for a read error",
    "logs failed",
    "disks found full",
    // of snapshots
    "snapshots published",
    "snapshots at the end of a process",
    "snapshots given up",
    "crashes during a snapshot",
    "files removed behind snapshots",
    "starts from a snapshot",
    "starts that passed a damaged snapshot over",
    // of replication
    "gaps asked for",
    "gaps filled from the ring",
    "gaps beyond the ring",
    "deltas offered again",
    "deltas early",
    "deltas dropped for want of room",
    "deltas twice",
    "slots adopted",
    "entries that changed something",
    "transfers given up",
    "parts of transfers refused",
    "rounds in sync",
    "guests joined",
    "guests restarted",
    "nodes superseded",
    "nodes that found themselves removed",
    "words of who is out",
    "old disks returned",
    "refused as removed",
    "refused as stale",
    "conflicts reported",
    "processes taken for stale",
    "members called dead",
    "suspicions refuted",
    "register writes refused for skew",
    // of clients
    "writes answered",
    "writes answered by several nodes",
    "writes of several records",
    "writes answered early",
    "writes without an answer",
    "writes refused",
    "writes tried again",
    "reads that waited for the log",
    "reads answered",
    "overflows refused",
    "totals beyond 64 bits",
    "kinds refused",
    "elements added",
    "elements added again",
    "elements removed",
    "elements removed that were not there",
    "elements found",
    "elements not found",
    "pages of elements",
    "last pages of elements",
    "flags enabled",
    "flags disabled",
    "atoms of which something was dropped",
    "deletions that went on",
    "deletions cut short",
    "listings",
];
