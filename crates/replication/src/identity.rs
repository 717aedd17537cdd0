//! Who a process is: the node it runs for, the replica it writes as, and the boot that it is.

use std::fmt;
use std::str::FromStr;

use trellis_crdt::ReplicaId;

/// What every process says of itself at each hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name in the node's certificate, the same as its member id in SWIM.
    pub name: String,
    /// The data directory it serves.
    pub node: NodeId,
    /// The actor of every dot that this process mints.
    pub replica: ReplicaId,
    /// Orders the replicas of one node: the greater is the newer.
    pub epoch: u64,
    /// Random bits drawn at start, never stored: tells two live processes of one data directory apart.
    pub boot_nonce: u64,
}

/// The identity of a data directory: 64 random bits drawn when it is made.
///
/// A node that lost its disk comes back under its old name and another `NodeId`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

impl NodeId {
    /// Wraps 64 random bits.
    pub const fn from_u64(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the bits.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl FromStr for NodeId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// The random bits drawn when a cluster is founded; nodes founded apart refuse each other by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoundingId(u64);

impl FoundingId {
    /// Wraps 64 random bits.
    pub const fn from_u64(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the bits.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FoundingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
