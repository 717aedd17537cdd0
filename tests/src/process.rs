//! Processes: one binary, and the directories, ports and certificates that its nodes need.

mod awaiting;
mod binary;
mod cluster;
mod command;
mod network;
mod node;
mod place;
mod ports;
mod readiness;
mod sighting;
mod skip;
mod stalls;
mod status;

pub use self::awaiting::await_until;
pub use self::binary::{target_directory, trellis_binary, workspace_root};
pub use self::cluster::Cluster;
pub use self::command::Outcome;
pub use self::network::Network;
pub use self::node::Node;
pub use self::ports::{Ports, free_port};
pub use self::readiness::Readiness;
pub use self::sighting::Sighting;
pub use self::skip::skip;
pub use self::stalls::Stalls;
pub use self::status::{Member, Status};
