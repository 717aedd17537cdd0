//! What the core asks of its host and tells it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::input::{RequestId, TransmitId};
use crate::member::Member;

/// The closed list of what the host has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<I> {
    /// Send a request, whose bytes are in the buffer, and report its reply or failure.
    Transmit(Transmit<I>),
    /// Answer a request that was deferred with the bytes in the buffer; when its caller has gone, drop them.
    Reply {
        /// The request, as [`Handled::Deferred`](crate::Handled::Deferred) named it.
        request: RequestId,
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
    pub to: Arc<str>,
    /// Who is to be found there; `None` for a seed that has not answered yet.
    pub peer: Option<I>,
    /// What for.
    pub kind: TransmitKind,
    /// When a reply has lost its use. For a ping that is long after it counts as failed: a late answer still tells
    /// that the peer lives.
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
    /// A page of an exchange of state, answered by a page. It may be longer than the others, and is best sent over
    /// something that repeats what is lost.
    Sync,
    /// News with the word that this member leaves.
    Leave,
}

/// A change of the membership as this member sees it.
///
/// For each member, `Up` comes first and after each `Dead` or `Left`; `Suspected` is followed by `Refuted`, `Dead`
/// or `Left`, with at most one `Unreachable` between. A member that was never up here has no event but `Left`. A
/// `Broadcast` is no change, and comes at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<I> {
    /// It takes part from here on.
    Up(Member<I>),
    /// It did not answer someone.
    Suspected {
        /// Who is suspected.
        member: Member<I>,
        /// Who says so.
        by: I,
    },
    /// It was silent for too long, and it is for the host to say whether it is dead
    /// ([`confirm_dead`](crate::Swim::confirm_dead)). With [`DeadPolicy::Manual`](crate::DeadPolicy::Manual) only,
    /// once per suspicion.
    Unreachable(Member<I>),
    /// It took part all the time: the suspicion is void.
    Refuted(Member<I>),
    /// It was silent for too long, or a host says that it is dead.
    Dead {
        /// Who is dead.
        member: Member<I>,
        /// How this member knows.
        reason: DeathReason,
    },
    /// It said that it goes.
    Left(Member<I>),
    /// It started anew, moved, or changed its metadata.
    Updated(Member<I>),
    /// Another live process bears the local id, and the record is that process's. Or others show a record of it, this
    /// one, that cannot be superseded, at [`EPOCH_MAX`](crate::EPOCH_MAX) and
    /// [`INCARNATION_MAX`](crate::INCARNATION_MAX), or is not to be, as to outdo it would leave next to nothing above:
    /// where others believe it, the member needs another id. Reported at most once per probe interval while it lasts.
    Conflict(Member<I>),
    /// Others suspected the local member, or called it dead or departed, and are told otherwise.
    SelfAccused(Member<I>),
    /// This process was late by so much, so it judges nobody by what it has missed. Reported at most once per
    /// probe interval.
    SelfLagging(Duration),
    /// No other member is up and within reach.
    Isolated,
    /// After `Isolated`: some member is up again, or within reach.
    Healed,
    /// The local departure is told: the process may stop.
    LeaveDrained,
    /// The host of another member has offered this to all, by [`offer_broadcast`](crate::Swim::offer_broadcast). Each
    /// offer is reported at most once in an epoch of its origin and for as long as the origin is known, and none after
    /// a later one of the same origin and key. Some never come.
    Broadcast {
        /// Whose host. It is a member that is known here, and need not be up.
        origin: I,
        /// Under which key.
        key: Arc<[u8]>,
        /// What it said.
        payload: Arc<[u8]>,
    },
}

/// How a death became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathReason {
    /// By the own clock.
    Silence,
    /// Another member said so.
    Told,
    /// The local host said so.
    Confirmed,
}

/// How well the local member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Lifeguard's score: 0 is healthy, [`Config::awareness_max`](crate::Config::awareness_max) the worst.
    pub awareness: u32,
    /// By how much the host was late when it was last too late.
    pub lag: Duration,
    /// The longest time of late from a message to its answer, fading; at most [`Config::probe_timeout`](crate::Config).
    pub round_trip: Duration,
    /// How many records are still to be told to others.
    pub news_count: usize,
    /// How many broadcasts, own and others', are still to be told to others.
    pub broadcasts_count: usize,
    /// No other member is up and within reach.
    pub is_isolated: bool,
}
