//! What local operations answer, refuse and leave alone.

use trellis_crdt::{Dot, Kind, ReplicaId, VersionVector};
use trellis_storage::{
    MergeError, Operation, OperationError, Outcome, Read, ReadError, ReadValue, Total, slot_of,
};

use crate::support::{Replica, Sent, del, del_kind, incr, set};

fn answer(replica: &mut Replica, operation: &Operation<'_>) -> (usize, Outcome) {
    let (sent, outcome) = replica.apply(operation).unwrap();
    (sent.len(), outcome)
}

fn total(value: i64) -> Outcome {
    Outcome::Counter(Total { value, exact: true })
}

#[test]
fn an_increment_answers_the_value_after_it() {
    let mut a = Replica::new(1);
    assert_eq!(answer(&mut a, &incr("k", 5)), (1, total(5)));
    assert_eq!(answer(&mut a, &incr("k", -7)), (1, total(-2)));
    assert_eq!(a.keyspace.usage().counters.operations, 2);
}

#[test]
fn an_increment_by_zero_takes_no_dot_and_creates_nothing() {
    let mut a = Replica::new(1);
    assert_eq!(answer(&mut a, &incr("k", 0)), (0, total(0)));
    assert_eq!(a.keyspace.read("k", None).unwrap().kinds, []);
    a.one(&incr("k", 5));
    assert_eq!(answer(&mut a, &incr("k", 0)), (0, total(5)));
    assert_eq!(a.keyspace.next_seq(slot_of("k"), a.id), Some(2));
}

#[test]
fn both_ends_of_int64_are_accepted_and_a_total_beyond_them_is_told_saturated() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let least = a.one(&incr("k", i64::MIN));
    assert_eq!(a.counter("k", Kind::PnCounter), Some(i64::MIN));
    b.one(&incr("k", i64::MIN));
    b.take(&least);
    let read = b.keyspace.read("k", None).unwrap();
    assert_eq!(read.value, Some(ReadValue::Counter(Total { value: i64::MIN, exact: false })));
    b.one(&incr("k", i64::MAX));
    b.one(&incr("k", i64::MAX));
    assert_eq!(b.counter("k", Kind::PnCounter), Some(-2));
}

#[test]
fn an_overflowing_increment_is_refused_and_changes_nothing() {
    let mut a = Replica::new(1);
    for _ in 0..2 {
        a.one(&incr("k", i64::MAX));
    }
    let slot = slot_of("k");
    let before = (a.keyspace.digest(slot), a.keyspace.clock(slot).clone());
    assert_eq!(a.apply(&incr("k", 2)).unwrap_err(), OperationError::CounterOverflow { amount: 2 });
    assert_eq!((a.keyspace.digest(slot), a.keyspace.clock(slot).clone()), before);
    assert_eq!(answer(&mut a, &incr("k", 1)).0, 1);
    assert_eq!(answer(&mut a, &incr("k", i64::MIN)).1, total(i64::MAX));
}

#[test]
fn a_g_counter_refuses_to_shrink() {
    let mut a = Replica::new(1);
    let shrink = Operation::Increment { key: "k", kind: Kind::GCounter, amount: -1 };
    assert_eq!(a.apply(&shrink).unwrap_err(), OperationError::NegativeAmount { amount: -1 });
    assert_eq!(a.keyspace.usage().atoms, 0);
}

#[test]
fn keys_and_values_have_limits() {
    let mut a = Replica::new(1);
    let (longest, longer) = ("k".repeat(1024), "k".repeat(1025));
    a.one(&incr(&longest, 1));
    for (key, bytes) in [("", 0), (longer.as_str(), 1025)] {
        assert_eq!(a.apply(&incr(key, 1)).unwrap_err(), OperationError::InvalidKey { bytes });
        assert_eq!(a.apply(&del(key)).unwrap_err(), OperationError::InvalidKey { bytes });
        assert_eq!(a.keyspace.read(key, None).unwrap_err(), ReadError::InvalidKey { bytes });
    }
    let (largest, larger) = ("v".repeat(1 << 20), "v".repeat((1 << 20) + 1));
    for kind in [Kind::LwwRegister, Kind::MvRegister] {
        let refused = a.apply(&set("r", kind, &larger)).unwrap_err();
        assert_eq!(refused, OperationError::ValueTooLarge { bytes: larger.len() });
    }
    a.one(&set("r", Kind::LwwRegister, &largest));
    assert_eq!(a.keyspace.keys(), 2);
}

