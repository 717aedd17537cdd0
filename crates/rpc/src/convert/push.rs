//! The stream of deltas.

use trellis_replication::{PushReply, PushRequest, PushedDelta};

use super::{InvalidMessage, SLOTS, at_least_one, hello, invalid, required, slot};
use crate::pb::peer as pb;
use crate::pb::peer::{push_delta_request, push_delta_response};

impl From<PushRequest> for pb::PushDeltaRequest {
    fn from(request: PushRequest) -> Self {
        use push_delta_request::Message;

        let message = match request {
            PushRequest::Hello(hello) => Message::Hello((*hello).into()),
            PushRequest::Roster(roster) => Message::Roster(roster.into()),
            PushRequest::Deltas(deltas) => {
                Message::Deltas(pb::Deltas { deltas: deltas.into_iter().map(Into::into).collect() })
            }
            PushRequest::Gone { slot } => Message::Gone(slot.into()),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<pb::PushDeltaRequest> for PushRequest {
    type Error = InvalidMessage;

    fn try_from(request: pb::PushDeltaRequest) -> Result<Self, InvalidMessage> {
        use push_delta_request::Message;

        Ok(match required(request.message, "push.message")? {
            Message::Hello(hello) => Self::Hello(hello::boxed(hello)?),
            Message::Roster(roster) => Self::Roster(roster.try_into()?),
            Message::Deltas(deltas) => {
                Self::Deltas(deltas.deltas.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
            Message::Gone(number) => Self::Gone { slot: slot(number, "push.gone")? },
        })
    }
}

impl From<PushedDelta> for pb::Delta {
    fn from(delta: PushedDelta) -> Self {
        Self { slot: delta.slot.into(), seq: delta.seq, payload: delta.payload }
    }
}

impl TryFrom<pb::Delta> for PushedDelta {
    type Error = InvalidMessage;

    fn try_from(delta: pb::Delta) -> Result<Self, InvalidMessage> {
        Ok(Self {
            slot: slot(delta.slot, "delta.slot")?,
            seq: at_least_one(delta.seq, "delta.seq")?,
            payload: delta.payload,
        })
    }
}

impl From<PushReply> for pb::PushDeltaResponse {
    fn from(reply: PushReply) -> Self {
        use push_delta_response::Message;

        let message = match reply {
            PushReply::Hello(hello) => Message::Hello((*hello).into()),
            PushReply::Refused(refusal) => Message::Refused(refusal.into()),
            PushReply::Acked(prefixes) => {
                let (slots, seqs) = prefixes.into_iter().map(|(slot, seq)| (u32::from(slot), seq)).unzip();
                Message::Acked(pb::Acked { slots, seqs })
            }
            PushReply::Wanted { slot, first, last } => {
                Message::Wanted(pb::Wanted { slot: slot.into(), first, last })
            }
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<pb::PushDeltaResponse> for PushReply {
    type Error = InvalidMessage;

    fn try_from(reply: pb::PushDeltaResponse) -> Result<Self, InvalidMessage> {
        use push_delta_response::Message;

        Ok(match required(reply.message, "push.message")? {
            Message::Hello(hello) => Self::Hello(hello::boxed(hello)?),
            Message::Refused(refusal) => Self::Refused(refusal.try_into()?),
            Message::Acked(acked) => Self::Acked(prefixes(acked)?),
            Message::Wanted(wanted) => {
                let first = at_least_one(wanted.first, "wanted.first")?;
                if wanted.last < first {
                    return invalid("wanted.last", "is before first");
                }
                Self::Wanted { slot: slot(wanted.slot, "wanted.slot")?, first, last: wanted.last }
            }
        })
    }
}

fn prefixes(acked: pb::Acked) -> Result<Vec<(u8, u64)>, InvalidMessage> {
    if acked.slots.len() != acked.seqs.len() {
        return invalid("acked", "has lists of different lengths");
    }
    if acked.slots.len() > SLOTS {
        return invalid("acked.slots", "names more slots than there are");
    }
    acked
        .slots
        .into_iter()
        .zip(acked.seqs)
        .map(|(number, seq)| Ok((slot(number, "acked.slots")?, seq)))
        .collect()
}
