//! Brings every delta to every replica that should have it: a state machine without IO.
//!
//! A node pushes what it writes to every alive peer, each delta at once and again until it is acknowledged; a
//! receiver asks for what is missing before a delta that came early; whoever was away pulls what it lacks slot
//! by slot; and a node without state does so as a guest before it serves anything. The rules it keeps are named
//! R1 to R21 in `docs/replication.md`.
//!
//! It does not merge (deltas are opaque bytes with slot, origin and seq), does not open connections, read
//! clocks, or write logs: it asks its host to, by [`Output`]. It does not decide who is alive: the host tells it.
//!
//! The two types to know are [`Replicator`], the state machine, and [`Output`], the closed list of what it may
//! ask for.
//!
//! ```
//! use std::time::Instant;
//! use trellis_crdt::ReplicaId;
//! use trellis_replication::{Config, Identity, NodeClock, NodeId, Output, Replicator, Roster, Start};
//!
//! let local = Identity {
//!     name: "n1".to_owned(),
//!     node: NodeId::from_u64(1),
//!     replica: ReplicaId::from_u64(11),
//!     epoch: 1,
//!     boot_nonce: 7,
//! };
//! let start = Start {
//!     cluster: "garden".to_owned(),
//!     local,
//!     roster: Roster::default(),
//!     clock: NodeClock::new(),
//!     guest_of: None,
//!     seed: 42,
//! };
//! let now = Instant::now();
//! let mut replicator = Replicator::new(Config::default(), start, now)?;
//! replicator.set_alive("n2", true, now);
//! assert!(matches!(replicator.poll_output(), Some(Output::Dial { peer, .. }) if peer == "n2"));
//! # Ok::<(), trellis_replication::ConfigError>(())
//! ```

mod replicator;

mod identity;
mod roster;

mod clock;
mod message;
mod output;

mod admission;
mod concern;
mod config;
mod counters;
mod peer;
mod ring;

#[cfg(not(trellis_fault))]
mod fault;
#[cfg(trellis_fault)]
pub mod fault;

pub use crate::admission::{PROTOCOL_MAX, PROTOCOL_MIN};
pub use crate::clock::{NodeClock, slot_clock_hash};
pub use crate::config::{Config, ConfigError};
pub use crate::counters::{Backlog, Counters};
pub use crate::identity::{FoundingId, Identity, NodeId};
pub use crate::message::{
    Gossip, Hello, Holder, Ping, Pong, PushReply, PushRequest, PushedDelta, Refusal, SlotDigest, SlotEnd,
    SlotPart, SyncChunk, SyncOpen, SyncReply, SyncRequest,
};
pub use crate::output::{After, Event, LinkId, LinkKind, Message, Output};
pub use crate::peer::PeerStatus;
pub use crate::replicator::{LinkEvent, MergedDelta, MergedPart, Replicator, Start};
pub use crate::roster::{MemberRecord, Owner, Roster};
