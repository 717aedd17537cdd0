//! Everything that the core asks of the runtime.

use std::time::{Duration, Instant};

use trellis_replication::{Event, Gossip, LinkId, LinkKind, Message, NodeId, Ping, Pong};

/// What the runtime must do. Effects are performed in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Open a stream and report [`LinkEvent::Opened`](trellis_replication::LinkEvent::Opened) or `Closed`.
    Open {
        /// The name of the stream from here on.
        link: LinkId,
        /// `PushOut` or `SyncOut`.
        kind: LinkKind,
        /// The certified name that the other side must show.
        peer: String,
        /// Host and port.
        address: String,
    },
    /// Send a message on a stream. All that it says is durable.
    Send {
        /// Where.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// Close a stream after what was sent on it.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Make a call and report its outcome by [`Core::handle_answer`](super::Core::handle_answer).
    Call {
        /// Names the call.
        id: CallId,
        /// The certified name that the other side must show, where it is known.
        peer: Option<String>,
        /// Host and port.
        address: String,
        /// What to say.
        request: Request,
        /// When to give up.
        deadline: Instant,
    },
    /// Answer a ping that was to be answered later.
    Answer {
        /// The number that [`Core::answer_ping`](super::Core::answer_ping) gave.
        id: u64,
        /// The answer.
        pong: Box<Pong>,
    },
    /// A write has reached as many nodes as it asked for.
    Replicated {
        /// The ticket of [`Core::await_replicas`](super::Core::await_replicas).
        ticket: u64,
    },
    /// The other members were told that this node leaves.
    LeaveDrained,
    /// The node's phase changed.
    Phase(Phase),
    /// Something for the log of the operator.
    Notice(Notice),
}

/// Names a call that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) u64);

/// A unary call between nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Who are you; carries SWIM's probes.
    Ping(Ping),
    /// An exchange of news.
    Gossip(Gossip),
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To a ping.
    Pong(Box<Pong>),
    /// To gossip.
    Gossip(Box<Gossip>),
}

impl Answer {
    /// Returns SWIM's part of it, empty for none.
    pub(crate) fn swim(&self) -> &[u8] {
        match self {
            Self::Pong(pong) => &pong.swim,
            Self::Gossip(gossip) => &gossip.swim,
        }
    }
}

/// An answer and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The name in the certificate that the other side showed on the connection that carried the answer.
    pub from: String,
    /// What it said.
    pub answer: Answer,
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// Nobody listens at the address.
    Refused,
    /// No answer before the deadline.
    TimedOut,
    /// The connection broke, or the other side answered with an error.
    Closed,
}

/// What the node is able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// It joins and has not adopted every slot: no reads, no writes, gives nothing (R12).
    Guest = 0,
    /// It serves.
    Serving = 1,
    /// It is about to stop: no writes.
    Draining = 2,
    /// Its log failed: reads of what is durable only (R17).
    Failed = 3,
    /// The cluster removed it: nothing any more.
    Removed = 4,
}

/// News for logs, alarms and metrics.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// From replication.
    Replication(Event),
    /// A member came up, was suspected, or died, as SWIM sees it.
    Membership {
        /// Its name.
        name: String,
        /// Its state from here on.
        state: &'static str,
    },
    /// Others took this node for something else than alive, and are told otherwise.
    Accused {
        /// For what.
        state: &'static str,
    },
    /// This process was late: it judges nobody by what it has missed.
    Late {
        /// By how much.
        late: Duration,
    },
    /// No other member is up, or some is again.
    Isolated {
        /// False once some member is up again.
        is_isolated: bool,
    },
    /// Two live processes show one name or one node.
    Conflict {
        /// The name.
        name: String,
        /// What was seen.
        detail: String,
    },
    /// A guest waits: why, and for whom.
    Waiting {
        /// In words.
        detail: String,
    },
    /// Equal clocks and different digests: the state has diverged (invariant 7).
    Diverged {
        /// With whom.
        peer: String,
        /// Where.
        slot: u8,
    },
    /// What a peer sent could not be merged.
    Unmergeable {
        /// The slot.
        slot: u8,
        /// Why.
        detail: String,
    },
    /// This node's wall clock is too far from its peers': register writes are refused until it is back.
    ClockSkew {
        /// How far it is ahead of the median, in milliseconds.
        ahead_millis: i64,
        /// False once it is within bounds again.
        is_beyond: bool,
    },
    /// The place of a node of the same name is taken.
    Supersedes {
        /// The node that is gone.
        node: NodeId,
    },
}
