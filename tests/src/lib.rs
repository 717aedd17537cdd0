//! How TrellisDB is tested as a whole: whole nodes in a deterministic simulation, and clusters of real processes.
//!
//! [`sim`] runs the code that ships over a simulated network and simulated disks, in virtual time, from one seed; the
//! invariants are checked after every step, and [`model`] says what a client may see. [`Cluster`] builds the binary
//! `trellis` and runs it: certificates, configurations, `kill -9`. It waits for events with a deadline, never for a
//! fixed time, and does *not* look into a node: what it knows comes from standard output, the log on standard error, the
//! status port and the exit code. Without the feature `process` only the simulator is built.
//!
//! Two types to know: [`sim::World`] is a simulated cluster while a history happens; [`Cluster`] owns real nodes with
//! their directories and stops them in [`finish`](Cluster::finish).
//!
//! ```
//! use trellis_tests::sim::{Plan, Profile, run_history};
//!
//! let history = run_history(Plan::of(7, Profile::Churn, None), 0);
//! assert_eq!(history.violation, None);
//! assert_eq!(history.hash, run_history(Plan::of(7, Profile::Churn, None), 0).hash);
//! ```

#![forbid(unsafe_code)]

mod invariants;
pub mod model;
pub mod sim;

#[cfg(feature = "process")]
mod process;

pub use self::invariants::{Held, Violation};
#[cfg(feature = "process")]
pub use self::process::{
    Cluster, Member, Network, Node, Outcome, Ports, Readiness, Sighting, Stalls, Status, await_until,
    free_port, skip, target_directory, trellis_binary, workspace_root,
};
