//! Claims about registers.

use trellis_crdt::{ClockError, Crdt, Hlc, LwwRegister, MvRegister};

use super::{A, B, C, contents, dot, join, joins, orders};

#[test]
fn a_deletion_with_a_stamp_is_confluent() {
    // T6: C saw A's write alone and deletes, while B's write has the greatest stamp. Were the deletion the removal of
    // what C saw, it would also matter which writes had been pruned for a greater one before it arrived.
    let (mut at_a, mut at_b) = (LwwRegister::new(), LwwRegister::new());
    let five = at_a.set(dot(A, 1), stamp(5), bytes(b"a"));
    let nine = at_b.set(dot(B, 1), stamp(9), bytes(b"b"));
    let mut at_c = join([&five]);
    let deletion = at_c.delete(dot(C, 1), stamp(7));
    let late = at_c.set(dot(C, 2), stamp(8), bytes(b"c"));
    let deltas = [five, nine, deletion, late];
    for order in orders(4) {
        let all = join(order.iter().map(|place| &deltas[*place]));
        assert_eq!(all.value(), Some(&bytes(b"b")));
        let without_late = join(order.iter().filter(|place| **place != 3).map(|place| &deltas[*place]));
        assert_eq!(without_late.value(), Some(&bytes(b"b")));
        let without_nine =
            join(order.iter().filter(|place| !matches!(place, 1 | 3)).map(|place| &deltas[*place]));
        assert_eq!((without_nine.value(), without_nine.stamp()), (None, Some((stamp(7), C))));
    }
}

#[test]
fn the_greatest_stamp_wins_then_the_replica_then_the_later_write() {
    let [mut at_a, mut at_b] = [LwwRegister::new(), LwwRegister::new()];
    let from_a = at_a.set(dot(A, 1), stamp(2), bytes(b"a"));
    let from_b = at_b.set(dot(B, 1), stamp(1), bytes(b"b"));
    assert!(joins(&[&from_a, &from_b]).iter().all(|all| all.value() == Some(&bytes(b"a"))));
    let equal = at_b.set(dot(B, 2), stamp(2), bytes(b"b"));
    assert!(joins(&[&from_a, &from_b, &equal]).iter().all(|all| all.value() == Some(&bytes(b"b"))));
    let deletion = at_b.delete(dot(B, 3), stamp(2));
    let all = joins(&[&from_a, &equal, &deletion]);
    assert!(all.iter().all(|all| (all.value(), all.dot()) == (None, Some(dot(B, 3)))));
}

#[test]
fn a_deletion_keeps_an_older_write_out() {
    let mut register = LwwRegister::new();
    let write = register.set(dot(A, 1), stamp(1), bytes(b"a"));
    register.delete(dot(B, 1), stamp(2));
    register.merge(&write);
    assert!(register.is_empty());
    assert_eq!(contents(&register), Vec::<Vec<u8>>::new());
    assert_ne!(register, LwwRegister::new());
}

#[test]
fn concurrent_writes_stay_until_a_write_that_saw_them() {
    let (mut at_a, mut at_b) = (MvRegister::new(), MvRegister::new());
    let from_a = at_a.set(dot(A, 1), bytes(b"a"));
    let from_b = at_b.set(dot(B, 1), bytes(b"b"));
    at_a.merge(&from_b);
    at_b.merge(&from_a);
    assert_eq!(at_a, at_b);
    assert_eq!(Vec::from_iter(at_a.values()), [&bytes(b"a"), &bytes(b"b")]);
    let both = at_b.set(dot(B, 2), bytes(b"ab"));
    at_a.merge(&both);
    assert_eq!(Vec::from_iter(at_a.values()), [&bytes(b"ab")]);
}

#[test]
fn clearing_removes_what_was_seen_and_no_more() {
    let (mut at_a, mut at_b) = (MvRegister::new(), MvRegister::new());
    let from_a = at_a.set(dot(A, 1), bytes(b"a"));
    let from_b = at_b.set(dot(B, 1), bytes(b"b"));
    let cleared = at_a.clear(dot(A, 2));
    assert!(cleared.is_empty() && at_a.is_empty());
    let all = join([&from_b, &cleared, &from_a]);
    assert_eq!(Vec::from_iter(all.values()), [&bytes(b"b")]);
}