#[test]
fn a_key_takes_writes_of_its_own_kind_only_until_it_is_deleted() {
    let mut a = Replica::new(1);
    a.one(&incr("k", 1));
    let refused = OperationError::WrongKind { actual: vec![Kind::PnCounter], requested: Kind::LwwRegister };
    assert_eq!(a.apply(&set("k", Kind::LwwRegister, "x")).unwrap_err(), refused);
    assert_eq!(a.apply(&del_kind("k", Kind::LwwRegister)).unwrap_err(), refused);
    assert_eq!(refused.to_string(), "the key holds a pn-counter, not a lww-register");
    a.one(&del("k"));
    a.one(&set("k", Kind::LwwRegister, "x"));
    assert!(matches!(a.apply(&incr("k", 1)).unwrap_err(), OperationError::WrongKind { .. }));
    assert_eq!(a.values("k", Kind::LwwRegister), [b"x"]);
    assert_eq!(a.keyspace.usage().counters.operations_refused, 3);
}

#[test]
fn an_operation_is_refused_for_a_kind_that_it_does_not_apply_to() {
    let mut a = Replica::new(1);
    for kind in Kind::ALL {
        let increment = a.apply(&Operation::Increment { key: "k", kind, amount: 0 });
        assert_eq!(increment.is_ok(), kind.is_counter(), "{kind}");
        let write = a.apply(&Operation::Set { key: &kind.to_string(), kind, value: b"" });
        assert_eq!(write.is_ok(), kind.is_register(), "{kind}");
    }
}

#[test]
fn deleting_what_is_not_there_takes_no_dot() {
    let mut a = Replica::new(1);
    for operation in [del("k"), del_kind("k", Kind::GCounter), del_kind("k", Kind::OrSet)] {
        assert_eq!(answer(&mut a, &operation), (0, Outcome::Deleted { existed: false, next: None }));
    }
    a.one(&incr("k", 1));
    assert_eq!(answer(&mut a, &del("k")), (1, Outcome::Deleted { existed: true, next: None }));
    assert_eq!(answer(&mut a, &del("k")), (0, Outcome::Deleted { existed: false, next: None }));
    assert_eq!(a.keyspace.usage().atoms, 1);
    assert_eq!(a.keyspace.keys(), 0);
}

#[test]
fn a_key_of_several_kinds_lists_them_and_is_deleted_by_one_change_each() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let count = a.one(&incr("k", 4));
    b.one(&set("k", Kind::LwwRegister, "x"));
    b.take(&count);
    let kinds = vec![Kind::PnCounter, Kind::LwwRegister];
    assert_eq!(
        b.keyspace.read("k", None).unwrap(),
        Read { kinds: kinds.clone(), kind: None, value: None, dots: VersionVector::new() }
    );
    assert_eq!(b.counter("k", Kind::PnCounter), Some(4));
    assert_eq!(b.values("k", Kind::LwwRegister), [b"x"]);
    assert_eq!(
        b.keyspace.read("k", Some(Kind::MvRegister)).unwrap(),
        Read { kinds, kind: None, value: None, dots: VersionVector::new() }
    );

    let (sent, outcome) = b.apply(&del("k")).unwrap();
    assert_eq!(outcome, Outcome::Deleted { existed: true, next: None });
    assert_eq!(sent.iter().map(|sent| sent.dot.seq).collect::<Vec<u64>>(), [2, 3]);
    assert_eq!(b.keyspace.keys(), 0);
}

