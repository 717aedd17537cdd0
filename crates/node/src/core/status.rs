//! What a node tells of itself and of the others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use trellis_replication::{Counters as ReplicationCounters, FoundingId, Identity, NodeId};
use trellis_storage::Usage;
use trellis_swim::{Counters as SwimCounters, Health, State};

use super::effect::Phase;
use super::meta::NodeMeta;
use super::{Core, Now};

/// A node's view of the cluster at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Who answers.
    pub local: Identity,
    /// What it is able to do.
    pub phase: Phase,
    /// The founding it belongs to; `None` while it has not joined.
    pub founding: Option<FoundingId>,
    /// Every member that SWIM knows, this one included, by name.
    pub members: Vec<MemberStatus>,
    /// Whether every alive member is known to hold everything that this node holds, and this node all of theirs.
    pub is_converged: bool,
    /// Slots of a guest that are still to be adopted.
    pub slots_remaining: usize,
    /// Keys and bytes held.
    pub usage: Usage,
    /// Times that equal clocks had different digests.
    pub diverged: u64,
    /// Times that two live processes showed one name.
    pub conflicts: u64,
    /// Milliseconds by which this node's wall clock is ahead of the median.
    pub clock_ahead_millis: i64,
    /// Whether register writes are refused for the sake of the wall clock.
    pub is_skewed: bool,
    /// Whether writes wait for room on the disk.
    pub is_disk_full: bool,
    /// Time since the process started.
    pub uptime: Duration,
    /// Bytes of the ring of deltas.
    pub ring_bytes: usize,
    /// Counts of replication.
    pub replication: ReplicationCounters,
    /// Counts of membership.
    pub swim: SwimCounters,
    /// How well this node is, as SWIM sees it.
    pub health: Health,
}

/// One member as this node sees it.
#[derive(Clone, Debug)]
pub struct MemberStatus {
    /// Its certified name.
    pub name: String,
    /// What SWIM says.
    pub state: State,
    /// How long it has been in that state.
    pub since: Duration,
    /// How long ago it was heard itself; `None` for this node and for never.
    pub last_heard: Option<Duration>,
    /// SWIM's incarnation.
    pub incarnation: u64,
    /// Where peers reach it.
    pub peer_address: String,
    /// What it attached to its membership.
    pub meta: NodeMeta,
    /// Operations of this process that it has not acknowledged; 0 for this node.
    pub unacknowledged: u64,
    /// Whether a stream to it is open; true for this node.
    pub is_connected: bool,
}

impl Core {
    /// Describes the node and what it knows of the others. O(members + slots).
    pub fn status(&self, now: Now) -> Status {
        let usage = self.usage();
        let control = self.control.lock();
        let replicator = &control.replicator;
        let local = replicator.local().clone();
        let peers: BTreeMap<_, _> = replicator.peers().collect();
        let members: Vec<MemberStatus> = control
            .swim
            .members()
            .map(|member| {
                let peer = peers.get(member.id.as_str());
                let is_local = member.id == local.name;
                let ago = |at: Instant| now.instant.saturating_duration_since(at);
                MemberStatus {
                    name: member.id.clone(),
                    state: member.state,
                    since: control.swim.since(&member.id).map_or(Duration::ZERO, ago),
                    last_heard: control.swim.last_heard(&member.id).filter(|_| !is_local).map(ago),
                    incarnation: member.incarnation,
                    peer_address: member.addr.to_string(),
                    meta: NodeMeta::decode(&member.meta).unwrap_or_default(),
                    unacknowledged: peer.map_or(0, |peer| peer.unacknowledged),
                    is_connected: is_local || peer.is_some_and(|peer| peer.is_connected),
                }
            })
            .collect();
        let is_converged = !replicator.is_guest()
            && members.iter().filter(|member| member.state == State::Alive).all(|member| {
                peers.get(member.name.as_str()).is_none_or(|peer| peer.is_in_step && peer.is_connected)
                    && !member.meta.is_guest
            });
        Status {
            phase: self.phase(),
            founding: replicator.roster().founding,
            members,
            is_converged,
            slots_remaining: replicator.slots_remaining(),
            usage,
            diverged: control.diverged,
            conflicts: control.conflicts,
            clock_ahead_millis: control.clock_ahead_millis(),
            is_skewed: self.shared.is_skewed(),
            is_disk_full: self.is_disk_full(),
            uptime: now.instant.saturating_duration_since(self.started),
            ring_bytes: replicator.ring_bytes(),
            replication: *replicator.counters(),
            swim: *control.swim.counters(),
            health: control.swim.health(),
            local,
        }
    }

    fn usage(&self) -> Usage {
        let mut total = Usage::default();
        self.shards.iter().for_each(|shard| total += shard.lock().keyspace().usage());
        total
    }

    /// Returns the names of nodes in the roster that this node has not heard of through SWIM.
    pub fn absent_members(&self) -> Vec<(NodeId, String)> {
        let control = self.control.lock();
        let roster = control.replicator.roster();
        roster
            .current()
            .filter(|(_, record)| control.swim.member(&record.name).is_none())
            .map(|(node, record)| (node, record.name.clone()))
            .collect()
    }
}
