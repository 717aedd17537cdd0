//! What members say to each other, decoded.

use std::cmp::Ordering;
use std::time::Duration;

use crate::broadcast::Priority;
use crate::evidence::SignId;
use crate::member::{Member, MemberId, State};
use crate::member_list::{BUCKETS, Entry, content_hash};

/// One request or reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a, I> {
    pub(crate) header: Header,
    pub(crate) body: Body<I>,
    pub(crate) updates: Vec<Update<'a, I>>,
    /// Records that were left out because their state is not known to this version.
    pub(crate) unknown_count: u64,
    pub(crate) broadcasts: Vec<Broadcast<'a, I>>,
    /// Broadcasts that were left out because they are malformed or beyond the limits of this version.
    pub(crate) spoiled_count: u64,
}

/// What the sender says of itself in every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) epoch: u64,
    pub(crate) incarnation: u64,
    /// Of all that the sender knows.
    pub(crate) digest: u64,
    /// The sender does not hold the receiver's latest record, and wants to be told.
    pub(crate) wants_record: bool,
    /// The sender has no news to spread, so a digest that differs is worth an exchange.
    pub(crate) is_quiet: bool,
}

impl Header {
    pub(crate) fn stamp(&self) -> (u64, u64) {
        (self.epoch, self.incarnation)
    }
}

/// The closed list of messages. `Ack`, `RelayedAck`, `RelayedNack` and `State` are replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body<I> {
    /// Are you `target`, and alive? Answered by `Ack`.
    Ping {
        target: I,
    },
    /// Ping `target` for me. Answered by `RelayedAck` once it has answered, by `RelayedNack` when it does not.
    PingRequest {
        target: I,
    },
    /// News. Answered by `Ack`.
    Gossip,
    /// A page of what I know, myself first, and what I want to know of you; `instance` tells my process from any
    /// other. Answered by `State`.
    Sync {
        instance: u64,
        ask: Ask<I>,
    },
    Ack,
    /// The process of `target` with this epoch has answered.
    RelayedAck {
        target: I,
        epoch: u64,
    },
    /// I am well, and `target` has not answered so far.
    RelayedNack {
        target: I,
    },
    /// A page of what I know, myself first, in the buckets that differ.
    State {
        instance: u64,
        differing: u16,
        /// The last member in the page, when there are more to ask for.
        more_after: Option<I>,
    },
}

/// What the sender of a `Sync` wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask<I> {
    /// The buckets whose digest is not this one, from the beginning.
    Differing([u64; BUCKETS]),
    /// The next page of these buckets.
    After { buckets: u16, id: I },
    /// Nothing more.
    Nothing,
}

/// One record on its way, as it lies in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update<'a, I> {
    pub(crate) id: I,
    pub(crate) epoch: u64,
    pub(crate) incarnation: u64,
    pub(crate) state: State,
    pub(crate) addr: &'a str,
    pub(crate) meta: &'a [u8],
    pub(crate) told: Told<I>,
}

/// What is told with a record that is no part of it: of how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told<I> {
    /// Of a suspect: how old the newest evidence of its life is that the sender knows of. Of a dead or departed
    /// member: for how long it has been so. Ages travel as durations, so no two clocks are compared.
    pub(crate) age: Duration,
    /// Of a suspect: what that evidence is.
    pub(crate) sign: Option<SignId<I>>,
    /// Of a suspect: who found it silent.
    pub(crate) accusers: Vec<I>,
}

impl<I> Told<I> {
    pub(crate) fn nothing() -> Self {
        Self { age: Duration::ZERO, sign: None, accusers: Vec::new() }
    }
}

impl<'a, I: MemberId> Update<'a, I> {
    /// What a record says by itself.
    pub(crate) fn of(member: &'a Member<I>) -> Self {
        Self {
            id: member.id.clone(),
            epoch: member.epoch,
            incarnation: member.incarnation,
            state: member.state,
            addr: &member.addr,
            meta: &member.meta,
            told: Told::nothing(),
        }
    }

    pub(crate) fn stamp(&self) -> (u64, u64) {
        (self.epoch, self.incarnation)
    }

    /// How the record stands to one of the same member; see [`Member`].
    ///
    /// Most records that arrive are known. Looking at the address and the metadata of each takes most of the time in
    /// a large cluster with much news, so they are compared by their hash, and only where that differs for order.
    pub(crate) fn order(&self, entry: &Entry<I>) -> Ordering {
        let member = &entry.member;
        (self.stamp(), self.state).cmp(&(member.stamp(), member.state)).then_with(|| {
            if content_hash(self.addr, self.meta) == entry.content_hash() {
                return Ordering::Equal;
            }
            (self.addr, self.meta).cmp(&(&*member.addr, &*member.meta))
        })
    }

    /// The record to keep; what it has in common with `known` is shared with it.
    pub(crate) fn to_member(&self, known: Option<&Member<I>>) -> Member<I> {
        let addr = known.map(|known| &known.addr).filter(|addr| ***addr == *self.addr).cloned();
        let meta = known.map(|known| &known.meta).filter(|meta| ***meta == *self.meta).cloned();
        Member {
            id: self.id.clone(),
            epoch: self.epoch,
            incarnation: self.incarnation,
            state: self.state,
            addr: addr.unwrap_or_else(|| self.addr.into()),
            meta: meta.unwrap_or_else(|| self.meta.into()),
        }
    }
}

/// One host's word to all others on its way, as it lies in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broadcast<'a, I> {
    pub(crate) origin: I,
    pub(crate) epoch: u64,
    /// Grows with every offer of the origin's process.
    pub(crate) version: u64,
    pub(crate) priority: Priority,
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
}
