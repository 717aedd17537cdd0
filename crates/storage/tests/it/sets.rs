//! Sets and flags: what operations answer, elements page by page, and deletion in steps.

use std::collections::BTreeSet;

use quickcheck::quickcheck;
use trellis_crdt::{Hlc, Kind};
use trellis_storage::{
    Config, ElementCursor, Keyspace, Operation, OperationError, Outcome, Piece, ReadError, ReadValue, slot_of,
};

use crate::support::{DIGEST_KEY, Replica, add, assert_same, del, incr, keys_of_slot, remove, switch};

fn outcome(replica: &mut Replica, operation: &Operation<'_>) -> (usize, Outcome) {
    let (sent, outcome) = replica.apply(operation).unwrap();
    (sent.len(), outcome)
}

fn elements(keyspace: &Keyspace, key: &str, kind: Kind, examine_max: usize, bytes_max: usize) -> Vec<String> {
    let (mut found, mut next) = (Vec::new(), Some(ElementCursor::START));
    while let Some(cursor) = next {
        let cursor = ElementCursor::from_bytes(&cursor.to_bytes()).unwrap();
        let page = keyspace.elements(key, kind, cursor, examine_max, bytes_max).unwrap();
        assert!(page.next.is_none_or(|next| next > cursor), "every page gets on");
        found.extend(page.elements.iter().map(|element| String::from_utf8_lossy(element).into_owned()));
        next = page.next;
    }
    found
}

#[test]
fn elements_come_and_go() {
    let mut a = Replica::new(1);
    assert_eq!(outcome(&mut a, &add("s", "x")), (1, Outcome::Added { was_member: false }));
    assert_eq!(outcome(&mut a, &add("s", "x")), (1, Outcome::Added { was_member: true }));
    assert_eq!(outcome(&mut a, &add("s", "y")), (1, Outcome::Added { was_member: false }));
    assert_eq!(a.keyspace.read("s", None).unwrap().value, Some(ReadValue::Set { len: 2 }));
    assert_eq!(outcome(&mut a, &remove("s", "x")), (1, Outcome::Removed { was_member: true }));
    assert_eq!(outcome(&mut a, &remove("s", "x")), (0, Outcome::Removed { was_member: false }));
    assert_eq!(outcome(&mut a, &remove("s", "z")), (0, Outcome::Removed { was_member: false }));
    assert_eq!(elements(&a.keyspace, "s", Kind::OrSet, 1, 0), ["y"]);
    let (is_member, dots) = a.keyspace.contains("s", Kind::OrSet, b"x").unwrap();
    assert_eq!((is_member, dots.get(a.id)), (false, 4));
    a.one(&remove("s", "y"));
    assert_eq!(a.keyspace.read("s", None).unwrap().kinds, []);
    let usage = a.keyspace.usage();
    assert_eq!((usage.keys, usage.atoms, usage.of(Kind::OrSet).deletions), (0, 2, 2));
}

#[test]
fn an_element_may_be_empty_and_is_no_key() {
    let mut a = Replica::new(1);
    a.one(&add("s", ""));
    assert!(a.keyspace.contains("s", Kind::OrSet, b"").unwrap().0);
    a.one(&incr("x", 1));
    a.one(&add("s", "x"));
    assert_eq!(a.keyspace.keys(), 2);
}

