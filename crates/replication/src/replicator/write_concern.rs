//! Which nodes hold a write durably, and the writes that wait for them (R15).

use std::collections::{BTreeMap, BTreeSet};

use trellis_crdt::ReplicaId;

use super::Replicator;
use crate::identity::NodeId;
use crate::output::Output;
use crate::peer::Peer;

impl Replicator {
    /// Registers a write that waits until `nodes` distinct nodes, this one included, hold it durably (R15). The
    /// answer is [`Output::Replicated`], at once if it holds already.
    pub fn await_replicas(&mut self, ticket: u64, slot: u8, seq: u64, nodes: u32) {
        self.concerns.insert(ticket, slot, seq, nodes);
        self.settle_concerns(slot);
    }

    /// Forgets a waiting write and returns how many nodes are known to hold it, this one included.
    pub fn cancel_replicas(&mut self, ticket: u64) -> u32 {
        match self.concerns.remove(ticket) {
            Some((slot, seq)) => self.replicas_of(slot, seq),
            None => 1,
        }
    }

    /// Takes note that the durable clock of a peer's process is this node's own, as their hashes show.
    ///
    /// It stands in for acknowledgements that were lost and whose deltas are no longer in the ring to be offered again.
    pub fn handle_equal_clock(&mut self, peer: &str, replica: ReplicaId) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        let is_it = known.identity.as_ref().is_some_and(|identity| identity.replica == replica);
        if is_it && !known.is_guest && known.clock != self.clock {
            known.clock.clone_from(&self.clock);
            self.settle_all_concerns();
        }
    }

    pub(super) fn settle_concerns(&mut self, slot: u8) {
        let (peers, local) = (&self.peers, self.local.replica);
        let reached = self.concerns.take_reached(slot, |seq| count_replicas(peers, local, slot, seq));
        self.outputs.extend(reached.into_iter().map(|ticket| Output::Replicated { ticket }));
    }

    pub(super) fn settle_all_concerns(&mut self) {
        for slot in self.concerns.slots() {
            self.settle_concerns(slot);
        }
    }

    fn replicas_of(&self, slot: u8, seq: u64) -> u32 {
        count_replicas(&self.peers, self.local.replica, slot, seq)
    }
}

/// Counts nodes, not connections, replicas or names (R15).
fn count_replicas(peers: &BTreeMap<String, Peer>, local: ReplicaId, slot: u8, seq: u64) -> u32 {
    let holders: BTreeSet<NodeId> = peers
        .values()
        .filter(|peer| peer.counts_for(local, slot, seq))
        .filter_map(|peer| peer.identity.as_ref())
        .map(|identity| identity.node)
        .collect();
    1 + u32::try_from(holders.len()).unwrap_or(u32::MAX - 1)
}
