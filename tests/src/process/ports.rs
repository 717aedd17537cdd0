//! Ports for nodes on this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// The three ports of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For clients.
    pub client: u16,
    /// For other nodes.
    pub peer: u16,
    /// For probes.
    pub status: u16,
}

impl Ports {
    /// Finds three that nobody listens on and nobody in this process was given.
    ///
    /// # Errors
    ///
    /// When the whole range is taken.
    pub fn find() -> Result<Self> {
        Ok(Self { client: free_port()?, peer: free_port()?, status: free_port()? })
    }
}

/// Finds a port that nobody listens on and nobody in this process was given.
///
/// A node is started again on the port that it had. So the ports come from below the range out of which the system
/// takes the source ports of outgoing connections: a port that was bound as 0 and let go could be taken by any of them.
///
/// # Errors
///
/// When the whole range is taken.
pub fn free_port() -> Result<u16> {
    for _ in PORT_MIN..PORT_END {
        let port = next();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("every port from {PORT_MIN} to {} is taken", PORT_END - 1);
}

/// Counts through the range once and again; processes that test at the same time begin at different places.
fn next() -> u16 {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let span = u32::from(PORT_END - PORT_MIN);
    let count = u32::from(COUNT.fetch_add(1, Ordering::Relaxed));
    let place = (std::process::id() % span * PROCESS_STRIDE + count) % span;
    PORT_MIN + u16::try_from(place).expect("a remainder is below its divisor, which came from a u16")
}

/// Below it are the usual ports of `cargo xtask cluster`.
const PORT_MIN: u16 = 10_000;
/// `cargo xtask cluster --dir` begins to look here.
const PORT_END: u16 = 16_384;
/// The ports that one process of tests takes, roughly; a prime, so that few starts fall together.
const PROCESS_STRIDE: u32 = 211;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_out_once_and_only_while_it_is_free() {
        let first = free_port().unwrap();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        let Ports { client, peer, status } = Ports::find().unwrap();
        let all = std::collections::BTreeSet::from([first, client, peer, status]);
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|port| (PORT_MIN..PORT_END).contains(port)));
    }
}
