//! What the core asks of its host and tells it.

use std::time::Instant;

use crate::input::{RequestId, TransmitId};
use crate::member::Member;

/// The closed list of what the host has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<I> {
    /// Send a request and report its reply or failure.
    Transmit(Transmit<I>),
    /// Answer a request that was deferred; when its caller has gone, drop the reply.
    Reply {
        /// The request, as [`Handled::Deferred`](crate::Handled::Deferred) named it.
        request: RequestId,
        /// The reply's bytes.
        payload: Vec<u8>,
    },
    /// Something changed.
    Event(Event<I>),
}

/// One request over a link that proves the peer's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit<I> {
    /// Names it in [`handle_reply`](crate::Swim::handle_reply) and
    /// [`handle_send_failure`](crate::Swim::handle_send_failure).
    pub id: TransmitId,
    /// The address.
    pub to: String,
    /// Who is to be found there; `None` for a seed that has not answered yet.
    pub peer: Option<I>,
    /// What for.
    pub kind: TransmitKind,
    /// The request's bytes.
    pub payload: Vec<u8>,
    /// When a reply has lost its use.
    pub deadline: Instant,
}

/// What a transmission is for, so that the host can choose the call that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitKind {
    /// A ping, answered by the peer itself.
    PingDirect,
    /// A request to ping a third member, answered when that one has answered.
    PingIndirect,
    /// News.
    Gossip,
    /// The whole state, answered by the whole state.
    Join,
    /// News with the word that this member leaves.
    Leave,
}

/// A change of the membership as this member sees it.
///
/// For each member, `Up` comes first and after each `Dead` or `Left`; `Suspected` is followed by `Refuted`, `Dead`
/// or `Left`. A member that was never up here has no event but `Left`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<I> {
    /// It takes part from here on.
    Up(Member<I>),
    /// It did not answer someone.
    Suspected(Member<I>),
    /// It took part all the time: the suspicion is void.
    Refuted(Member<I>),
    /// It was silent for too long.
    Dead(Member<I>),
    /// It said that it goes.
    Left(Member<I>),
    /// It started anew, moved, or changed its metadata.
    Updated(Member<I>),
    /// Another live process bears the local id; the record is that process's. Reported at most once per probe
    /// interval for as long as it lasts.
    Conflict(Member<I>),
    /// The local departure is told: the process may stop.
    LeaveDrained,
}
