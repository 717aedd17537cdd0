//! One simulated process, and what the cluster's agenda is made of.

use std::collections::{BTreeSet, VecDeque};

use trellis_swim::{Member, RequestId, Swim, TransmitId, TransmitKind};

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
    /// Members that have answered this process, without a link that broke since.
    pub(crate) links: BTreeSet<usize>,
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
            links: BTreeSet::new(),
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
    Request {
        boot: u64,
        id: TransmitId,
        payload: Box<[u8]>,
    },
    Reply {
        boot: u64,
        id: TransmitId,
        payload: Box<[u8]>,
    },
    Failure {
        boot: u64,
        id: TransmitId,
    },
    /// The sender's process has ended, and with it the link.
    Closed,
}

/// Something that happens at a moment.
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

/// A flag, and a record in a state, that this version does not know.
pub(crate) fn of_a_later_version(payload: &[u8]) -> Box<[u8]> {
    let mut bytes = payload.to_vec();
    bytes[10] |= 0x80;
    bytes.extend_from_slice(&[4, 0, 77, 1, 2, 3]);
    bytes.into()
}

pub(crate) fn name_of(kind: TransmitKind) -> &'static str {
    match kind {
        TransmitKind::PingDirect => "ping",
        TransmitKind::PingIndirect => "ping request",
        TransmitKind::Gossip => "gossip",
        TransmitKind::Sync => "sync",
        TransmitKind::Leave => "leave",
    }
}

/// The order of FNV-1a over eight bytes at a time: enough to tell two histories apart.
pub(crate) fn fold(hash: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(hash, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5)
    })
}
