//! Who belongs to the cluster, for ever or until removed, and who owns which replica.
//!
//! Three sets that grow by union, so that nodes may exchange them in any order. SWIM tells who is alive; the
//! roster tells who counts, and forgets nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use trellis_crdt::ReplicaId;

use crate::identity::{FoundingId, NodeId};

/// Members, removals and the replica table of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Which founding the sets belong to; `None` on a node that has not joined.
    pub founding: Option<FoundingId>,
    /// Every node that ever joined.
    pub members: BTreeMap<NodeId, MemberRecord>,
    /// Nodes that are out for good. A removal is never taken back.
    pub removed: BTreeSet<NodeId>,
    /// Whose actor a replica is.
    pub replicas: BTreeMap<ReplicaId, Owner>,
}

/// What the roster keeps of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberRecord {
    /// The certified name under which it joined.
    pub name: String,
    /// From whom it took its state as a guest: donor's replica → the donor's durable LSN then. Empty for a founder.
    pub donors: BTreeMap<ReplicaId, u64>,
}

impl MemberRecord {
    /// Joins `other` and returns whether anything was news.
    fn merge(&mut self, other: &Self) -> bool {
        let mut grew = self.name < other.name;
        if grew {
            self.name.clone_from(&other.name);
        }
        for (replica, lsn) in &other.donors {
            if self.donors.get(replica).is_none_or(|held| held < lsn) {
                self.donors.insert(*replica, *lsn);
                grew = true;
            }
        }
        grew
    }
}

/// The node that a replica writes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The node.
    pub node: NodeId,
    /// Orders the replicas of that node: the greater is the newer.
    pub epoch: u64,
}

impl Roster {
    /// Joins `other` and returns what was news here, empty if nothing was.
    ///
    /// Associative, commutative and idempotent while both are of one founding: the caller compares `founding` first,
    /// and a founding that is set here stays. Where two rosters contradict each other about a name or an owner, the
    /// greater one holds everywhere.
    pub fn merge(&mut self, other: &Self) -> Self {
        let mut news = Self::default();
        if self.founding.is_none() && other.founding.is_some() {
            self.founding = other.founding;
            news.founding = other.founding;
        }
        for (node, record) in &other.members {
            let is_news = match self.members.get_mut(node) {
                Some(held) => held.merge(record),
                None => {
                    self.members.insert(*node, record.clone());
                    true
                }
            };
            if is_news {
                news.members.insert(*node, self.members[node].clone());
            }
        }
        for node in &other.removed {
            if self.removed.insert(*node) {
                news.removed.insert(*node);
            }
        }
        for (replica, owner) in &other.replicas {
            if self.replicas.get(replica).is_none_or(|held| held < owner) {
                self.replicas.insert(*replica, *owner);
                news.replicas.insert(*replica, *owner);
            }
        }
        news
    }

    /// Tells whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether `node` is a member that was not removed.
    pub fn is_member(&self, node: NodeId) -> bool {
        self.members.contains_key(&node) && !self.removed.contains(&node)
    }

    /// Returns the members that were not removed, in order.
    pub fn current(&self) -> impl Iterator<Item = (NodeId, &MemberRecord)> {
        self.members
            .iter()
            .filter(|(node, _)| !self.removed.contains(*node))
            .map(|(node, record)| (*node, record))
    }

    /// Returns the member that holds `name`, if one does that was not removed.
    pub fn holder(&self, name: &str) -> Option<NodeId> {
        self.current().find(|(_, record)| record.name == name).map(|(node, _)| node)
    }

    /// Returns the newest replica of `node` and its epoch.
    pub fn newest_replica(&self, node: NodeId) -> Option<(ReplicaId, u64)> {
        self.replicas
            .iter()
            .filter(|(_, owner)| owner.node == node)
            .map(|(replica, owner)| (*replica, owner.epoch))
            .max_by_key(|(replica, epoch)| (*epoch, *replica))
    }

    /// Tells whether a newer replica of `node` is known than this one of `epoch`: its process has a successor.
    pub fn has_successor(&self, node: NodeId, replica: ReplicaId, epoch: u64) -> bool {
        self.newest_replica(node)
            .is_some_and(|(newest, newest_epoch)| (newest_epoch, newest) > (epoch, replica))
    }

    /// Returns a hash by which two nodes learn whether theirs are equal; the same on every machine.
    pub fn hash(&self) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        hasher.write_u64(self.founding.map_or(0, FoundingId::as_u64));
        for (node, record) in &self.members {
            hasher.write_u64(node.as_u64());
            hasher.write_u64(record.name.len() as u64);
            hasher.write(record.name.as_bytes());
            hasher.write_u64(record.donors.len() as u64);
            for (replica, lsn) in &record.donors {
                hasher.write_u64(replica.as_u64());
                hasher.write_u64(*lsn);
            }
        }
        hasher.write_u64(self.members.len() as u64);
        for node in &self.removed {
            hasher.write_u64(node.as_u64());
        }
        hasher.write_u64(self.removed.len() as u64);
        for (replica, owner) in &self.replicas {
            hasher.write_u64(replica.as_u64());
            hasher.write_u64(owner.node.as_u64());
            hasher.write_u64(owner.epoch);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests;
