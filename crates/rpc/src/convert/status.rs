//! The status of a cluster.

use trellis_crdt::ReplicaId;
use trellis_replication::{FoundingId, NodeId};

use super::{InvalidMessage, name};
use crate::calls::{ClusterStatus, MemberState, MemberStatus, NodeSnapshot, NodeUsage};
use crate::pb::v1 as pb;

impl From<ClusterStatus> for pb::GetClusterStatusResponse {
    fn from(status: ClusterStatus) -> Self {
        Self {
            header: None,
            cluster_id: status.cluster,
            founding: status.founding.map(FoundingId::as_u64),
            version: status.version,
            members: status.members.into_iter().map(Into::into).collect(),
            converged: status.is_converged,
            warnings: status.warnings,
            awareness: status.awareness,
        }
    }
}

impl TryFrom<pb::GetClusterStatusResponse> for ClusterStatus {
    type Error = InvalidMessage;

    fn try_from(status: pb::GetClusterStatusResponse) -> Result<Self, InvalidMessage> {
        Ok(Self {
            cluster: status.cluster_id,
            founding: status.founding.map(FoundingId::from_u64),
            version: status.version,
            members: status.members.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            is_converged: status.converged,
            warnings: status.warnings,
            awareness: status.awareness,
        })
    }
}

impl From<MemberStatus> for pb::MemberStatus {
    fn from(member: MemberStatus) -> Self {
        Self {
            name: member.name,
            node_id: member.node.map_or(0, NodeId::as_u64),
            replica_id: member.replica.map_or(0, ReplicaId::as_u64),
            state: pb::MemberState::from(member.state).into(),
            is_guest: member.is_guest,
            client_address: member.client_address,
            peer_address: member.peer_address,
            incarnation: member.incarnation,
            since_millis: member.since_millis,
            last_heard_millis: member.last_heard_millis,
            lag: member.lag,
            usage: member.usage.map(Into::into),
        }
    }
}

impl TryFrom<pb::MemberStatus> for MemberStatus {
    type Error = InvalidMessage;

    fn try_from(member: pb::MemberStatus) -> Result<Self, InvalidMessage> {
        let state = member.state();
        Ok(Self {
            name: name(member.name, "members.name")?,
            node: Some(member.node_id).filter(|bits| *bits != 0).map(NodeId::from_u64),
            replica: Some(member.replica_id).filter(|bits| *bits != 0).map(ReplicaId::from_u64),
            state: state.into(),
            is_guest: member.is_guest,
            client_address: member.client_address,
            peer_address: member.peer_address,
            incarnation: member.incarnation,
            since_millis: member.since_millis,
            last_heard_millis: member.last_heard_millis,
            lag: member.lag,
            usage: member.usage.map(Into::into),
        })
    }
}

impl From<MemberState> for pb::MemberState {
    fn from(state: MemberState) -> Self {
        match state {
            MemberState::Alive => Self::Alive,
            MemberState::Suspect => Self::Suspect,
            MemberState::Dead => Self::Dead,
            MemberState::Left => Self::Left,
            MemberState::Unknown => Self::Unknown,
        }
    }
}

impl From<pb::MemberState> for MemberState {
    fn from(state: pb::MemberState) -> Self {
        match state {
            pb::MemberState::Alive => Self::Alive,
            pb::MemberState::Suspect => Self::Suspect,
            pb::MemberState::Dead => Self::Dead,
            pb::MemberState::Left => Self::Left,
            pb::MemberState::Unknown | pb::MemberState::Unspecified => Self::Unknown,
        }
    }
}

impl From<NodeUsage> for pb::NodeUsage {
    fn from(usage: NodeUsage) -> Self {
        let NodeUsage { keys, log_bytes, memory_bytes, uptime_millis, snapshot, log_bytes_behind_snapshot } =
            usage;
        let snapshot = snapshot.map(Into::into);
        Self { keys, log_bytes, memory_bytes, uptime_millis, snapshot, log_bytes_behind_snapshot }
    }
}

impl From<pb::NodeUsage> for NodeUsage {
    fn from(usage: pb::NodeUsage) -> Self {
        let pb::NodeUsage {
            keys,
            log_bytes,
            memory_bytes,
            uptime_millis,
            snapshot,
            log_bytes_behind_snapshot,
        } = usage;
        let snapshot = snapshot.map(Into::into);
        Self { keys, log_bytes, memory_bytes, uptime_millis, snapshot, log_bytes_behind_snapshot }
    }
}

impl From<NodeSnapshot> for pb::NodeSnapshot {
    fn from(snapshot: NodeSnapshot) -> Self {
        let NodeSnapshot { start_lsn, bytes, age_millis } = snapshot;
        Self { start_lsn, bytes, age_millis }
    }
}

impl From<pb::NodeSnapshot> for NodeSnapshot {
    fn from(snapshot: pb::NodeSnapshot) -> Self {
        let pb::NodeSnapshot { start_lsn, bytes, age_millis } = snapshot;
        Self { start_lsn, bytes, age_millis }
    }
}
