//! Every rule of this crate that a fault build can switch off makes a difference. Built with `--cfg trellis_fault` only.
#![cfg(trellis_fault)]

use trellis_crdt::fault::{RULES, switch_off};
use trellis_crdt::{
    Crdt, Dot, DwFlag, EwFlag, Hlc, Kind, LwwRegister, MvRegister, PnCounter, ReplicaId, Value,
};

/// One test for all: the switch is the whole process's.
#[test]
fn every_rule_makes_a_difference() {
    let histories: [(&str, History); 11] = [
        ("R7 a fresh slot has a fresh generation", a_slot_starts_over),
        ("R7 deltas carry whole slots", an_increment_brings_its_resets),
        ("R7 deltas carry sums", two_increments_count),
        ("R7 a reset carries every slot", a_second_reset_carries_the_first),
        ("lww: the greatest stamp wins", the_greatest_stamp_wins),
        ("T6 a deletion is ordered like a write", a_deletion_keeps_older_writes_out),
        ("mv: a write replaces what it saw", a_write_replaces),
        ("mv: what was replaced stays away", what_was_replaced_stays_away),
        ("set: an addition wins over a removal that did not see it", an_addition_wins),
        ("flag: disabling wins", disabling_wins),
        ("hlc: stamps only grow", stamps_only_grow),
    ];
    assert!(histories.iter().map(|(rule, _)| rule).eq(RULES));
    for (rule, holds) in histories {
        assert!(holds(), "{rule}");
        assert!(switch_off(Some(rule)));
        assert!(!holds(), "{rule} makes no difference");
        assert!(switch_off(None));
    }
}

/// Tells whether what the rule is there for holds.
type History = fn() -> bool;

fn a_slot_starts_over() -> bool {
    let mut at_a = PnCounter::new();
    at_a.increment(dot(A, 1), 10).expect("there is room");
    at_a.reset(dot(A, 2));
    let mut at_b = at_a.clone();
    at_b.merge(&at_a.increment(dot(A, 3), 5).expect("there is room"));
    at_b.value() == 5
}

fn an_increment_brings_its_resets() -> bool {
    let mut at_a = PnCounter::new();
    at_a.increment(dot(A, 1), 10).expect("there is room");
    let mut at_b = at_a.clone();
    at_a.increment(dot(A, 2), 3).expect("there is room");
    at_a.merge(&at_b.reset(dot(B, 1)));
    let mut elsewhere = PnCounter::new();
    elsewhere.merge(&at_a.increment(dot(A, 3), 2).expect("there is room"));
    elsewhere.value() == 5
}

fn two_increments_count() -> bool {
    let (mut at_a, mut at_b) = (PnCounter::new(), PnCounter::new());
    at_b.merge(&at_a.increment(dot(A, 1), 5).expect("there is room"));
    at_b.merge(&at_a.increment(dot(A, 2), 3).expect("there is room"));
    at_b.value() == 8
}

fn a_second_reset_carries_the_first() -> bool {
    let mut at_a = PnCounter::new();
    let ten = at_a.increment(dot(A, 1), 10).expect("there is room");
    let mut at_b = ten;
    at_b.reset(dot(B, 1));
    let second = at_b.reset(dot(B, 2));
    let mut elsewhere = PnCounter::new();
    elsewhere.merge(&second);
    elsewhere.merge(&at_a.increment(dot(A, 2), 5).expect("there is room"));
    elsewhere.value() == 5
}

fn the_greatest_stamp_wins() -> bool {
    let mut register = LwwRegister::<ReplicaId, Box<[u8]>>::new();
    register.set(dot(A, 1), Hlc::from_u64(2), Box::from(*b"a"));
    register.merge(&LwwRegister::new().set(dot(B, 1), Hlc::from_u64(1), Box::from(*b"b")));
    register.value() == Some(&Box::from(*b"a"))
}

fn a_deletion_keeps_older_writes_out() -> bool {
    let mut register = LwwRegister::<ReplicaId, Box<[u8]>>::new();
    register.set(dot(A, 1), Hlc::from_u64(2), Box::from(*b"seen"));
    register.delete(dot(A, 2), Hlc::from_u64(3));
    register.merge(&LwwRegister::new().set(dot(B, 1), Hlc::from_u64(1), Box::from(*b"older")));
    register.value().is_none()
}

fn a_write_replaces() -> bool {
    let (mut at_a, mut at_b) = (MvRegister::<ReplicaId, Box<[u8]>>::new(), MvRegister::new());
    at_b.merge(&at_a.set(dot(A, 1), Box::from(*b"a")));
    at_a.merge(&at_b.set(dot(B, 1), Box::from(*b"b")));
    at_a.values().len() == 1
}

fn what_was_replaced_stays_away() -> bool {
    let mut register = MvRegister::<ReplicaId, Box<[u8]>>::new();
    let first = register.set(dot(A, 1), Box::from(*b"a"));
    register.set(dot(A, 2), Box::from(*b"b"));
    register.merge(&first);
    register.values().len() == 1
}

fn an_addition_wins() -> bool {
    let mut presence = EwFlag::new();
    let first = presence.enable(dot(A, 1));
    let removal = first.clone().disable(dot(B, 1));
    let again = presence.enable(dot(A, 2));
    let mut element = Value::empty(Kind::OrSet);
    for delta in [again, removal] {
        element.try_merge(&Value::OrSet(delta)).expect("they are of one kind");
    }
    !element.is_empty()
}

fn disabling_wins() -> bool {
    let mut flag = DwFlag::new().disable(dot(A, 1));
    flag.merge(&DwFlag::new().enable(dot(B, 1)));
    !flag.is_enabled()
}

fn stamps_only_grow() -> bool {
    let stamp = Hlc::from_parts(10, 0);
    stamp.tick(5) > stamp
}

fn dot(replica: ReplicaId, seq: u64) -> Dot {
    Dot::new(replica, seq)
}

const A: ReplicaId = ReplicaId::from_u64(1);
const B: ReplicaId = ReplicaId::from_u64(2);
