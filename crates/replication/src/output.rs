//! Everything that the replicator asks of its host.

use bytes::Bytes;
use trellis_crdt::{Hlc, ReplicaId, VersionVector};

use crate::identity::{FoundingId, NodeId};
use crate::message::{PushReply, PushRequest, PushedDelta, Refusal, SlotEnd, SyncReply, SyncRequest};
use crate::roster::Roster;

/// One stream between two nodes, as the replicator names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) u64);

impl LinkId {
    /// Returns the number of the link, unique within the process.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// What a link carries and in which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// Deltas of this replica go out.
    PushOut,
    /// Deltas of the peer's replica come in.
    PushIn,
    /// State is pulled from the peer.
    SyncOut,
    /// State is given to the peer.
    SyncIn,
}

/// What the host must do. Outputs are performed in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open a stream to `peer` (its certified name) and report the outcome for `link`.
    Dial {
        /// Whom.
        peer: String,
        /// The name of the stream from here on.
        link: LinkId,
        /// `PushOut` or `SyncOut`.
        kind: LinkKind,
    },
    /// Send a message; messages of a link keep their order.
    Send {
        /// Where.
        link: LinkId,
        /// What.
        message: Message,
        /// What must be durable before it leaves (R1).
        after: After,
    },
    /// Close a stream after what was sent on it; nothing more is reported for it.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Merge pushed deltas and report each by [`handle_merged`](crate::Replicator::handle_merged).
    Merge {
        /// Where they came from.
        link: LinkId,
        /// The actor of their dots.
        origin: ReplicaId,
        /// In the order of arrival.
        deltas: Vec<PushedDelta>,
    },
    /// Scan a slot on from where the scan of `link` stands, at most `bytes_max` plus one entry, and report by
    /// [`handle_scanned`](crate::Replicator::handle_scanned). A scan begins anew with `is_start`.
    Scan {
        /// The transfer that it is for.
        link: LinkId,
        /// The slot.
        slot: u8,
        /// Atoms with a seq beyond this clock.
        beyond: VersionVector,
        /// First step of the slot.
        is_start: bool,
        /// Bytes of entries after which to stop.
        bytes_max: usize,
    },
    /// Forget the scan of a link.
    ScanEnded {
        /// The transfer that it was for.
        link: LinkId,
    },
    /// Merge a part of a transfer into a slot: first the entries, then, in a log record of its own, the donor's
    /// clock (R3). Report by [`handle_part_merged`](crate::Replicator::handle_part_merged) before the next output is
    /// polled, and adopt nothing when an entry could not be merged.
    MergePart {
        /// The transfer that it came in.
        link: LinkId,
        /// The slot.
        slot: u8,
        /// In the order of the scan.
        entries: Vec<Bytes>,
        /// The donor's clock and stamp (R11), with the last part of the slot.
        end: Option<SlotEnd>,
    },
    /// Raise the hybrid logical clock above a stamp that a peer has seen (R11).
    Observe(Hlc),
    /// Log news of the roster before anything that comes after.
    Persist(Roster),
    /// Every slot was adopted: this node stops being a guest once that is durable.
    Joined,
    /// A write has reached as many nodes as it asked for.
    Replicated {
        /// The ticket of [`await_replicas`](crate::Replicator::await_replicas).
        ticket: u64,
    },
    /// Something that an operator should hear of.
    Event(Event),
}

/// What must be durable here before a message leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The message holds only what is known to be durable.
    Nothing,
    /// Everything that was logged up to this output.
    Everything,
}

/// A message with the stream type that carries it.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// On a `PushOut` link.
    PushRequest(PushRequest),
    /// On a `PushIn` link.
    PushReply(PushReply),
    /// On a `SyncOut` link.
    SyncRequest(SyncRequest),
    /// On a `SyncIn` link.
    SyncReply(SyncReply),
}

/// News for logs, metrics and alarms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer was met and both sides accepted each other.
    Met {
        /// Its name.
        peer: String,
        /// Its node.
        node: NodeId,
    },
    /// A peer refused this node.
    RefusedBy {
        /// Who.
        peer: String,
        /// Why.
        refusal: Refusal,
    },
    /// This node refused a peer.
    Refused {
        /// Whom.
        peer: String,
        /// Why.
        refusal: Refusal,
    },
    /// A node took the place of an older one of its name, which is removed.
    Superseded {
        /// The certified name.
        name: String,
        /// The node that is out.
        old: NodeId,
        /// The node that came.
        new: NodeId,
    },
    /// This node was removed: it must stop.
    SelfRemoved,
    /// A guest learned which cluster it joins.
    Joining {
        /// The founding.
        founding: FoundingId,
        /// From whom.
        donor: String,
    },
    /// A transfer from a donor is complete.
    Pulled {
        /// From whom.
        peer: String,
        /// Slots whose clock was adopted.
        slots: usize,
        /// Entries received.
        entries: usize,
    },
    /// A transfer ended before its end; it will be tried again.
    PullFailed {
        /// From whom.
        peer: String,
    },
}
