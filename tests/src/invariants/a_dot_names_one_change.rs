//! 3: a dot names one change for ever, and no replica outlives the process that minted it.

use std::collections::{BTreeSet, HashMap};

use trellis_crdt::{Delta, ReplicaId, Slot, Value};
use trellis_node::core::Record;

use super::{Held, Violation};
use crate::model::{List, Operation, What};
use crate::sim::directory::{Change, Noted, Seen, hash_of};
use crate::sim::host::Process;
use crate::sim::marks::InHand;

/// Every delta that any log has ever held, by its dot.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    by_dot: HashMap<(u8, u64, u64), u64>,
    replicas: BTreeSet<ReplicaId>,
    /// The increments of each replica and atom, to tell from a slot which of them were reset.
    increments: HashMap<(u8, u64, crate::model::Atom), Vec<(u64, i64)>>,
}

impl Contents {
    pub(super) fn replica_started(&mut self, host: u8, replica: ReplicaId) -> Held {
        if self.replicas.insert(replica) {
            return Ok(());
        }
        Err(violation(host, format!("n{} starts as replica {replica}, which was used before", host + 1)))
    }

    pub(super) fn seen(&mut self, host: u8, dot: (u8, u64, u64), record: &[u8]) -> Held {
        let hash = hash_of(record);
        let held = *self.by_dot.entry(dot).or_insert(hash);
        if held == hash {
            return Ok(());
        }
        let (slot, origin, seq) = dot;
        Err(violation(
            host,
            format!("n{} has another content of dot {origin:016x}:{seq} in slot {slot}", host + 1),
        ))
    }

    /// Makes the operation of the model that a record of its own origin stands for.
    pub(super) fn minted(
        &mut self,
        host: u8,
        process: &Process,
        noted: &Noted,
        in_hand: &mut Option<InHand>,
    ) -> Result<Operation, Violation> {
        let (Seen::Delta { slot, origin, seq }, Some(change)) = (noted.what, &noted.change) else {
            return Err(violation(host, "a delta without a change".to_owned()));
        };
        let Some(in_hand) = in_hand else {
            return Err(violation(host, format!("n{} minted dot {seq} of slot {slot} unasked", host + 1)));
        };
        in_hand.dots.push((slot, seq, noted.lsn));
        let delta = decode(&noted.bytes).ok_or_else(|| violation(host, "a delta that is none".to_owned()))?;
        let known = process.lists.get(&(slot, change.atom));
        let observed: List = known.map(|known| known.list.clone()).unwrap_or_default();
        // What its origin had merged says so, not the delta: its whole slot travels with an increment.
        let own_reset = known.and_then(|known| known.resets.get(&origin)).copied().unwrap_or(0);
        let own = (slot, origin, change.atom);
        if let What::Add(amount) = in_hand.what {
            self.increments.entry(own).or_default().push((seq, amount));
        }
        let stamp = match &delta.entry.value {
            Value::LwwRegister(register) => register.stamp().map_or(0, |(hlc, _)| hlc.as_u64()),
            _ => 0,
        };
        Ok(Operation { slot, origin, seq, atom: change.atom, what: in_hand.what, observed, own_reset, stamp })
    }
}

impl Contents {
    /// Tells from the counter slots of a catch-up entry what they say to be reset.
    pub(super) fn note_resets(&self, change: &mut Change) {
        for (origin, slot) in &change.slots {
            let increments = self.increments.get(&(change.slot, *origin, change.atom));
            let increments = increments.map_or(&[][..], Vec::as_slice);
            crate::model::raise(&mut change.resets, *origin, reset_up_to(slot, increments));
        }
    }
}

/// The seq of the last increment that a slot says to be reset.
///
/// Each increment moves one of the two sums, so the reset sums are those at exactly one increment of the generation.
/// What came before the generation was reset before it began.
fn reset_up_to(slot: &Slot, increments: &[(u64, i64)]) -> u64 {
    let (mut p, mut n, mut reset) = (0_u64, 0_u64, slot.generation - 1);
    let counted = |(seq, _): &&(u64, i64)| (slot.generation..=slot.seq).contains(seq);
    for (seq, amount) in increments.iter().filter(counted) {
        if *amount < 0 {
            n += amount.unsigned_abs();
        } else {
            p += amount.unsigned_abs();
        }
        if p <= slot.reset_p && n <= slot.reset_n {
            reset = *seq;
        }
    }
    reset
}

fn decode(record: &[u8]) -> Option<Delta<'_>> {
    match Record::decode(record).ok()? {
        Record::Delta { payload, .. } => Delta::<ReplicaId>::decode(payload).ok(),
        _ => None,
    }
}

pub(super) fn violation(host: u8, detail: String) -> Violation {
    Violation { invariant: "a_dot_names_one_change", hosts: vec![host], detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_contents_of_one_dot_are_seen() {
        let mut contents = Contents::default();
        assert_eq!(contents.seen(0, (3, 1, 4), b"one"), Ok(()));
        assert_eq!(contents.seen(1, (3, 1, 4), b"one"), Ok(()));
        assert!(contents.seen(1, (3, 1, 4), b"two").is_err());
    }

    #[test]
    fn a_replica_that_comes_back_is_seen() {
        let mut contents = Contents::default();
        assert_eq!(contents.replica_started(0, ReplicaId::from_u64(7)), Ok(()));
        assert!(contents.replica_started(1, ReplicaId::from_u64(7)).is_err());
    }

    #[test]
    fn what_a_slot_says_to_be_reset_is_found_among_its_increments() {
        let slot = Slot { generation: 2, seq: 6, p: 9, n: 4, reset_p: 5, reset_n: 4 };
        assert_eq!(reset_up_to(&slot, &[(1, 8), (2, 5), (4, -4), (6, 4)]), 4);
        let fresh = Slot { generation: 6, seq: 6, p: 4, n: 0, reset_p: 0, reset_n: 0 };
        assert_eq!(reset_up_to(&fresh, &[(2, 5), (6, 4)]), 5);
    }
}
