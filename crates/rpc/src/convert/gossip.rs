//! Pings and gossip.

use trellis_crdt::ReplicaId;
use trellis_replication::{FoundingId, Gossip, Holder, NodeId, Ping, Pong, SlotDigest};

use super::{InvalidMessage, SLOTS, invalid, name, required, slot};
use crate::pb::peer as pb;

impl From<Ping> for pb::PingRequest {
    fn from(ping: Ping) -> Self {
        Self {
            swim: ping.swim,
            wall_millis: ping.wall_millis,
            joining: ping.joining.map(|(name, node)| pb::Joining { name, node: node.as_u64() }),
        }
    }
}

impl TryFrom<pb::PingRequest> for Ping {
    type Error = InvalidMessage;

    fn try_from(ping: pb::PingRequest) -> Result<Self, InvalidMessage> {
        let joining = match ping.joining {
            Some(joining) => Some((name(joining.name, "ping.joining.name")?, NodeId::from_u64(joining.node))),
            None => None,
        };
        Ok(Self { swim: ping.swim, wall_millis: ping.wall_millis, joining })
    }
}

impl From<Pong> for pb::PingResponse {
    fn from(pong: Pong) -> Self {
        let holder = pong.holder.map(|holder| pb::Holder {
            node: holder.node.as_u64(),
            boot_nonce: holder.boot_nonce,
            address: holder.address,
            is_dead: holder.is_dead,
        });
        Self {
            identity: Some(pong.identity.into()),
            founding: pong.founding.map(FoundingId::as_u64),
            is_guest: pong.is_guest,
            swim: pong.swim,
            wall_millis: pong.wall_millis,
            holder,
        }
    }
}

impl TryFrom<pb::PingResponse> for Pong {
    type Error = InvalidMessage;

    fn try_from(pong: pb::PingResponse) -> Result<Self, InvalidMessage> {
        let holder = pong.holder.map(|holder| Holder {
            node: NodeId::from_u64(holder.node),
            boot_nonce: holder.boot_nonce,
            address: holder.address,
            is_dead: holder.is_dead,
        });
        Ok(Self {
            identity: required(pong.identity, "pong.identity")?.try_into()?,
            founding: pong.founding.map(FoundingId::from_u64),
            is_guest: pong.is_guest,
            swim: pong.swim,
            wall_millis: pong.wall_millis,
            holder,
        })
    }
}

impl From<Gossip> for pb::News {
    fn from(gossip: Gossip) -> Self {
        Self {
            node: gossip.node.as_u64(),
            replica: gossip.replica.as_u64(),
            swim: gossip.swim,
            roster_hash: gossip.roster_hash,
            roster: gossip.roster.map(|roster| (*roster).into()),
            clock_hash: gossip.clock_hash,
            digests: gossip.digests.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::News> for Gossip {
    type Error = InvalidMessage;

    fn try_from(news: pb::News) -> Result<Self, InvalidMessage> {
        if news.digests.len() > SLOTS {
            return invalid("news.digests", "are more than there are slots");
        }
        Ok(Self {
            node: NodeId::from_u64(news.node),
            replica: ReplicaId::from_u64(news.replica),
            swim: news.swim,
            roster_hash: news.roster_hash,
            roster: news.roster.map(|roster| roster.try_into().map(Box::new)).transpose()?,
            clock_hash: news.clock_hash,
            digests: news.digests.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<SlotDigest> for pb::SlotDigest {
    fn from(digest: SlotDigest) -> Self {
        Self {
            slot: digest.slot.into(),
            clock_hash: digest.clock_hash,
            digest: digest.digest.to_le_bytes().to_vec().into(),
        }
    }
}

impl TryFrom<pb::SlotDigest> for SlotDigest {
    type Error = InvalidMessage;

    fn try_from(message: pb::SlotDigest) -> Result<Self, InvalidMessage> {
        let Ok(digest) = message.digest.as_ref().try_into() else {
            return invalid("news.digests.digest", "is not 16 bytes");
        };
        Ok(Self {
            slot: slot(message.slot, "news.digests.slot")?,
            clock_hash: message.clock_hash,
            digest: u128::from_le_bytes(digest),
        })
    }
}
