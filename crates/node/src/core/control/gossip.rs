//! The tick of gossip: SWIM's news, hashes of roster and clock, and digests of settled slots in one exchange.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use trellis_replication::{Gossip, Refusal, SlotDigest, slot_clock_hash};

use super::{Callee, Control, Host, Purpose};
use crate::core::effect::{Notice, Phase, Request};
use crate::core::fault;

/// When the next tick is, which slots it tells of, and what peers said at the last.
#[derive(Debug)]
pub(crate) struct Rhythm {
    interval: Duration,
    fanout: usize,
    next: Instant,
    next_slot: u8,
    /// Peer → its and this node's clock hash at its last gossip, of members that are up.
    last_hashes: BTreeMap<String, (u64, u64)>,
}

impl Rhythm {
    pub(super) fn new(interval: Duration, fanout: usize, now: Instant) -> Self {
        Self { interval, fanout, next: now + interval, next_slot: 0, last_hashes: BTreeMap::new() }
    }

    pub(super) fn forget(&mut self, peer: &str) {
        self.last_hashes.remove(peer);
    }

    pub(super) fn hashes_count(&self) -> usize {
        self.last_hashes.len()
    }

    pub(super) fn due(&self) -> Instant {
        self.next
    }
}

impl Control {
    pub(super) fn gossip_if_due(&mut self, host: &Host<'_>) {
        if self.gossip.next > host.now.instant {
            return;
        }
        self.gossip.next = host.now.instant + self.gossip.interval;
        let deadline = host.now.instant + self.gossip.interval;
        for (name, address) in self.swim.gossip_targets(self.gossip.fanout) {
            let mut swim = Vec::new();
            let transmit = self.swim.gossip_payload(&name, host.now.instant, &mut swim);
            let purpose = Purpose::Gossip { swim: transmit.map(|transmit| transmit.id) };
            let gossip = self.gossip_message(host, Bytes::from(swim));
            let to = Callee { name: Some(name), address: address.to_string() };
            self.call(host, purpose, to, Request::Gossip(gossip), deadline);
        }
        self.gossip.next_slot = self.gossip.next_slot.wrapping_add(DIGESTS);
    }

    fn gossip_message(&self, host: &Host<'_>, swim: Bytes) -> Gossip {
        Gossip { digests: self.digests(host), ..self.bare_gossip(swim) }
    }

    /// A gossip message that carries SWIM's bytes and no news of replication.
    pub(super) fn bare_gossip(&self, swim: Bytes) -> Gossip {
        let local = self.replicator.local();
        Gossip {
            node: local.node,
            replica: local.replica,
            swim,
            roster_hash: self.replicator.roster().hash(),
            roster: None,
            clock_hash: self.replicator.clock().hash(),
            digests: Vec::new(),
        }
    }

    fn digests(&self, host: &Host<'_>) -> Vec<SlotDigest> {
        // R17: what a log that failed has not taken is in memory all the same.
        let is_over = host.shared.phase() > Phase::Draining;
        if self.replicator.is_guest() || (is_over && !fault::is_off("R17 a failed node tells no digests")) {
            return Vec::new();
        }
        let durable = host.shared.durable();
        (0..DIGESTS)
            .map(|step| self.gossip.next_slot.wrapping_add(step))
            .filter_map(|slot| {
                let shard = host.shard(slot);
                let (digest, clock) = shard.settled_digest(slot, durable)?;
                // Two slots with empty clocks are both empty.
                (!clock.is_empty()).then(|| SlotDigest {
                    slot,
                    clock_hash: slot_clock_hash(slot, clock),
                    digest,
                })
            })
            .collect()
    }

    /// Answers a peer's gossip with one of the same shape.
    ///
    /// # Errors
    ///
    /// When the peer was removed or belongs to another founding. SWIM has taken its news then; nothing else is changed.
    pub(crate) fn answer_gossip(
        &mut self,
        host: &Host<'_>,
        from: &str,
        gossip: &Gossip,
    ) -> Result<Gossip, Refusal> {
        let swim = self.answer_swim_gossip(host, from, &gossip.swim);
        self.take_gossip(host, from, gossip)?;
        let mut answer = self.gossip_message(host, swim);
        if gossip.roster_hash != answer.roster_hash && !self.replicator.is_guest() {
            answer.roster = Some(Box::new(self.replicator.roster().clone()));
        }
        Ok(answer)
    }

    /// Takes over what a peer's gossip says, request or answer.
    pub(super) fn take_gossip(
        &mut self,
        host: &Host<'_>,
        from: &str,
        gossip: &Gossip,
    ) -> Result<(), Refusal> {
        if self.replicator.roster().removed.contains(&gossip.node) {
            return Err(Refusal::Removed { node: gossip.node });
        }
        if self.replicator.is_guest() {
            return Ok(());
        }
        if let Some(roster) = &gossip.roster {
            self.replicator.learn_from(roster, host.now.instant)?;
        }
        let hashes = (gossip.clock_hash, self.replicator.clock().hash());
        if hashes.0 == hashes.1 {
            self.replicator.handle_equal_clock(from, gossip.replica);
        }
        let is_stuck = hashes.0 != hashes.1 && self.gossip.last_hashes.get(from) == Some(&hashes);
        if self.is_up(from) {
            self.gossip.last_hashes.insert(from.to_owned(), hashes);
        }
        let diverged = self.diverged_slot(host, &gossip.digests);
        if let Some(slot) = diverged {
            self.diverged += 1;
            self.notice(Notice::Diverged { peer: from.to_owned(), slot });
        }
        let is_member = self.replicator.peers().any(|(name, peer)| {
            name == from
                && peer.identity.is_some_and(|known| known.replica == gossip.replica)
                && !peer.is_guest
        });
        if is_member && (is_stuck || diverged.is_some()) {
            self.replicator.reconcile_with(from, host.now.instant);
        }
        Ok(())
    }

    /// Invariant 7: two settled slots with equal clocks have equal digests.
    fn diverged_slot(&self, host: &Host<'_>, digests: &[SlotDigest]) -> Option<u8> {
        let durable = host.shared.durable();
        let differs = |theirs: &&SlotDigest| {
            let shard = host.shard(theirs.slot);
            shard.settled_digest(theirs.slot, durable).is_some_and(|(digest, clock)| {
                digest != theirs.digest && slot_clock_hash(theirs.slot, clock) == theirs.clock_hash
            })
        };
        digests.iter().find(differs).map(|digest| digest.slot)
    }
}

/// Slots that one tick tells of: all 256 in sixteen ticks.
const DIGESTS: u8 = 16;
