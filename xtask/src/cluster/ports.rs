//! Ports that nobody listens on.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

use super::layout::Node;

/// Gives each node three free ports. A node keeps the ports that it has as long as they are free; otherwise it gets
/// the usual ones, or the next free ones from `scan_from` up.
pub(super) fn assign(nodes: &mut [Node], scan_from: u16, has_usual_ports: bool) -> Result<()> {
    let mut scan = Scan { next: scan_from, taken: BTreeSet::new() };
    for (index, node) in (1..).zip(nodes) {
        let usual = |base: u16| if has_usual_ports { base + index } else { 0 };
        node.client = scan.pick([node.client, usual(7400)])?;
        node.peer = scan.pick([node.peer, usual(7500)])?;
        node.status = scan.pick([node.status, usual(7600)])?;
    }
    Ok(())
}

/// Where a cluster in a directory of its own begins to look: below the range that systems give to outgoing
/// connections, and apart from other processes that look at the same time.
pub(super) fn scan_start(process_id: u32) -> u16 {
    let places = u32::from((EPHEMERAL_MIN - PRIVATE_MIN) / PORTS_PER_CLUSTER);
    let place =
        u16::try_from(process_id % places).expect("a remainder is below its divisor, which came from a u16");
    PRIVATE_MIN + place * PORTS_PER_CLUSTER
}

struct Scan {
    next: u16,
    taken: BTreeSet<u16>,
}

impl Scan {
    fn pick(&mut self, wishes: [u16; 2]) -> Result<u16> {
        let wished = wishes.into_iter().find(|port| *port != 0 && self.is_free(*port));
        let port = match wished {
            Some(port) => port,
            None => {
                let found =
                    (self.next..EPHEMERAL_MIN).chain(PRIVATE_MIN..self.next).find(|port| self.is_free(*port));
                let port = found.context("no port from 16384 to 32767 is free")?;
                self.next = port + 1;
                port
            }
        };
        self.taken.insert(port);
        Ok(port)
    }

    fn is_free(&self, port: u16) -> bool {
        !self.taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    }
}

/// Three ports each for 32 nodes.
const PORTS_PER_CLUSTER: u16 = 96;
const PRIVATE_MIN: u16 = 16_384;
/// The lowest port that Linux gives to outgoing connections by default.
const EPHEMERAL_MIN: u16 = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ports_differ_and_those_that_are_taken_are_left_alone() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        let mut nodes = vec![node(taken), node(0), node(0)];
        assign(&mut nodes, scan_start(std::process::id()), false).unwrap();
        let ports: Vec<u16> = nodes.iter().flat_map(|node| [node.client, node.peer, node.status]).collect();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 9);
        assert!(!ports.contains(&taken));
        assert!(ports.iter().all(|port| (PRIVATE_MIN..EPHEMERAL_MIN).contains(port)));
    }

    #[test]
    fn every_cluster_looks_in_the_range_that_is_its_own() {
        for process_id in [0, 1, 169, 170, u32::MAX] {
            let start = scan_start(process_id);
            assert!((PRIVATE_MIN..=EPHEMERAL_MIN - PORTS_PER_CLUSTER).contains(&start));
        }
    }

    fn node(client: u16) -> Node {
        Node { name: "n".to_owned(), client, peer: 0, status: 0 }
    }
}
