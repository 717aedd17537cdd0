//! Everything that one node says to another, apart from SWIM's own bytes, which travel opaque.

use bytes::Bytes;
use trellis_crdt::{Hlc, ReplicaId, VersionVector};

use crate::clock::NodeClock;
use crate::identity::{FoundingId, Identity, NodeId};
use crate::roster::Roster;

/// What a process shows of itself and its state when two nodes meet.
///
/// Holds only what is durable at the sender.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// The cluster id of the sender's certificate.
    pub cluster: String,
    /// The oldest protocol version that the sender speaks.
    pub protocol_min: u32,
    /// The newest protocol version that the sender speaks.
    pub protocol_max: u32,
    /// Who speaks.
    pub identity: Identity,
    /// True until the sender has adopted every slot: it gives nothing and acknowledges nothing.
    pub is_guest: bool,
    /// A node of the same name that the sender found to be gone, and whose place it takes.
    pub supersedes: Option<NodeId>,
    /// The end of the sender's synced log.
    pub durable_lsn: u64,
    /// Members, removals and replica table as the sender knows them.
    pub roster: Roster,
    /// The durable clock; empty for a guest.
    pub clock: NodeClock,
    /// The greatest stamp that the sender has seen.
    pub hlc: Hlc,
}

/// From the origin of deltas to a peer, on a push stream. The first is always a hello.
#[derive(Clone, Debug, PartialEq)]
pub enum PushRequest {
    /// Opens the stream.
    Hello(Box<Hello>),
    /// News of the roster; sent before any delta that names a replica of it.
    Roster(Roster),
    /// Deltas of the hello's replica.
    Deltas(Vec<PushedDelta>),
    /// A wanted range of this slot is no longer in the ring: catch up instead.
    Gone {
        /// The slot.
        slot: u8,
    },
}

/// One operation of the stream's origin, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedDelta {
    /// The slot of its key.
    pub slot: u8,
    /// Its seq within the slot, at least 1.
    pub seq: u64,
    /// The delta in the codec of trellis-crdt.
    pub payload: Bytes,
}

/// From the receiver of deltas back to their origin.
#[derive(Clone, Debug, PartialEq)]
pub enum PushReply {
    /// Answers the hello.
    Hello(Box<Hello>),
    /// Ends the stream.
    Refused(Refusal),
    /// Of the stream's origin: slot → the contiguous prefix that is durable at the receiver, where it changed.
    Acked(Vec<(u8, u64)>),
    /// A gap: the receiver has nothing of the origin's seqs `first..=last` in `slot`.
    Wanted {
        /// The slot.
        slot: u8,
        /// The first seq that is missing.
        first: u64,
        /// The last seq that is missing.
        last: u64,
    },
}

/// From the node that pulls to its donor, on a sync stream.
#[derive(Clone, Debug, PartialEq)]
pub enum SyncRequest {
    /// Asks whether there is anything to pull.
    Open(SyncOpen),
    /// After [`SyncReply::Differs`]: what the puller has, and which slots it wants even where it lacks nothing.
    Clock {
        /// The puller's durable clock.
        clock: NodeClock,
        /// Slots to send whole and to close with a clock in any case: those that a guest has not adopted.
        adopt: Vec<u8>,
    },
    /// What came so far is durable here: send the next chunk.
    More,
}

/// The first message on a sync stream.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncOpen {
    /// The puller's node.
    pub node: NodeId,
    /// The puller's replica.
    pub replica: ReplicaId,
    /// Hash of the puller's roster.
    pub roster_hash: u64,
    /// Hash of the puller's durable clock.
    pub clock_hash: u64,
    /// For a donor that does not know this replica yet, and always from a guest.
    pub hello: Option<Box<Hello>>,
}

/// From the donor to the node that pulls.
#[derive(Clone, Debug, PartialEq)]
pub enum SyncReply {
    /// Both have the same; the stream ends.
    InSync,
    /// The donor does not know this replica: open again with a hello.
    Unknown,
    /// The clocks differ: send yours. Carries the donor's hello, whose roster is to be logged before any entry.
    Differs(Box<Hello>),
    /// Part of the answer.
    Chunk(SyncChunk),
    /// All was sent; the stream ends.
    Done,
    /// Ends the stream.
    Refused(Refusal),
}

/// A bounded part of a transfer: some slots' entries, each slot closed by its clock once it is complete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncChunk {
    /// News of the donor's roster since the last message, so that every replica named has an owner.
    pub roster: Roster,
    /// In the order of the scan; a slot may come in several chunks.
    pub slots: Vec<SlotPart>,
}