#[test]
fn what_a_set_or_a_flag_cannot_do_is_refused() {
    let mut a = Replica::new(1);
    let refused = |a: &mut Replica, operation| a.apply(&operation).unwrap_err();
    let of_g_set = Operation::Remove { key: "g", kind: Kind::GSet, element: b"x" };
    assert_eq!(refused(&mut a, of_g_set), OperationError::NotApplicable { kind: Kind::GSet });
    let of_flag = Operation::Add { key: "g", kind: Kind::EwFlag, element: b"x" };
    assert_eq!(refused(&mut a, of_flag), OperationError::NotApplicable { kind: Kind::EwFlag });
    let of_set = Operation::Increment { key: "g", kind: Kind::OrSet, amount: 1 };
    assert_eq!(refused(&mut a, of_set), OperationError::NotApplicable { kind: Kind::OrSet });
    let of_counter = Operation::Switch { key: "g", kind: Kind::PnCounter, enabled: true };
    assert_eq!(refused(&mut a, of_counter), OperationError::NotApplicable { kind: Kind::PnCounter });
    let long = vec![b'x'; (1 << 20) + 1];
    let too_long = Operation::Add { key: "g", kind: Kind::GSet, element: &long };
    assert_eq!(refused(&mut a, too_long), OperationError::ValueTooLarge { bytes: long.len() });
    a.one(&add("s", "x"));
    let wrong = OperationError::WrongKind { actual: vec![Kind::OrSet], requested: Kind::PnCounter };
    assert_eq!(refused(&mut a, incr("s", 1)), wrong);
    a.one(&incr("k", 1));
    let wrong = OperationError::WrongKind { actual: vec![Kind::PnCounter], requested: Kind::OrSet };
    assert_eq!(refused(&mut a, add("k", "x")), wrong);
    assert_eq!(
        a.keyspace.elements("k", Kind::PnCounter, ElementCursor::START, 1, 1).unwrap_err(),
        ReadError::NotASet { kind: Kind::PnCounter }
    );
    assert_eq!(ElementCursor::from_bytes(b"abc").unwrap_err(), ReadError::InvalidCursor);
}

#[test]
fn a_flag_is_there_while_it_is_enabled() {
    for kind in [Kind::EwFlag, Kind::DwFlag] {
        let mut a = Replica::new(1);
        let disabling = outcome(&mut a, &switch("f", kind, false));
        // Nothing to remove; yet a dw-flag's disabling has to win over an enabling that is under way elsewhere.
        let dots = usize::from(kind == Kind::DwFlag);
        assert_eq!(disabling, (dots, Outcome::Switched { enabled: false }));
        assert_eq!(a.keyspace.read("f", None).unwrap().kinds, []);
        assert_eq!(outcome(&mut a, &switch("f", kind, true)), (1, Outcome::Switched { enabled: true }));
        assert_eq!(a.keyspace.read("f", None).unwrap().value, Some(ReadValue::Enabled));
        assert_eq!(outcome(&mut a, &switch("f", kind, false)).0, 1);
        assert_eq!((a.keyspace.read("f", None).unwrap().value, a.keyspace.keys()), (None, 0));
        a.one(&switch("f", kind, true));
        assert_eq!(outcome(&mut a, &del("f")), (1, Outcome::Deleted { existed: true, next: None }));
        assert_eq!(a.keyspace.keys(), 0);
    }
}

#[test]
fn concurrent_switches_go_as_the_kind_says() {
    for (kind, is_enabled) in [(Kind::EwFlag, true), (Kind::DwFlag, false)] {
        let (mut a, mut b) = (Replica::new(1), Replica::new(2));
        let first = a.one(&switch("f", kind, true));
        b.take(&first);
        let (off, on) = (a.one(&switch("f", kind, false)), b.one(&switch("f", kind, true)));
        a.take(&on);
        b.take(&off);
        for replica in [&a, &b] {
            let is_there = replica.keyspace.read("f", Some(kind)).unwrap().value.is_some();
            assert_eq!(is_there, is_enabled, "{kind}");
        }
        assert_same(&a, &b, slot_of("f"));
    }
}

