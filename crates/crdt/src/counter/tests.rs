//! Laws and histories of the counters.

use alloc::vec::Vec;

use quickcheck::{Arbitrary, Gen};

use super::{GCounter, PnCounter, Slot};
use crate::delta::Entry;
use crate::dot::Dot;
use crate::lattice::Crdt;
use crate::laws::own::{CASES, Own, check, contents, entry};
use crate::laws::{Lawful, Run, check_model};
use crate::replica_id::ReplicaId;
use crate::version_vector::VersionVector;

#[test]
fn the_laws_hold_for_a_pn_counter() {
    check::<PnCounter>(CASES);
}

#[test]
fn the_laws_hold_for_a_g_counter() {
    check::<GCounter>(CASES);
}

#[test]
fn a_counter_is_the_sum_of_the_increments_that_no_reset_saw() {
    check_model::<PnCounter>(CASES, |run| run.join_of_deltas().value() == unreset_sum(run));
    check_model::<GCounter>(CASES, |run| run.join_of_deltas().value() == unreset_sum(run));
}

#[test]
fn a_slot_is_what_its_actor_counted() {
    let mut counter = GCounter::new();
    counter.increment(dot(A, 3), 2).unwrap();
    counter.increment(dot(A, 4), 5).unwrap();
    assert_eq!(counter.slot(A), Some(&Slot { generation: 3, seq: 4, p: 7, n: 0, reset_p: 0, reset_n: 0 }));
    assert_eq!((counter.slot(A), counter.slot(B)), (counter.slots().next().map(|(_, slot)| slot), None));
}

#[test]
fn a_reset_does_not_change_the_seq_of_a_slot() {
    let mut counter = PnCounter::new();
    counter.increment(dot(A, 1), 1).unwrap();
    counter.reset(dot(A, 2));
    assert_eq!(counter.slot(A).map(|slot| (slot.generation, slot.seq)), Some((1, 1)));
    assert_eq!(counter.context().get(A), 2);
}

#[test]
fn an_increment_observes_nothing_and_a_reset_observes_all() {
    let mut counter = PnCounter::new();
    counter.increment(dot(A, 1), 1).unwrap();
    let increment = counter.increment(dot(B, 1), 1).unwrap();
    assert_eq!(*increment.context(), VersionVector::from(dot(B, 1)));
    let reset = counter.reset(dot(D, 1));
    assert_eq!(*reset.context(), [dot(A, 1), dot(B, 1), dot(D, 1)].into_iter().collect());
    assert_eq!(reset.slots().len(), 2);
}

#[test]
fn content_shows_how_much_was_reset() {
    let mut at_a = PnCounter::new();
    at_a.increment(dot(A, 1), 1).unwrap();
    let mut at_b = at_a.clone();
    let reset = at_b.reset(dot(B, 1));
    at_a.increment(dot(A, 2), 1).unwrap();
    let before = contents(&at_a);
    at_a.merge(&reset);
    assert_ne!(contents(&at_a), before);
    assert_eq!(contents(&at_b), Vec::<Vec<u8>>::new());
}

#[derive(Clone, Debug)]
pub enum Operation {
    Add(i16),
    Reset,
}

impl Arbitrary for Operation {
    fn arbitrary(g: &mut Gen) -> Self {
        if u8::arbitrary(g) % 4 == 0 { Self::Reset } else { Self::Add(i16::arbitrary(g)) }
    }
}

impl Lawful for PnCounter {
    type Actor = ReplicaId;
    type Operation = Operation;

    fn apply(&mut self, dot: Dot, operation: &Operation) -> Option<Self> {
        match operation {
            Operation::Add(amount) => self.increment(dot, i64::from(*amount)).ok(),
            Operation::Reset => Some(self.reset(dot)),
        }
    }
}

impl Own for PnCounter {
    fn dots(&self) -> Vec<Dot> {
        self.slots().map(|(actor, slot)| Dot::new(actor, slot.seq)).collect()
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        entry(self.clone())
    }
}

impl Lawful for GCounter {
    type Actor = ReplicaId;
    type Operation = Operation;

    fn apply(&mut self, dot: Dot, operation: &Operation) -> Option<Self> {
        match operation {
            Operation::Add(amount) => self.increment(dot, i64::from(*amount)).ok(),
            Operation::Reset => Some(self.reset(dot)),
        }
    }
}

impl Own for GCounter {
    fn dots(&self) -> Vec<Dot> {
        self.slots().map(|(actor, slot)| Dot::new(actor, slot.seq)).collect()
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        entry(self.clone())
    }
}

/// The reference: what was added under dots that the list of no reset covers.
fn unreset_sum<C: Lawful<Operation = Operation>>(run: &Run<C>) -> i128 {
    let is_reset = |dot| {
        let mut resets = run.made.iter().filter(|made| matches!(made.operation, Operation::Reset));
        resets.any(|reset| reset.delta.context().covers(dot))
    };
    let added = run.made.iter().filter(|made| !is_reset(made.dot)).map(|made| match made.operation {
        Operation::Add(amount) => i128::from(amount),
        Operation::Reset => 0,
    });
    added.sum()
}

fn dot(actor: ReplicaId, seq: u64) -> Dot {
    Dot::new(actor, seq)
}

const A: ReplicaId = ReplicaId::from_u64(1);
const B: ReplicaId = ReplicaId::from_u64(2);
const D: ReplicaId = ReplicaId::from_u64(4);