#[test]
fn only_lww_registers_ask_for_a_stamp() {
    let mut a = Replica::new(1);
    a.one(&incr("c", 1));
    a.one(&set("m", Kind::MvRegister, "x"));
    a.one(&del("c"));
    a.one(&del("m"));
    assert_eq!(a.hlc, 0);
    a.one(&set("l", Kind::LwwRegister, "x"));
    a.one(&del("l"));
    assert_eq!(a.hlc, 2);
}

#[test]
fn a_replica_whose_next_dot_is_known_already_writes_nothing() {
    let (mut a, mut twin, mut b) = (Replica::new(1), Replica::new(1), Replica::new(2));
    let foreign = twin.one(&incr("k", 1));
    b.take(&foreign);
    let reset = b.one(&del("k"));
    a.take(&reset);
    let slot = slot_of("k");
    assert_eq!(a.keyspace.next_seq(slot, a.id), None);
    let refused = OperationError::DotTaken { slot, origin: a.id };
    assert_eq!(a.apply(&incr("k", 1)).unwrap_err(), refused);
    assert!(a.keyspace.clock(slot).get(a.id) == 0 && a.keyspace.keys() == 0);
}

#[test]
fn a_payload_that_is_not_what_its_envelope_says_is_refused() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let sent = a.one(&incr("k", 1));
    let found = MergeError::Mismatch { slot: sent.slot, dot: Some(sent.dot) };
    let other_slot = Sent { slot: sent.slot ^ 1, ..sent.clone() };
    let other_seq = Sent { dot: Dot::new(sent.dot.actor, 2), ..sent.clone() };
    let other_origin = Sent { dot: Dot::new(ReplicaId::from_u64(3), 1), ..sent.clone() };
    for sent in [other_slot, other_seq, other_origin] {
        assert_eq!(b.try_take(&sent).unwrap_err(), found);
    }
    let entry = a.entries_beyond(sent.slot, &VersionVector::new()).remove(0);
    let refused = b.keyspace.merge_entry(sent.slot ^ 1, &entry).unwrap_err();
    assert_eq!(refused, MergeError::Mismatch { slot: sent.slot, dot: None });
    for cut in 0..sent.bytes.len() {
        let cut = Sent { bytes: sent.bytes[..cut].to_vec(), ..sent.clone() };
        assert!(matches!(b.try_take(&cut).unwrap_err(), MergeError::Decode(_)));
    }
    assert_eq!(b.keyspace.usage().atoms, 0);
    assert!(b.keyspace.clock(sent.slot).is_empty() && b.keyspace.ceiling(sent.slot).is_empty());
}

#[test]
fn a_dot_with_two_contents_is_reported_and_not_merged() {
    let (mut a, mut twin, mut b) = (Replica::new(1), Replica::new(1), Replica::new(2));
    let first = a.one(&incr("k", 1));
    let second = twin.one(&incr("k", 2));
    let contradiction = MergeError::Contradiction { dot: first.dot };
    b.take(&first);
    assert_eq!(b.try_take(&second).unwrap_err(), contradiction);
    let entry = twin.entries_beyond(first.slot, &VersionVector::new()).remove(0);
    assert_eq!(b.keyspace.merge_entry(first.slot, &entry).unwrap_err(), contradiction);

    let key = (0..).map(|number| number.to_string()).find(|key| slot_of(key) == first.slot).unwrap();
    let mut other = Replica::new(1);
    let elsewhere = other.one(&incr(&key, 1));
    assert_eq!(b.try_take(&elsewhere).unwrap_err(), contradiction);
    let entry = other.entries_beyond(first.slot, &VersionVector::new()).remove(0);
    assert_eq!(b.keyspace.merge_entry(first.slot, &entry).unwrap_err(), contradiction);
    assert_eq!(b.keyspace.usage().counters.refused, 4);
    assert_eq!(b.counter("k", Kind::PnCounter), Some(1));
}
