//! Laws and histories of the registers.

use alloc::boxed::Box;
use alloc::vec::Vec;

use quickcheck::{Arbitrary, Gen};

use super::{LwwRegister, MvRegister};
use crate::delta::Entry;
use crate::dot::Dot;
use crate::hlc::Hlc;
use crate::lattice::Crdt;
use crate::laws::own::{CASES, Own, check, contents, entry, join};
use crate::laws::{Lawful, check_model};
use crate::replica_id::ReplicaId;
use crate::version_vector::VersionVector;

#[test]
fn the_laws_hold_for_an_lww_register() {
    check::<LwwRegister>(CASES);
}

#[test]
fn the_laws_hold_for_an_mv_register() {
    check::<MvRegister>(CASES);
}

#[test]
fn the_greatest_stamp_wins_then_the_greatest_dot() {
    check_model::<LwwRegister>(CASES, |run| {
        let last = run.made.iter().max_by_key(|made| (made.operation.stamp, made.dot));
        let expected = last.and_then(|made| made.operation.value.map(|byte| bytes(&[byte])));
        run.join_of_deltas().value() == expected.as_ref()
    });
}

#[test]
fn an_mv_register_holds_the_writes_that_no_other_operation_saw() {
    check_model::<MvRegister>(CASES, |run| {
        let is_replaced =
            |dot| run.made.iter().any(|made| made.dot != dot && made.delta.context().covers(dot));
        let mut expected = Vec::from_iter(run.made.iter().filter_map(|made| {
            let MvOperation(value) = made.operation;
            value.filter(|_| !is_replaced(made.dot)).map(|byte| (made.dot, bytes(&[byte])))
        }));
        expected.sort();
        run.join_of_deltas().pieces().eq(expected.iter().map(|(dot, value)| (*dot, value)))
    });
}

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
    for order in permutations(4) {
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
fn an_lww_write_observes_nothing() {
    let mut register = LwwRegister::new();
    register.set(dot(A, 1), stamp(1), bytes(b"a"));
    let write = register.set(dot(B, 1), stamp(2), bytes(b"b"));
    assert_eq!(*write.context(), VersionVector::from(dot(B, 1)));
    let deletion = register.delete(dot(C, 1), stamp(3));
    assert_eq!(*deletion.context(), VersionVector::from(dot(C, 1)));
}

#[test]
fn equal_stamps_are_decided_by_the_actor_then_by_the_dot() {
    let mut register = LwwRegister::new();
    register.set(dot(B, 1), stamp(1), bytes(b"b"));
    register.set(dot(A, 1), stamp(1), bytes(b"a"));
    assert_eq!(register.value(), Some(&bytes(b"b")));
    register.delete(dot(B, 2), stamp(1));
    assert_eq!((register.value(), register.dot()), (None, Some(dot(B, 2))));
}

#[test]
fn a_deletion_is_no_content_but_keeps_an_older_write_out() {
    let mut register = LwwRegister::new();
    let write = register.set(dot(A, 1), stamp(1), bytes(b"a"));
    register.delete(dot(B, 1), stamp(2));
    register.merge(&write);
    assert!(register.is_empty());
    assert_eq!(contents(&register), Vec::<Vec<u8>>::new());
    assert_ne!(register, LwwRegister::new());
}

#[test]
fn a_write_that_was_dropped_here_is_not_taken_again() {
    let mut at_a = LwwRegister::new();
    let write = at_a.set(dot(A, 1), stamp(1), bytes(b"a"));
    let clock = VersionVector::from(dot(A, 1));
    let mut absent = LwwRegister::new();
    absent.merge_unless(&write, &clock);
    assert_eq!((absent.value(), absent.stamp()), (None, None));
    // Where another write is held, the register is held, and the greater one wins whatever is covered.
    let mut held = LwwRegister::new();
    held.set(dot(B, 1), stamp(0), bytes(b"b"));
    held.merge_unless(&write, &clock);
    assert_eq!(held.value(), Some(&bytes(b"a")));
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
    // T11: each writes upon what it saw a step ago, ten thousand times.
    let actors = [A, B];
    let mut registers = [MvRegister::new(), MvRegister::new()];
    let mut on_the_way: Option<MvRegister> = None;
    for round in 0..10_000_u64 {
        let writer = usize::from(round % 2 == 1);
        let delta = registers[writer].set(dot(actors[writer], round / 2 + 1), bytes(&round.to_le_bytes()));
        // What was written a step ago arrives at this writer only now that it has written.
        if let Some(late) = on_the_way.replace(delta) {
            registers[writer].merge(&late);
        }
        assert!(registers.iter().all(|register| register.values().len() <= 2));
    }
}

#[derive(Clone, Debug)]
pub struct LwwOperation {
    stamp: Hlc,
    value: Option<u8>,
}

impl Arbitrary for LwwOperation {
    fn arbitrary(g: &mut Gen) -> Self {
        // Few stamps, so that many are equal.
        Self { stamp: stamp(u8::arbitrary(g) % 16), value: Option::arbitrary(g) }
    }
}

impl Lawful for LwwRegister {
    type Actor = ReplicaId;
    type Operation = LwwOperation;

    fn apply(&mut self, dot: Dot, operation: &LwwOperation) -> Option<Self> {
        Some(match operation.value {
            Some(byte) => self.set(dot, operation.stamp, bytes(&[byte])),
            None => self.delete(dot, operation.stamp),
        })
    }
}

impl Own for LwwRegister {
    fn dots(&self) -> Vec<Dot> {
        self.dot().into_iter().collect()
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        entry(self.clone())
    }
}

#[derive(Clone, Debug)]
pub struct MvOperation(Option<u8>);

impl Arbitrary for MvOperation {
    fn arbitrary(g: &mut Gen) -> Self {
        Self(Option::arbitrary(g))
    }
}

impl Lawful for MvRegister {
    type Actor = ReplicaId;
    type Operation = MvOperation;

    fn apply(&mut self, dot: Dot, operation: &MvOperation) -> Option<Self> {
        Some(match operation.0 {
            Some(byte) => self.set(dot, bytes(&[byte])),
            None => self.clear(dot),
        })
    }
}

impl Own for MvRegister {
    fn dots(&self) -> Vec<Dot> {
        self.pieces().map(|(dot, _)| dot).collect()
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        entry(self.clone())
    }
}

/// All orders of the first `count` numbers.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return [Vec::new()].into();
    }
    let mut all = Vec::new();
    for shorter in permutations(count - 1) {
        for place in 0..count {
            let mut order = shorter.clone();
            order.insert(place, count - 1);
            all.push(order);
        }
    }
    all
}

fn bytes(bytes: &[u8]) -> Box<[u8]> {
    bytes.into()
}

fn stamp(millis: u8) -> Hlc {
    Hlc::from_parts(u64::from(millis), 0)
}

fn dot(actor: ReplicaId, seq: u64) -> Dot {
    Dot::new(actor, seq)
}

const A: ReplicaId = ReplicaId::from_u64(1);
const B: ReplicaId = ReplicaId::from_u64(2);
const C: ReplicaId = ReplicaId::from_u64(3);
