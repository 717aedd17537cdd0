//! One deterministic simulation of whole nodes: the code that ships, over a network and disks that lie.
//!
//! A history is a [`Plan`] drawn from a seed and performed by a [`World`]: nothing sleeps, nothing reads a clock, and
//! the same seed gives the same steps. After every step the invariants are checked, and at the end the cluster must
//! come to rest as the model says.

mod agenda;
mod dice;
mod trace;

pub mod plan;
pub mod scenarios;

mod coverage;
pub(crate) mod directory;
pub(crate) mod host;
pub(crate) mod marks;
mod network;
pub(crate) mod snapshotting;
pub(crate) mod world;

mod campaign;
#[cfg(trellis_fault)]
mod controls;
mod shrink;

pub use self::agenda::Micros;
pub use self::campaign::{Campaign, Failure, History, Report, STEPS_TOLD, run_history};
#[cfg(trellis_fault)]
pub use self::controls::{run_controls, switch_off};
pub use self::coverage::Coverage;
pub use self::plan::{Plan, Profile};
pub use self::shrink::shrink;
pub use self::trace::{Step, Trace};
pub use self::world::{Disk, Outcome, Scripted, World};
