//! The keyspace in memory: operations become deltas, and deltas are merged.
//!
//! A [`Keyspace`] holds counters, registers, sets and flags by key, in 256 slots. A local [`Operation`] takes the next dot of its
//! replica and yields an encoded delta, for the log and for the peers. What peers or the log bring, deltas and
//! catch-up entries in any order and any number of times, is merged by one set of rules. Of each slot it keeps the
//! clock (what came without a gap), the early set (what came beyond one), the ceiling (what came at all), logs of dots
//! that lead to atoms (what a peer lacks), and a digest (whether two replicas agree). Given a clock that every replica
//! has reached, [`Keyspace::collect`] forgets what nobody will ask for again.
//!
//! An *atom* is what one operation changes: a counter, a register, a flag, or one element of a set, so that nothing here
//! grows slower with the size of a set. At rest it is one run of bytes: about 95 for a counter with a 16-byte key and one
//! writer, everything included (`cargo run --release -p trellis-storage --example memory`).
//!
//! # What it does not do
//! It reads no clock, draws no randomness, touches no file and no socket, and knows nothing of durability: whoever
//! holds a keyspace logs what it returns before anybody hears of it. It minds no membership: what is stable it is told.
//! It does not yet bring up to date whoever comes back with a state from before a collection (R8): a floor is kept, and
//! [`Keyspace::adopt`] does not inherit it.
//!
//! # Two types to know
//! [`Keyspace`] is the state machine; [`ScanCursor`] is how a peer that lacks something is served from it.
//!
//! ```
//! use trellis_crdt::{Dot, Hlc, Kind, ReplicaId, VersionVector};
//! use trellis_storage::{Config, Keyspace, Operation, ReadValue, ScanCursor, Total};
//!
//! let (mut a, mut b) = (Keyspace::new([7; 16], Config::default()), Keyspace::new([7; 16], Config::default()));
//! let origin = ReplicaId::from_u64(1);
//! let incr = |amount| Operation::Increment { key: "visits", kind: Kind::PnCounter, amount };
//! let no_stamp = || Hlc::ZERO;
//!
//! // A delta travels on its own ...
//! let applied = a.apply(&incr(5), origin, no_stamp)?;
//! let first = &applied.changes[0];
//! b.merge_delta(applied.slot, Dot::new(origin, first.seq), &first.delta)?;
//!
//! // ... and what was lost comes by a scan, with the clock last.
//! a.apply(&incr(-2), origin, no_stamp)?;
//! let noted: VersionVector = a.clock(applied.slot).clone();
//! let mut cursor = ScanCursor::new(applied.slot, b.clock(applied.slot).clone());
//! let step = a.scan(&mut cursor, 1 << 20);
//! for entry in &step.entries {
//!     b.merge_entry(applied.slot, entry)?;
//! }
//! assert!(step.is_done);
//! b.adopt(applied.slot, &noted);
//!
//! assert_eq!(b.read("visits", None)?.value, Some(ReadValue::Counter(Total { value: 3, exact: true })));
//! assert_eq!(a.digest(applied.slot), b.digest(applied.slot));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod keyspace;

mod key;
mod operation;

mod slot;

mod apply;
mod batch;
mod capture;
mod collect;
mod elements;
mod explain;
mod list;
mod merge;
mod query;
mod received;
mod scan;
mod warm;

mod atoms;
mod digest;
mod early_set;
mod origins;
mod record;
mod table;

mod config;
mod error;
mod usage;

#[cfg(not(trellis_fault))]
mod fault;
#[cfg(trellis_fault)]
pub mod fault;

pub use crate::{
    capture::{CaptureCursor, SlotHeader},
    collect::Collected,
    config::Config,
    elements::{ElementCursor, ElementsPage},
    error::{BatchError, MergeError, OperationError, ReadError},
    explain::{Explained, ExplainedAtom, Piece},
    key::{SLOTS, slot_of},
    keyspace::Keyspace,
    list::{Cursor, ListPage},
    merge::{EntryMerged, Merged, Progress},
    operation::{Applied, Change, Operation, Outcome, Total},
    query::{Read, ReadValue},
    received::{ReceivedDelta, ReceivedEntry},
    scan::{ScanCursor, ScanStep},
    usage::{Counters, KindUsage, Usage},
};

/// The README's program is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
