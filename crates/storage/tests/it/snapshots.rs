//! A slot as a snapshot holds it: captured in steps while it changes, restored, and brought up to date by the log.

use quickcheck::quickcheck;
use trellis_crdt::{Dot, Kind, VersionVector};
use trellis_storage::{CaptureCursor, Config, Keyspace, SlotHeader};

use crate::support::{
    DIGEST_KEY, Replica, Sent, add, assert_same, del, incr, keys_of_slot, remove, set, switch,
};

/// Captures a slot in steps of about one atom, doing `between` after each.
fn capture(
    replica: &mut Replica,
    slot: u8,
    mut between: impl FnMut(&mut Replica),
) -> (SlotHeader, Vec<Vec<u8>>) {
    let header = replica.keyspace.header(slot);
    let (mut cursor, mut entries) = (CaptureCursor::new(slot), Vec::new());
    loop {
        let step = replica.keyspace.capture(&mut cursor, 0);
        assert!(!step.is_void && step.entries.len() <= 1);
        entries.extend(step.entries);
        if step.is_done {
            return (header, entries);
        }
        between(replica);
    }
}

fn restore(slot: u8, header: &SlotHeader, entries: &[Vec<u8>]) -> Replica {
    let mut restored = Replica::new(9);
    for entry in entries {
        restored.take_entry(slot, entry);
    }
    restored.keyspace.restore_header(slot, header);
    restored
}

quickcheck! {
    fn a_slot_captured_while_it_changes_is_restored_by_the_log_behind_it(before: Vec<u8>, during: Vec<u8>) -> bool {
        let keys = keys_of_slot(SLOT, 3);
        let mut a = Replica::new(1);
        // What a snapshot is behind is still in the log.
        let mut log: Vec<Sent> = Vec::new();
        for what in before {
            operate(&mut a, &keys, what);
        }
        let mut during = during.into_iter();
        let (header, entries) = capture(&mut a, SLOT, |a| {
            during.by_ref().take(2).for_each(|what| log.extend(operate(a, &keys, what)));
        });
        let mut restored = restore(SLOT, &header, &entries);
        for delta in &log {
            restored.take(delta);
        }
        assert_same(&a, &restored, SLOT);
        assert_eq!(a.keyspace.ceiling(SLOT), restored.keyspace.ceiling(SLOT));
        let (ours, theirs) = (a.keyspace.usage(), restored.keyspace.usage());
        assert_eq!((ours.keys, ours.atoms, ours.index_entries), (theirs.keys, theirs.atoms, theirs.index_entries));
        true
    }
}

fn operate(a: &mut Replica, keys: &[String], what: u8) -> Vec<Sent> {
    let key = keys[usize::from(what) % keys.len()].as_str();
    let element = if what & 64 == 0 { "x" } else { "y" };
    let operation = match what / 3 % 9 {
        0 => incr(key, 5),
        1 => set(key, Kind::LwwRegister, element),
        2 => set(key, Kind::MvRegister, element),
        3 => add(key, element),
        4 => remove(key, element),
        5 => switch(key, Kind::EwFlag, true),
        6 => switch(key, Kind::DwFlag, what & 64 == 0),
        _ => del(key),
    };
    a.apply(&operation).map_or(Vec::new(), |(sent, _)| sent)
}

#[test]
fn what_was_early_is_early_again_and_the_gap_closes() {
    let mut a = Replica::new(1);
    let key = keys_of_slot(SLOT, 1).remove(0);
    let sent: Vec<Sent> = (0..4).map(|_| a.one(&incr(&key, 1))).collect();
    let mut b = Replica::new(2);
    for place in [0, 2, 3] {
        b.take(&sent[place]);
    }
    let (header, entries) = capture(&mut b, SLOT, |_| {});
    assert_eq!(header.early, [3, 4].map(|seq| Dot::new(a.id, seq)));
    let mut restored = restore(SLOT, &header, &entries);
    assert!(!restored.keyspace.is_settled(SLOT));
    assert_eq!((restored.keyspace.early_len(SLOT), restored.keyspace.header(SLOT)), (2, header));
    restored.take(&sent[1]);
    assert_same(&a, &restored, SLOT);
}

#[test]
fn the_early_set_keeps_its_bound_when_a_header_is_restored() {
    let mut a = Replica::new(1);
    let key = keys_of_slot(7, 1).remove(0);
    let sent: Vec<Sent> = (0..4).map(|_| a.one(&incr(&key, 1))).collect();
    let mut b = Replica::new(2);
    sent[1..].iter().for_each(|sent| {
        b.take(sent);
    });
    let mut restored = Replica::with_early_max(3, 1);
    for entry in b.entries_beyond(7, &VersionVector::new()) {
        restored.take_entry(7, &entry);
    }
    restored.keyspace.restore_header(7, &b.keyspace.header(7));
    assert!(restored.keyspace.early_len(7) <= 1, "at most Config::early_max_per_slot");
}

#[test]
fn the_floor_is_restored() {
    let mut a = Replica::new(1);
    let keys = keys_of_slot(SLOT, 2);
    a.one(&incr(&keys[0], 1));
    a.one(&del(&keys[0]));
    a.one(&incr(&keys[1], 1));
    let stable = a.keyspace.clock(SLOT).clone();
    assert_eq!(a.keyspace.collect(SLOT, &stable, 9).len(), 1);
    let (header, entries) = capture(&mut a, SLOT, |_| {});
    let restored = restore(SLOT, &header, &entries);
    assert_eq!(restored.keyspace.floor(SLOT).get(a.id), 2);
    assert_same(&a, &restored, SLOT);
}

#[test]
fn an_empty_slot_is_captured_and_restored() {
    let mut a = Replica::new(1);
    let (header, entries) = capture(&mut a, SLOT, |_| {});
    assert_eq!((header.clone(), entries.len()), (SlotHeader::default(), 0));
    let mut keyspace = Keyspace::new(DIGEST_KEY, Config::default());
    keyspace.restore_header(SLOT, &header);
    assert_eq!(keyspace.digest(SLOT), 0);
}

const SLOT: u8 = 42;
