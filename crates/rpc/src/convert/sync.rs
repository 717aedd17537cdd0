//! The stream of state.

use trellis_crdt::{Hlc, ReplicaId};
use trellis_replication::{NodeId, SlotEnd, SlotPart, SyncChunk, SyncOpen, SyncReply, SyncRequest};

use super::{InvalidMessage, SLOTS, hello, invalid, required, slot};
use crate::pb::peer as pb;
use crate::pb::peer::{sync_state_request, sync_state_response};

impl From<SyncRequest> for pb::SyncStateRequest {
    fn from(request: SyncRequest) -> Self {
        use sync_state_request::Message;

        let message = match request {
            SyncRequest::Open(open) => Message::Open(open.into()),
            SyncRequest::Clock { clock, adopt } => Message::Clock(pb::SyncClock {
                clock: Some(clock.into()),
                adopt: adopt.into_iter().map(u32::from).collect(),
            }),
            SyncRequest::More => Message::More(true),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<pb::SyncStateRequest> for SyncRequest {
    type Error = InvalidMessage;

    fn try_from(request: pb::SyncStateRequest) -> Result<Self, InvalidMessage> {
        use sync_state_request::Message;

        Ok(match required(request.message, "sync.message")? {
            Message::Open(open) => Self::Open(open.try_into()?),
            Message::Clock(message) => {
                if message.adopt.len() > SLOTS {
                    return invalid("sync.clock.adopt", "names more slots than there are");
                }
                let adopt = message.adopt.into_iter().map(|number| slot(number, "sync.clock.adopt"));
                Self::Clock {
                    adopt: adopt.collect::<Result<_, _>>()?,
                    clock: required(message.clock, "sync.clock.clock")?.try_into()?,
                }
            }
            Message::More(_) => Self::More,
        })
    }
}

impl From<SyncOpen> for pb::SyncOpen {
    fn from(open: SyncOpen) -> Self {
        Self {
            node: open.node.as_u64(),
            replica: open.replica.as_u64(),
            roster_hash: open.roster_hash,
            clock_hash: open.clock_hash,
            hello: open.hello.map(|hello| (*hello).into()),
        }
    }
}

impl TryFrom<pb::SyncOpen> for SyncOpen {
    type Error = InvalidMessage;

    fn try_from(open: pb::SyncOpen) -> Result<Self, InvalidMessage> {
        Ok(Self {
            node: NodeId::from_u64(open.node),
            replica: ReplicaId::from_u64(open.replica),
            roster_hash: open.roster_hash,
            clock_hash: open.clock_hash,
            hello: open.hello.map(hello::boxed).transpose()?,
        })
    }
}

impl From<SyncReply> for pb::SyncStateResponse {
    fn from(reply: SyncReply) -> Self {
        use sync_state_response::Message;

        let message = match reply {
            SyncReply::InSync => Message::InSync(true),
            SyncReply::Unknown => Message::Unknown(true),
            SyncReply::Differs(hello) => Message::Differs((*hello).into()),
            SyncReply::Chunk(chunk) => Message::Chunk(chunk.into()),
            SyncReply::Done => Message::Done(true),
            SyncReply::Refused(refusal) => Message::Refused(refusal.into()),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<pb::SyncStateResponse> for SyncReply {
    type Error = InvalidMessage;

    fn try_from(reply: pb::SyncStateResponse) -> Result<Self, InvalidMessage> {
        use sync_state_response::Message;

        Ok(match required(reply.message, "sync.message")? {
            Message::InSync(_) => Self::InSync,
            Message::Unknown(_) => Self::Unknown,
            Message::Differs(hello) => Self::Differs(hello::boxed(hello)?),
            Message::Chunk(chunk) => Self::Chunk(chunk.try_into()?),
            Message::Done(_) => Self::Done,
            Message::Refused(refusal) => Self::Refused(refusal.try_into()?),
        })
    }
}

impl From<SyncChunk> for pb::SyncChunk {
    fn from(chunk: SyncChunk) -> Self {
        let roster = if chunk.roster.is_empty() { None } else { Some(chunk.roster.into()) };
        Self { roster, slots: chunk.slots.into_iter().map(Into::into).collect() }
    }
}

impl TryFrom<pb::SyncChunk> for SyncChunk {
    type Error = InvalidMessage;

    fn try_from(chunk: pb::SyncChunk) -> Result<Self, InvalidMessage> {
        Ok(Self {
            roster: chunk.roster.map(TryInto::try_into).transpose()?.unwrap_or_default(),
            slots: chunk.slots.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<SlotPart> for pb::SlotPart {
    fn from(part: SlotPart) -> Self {
        Self { slot: part.slot.into(), entries: part.entries, end: part.end.map(Into::into) }
    }
}

impl TryFrom<pb::SlotPart> for SlotPart {
    type Error = InvalidMessage;

    fn try_from(part: pb::SlotPart) -> Result<Self, InvalidMessage> {
        Ok(Self {
            slot: slot(part.slot, "chunk.slots.slot")?,
            entries: part.entries,
            end: part.end.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<SlotEnd> for pb::SlotEnd {
    fn from(end: SlotEnd) -> Self {
        Self { clock: Some(end.clock.into()), hlc: end.hlc.as_u64() }
    }
}

impl TryFrom<pb::SlotEnd> for SlotEnd {
    type Error = InvalidMessage;

    fn try_from(end: pb::SlotEnd) -> Result<Self, InvalidMessage> {
        Ok(Self {
            clock: required(end.clock, "chunk.slots.end.clock")?.try_into()?,
            hlc: Hlc::from_u64(end.hlc),
        })
    }
}
