//! Writes that wait for other nodes.

use std::collections::{BTreeMap, BTreeSet};

/// Waiting writes by slot and seq. Bounded by the number of requests that the host lets in.
#[derive(Debug, Default)]
pub(crate) struct Concerns {
    waiting: BTreeMap<(u8, u64, u64), u32>,
    by_ticket: BTreeMap<u64, (u8, u64)>,
}

impl Concerns {
    pub(crate) fn insert(&mut self, ticket: u64, slot: u8, seq: u64, nodes: u32) {
        self.waiting.insert((slot, seq, ticket), nodes);
        self.by_ticket.insert(ticket, (slot, seq));
    }

    /// Slots with a write that waits.
    pub(crate) fn slots(&self) -> BTreeSet<u8> {
        self.waiting.keys().map(|(slot, ..)| *slot).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn remove(&mut self, ticket: u64) -> Option<(u8, u64)> {
        let (slot, seq) = self.by_ticket.remove(&ticket)?;
        self.waiting.remove(&(slot, seq, ticket));
        Some((slot, seq))
    }

    /// Takes out the tickets of `slot` that are satisfied, in the order of their seqs.
    pub(crate) fn take_reached(&mut self, slot: u8, nodes_at: impl Fn(u64) -> u32) -> Vec<u64> {
        let reached: Vec<(u8, u64, u64)> = self
            .waiting
            .range((slot, 0, 0)..=(slot, u64::MAX, u64::MAX))
            .filter(|((_, seq, _), nodes)| nodes_at(*seq) >= **nodes)
            .map(|(key, _)| *key)
            .collect();
        for key in &reached {
            self.waiting.remove(key);
            self.by_ticket.remove(&key.2);
        }
        reached.into_iter().map(|(_, _, ticket)| ticket).collect()
    }
}
