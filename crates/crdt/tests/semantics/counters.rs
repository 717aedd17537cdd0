//! Claims about counters.

use trellis_crdt::{CounterError, Crdt, GCounter, PnCounter, Slot};

use super::{A, B, C, dot, join, joins};

#[test]
fn all_increments_of_a_g_counter_count() {
    let [mut at_a, mut at_b] = [GCounter::new(), GCounter::new()];
    let five = at_a.increment(dot(A, 1), 5).unwrap();
    let two = at_b.increment(dot(B, 1), 2).unwrap();
    let one = at_a.increment(dot(A, 2), 1).unwrap();
    assert!(joins(&[&five, &two, &one]).iter().all(|all| all.value() == 8));
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
fn a_deleted_g_counter_keeps_what_the_deletion_did_not_see() {
    let mut at_a = GCounter::new();
    let five = at_a.increment(dot(A, 1), 5).unwrap();
    let [mut at_b, mut at_c] = [at_a.clone(), at_a.clone()];
    let resets = [at_b.reset(dot(B, 1)), at_c.reset(dot(C, 1))];
    let three = at_a.increment(dot(A, 2), 3).unwrap();
    assert!(joins(&[&five, &resets[0], &resets[1], &three]).iter().all(|all| all.value() == 3));
}

#[test]
fn a_g_counter_is_empty_when_all_was_taken_back() {
    let mut counter = GCounter::new();
    assert!(counter.is_empty());
    counter.increment(dot(A, 1), 2).unwrap();
    assert!(!counter.is_empty());
    counter.reset(dot(B, 1));
    assert!(counter.is_empty());
}

#[test]
fn all_increments_of_a_pn_counter_count() {
    let [mut at_a, mut at_b] = [PnCounter::new(), PnCounter::new()];
    let five = at_a.increment(dot(A, 1), 5).unwrap();
    let minus_two = at_b.increment(dot(B, 1), -2).unwrap();
    let minus_nine = at_a.increment(dot(A, 2), -9).unwrap();
    assert!(joins(&[&five, &minus_two, &minus_nine]).iter().all(|all| all.value() == -6));
}

#[test]
fn a_reset_leaves_increments_that_it_did_not_see() {
    // T7: in whatever order the three deltas arrive.
    let (mut at_a, mut at_b) = (PnCounter::new(), PnCounter::new());
    let five = at_a.increment(dot(A, 1), 5).unwrap();
    at_b.merge(&five);
    let reset = at_b.reset(dot(B, 1));
    let three = at_a.increment(dot(A, 2), 3).unwrap();
    assert!(joins(&[&five, &reset, &three]).iter().all(|all| all.value() == 3));
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
    // R7: a replica hears only of the second reset, then of an increment at A that had heard of neither.
    let mut at_a = PnCounter::new();
    let ten = at_a.increment(dot(A, 1), 10).unwrap();
    let mut at_b = join([&ten]);
    let first_reset = at_b.reset(dot(B, 1));
    let mut at_c = join([&ten, &first_reset]);
    let second_reset = at_c.reset(dot(C, 1));
    let five = at_a.increment(dot(A, 2), 5).unwrap();
    assert!(joins(&[&second_reset, &ten, &five]).iter().all(|all| all.value() == 5));
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
fn a_total_beyond_int64_is_exact() {
    let mut counter = PnCounter::new();
    counter.increment(dot(A, 1), i64::MIN).unwrap();
    assert_eq!(counter.value(), i128::from(i64::MIN));
    counter.increment(dot(A, 2), i64::MAX).unwrap();
    assert_eq!(counter.value(), -1);
    counter.increment(dot(B, 1), i64::MIN).unwrap();
    counter.increment(dot(C, 1), i64::MIN).unwrap();
    assert_eq!(counter.value(), 2 * i128::from(i64::MIN) - 1);
}
