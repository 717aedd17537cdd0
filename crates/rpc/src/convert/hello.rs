//! Who a process is, and the hello.

use trellis_crdt::{Hlc, ReplicaId};
use trellis_replication::{Hello, Identity, NodeId};

use super::{InvalidMessage, invalid, name, required};
use crate::pb::peer as pb;

impl From<Identity> for pb::Identity {
    fn from(identity: Identity) -> Self {
        Self {
            name: identity.name,
            node: identity.node.as_u64(),
            replica: identity.replica.as_u64(),
            epoch: identity.epoch,
            boot_nonce: identity.boot_nonce,
        }
    }
}

impl TryFrom<pb::Identity> for Identity {
    type Error = InvalidMessage;

    fn try_from(identity: pb::Identity) -> Result<Self, InvalidMessage> {
        Ok(Self {
            name: name(identity.name, "identity.name")?,
            node: NodeId::from_u64(identity.node),
            replica: ReplicaId::from_u64(identity.replica),
            epoch: identity.epoch,
            boot_nonce: identity.boot_nonce,
        })
    }
}

impl From<Hello> for pb::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            cluster: hello.cluster,
            protocol_min: hello.protocol_min,
            protocol_max: hello.protocol_max,
            identity: Some(hello.identity.into()),
            is_guest: hello.is_guest,
            supersedes: hello.supersedes.map(NodeId::as_u64),
            durable_lsn: hello.durable_lsn,
            roster: Some(hello.roster.into()),
            clock: Some(hello.clock.into()),
            hlc: hello.hlc.as_u64(),
        }
    }
}

impl TryFrom<pb::Hello> for Hello {
    type Error = InvalidMessage;

    fn try_from(hello: pb::Hello) -> Result<Self, InvalidMessage> {
        if hello.protocol_min > hello.protocol_max {
            return invalid("hello.protocol_min", "is greater than protocol_max");
        }
        Ok(Self {
            cluster: name(hello.cluster, "hello.cluster")?,
            protocol_min: hello.protocol_min,
            protocol_max: hello.protocol_max,
            identity: required(hello.identity, "hello.identity")?.try_into()?,
            is_guest: hello.is_guest,
            supersedes: hello.supersedes.map(NodeId::from_u64),
            durable_lsn: hello.durable_lsn,
            roster: required(hello.roster, "hello.roster")?.try_into()?,
            clock: required(hello.clock, "hello.clock")?.try_into()?,
            hlc: Hlc::from_u64(hello.hlc),
        })
    }
}

/// Reads a hello into the box in which messages keep it.
pub(super) fn boxed(hello: pb::Hello) -> Result<Box<Hello>, InvalidMessage> {
    hello.try_into().map(Box::new)
}
