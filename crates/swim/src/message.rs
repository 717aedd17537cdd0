//! What members say to each other, decoded.

use std::time::Duration;

use crate::member::Member;

/// One request or reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message<I> {
    pub(crate) header: Header,
    pub(crate) body: Body<I>,
    pub(crate) updates: Vec<Update<I>>,
    /// Records that were left out because their state is not known to this version.
    pub(crate) unknown_count: u64,
}

/// What the sender says of itself in every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) epoch: u64,
    pub(crate) incarnation: u64,
    /// The sender does not hold the receiver's latest record: an exchange of the whole state is wanted.
    pub(crate) wants_exchange: bool,
}

impl Header {
    pub(crate) fn stamp(&self) -> (u64, u64) {
        (self.epoch, self.incarnation)
    }
}

/// The closed list of messages. `Ack`, `RelayedAck` and `State` are replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body<I> {
    /// Are you `target`, and alive? Answered by `Ack`.
    Ping {
        target: I,
    },
    /// Ping `target` for me. Answered by `RelayedAck` once it has answered.
    PingRequest {
        target: I,
    },
    /// News. Answered by `Ack`.
    Gossip,
    /// All that I know, myself first; `instance` tells my process from any other. Answered by `State`.
    Join {
        instance: u64,
    },
    Ack,
    /// The process of `target` with this epoch has answered.
    RelayedAck {
        target: I,
        epoch: u64,
    },
    /// All that I know, myself first.
    State {
        instance: u64,
    },
}

/// One record on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update<I> {
    pub(crate) member: Member<I>,
    /// Of a suspect: how old the newest evidence of its life is that the sender knows of. Ages travel as
    /// durations, so no two clocks are compared.
    pub(crate) evidence_age: Option<Duration>,
}
