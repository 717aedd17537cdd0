//! Looking into a node without changing it: for checkers, and for tools that explain what a node holds.

use trellis_replication::{Backlog as ReplicationBacklog, Replicator};
use trellis_storage::Keyspace;
use trellis_swim::Swim;

use super::Core;

/// How much waits in every queue and buffer of a node's core, those of the log aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Messages that wait for the log, over all links. A link holds what its peer may have unacknowledged.
    pub held_messages: usize,
    /// Scans of slots for peers; at most one a donation.
    pub scans: usize,
    /// Streams of deltas of which SWIM is told when they break: at most those that replication knows.
    pub push_streams: usize,
    /// Names of which an address is known: members of the roster, and at most 256 others.
    pub addresses: usize,
    /// Peers whose clock hash at their last gossip is remembered: members that are up.
    pub gossip_hashes: usize,
    /// Peers whose wall clock is compared with the own one: members that are up.
    pub clocks: usize,
    /// Effects that nobody has performed yet.
    pub effects: usize,
    /// Calls without an answer; each ends by its deadline.
    pub calls: usize,
    /// Pings of others to be answered later.
    pub deferred_pings: usize,
    /// Consequences of durability that wait for the log; bounded by the log's queue.
    pub undurable: usize,
    /// Of replication.
    pub replication: ReplicationBacklog,
}

impl Core {
    /// Shows the keyspace that holds `slot`, under the lock of its shard.
    pub fn look_at_slot<T>(&self, slot: u8, look: impl FnOnce(&Keyspace) -> T) -> T {
        look(self.shard(slot).lock().keyspace())
    }

    /// Shows replication and membership, under the lock of the control part.
    pub fn look_at_peers<T>(&self, look: impl FnOnce(&Replicator, &Swim<String>) -> T) -> T {
        let control = self.control.lock();
        look(&control.replicator, &control.swim)
    }

    /// Counts what waits. O(links + shards).
    pub fn backlog(&self) -> Backlog {
        let mut backlog = self.control.lock().backlog();
        backlog.undurable = self.shards.iter().map(|shard| shard.lock().pending_len()).sum();
        backlog
    }
}
