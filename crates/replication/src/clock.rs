//! What a node has of every slot: slot → origin → contiguous prefix.

use std::collections::BTreeMap;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use trellis_crdt::{ReplicaId, VersionVector};

/// The clocks of all slots of one node.
///
/// A slot without an entry has an empty clock; empty clocks are not stored, so equal clocks are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeClock {
    slots: BTreeMap<u8, VersionVector>,
}

impl NodeClock {
    /// Returns the clock of a node that has nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the prefix of `origin` in `slot` to `seq`; a lower `seq` changes nothing.
    ///
    /// Returns whether it grew. O(log slots + origins).
    pub fn raise(&mut self, slot: u8, origin: ReplicaId, seq: u64) -> bool {
        seq > 0 && self.slots.entry(slot).or_default().raise(origin, seq)
    }

    /// Joins `clock` into the clock of `slot`.
    pub fn merge_slot(&mut self, slot: u8, clock: &VersionVector) {
        if !clock.is_empty() {
            self.slots.entry(slot).or_default().merge(clock);
        }
    }

    /// Returns this clock with no more of `origin` in it than `written` has.
    pub(crate) fn without_beyond(&self, origin: ReplicaId, written: &Self) -> Self {
        let mut capped = self.clone();
        for (slot, clock) in &mut capped.slots {
            let most = written.prefix(*slot, origin);
            if clock.get(origin) > most {
                clock.remove(origin);
                clock.raise(origin, most);
            }
        }
        capped.slots.retain(|_, clock| !clock.is_empty());
        capped
    }

    /// Returns the clock of `slot`.
    pub fn slot(&self, slot: u8) -> &VersionVector {
        self.slots.get(&slot).unwrap_or(const { &VersionVector::new() })
    }

    /// Returns the prefix of `origin` in `slot`, 0 for none.
    pub fn prefix(&self, slot: u8, origin: ReplicaId) -> u64 {
        self.slots.get(&slot).map_or(0, |clock| clock.get(origin))
    }

    /// Tells whether this clock covers all of `other`.
    pub fn dominates(&self, other: &Self) -> bool {
        other.slots.iter().all(|(slot, clock)| self.slot(*slot).dominates(clock))
    }

    /// Returns the slots that are not empty, in order.
    pub fn slots(&self) -> impl Iterator<Item = (u8, &VersionVector)> {
        self.slots.iter().map(|(slot, clock)| (*slot, clock))
    }

    /// Returns a hash that two nodes compare to learn whether they have the same; equal clocks hash alike on
    /// every machine.
    pub fn hash(&self) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        for (slot, clock) in &self.slots {
            hasher.write_u8(*slot);
            hash_slot_clock(&mut hasher, clock);
        }
        hasher.finish()
    }

    /// Returns the hash of one slot's clock, as sent beside its digest.
    pub fn slot_hash(&self, slot: u8) -> u64 {
        slot_clock_hash(slot, self.slot(slot))
    }
}

/// Returns the hash of the clock of `slot`, as sent beside its digest; the same on every machine.
pub fn slot_clock_hash(slot: u8, clock: &VersionVector) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0, u64::from(slot));
    hash_slot_clock(&mut hasher, clock);
    hasher.finish()
}

fn hash_slot_clock(hasher: &mut SipHasher13, clock: &VersionVector) {
    hasher.write_u64(clock.len() as u64);
    for (origin, seq) in clock.iter() {
        hasher.write_u64(origin.as_u64());
        hasher.write_u64(seq);
    }
}

impl FromIterator<(u8, VersionVector)> for NodeClock {
    fn from_iter<I: IntoIterator<Item = (u8, VersionVector)>>(slots: I) -> Self {
        let mut clock = Self::new();
        for (slot, vector) in slots {
            clock.merge_slot(slot, &vector);
        }
        clock
    }
}
