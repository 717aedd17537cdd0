//! Laws and histories of the registers.

use alloc::boxed::Box;
use alloc::vec::Vec;

use quickcheck::{Arbitrary, Gen};

use super::{LwwRegister, MvRegister};
use crate::delta::Entry;
use crate::dot::Dot;
use crate::hlc::Hlc;
use crate::lattice::Crdt;
use crate::laws::own::{CASES, Own, check, entry};
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
fn an_lww_write_observes_nothing() {
    let mut register = LwwRegister::new();
    register.set(dot(A, 1), stamp(1), bytes(b"a"));
    let write = register.set(dot(B, 1), stamp(2), bytes(b"b"));
    assert_eq!(*write.context(), VersionVector::from(dot(B, 1)));
    let deletion = register.delete(dot(C, 1), stamp(3));
    assert_eq!(*deletion.context(), VersionVector::from(dot(C, 1)));
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
