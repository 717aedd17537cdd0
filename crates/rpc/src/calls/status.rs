//! How the cluster looks to one of its nodes.

use std::fmt;

use trellis_crdt::ReplicaId;
use trellis_replication::{FoundingId, NodeId};

/// What the answering node knows of its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The cluster id of the certificates.
    pub cluster: String,
    /// `None` on a node that has not joined.
    pub founding: Option<FoundingId>,
    /// The version of the program that answers.
    pub version: String,
    /// In order of their names.
    pub members: Vec<MemberStatus>,
    /// True when every alive member holds durably what the answering node does, as far as it knows.
    pub is_converged: bool,
    /// What an operator should look at, in sentences; empty when all is well.
    pub warnings: Vec<String>,
    /// How unwell the answering node is as a member: 0 is healthy; the more, the slower it suspects others.
    pub awareness: u32,
}

/// One member, as the answering node knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberStatus {
    /// The name in its certificate.
    pub name: String,
    /// Its data directory; `None` when it was never met.
    pub node: Option<NodeId>,
    /// Its running process; `None` when it was never met.
    pub replica: Option<ReplicaId>,
    /// Its health.
    pub state: MemberState,
    /// True while it adopts the state of the cluster and serves nothing.
    pub is_guest: bool,
    /// Host and port for clients; empty when it is not known.
    pub client_address: String,
    /// Host and port for nodes; empty when it is not known.
    pub peer_address: String,
    /// SWIM's counter of refutations.
    pub incarnation: u64,
    /// How long it has been in its state.
    pub since_millis: u64,
    /// How long ago it was last heard of directly; `None` for the answering node and when it never was.
    pub last_heard_millis: Option<u64>,
    /// Operations that the answering node holds durably and the member has not said to hold.
    pub lag: u64,
    /// `None` when it is not known.
    pub usage: Option<NodeUsage>,
}

/// What the answering node believes of a member's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It answers.
    Alive,
    /// It did not answer, and has some seconds to deny that it is gone.
    Suspect,
    /// It is gone.
    Dead,
    /// It said goodbye.
    Left,
    /// It is known by name and was never met.
    #[default]
    Unknown,
}

impl MemberState {
    /// Returns the word for it, such as `alive`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a node holds and uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeUsage {
    /// Keys that exist.
    pub keys: u64,
    /// Bytes of its log on disk.
    pub log_bytes: u64,
    /// Bytes of its keyspace in memory.
    pub memory_bytes: u64,
    /// How long it has been running.
    pub uptime_millis: u64,
    /// Its newest snapshot; `None` when there is none.
    pub snapshot: Option<NodeSnapshot>,
    /// Bytes of log records behind the newest snapshot, or of all without one.
    pub log_bytes_behind_snapshot: u64,
}

/// The newest snapshot of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeSnapshot {
    /// The record of the log up to which it holds everything.
    pub start_lsn: u64,
    /// The bytes of its file.
    pub bytes: u64,
    /// How long ago it was taken; `None` when that cannot be told.
    pub age_millis: Option<u64>,
}
