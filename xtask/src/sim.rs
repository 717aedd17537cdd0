//! The simulator, built without the runtime: no sockets, no TLS, no protobuf.

use anyhow::Result;

use crate::workspace::{self, cargo, root};

/// Builds the simulator and runs it with these arguments; with `--controls` in a build where rules can be switched off.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut command = cargo(COMMAND);
    if arguments.iter().any(|argument| argument == "--controls" || argument.starts_with("--off")) {
        // A build of its own in a directory of its own, so that no other build can be taken for it.
        command.env("RUSTFLAGS", "--cfg trellis_fault").env("CARGO_TARGET_DIR", root().join(FAULT_DIRECTORY));
    }
    workspace::run(command.arg("--").args(arguments))
}

const COMMAND: &[&str] = &[
    "run",
    "--quiet",
    "--release",
    "--package",
    "trellis-tests",
    "--no-default-features",
    "--bin",
    "trellis-sim",
];
const FAULT_DIRECTORY: &str = "target/fault";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::workspace::output_of;

    /// What the simulator is built of: the pure crates and the log, and nothing that opens a socket.
    #[test]
    fn the_simulator_is_built_without_rpc_and_without_a_network() {
        let arguments = ["tree", "--offline", "--package", "trellis-tests", "--no-default-features"];
        let mut command: Command = cargo(&arguments);
        command.args(["--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        let tree = String::from_utf8(output_of(&mut command).unwrap()).unwrap();
        let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains(&"trellis-node") && names.contains(&"trellis-wal"));
        for banned in ["trellis-rpc", "tokio", "tonic", "hyper", "rustls", "mio", "axum"] {
            assert!(!names.contains(&banned), "{banned} is among what the simulator is built of");
        }
    }
}