#[test]
fn a_big_set_is_deleted_in_steps_and_what_comes_behind_them_stays() {
    let mut a = Replica::new(1);
    let config = Config { delete_elements_max: 3, ..Config::default() };
    a.keyspace = Keyspace::new(DIGEST_KEY, config);
    for number in 0..10 {
        a.one(&add("s", &format!("element {number}")));
    }
    let g_set = |element| Operation::Add { key: "s", kind: Kind::GSet, element };
    assert!(a.apply(&g_set(b"x")).is_err(), "one kind at a time, unless others made it concurrently");
    let order = elements(&a.keyspace, "s", Kind::OrSet, 99, 9_999);
    let (mut steps, mut from) = (Vec::new(), Some(ElementCursor::START));
    while let Some(cursor) = from {
        let (sent, outcome) = a.apply(&Operation::Delete { key: "s", kind: None, from: cursor }).unwrap();
        let Outcome::Deleted { existed, next } = outcome else { panic!("{outcome:?}") };
        assert_eq!(existed, !sent.is_empty());
        steps.push(sent.len());
        from = next;
        if steps.len() == 2 {
            a.one(&add("s", &order[0]));
        }
    }
    assert_eq!(steps, [3, 3, 3, 1]);
    assert_eq!(elements(&a.keyspace, "s", Kind::OrSet, 99, 9_999), [order[0].as_str()]);
}

#[test]
fn a_deletion_that_may_look_at_no_element_looks_at_one() {
    let mut a = Replica::new(1);
    a.keyspace = Keyspace::new(DIGEST_KEY, Config { delete_elements_max: 0, ..Config::default() });
    a.one(&add("s", "x"));
    a.one(&add("s", "y"));
    let refused = a.keyspace.apply_batch(&[del("s")], a.id, || Hlc::ZERO).unwrap_err();
    assert_eq!(refused.cause, OperationError::TooManyElements { elements_max: 1 });
    let (sent, outcome) = a.apply(&del("s")).unwrap();
    assert_eq!(sent.len(), 1);
    assert!(matches!(outcome, Outcome::Deleted { existed: true, next: Some(_) }));
}

#[test]
fn two_sets_under_one_key_are_deleted_together_in_the_order_of_their_elements() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    for (replica, kind) in [(&mut a, Kind::GSet), (&mut b, Kind::OrSet)] {
        replica.keyspace = Keyspace::new(DIGEST_KEY, Config { delete_elements_max: 2, ..Config::default() });
        for number in 0..5_u8 {
            replica.one(&Operation::Add { key: "s", kind, element: &[number] });
        }
    }
    a.pull(&b, slot_of("s"));
    assert_eq!(a.keyspace.read("s", None).unwrap().kinds, [Kind::GSet, Kind::OrSet]);
    let (mut deleted, mut from) = (0, Some(ElementCursor::START));
    while let Some(cursor) = from {
        let (sent, outcome) = a.apply(&Operation::Delete { key: "s", kind: None, from: cursor }).unwrap();
        let Outcome::Deleted { next, .. } = outcome else { panic!("{outcome:?}") };
        deleted += sent.len();
        from = next;
    }
    assert_eq!((deleted, a.keyspace.keys()), (10, 0));
}

#[test]
fn explaining_a_key_tells_what_it_is_made_of() {
    let mut a = Replica::new(1);
    a.one(&add("s", "x"));
    a.one(&add("s", "y"));
    a.one(&remove("s", "y"));
    let explained = a.keyspace.explain("s", ElementCursor::START, 9).unwrap();
    assert_eq!((explained.slot, explained.next), (slot_of("s"), None));
    let told: BTreeSet<_> = explained
        .atoms
        .iter()
        .map(|atom| {
            let element = String::from_utf8_lossy(atom.element.as_deref().unwrap()).into_owned();
            (element, atom.exists, atom.is_collectable, atom.pieces.len(), atom.list.get(a.id))
        })
        .collect();
    let expected = [("x".to_owned(), true, false, 1, 1), ("y".to_owned(), false, true, 0, 3)];
    assert_eq!(told, BTreeSet::from(expected));
    let first = a.keyspace.explain("s", ElementCursor::START, 1).unwrap();
    assert_eq!(first.atoms.len(), 1);
    let second = a.keyspace.explain("s", first.next.unwrap(), 1).unwrap();
    assert_eq!((second.atoms.len(), second.next), (1, None));
    a.one(&incr("k", 5));
    let explained = a.keyspace.explain("k", ElementCursor::START, 0).unwrap();
    assert!(matches!(explained.atoms[0].pieces[0].1, Piece::Slot(slot) if slot.p == 5));
}