#[test]
fn two_writers_one_step_behind_never_make_more_than_two_siblings() {
    // T11: each writes upon what it saw a step ago, many times.
    let actors = [A, B];
    let mut registers = [MvRegister::new(), MvRegister::new()];
    let mut on_the_way: Option<MvRegister> = None;
    for round in 0..ROUNDS {
        let writer = usize::from(round % 2 == 1);
        let delta = registers[writer].set(dot(actors[writer], round / 2 + 1), bytes(&round.to_le_bytes()));
        // What was written a step ago arrives at this writer only now that it has written.
        if let Some(late) = on_the_way.replace(delta) {
            registers[writer].merge(&late);
        }
        assert!(registers.iter().all(|register| register.values().len() <= 2));
    }
}

#[test]
fn a_write_that_saw_another_wins_whatever_the_wall_clocks_say() {
    // B's wall clock is an hour behind that of A.
    let (wall_at_a, wall_at_b) = (3_600_000, 1);
    let (mut at_a, mut at_b) = (LwwRegister::new(), LwwRegister::new());
    let clock_at_a = Hlc::ZERO.tick(wall_at_a);
    let from_a = at_a.set(dot(A, 1), clock_at_a, bytes(b"a"));
    at_b.merge(&from_a);
    let clock_at_b = Hlc::ZERO.max(clock_at_a).tick(wall_at_b);
    let from_b = at_b.set(dot(B, 1), clock_at_b, bytes(b"b"));
    assert!(joins(&[&from_a, &from_b]).iter().all(|all| all.value() == Some(&bytes(b"b"))));
}

#[test]
fn a_clock_too_far_ahead_makes_no_stamp_and_takes_every_write() {
    let mut register = LwwRegister::new();
    let heard = Hlc::from_parts(10_000, 0);
    register.merge(&LwwRegister::new().set(dot(A, 1), heard, bytes(b"a")));
    assert_eq!(register.value(), Some(&bytes(b"a")));
    let refused = ClockError::Ahead { ahead_millis: 9_000, drift_millis_max: 500 };
    assert_eq!(heard.tick_within(1_000, 500), Err(refused));
    assert_eq!(heard.tick_within(9_500, 500), Ok(heard.tick(0)));
}

#[test]
fn no_bytes_are_a_value() {
    let mut register = LwwRegister::new();
    assert!(register.is_empty());
    register.set(dot(A, 1), stamp(1), bytes(b""));
    assert_eq!((register.value(), register.is_empty()), (Some(&bytes(b"")), false));
    register.delete(dot(A, 2), stamp(2));
    assert_eq!((register.value(), register.is_empty()), (None, true));
}

#[test]
fn a_value_that_arrives_after_its_successor_stays_away() {
    let mut at_a = MvRegister::new();
    let first = at_a.set(dot(A, 1), bytes(b"a"));
    let mut at_b = at_a.clone();
    let second = at_b.set(dot(B, 1), bytes(b"b"));
    for all in joins(&[&first, &second, &first]) {
        assert_eq!(Vec::from_iter(all.values()), [&bytes(b"b")]);
    }
}

#[test]
fn equal_values_of_two_writers_stay_two() {
    let from_a = MvRegister::new().set(dot(A, 1), bytes(b"x"));
    let from_b = MvRegister::new().set(dot(B, 1), bytes(b"x"));
    assert_eq!(join([&from_a, &from_b]).values().len(), 2);
}

fn bytes(bytes: &[u8]) -> Box<[u8]> {
    bytes.into()
}

fn stamp(millis: u8) -> Hlc {
    Hlc::from_parts(u64::from(millis), 0)
}

const ROUNDS: u64 = if cfg!(miri) { 20 } else { 10_000 };
