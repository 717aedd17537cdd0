//! Laws and histories of the counters.

use alloc::vec::Vec;

use quickcheck::{Arbitrary, Gen};

use super::{GCounter, PnCounter, Slot};
use crate::delta::Entry;
use crate::dot::Dot;
use crate::error::CounterError;
use crate::lattice::Crdt;
use crate::laws::own::{CASES, Own, check, contents, entry, join};
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
fn a_reset_leaves_increments_that_it_did_not_see() {
    // T7: in whatever order the three deltas arrive.
    let (mut at_a, mut at_b) = (PnCounter::new(), PnCounter::new());
    let five = at_a.increment(dot(A, 1), 5).unwrap();
    at_b.merge(&five);
    let reset = at_b.reset(dot(B, 1));
    let three = at_a.increment(dot(A, 2), 3).unwrap();
    for order in permutations(&[five, reset, three]) {
        assert_eq!(join(&order).value(), 3);
    }
}

#[test]
fn a_reset_is_exact_in_both_directions() {
    let mut counter = PnCounter::new();
    counter.increment(dot(A, 1), 10).unwrap();
    let seen = counter.clone();
    counter.increment(dot(A, 2), -4).unwrap();
    let mut at_b = seen;
    let reset = at_b.reset(dot(B, 1));
    counter.merge(&reset);
    assert_eq!(counter.value(), -4);
    assert!(!counter.is_empty());
}

#[test]
fn a_collected_slot_started_over_is_not_swallowed_by_the_old_one() {
    // R7, generation: dropped at A, kept at B. With one generation the join would be P = 10, RP = 10.
    let mut at_a = PnCounter::new();
    at_a.increment(dot(A, 1), 10).unwrap();
    at_a.reset(dot(A, 2));
    let mut at_b = at_a.clone();
    at_a.collect();
    let delta = at_a.increment(dot(A, 3), 5).unwrap();
    at_b.merge(&delta);
    assert_eq!(at_b.value(), 5);
    assert_eq!(at_b.slot(A), Some(&Slot { generation: 3, seq: 3, p: 5, n: 0, reset_p: 0, reset_n: 0 }));
}

#[test]
fn an_old_state_does_not_come_back_over_a_collected_slot() {
    // T8: a full state that was long on its way arrives where the slot was dropped, and where it was started over.
    let mut at_a = PnCounter::new();
    at_a.increment(dot(A, 1), 10).unwrap();
    let old = at_a.clone();
    at_a.reset(dot(A, 2));
    let clock = at_a.context().clone();
    at_a.collect();
    assert_eq!(at_a, PnCounter::new());

    let mut dropped = at_a.clone();
    dropped.merge_unless(&old, &clock);
    assert!(dropped.is_empty() && dropped.slots().len() == 0);

    at_a.increment(dot(A, 3), 5).unwrap();
    at_a.merge(&old);
    assert_eq!(at_a.value(), 5);
}

#[test]
fn an_increment_brings_the_reset_part_of_its_slot() {
    // R7, whole slot: P = 15 arrives where the slot was dropped; without its RP = 10 it would count ten too many.
    let mut at_a = PnCounter::new();
    at_a.increment(dot(A, 1), 10).unwrap();
    let mut at_b = at_a.clone();
    let reset = at_b.reset(dot(B, 1));
    let mut at_c = at_b.clone();
    at_c.collect();
    // The increment is made before the reset arrives at A, and another after it.
    at_a.increment(dot(A, 2), 3).unwrap();
    at_a.merge(&reset);
    let delta = at_a.increment(dot(A, 3), 2).unwrap();
    at_c.merge(&delta);
    assert_eq!(at_c.value(), 5);
    assert_eq!(at_c.slot(A), at_a.slot(A));
}

#[test]
fn a_reset_carries_slots_that_were_reset_before() {
    // R7: C hears only of the second reset, then of an increment at A that had heard of neither.
    let mut at_a = PnCounter::new();
    let ten = at_a.increment(dot(A, 1), 10).unwrap();
    let mut at_b = join([&ten]);
    let first_reset = at_b.reset(dot(B, 1));
    let mut at_d = join([&ten, &first_reset]);
    let second_reset = at_d.reset(dot(D, 1));
    let five = at_a.increment(dot(A, 2), 5).unwrap();
    for order in permutations(&[second_reset, ten, five]) {
        assert_eq!(join(&order).value(), 5);
    }
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
fn a_counter_at_zero_exists_and_a_reset_one_does_not() {
    let mut counter = PnCounter::new();
    assert!(counter.is_empty());
    counter.increment(dot(A, 1), 7).unwrap();
    counter.increment(dot(A, 2), -7).unwrap();
    assert_eq!(counter.value(), 0);
    assert!(!counter.is_empty());
    counter.reset(dot(A, 3));
    assert!(counter.is_empty());
}

#[test]
fn the_ends_of_int64_are_accepted() {
    let mut counter = PnCounter::new();
    counter.increment(dot(A, 1), i64::MIN).unwrap();
    assert_eq!(counter.value(), i128::from(i64::MIN));
    counter.increment(dot(A, 2), i64::MAX).unwrap();
    assert_eq!(counter.value(), -1);
    counter.increment(dot(B, 1), i64::MIN).unwrap();
    counter.increment(dot(D, 1), i64::MIN).unwrap();
    assert_eq!(counter.value(), 2 * i128::from(i64::MIN) - 1);
}

#[test]
fn an_overflow_is_refused_and_changes_nothing() {
    let mut counter = PnCounter::new();
    for seq in 1..=2 {
        counter.increment(dot(A, seq), i64::MAX).unwrap();
    }
    counter.increment(dot(A, 3), 1).unwrap();
    let before = counter.clone();
    let overflow = CounterError::Overflow { held: u64::MAX, amount: 1 };
    assert_eq!(counter.increment(dot(A, 4), 1), Err(overflow));
    assert_eq!(counter, before);
    // The other direction, and another actor, have room; and so has this actor once all was reset.
    counter.increment(dot(A, 4), -1).unwrap();
    counter.increment(dot(B, 1), i64::MAX).unwrap();
    counter.reset(dot(B, 2));
    counter.increment(dot(A, 5), 1).unwrap();
    assert_eq!(counter.value(), 1);
}

#[test]
fn a_g_counter_refuses_to_go_down() {
    let mut counter = GCounter::new();
    counter.increment(dot(A, 1), 2).unwrap();
    let before = counter.clone();
    assert_eq!(counter.increment(dot(A, 2), -1), Err(CounterError::Negative { amount: -1 }));
    assert_eq!(counter, before);
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

fn permutations<T: Clone>(values: &[T; 3]) -> Vec<[T; 3]> {
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        .into_iter()
        .map(|order| order.map(|place| values[place].clone()))
        .collect()
}

fn dot(actor: ReplicaId, seq: u64) -> Dot {
    Dot::new(actor, seq)
}

const A: ReplicaId = ReplicaId::from_u64(1);
const B: ReplicaId = ReplicaId::from_u64(2);
const D: ReplicaId = ReplicaId::from_u64(4);
