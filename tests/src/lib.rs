//! Clusters of real processes: the harness of the tests that run the shipped binary.
//!
//! It builds `trellis`, makes certificates with it, writes configurations, starts, kills, stops and wipes nodes, and
//! runs commands against them. It waits for events with a deadline, never for a fixed time. It does *not* look into a
//! node: everything it knows comes from standard output, the log on standard error, the status port and the exit code.
//!
//! Two types to know: [`Cluster`] owns the directory, the certificates and the nodes, and stops all in
//! [`finish`](Cluster::finish); [`Outcome`] is what a command printed and how it ended.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use trellis_tests::Cluster;
//!
//! let cluster = Cluster::start(3)?;
//! assert_eq!(cluster.trellis(&["incr", "counter1", "5"])?.answer()?, "5");
//! cluster.finish()
//! # }
//! ```

#![forbid(unsafe_code)]

mod process;

pub use self::process::{
    Cluster, Member, Node, Outcome, Ports, Readiness, Status, await_until, free_port, target_directory,
    trellis_binary, workspace_root,
};
