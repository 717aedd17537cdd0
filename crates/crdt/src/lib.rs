//! Values that merge: lattices, dots, clocks, deltas, and their byte codec.
//!
//! A replica changes a value by an operation that takes a [`Dot`]; the operation returns its *delta*, a small value
//! of the same type. Whoever merges the deltas of the same operations, in any order, in parts and more than once,
//! holds the same value. There are counters, registers, sets and flags, and the dot stores that the last three are
//! made of.
//!
//! What it does not do: it mints no dots and reads no clock (both are handed in), it does not know which operations
//! a peer lacks, it never forgets by itself (what may be dropped is decided where stability is known), and it does
//! not hash: [`Crdt::contents`] yields the bytes that a digest is made of.
//!
//! The two types to know: [`Crdt`], what every value here obeys, and [`Delta`], what one operation changed, as it
//! goes into a log and over the wire.
//!
//! ```
//! use trellis_crdt::{Atom, Crdt, Delta, Dot, Entry, Kind, PnCounter, ReplicaId};
//!
//! let (a, b) = (ReplicaId::from_u64(1), ReplicaId::from_u64(2));
//! let mut at_a = PnCounter::new();
//! let mut at_b = PnCounter::new();
//!
//! // Each replica counts on its own, then hears of the other.
//! let from_a = at_a.increment(Dot::new(a, 1), 5)?;
//! let from_b = at_b.increment(Dot::new(b, 1), -2)?;
//! at_a.merge(&from_b);
//! at_b.merge(&from_a);
//! assert_eq!(at_a.value(), 3);
//! assert_eq!(at_a, at_b);
//!
//! // A delta as bytes: what it changed, under which dot.
//! let entry = Entry { atom: Atom::new("visits", Kind::PnCounter), value: from_a.into() };
//! let delta = Delta { dot: Dot::new(a, 1), entry };
//! assert_eq!(Delta::decode(&delta.encode())?, delta);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "laws"))]
extern crate std;

mod lattice;

mod dot;
mod hlc;
mod replica_id;
mod version_vector;

mod causal;
#[doc(hidden)]
pub mod delegate;
mod dot_store;

mod counter;
mod flag;
mod register;
mod set;

mod atom;
mod delta;
mod kind;
mod value;

pub mod codec;
mod error;
mod one_or_many;
#[cfg(feature = "serde")]
mod serialize;

#[cfg(not(trellis_fault))]
mod fault;
#[cfg(trellis_fault)]
pub mod fault;

#[cfg(any(test, feature = "laws"))]
pub mod laws;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use atom::{Atom, KEY_BYTES_MAX};
pub use causal::Causal;
pub use codec::VALUE_BYTES_MAX;
pub use counter::{GCounter, PnCounter, Slot};
pub use delta::{Delta, Entry, FORMAT_VERSION};
pub use dot::Dot;
pub use dot_store::{DecodeStore, DotFun, DotSet, DotStore};
pub use error::{ClockError, CounterError, DecodeError, KindMismatch, ParseError};
pub use flag::{DwFlag, EwFlag};
pub use hlc::Hlc;
pub use kind::Kind;
pub use lattice::{Covers, Crdt, Nothing};
pub use register::{LwwRegister, MvRegister};
pub use replica_id::{Actor, ReplicaId};
pub use set::{GSet, OrSet};
pub use value::Value;
pub use version_vector::VersionVector;