#[test]
fn deleting_one_kind_in_steps_ends_well_when_its_last_element_is_gone_before_the_last_step() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.keyspace = Keyspace::new(DIGEST_KEY, Config { delete_elements_max: 2, ..Config::default() });
    let key = keys_of_slot(7, 1).remove(0);
    let counted = b.one(&incr(&key, 1));
    let elements: Vec<String> = (0..6).map(|number| number.to_string()).collect();
    for element in &elements {
        a.one(&add(&key, element));
    }
    a.take(&counted);
    // All but the first in the order of hashes are gone already.
    let page = a.keyspace.elements(&key, Kind::OrSet, ElementCursor::START, 9, 999).unwrap();
    for element in &page.elements[1..] {
        a.one(&Operation::Remove { key: &key, kind: Kind::OrSet, element });
    }
    let mut from = Some(ElementCursor::START);
    while let Some(cursor) = from {
        let step = a.apply(&Operation::Delete { key: &key, kind: Some(Kind::OrSet), from: cursor });
        let Ok((_, Outcome::Deleted { next, .. })) = step else { panic!("{step:?}") };
        from = next;
    }
}

#[test]
fn usage_counts_the_tables_of_sets() {
    let mut a = Replica::new(1);
    let before = a.keyspace.usage().index_bytes;
    for number in 0..10_000 {
        a.one(&add("s", &number.to_string()));
    }
    // A stored handle takes 16 bytes and a log's entry 12, with up to a quarter of slack; a place in a table 8 more.
    let each = (a.keyspace.usage().index_bytes - before) as f64 / 10_000.0;
    assert!(each > 16.0 + 12.0 + 8.0, "{each} bytes for each element");
}

#[test]
fn explaining_two_sets_under_one_key_tells_each_element_once() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    for (replica, kind) in [(&mut a, Kind::GSet), (&mut b, Kind::OrSet)] {
        for number in 0..20_u8 {
            replica.one(&Operation::Add { key: "s", kind, element: &[number, kind.code()] });
        }
    }
    a.pull(&b, slot_of("s"));
    let (mut told, mut next) = (Vec::new(), Some(ElementCursor::START));
    while let Some(cursor) = next {
        let page = a.keyspace.explain("s", cursor, 3).unwrap();
        told.extend(page.atoms.into_iter().map(|atom| (atom.kind, atom.element)));
        next = page.next;
    }
    assert_eq!(BTreeSet::from_iter(told.clone()).len(), 40);
    assert_eq!(told.len(), 40);
}

quickcheck! {
    fn a_set_pages_through_every_element_that_stays(stays: BTreeSet<u8>, comes: Vec<(u8, bool)>, size: u8) -> bool {
        let mut a = Replica::new(1);
        let name = |number: u8| format!("stays {number}");
        for number in &stays {
            a.one(&add("s", &name(*number)));
        }
        let (mut found, mut comes) = (Vec::new(), comes.into_iter());
        let mut next = Some(ElementCursor::START);
        while let Some(cursor) = next {
            let examine_max = usize::from(size % 5);
            let page = a.keyspace.elements("s", Kind::OrSet, cursor, examine_max, 9_999).unwrap();
            found.extend(page.elements);
            next = page.next;
            if let Some((number, is_added)) = comes.next() {
                let element = format!("comes {number}");
                let operation = if is_added { add("s", &element) } else { remove("s", &element) };
                a.apply(&operation).unwrap();
            }
        }
        stays.iter().all(|number| {
            let name = name(*number);
            found.iter().filter(|element| ***element == *name.as_bytes()).count() == 1
        })
    }
}
