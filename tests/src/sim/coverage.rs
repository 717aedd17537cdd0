//! What the histories have met: a run that never met something that is built has not tested it.

use std::collections::BTreeMap;

use super::plan::Profile;

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

    /// What must happen in a run of many histories of this profile and has not; any other profile than all and that of
    /// the disks need not meet anything.
    pub fn missing(&self, profile: Profile) -> Vec<&'static str> {
        let expected: &[&[&str]] = match profile {
            Profile::All => &[OF_DISKS, OF_ALL],
            Profile::Disk => &[OF_DISKS],
            _ => &[],
        };
        expected.concat().into_iter().filter(|what| self.get(what) == 0).collect()
    }
}

/// Everything that can be met where disks fail.
const OF_DISKS: &[&str] = &[
    // faults
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
    "rot in the newest snapshot",
    "spoiled snapshot",
    "lost disk",
    "backup",
    "restored disk",
    // of logs
    "starts",
    "names lost in a crash",
    "torn tails opened",
    "tails not certain",
    "records logged again",
    "starts that logged a tail again",
    "segments followed by others",
    "segments begun as one was full",
    "rot in a segment",
    "starts refused for damage",
    "starts refused for a read error",
    "logs failed",
    "disks found full",
    // of snapshots
    "snapshots published",
    "snapshots at the end of a process",
    "snapshots given up",
    "snapshots given up for want of room",
    "crashes while a snapshot is captured",
    "crashes while a snapshot waits for the log",
    "crashes while a snapshot is read back",
    "crashes before a snapshot made anything needless",
    "power cuts while a snapshot is written",
    "power cuts while a snapshot gets its name",
    "power cuts while files are removed",
    "snapshots removed behind newer ones",
    "segments removed behind snapshots",
    "rot in a snapshot",
    "starts from a snapshot",
    "starts from the older snapshot",
    "starts without the first segments of the log",
    "starts that passed a damaged snapshot over",
];

/// Everything else that is built and can be met.
const OF_ALL: &[&str] = &[
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
