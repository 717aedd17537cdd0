//! One simulated process, and what the cluster's agenda is made of.

use std::cmp::Ordering;
use std::collections::VecDeque;

use trellis_swim::{Member, RequestId, Swim, TransmitId};

use crate::name::Name;
use crate::tap::Tap;

/// A process, running or not. Moments and spans are in microseconds.
pub(crate) struct Node {
    pub(crate) name: Name,
    /// The number of its address.
    pub(crate) addr: u32,
    pub(crate) swim: Option<Swim<Name>>,
    /// Tells this process from earlier ones of the member.
    pub(crate) boot: u64,
    /// What an earlier process knew when it ended.
    pub(crate) book: Vec<Member<Name>>,
    pub(crate) paused_until: u64,
    /// How long at most messages wait in its inbox.
    pub(crate) slow_by: u64,
    /// How far its clock is ahead.
    pub(crate) offset: u64,
    pub(crate) wake_at: Option<u64>,
    pub(crate) wake_generation: u64,
    /// What arrived during a pause.
    pub(crate) backlog: VecDeque<Packet>,
    /// Requests to be answered later: of whom, of which process, and which.
    pub(crate) deferred: VecDeque<(RequestId, usize, u64, TransmitId)>,
    /// What it was handed so far, where that is noted.
    pub(crate) tap: Option<Tap>,
}

impl Node {
    pub(crate) fn new(name: Name, addr: u32) -> Self {
        Self {
            name,
            addr,
            swim: None,
            boot: 0,
            book: Vec::new(),
            paused_until: 0,
            slow_by: 0,
            offset: 0,
            wake_at: None,
            wake_generation: 0,
            backlog: VecDeque::new(),
            deferred: VecDeque::new(),
            tap: None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) content: Content,
}

/// What a packet carries; `boot` is the process that waits for the answer.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Request { boot: u64, id: TransmitId, payload: Box<[u8]> },
    Reply { boot: u64, id: TransmitId, payload: Box<[u8]> },
    Failure { boot: u64, id: TransmitId },
}

/// Something that happens at a moment; of what happens at one, what was scheduled first comes first.
pub(crate) struct Item {
    pub(crate) at: u64,
    pub(crate) order: u64,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// The member wanted to be woken, unless it has changed its mind.
    Wake { index: usize, generation: u64 },
    /// A pause is over.
    Resume(usize),
    /// A packet reaches its receiver's host.
    Arrive(Packet),
    /// The receiver looks at it.
    Handle(Packet),
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