/// Atoms of one slot, and the clock to adopt after the last of them.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotPart {
    /// The slot.
    pub slot: u8,
    /// Entries in the codec of trellis-crdt.
    pub entries: Vec<Bytes>,
    /// Present with the last part of the slot.
    pub end: Option<SlotEnd>,
}

/// What the receiver of a whole slot adopts.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotEnd {
    /// The donor's durable clock of the slot as of the start of the scan.
    pub clock: VersionVector,
    /// The greatest stamp that the donor had seen.
    pub hlc: Hlc,
}

/// One side of a gossip exchange; the answer has the same shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Gossip {
    /// The speaker's node.
    pub node: NodeId,
    /// The speaker's replica.
    pub replica: ReplicaId,
    /// SWIM's message, opaque here; empty for none.
    pub swim: Bytes,
    /// Hash of the speaker's roster.
    pub roster_hash: u64,
    /// The roster itself, in an answer to a hash that differs.
    pub roster: Option<Box<Roster>>,
    /// Hash of the durable clock.
    pub clock_hash: u64,
    /// Digests of some settled slots.
    pub digests: Vec<SlotDigest>,
}

/// The digest of a settled slot, comparable where the clocks are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotDigest {
    /// The slot.
    pub slot: u8,
    /// Hash of the slot's durable clock.
    pub clock_hash: u64,
    /// Additive keyed hash of the slot's content.
    pub digest: u128,
}

/// Asks a process who it is; carries SWIM's probe or an inquiry of a node that wants to join.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ping {
    /// SWIM's message, opaque here; empty for none.
    pub swim: Bytes,
    /// Milliseconds since the Unix epoch at the sender.
    pub wall_millis: u64,
    /// A node of this name and id wants to join: who holds the name?
    pub joining: Option<(String, NodeId)>,
}

/// The answer to a [`Ping`].
#[derive(Clone, Debug, PartialEq)]
pub struct Pong {
    /// Who answers.
    pub identity: Identity,
    /// The founding it belongs to; `None` while it has not joined.
    pub founding: Option<FoundingId>,
    /// True while it is a guest: not a donor.
    pub is_guest: bool,
    /// SWIM's answer, opaque here; empty for none.
    pub swim: Bytes,
    /// Milliseconds since the Unix epoch at the answering side.
    pub wall_millis: u64,
    /// The answer to [`Ping::joining`]: another node that holds the name.
    pub holder: Option<Holder>,
}

/// A member that holds the name under which somebody wants to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its node.
    pub node: NodeId,
    /// The boot that was last seen of it, 0 when none was.
    pub boot_nonce: u64,
    /// Where it was last reached; empty when that is not known.
    pub address: String,
    /// True when SWIM calls it dead or departed.
    pub is_dead: bool,
}

/// Why a node does not talk with another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The certificates are of different clusters.
    #[error("this node belongs to cluster {ours}, the caller to {theirs}")]
    WrongCluster {
        /// Of the refusing node.
        ours: String,
        /// Of the caller.
        theirs: String,
    },
    /// Two clusters were founded apart under one certificate authority.
    #[error(
        "founded apart: this node belongs to founding {ours}, the caller to {theirs}; wipe the one that is not wanted and let it join"
    )]
    FoundedApart {
        /// Of the refusing node.
        ours: FoundingId,
        /// Of the caller.
        theirs: FoundingId,
    },
    /// No protocol version is spoken by both.
    #[error("no common protocol version: this node speaks {min} to {max}")]
    Protocol {
        /// The oldest that the refusing node speaks.
        min: u32,
        /// The newest that the refusing node speaks.
        max: u32,
    },
    /// The caller's node was removed or superseded.
    #[error("node {node} was removed from the cluster")]
    Removed {
        /// The removed node.
        node: NodeId,
    },
    /// Another node that may be alive holds the caller's name.
    #[error("the name {name} is held by node {holder}, which was not shown to be gone")]
    NameTaken {
        /// The certified name.
        name: String,
        /// Who holds it.
        holder: NodeId,
    },
    /// The name in the hello is not the one in the certificate.
    #[error("the certificate is of {certified}, the hello of {claimed}")]
    WrongName {
        /// In the certificate.
        certified: String,
        /// In the hello.
        claimed: String,
    },
    /// A newer replica of the caller's node is known here.
    #[error("a newer process of node {node} is known here")]
    Stale {
        /// The caller's node.
        node: NodeId,
    },
    /// The refusing node is a guest, or stopping, or its log failed: try another, or later.
    #[error("this node is not ready to replicate")]
    NotReady,
    /// The caller broke the order of the protocol.
    #[error("protocol violation: {0}")]
    Violation(String),
}
