//! A TrellisDB node: everything between the libraries below it and the command line above.
//!
//! [`core`] joins keyspace, log, replication and membership into one pure state machine, and `runtime` performs what it
//! asks for with sockets, files, threads and clocks. Without the feature `runtime` only the pure part is built, which is
//! what a simulator wants.
//!
//! It does not parse command lines, and it knows neither protobuf nor TLS: those are `trellis-cli`'s and `trellis-rpc`'s.
//!
//! The two types to know are [`Config`], what a node is told, and [`core::Core`], the node without its effects.
//!
//! ```
//! use trellis_node::Config;
//!
//! let config = Config { name: "n1".to_owned(), ..Config::default() };
//! let problems = config.validate().expect_err("a node also needs a directory and certificates");
//! assert!(problems.iter().any(|problem| problem.key == "data_dir"));
//! ```

pub mod core;

#[cfg(feature = "runtime")]
pub mod runtime;

mod config;

pub use crate::config::{
    Config, LimitsConfig, ListenConfig, ReplicationConfig, StatusConfig, SwimConfig, SwimPreset, TlsConfig,
    Violation, WalConfig,
};
#[cfg(feature = "runtime")]
pub use crate::config::{ConfigErrors, Origin, Problem, Sources};
