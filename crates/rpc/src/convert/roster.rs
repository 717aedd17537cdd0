//! Members, removals, the replica table, and clocks.

use std::collections::{BTreeMap, BTreeSet};

use trellis_crdt::{ReplicaId, VersionVector};
use trellis_replication::{FoundingId, MemberRecord, NodeClock, NodeId, Owner, Roster};

use super::{InvalidMessage, ascending, at_least_one, invalid, name, slot};
use crate::pb::peer as pb;

impl From<Roster> for pb::Roster {
    fn from(roster: Roster) -> Self {
        let members = roster.members.into_iter().map(|(node, record)| pb::Member {
            node: node.as_u64(),
            name: record.name,
            donors: record
                .donors
                .into_iter()
                .map(|(replica, lsn)| pb::Donor { replica: replica.as_u64(), lsn })
                .collect(),
        });
        let replicas = roster.replicas.into_iter().map(|(replica, owner)| pb::Replica {
            replica: replica.as_u64(),
            node: owner.node.as_u64(),
            epoch: owner.epoch,
        });
        Self {
            founding: roster.founding.map(FoundingId::as_u64),
            members: members.collect(),
            removed: roster.removed.into_iter().map(NodeId::as_u64).collect(),
            replicas: replicas.collect(),
        }
    }
}

impl TryFrom<pb::Roster> for Roster {
    type Error = InvalidMessage;

    fn try_from(roster: pb::Roster) -> Result<Self, InvalidMessage> {
        let mut members = BTreeMap::new();
        for member in roster.members {
            let donors: BTreeMap<_, _> =
                member.donors.iter().map(|donor| (ReplicaId::from_u64(donor.replica), donor.lsn)).collect();
            if donors.len() != member.donors.len() {
                return invalid("roster.members.donors", "holds one twice");
            }
            let record = MemberRecord { name: name(member.name, "roster.members.name")?, donors };
            if members.insert(NodeId::from_u64(member.node), record).is_some() {
                return invalid("roster.members", "holds one twice");
            }
        }
        let removed: BTreeSet<_> = roster.removed.iter().copied().map(NodeId::from_u64).collect();
        let mut replicas = BTreeMap::new();
        for replica in &roster.replicas {
            let owner = Owner { node: NodeId::from_u64(replica.node), epoch: replica.epoch };
            if replicas.insert(ReplicaId::from_u64(replica.replica), owner).is_some() {
                return invalid("roster.replicas", "holds one twice");
            }
        }
        Ok(Self { founding: roster.founding.map(FoundingId::from_u64), members, removed, replicas })
    }
}

impl From<NodeClock> for pb::NodeClock {
    /// O(entries · log origins).
    fn from(clock: NodeClock) -> Self {
        let origins: BTreeSet<u64> =
            clock.slots().flat_map(|(_, vector)| vector.iter().map(|(origin, _)| origin.as_u64())).collect();
        let origins: Vec<u64> = origins.into_iter().collect();
        let mut message = Self::default();
        for (slot, vector) in clock.slots() {
            for (origin, seq) in vector.iter() {
                let index = origins.partition_point(|known| *known < origin.as_u64());
                message.slots.push(u32::from(slot));
                message
                    .origin_indexes
                    .push(u32::try_from(index).expect("a clock names fewer than 2^32 replicas"));
                message.seqs.push(seq);
            }
        }
        message.origins = origins;
        message
    }
}

impl TryFrom<pb::NodeClock> for NodeClock {
    type Error = InvalidMessage;

    fn try_from(message: pb::NodeClock) -> Result<Self, InvalidMessage> {
        let origins = ascending(&message.origins, "clock.origins")?;
        if message.slots.len() != message.seqs.len() || message.origin_indexes.len() != message.seqs.len() {
            return invalid("clock", "has lists of different lengths");
        }
        let places = message.slots.iter().zip(&message.origin_indexes);
        if !places.clone().is_sorted_by(|left, right| left < right) {
            return invalid("clock", "is not ascending");
        }
        let mut clock = Self::new();
        for ((number, index), seq) in places.zip(&message.seqs) {
            let origin = usize::try_from(*index).ok().and_then(|index| origins.get(index));
            let Some(origin) = origin else {
                return invalid("clock.origin_indexes", "names an origin that is not there");
            };
            clock.raise(slot(*number, "clock.slots")?, *origin, at_least_one(*seq, "clock.seqs")?);
        }
        Ok(clock)
    }
}

impl From<VersionVector> for pb::SlotClock {
    fn from(clock: VersionVector) -> Self {
        let (origins, seqs) = clock.iter().map(|(origin, seq)| (origin.as_u64(), seq)).unzip();
        Self { origins, seqs }
    }
}

impl TryFrom<pb::SlotClock> for VersionVector {
    type Error = InvalidMessage;

    fn try_from(message: pb::SlotClock) -> Result<Self, InvalidMessage> {
        let origins = ascending(&message.origins, "clock.origins")?;
        if origins.len() != message.seqs.len() {
            return invalid("clock", "has lists of different lengths");
        }
        let mut clock = Self::new();
        for (origin, seq) in origins.into_iter().zip(message.seqs) {
            clock.raise(origin, at_least_one(seq, "clock.seqs")?);
        }
        Ok(clock)
    }
}
