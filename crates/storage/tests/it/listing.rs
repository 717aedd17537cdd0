//! Listing keys while others come and go.

use std::collections::BTreeMap;

use quickcheck::{QuickCheck, TestResult};
use trellis_crdt::Kind;
use trellis_storage::{Cursor, ReadError};

use crate::support::{Replica, del, incr, keys_of_slot, set};

/// Lists everything in pages, doing `between` before each page but the first.
fn list_all(
    replica: &mut Replica,
    prefix: &str,
    kind: Option<Kind>,
    page: (usize, usize),
    mut between: impl FnMut(&mut Replica, usize),
) -> Vec<(String, Kind)> {
    let (mut keys, mut next) = (Vec::new(), Some(Cursor::START));
    for pages in 0.. {
        let Some(cursor) = next else { break };
        if pages > 0 {
            between(replica, pages);
        }
        let cursor = Cursor::from_bytes(&cursor.to_bytes()).unwrap();
        let page = replica.keyspace.list(cursor, prefix, kind, page.0, page.1);
        assert!(page.next.is_none_or(|next| next > cursor), "every page gets on");
        keys.extend(page.keys);
        next = page.next;
    }
    keys
}

#[test]
fn a_key_that_is_there_throughout_comes_exactly_once_whatever_else_changes() {
    fn holds(stable: u8, churn: Vec<(u8, bool)>, examine_max: u8, out_max: u8) -> TestResult {
        let mut a = Replica::new(1);
        let stable: Vec<String> = (0..stable).map(|number| format!("stable{number}")).collect();
        for key in &stable {
            a.one(&incr(key, 1));
        }
        let page = (usize::from(examine_max), usize::from(out_max));
        let mut churn = churn.iter();
        let listed = list_all(&mut a, "", None, page, |a, page| {
            for (number, is_deleted) in churn.by_ref().take(5) {
                let key = format!("churn{number}");
                let operation = if *is_deleted { del(&key) } else { incr(&key, 1) };
                a.apply(&operation).unwrap();
            }
            a.one(&set(&format!("growth{page}"), Kind::LwwRegister, "x"));
        });
        let mut counts = BTreeMap::new();
        for (key, _) in listed {
            *counts.entry(key).or_insert(0) += 1;
        }
        TestResult::from_bool(stable.iter().all(|key| counts.get(key) == Some(&1)))
    }
    QuickCheck::new().tests(60).quickcheck(holds as fn(u8, Vec<(u8, bool)>, u8, u8) -> TestResult);
}

#[test]
fn a_page_is_bounded_by_what_it_examines_and_by_what_it_finds() {
    let mut a = Replica::new(1);
    let keys = keys_of_slot(3, 50);
    for key in &keys {
        a.one(&incr(key, 1));
    }
    let found = a.keyspace.list(Cursor::START, "", None, 1000, 7);
    assert_eq!(found.keys.len(), 7);
    let examined = a.keyspace.list(Cursor::START, "no such prefix", None, 10, 1000);
    assert_eq!(examined.keys, []);
    let rest = a.keyspace.list(examined.next.unwrap(), "", None, 1000, 1000);
    assert_eq!(rest.keys.len(), 40);
    assert_eq!(rest.next, None);
    let slot = a.keyspace.list_slot(Cursor::at_slot(3), "", None, 1000, 1000);
    assert_eq!((slot.keys.len(), slot.next), (50, Some(Cursor::at_slot(4))));
    assert_eq!(a.keyspace.list_slot(Cursor::at_slot(255), "", None, 1000, 1000).next, None);
}

#[test]
fn a_listing_can_go_on_at_another_replica() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let keys = keys_of_slot(200, 30);
    let sent: Vec<_> = keys.iter().map(|key| a.one(&incr(key, 1))).collect();
    for sent in sent.iter().rev() {
        b.take(sent);
    }
    let first = a.keyspace.list(Cursor::START, "", None, 1000, 11);
    let second = b.keyspace.list(first.next.unwrap(), "", None, 1000, 1000);
    let mut listed: Vec<String> = first.keys.into_iter().chain(second.keys).map(|(key, _)| key).collect();
    listed.sort();
    let mut expected = keys;
    expected.sort();
    assert_eq!(listed, expected);
}

#[test]
fn a_listing_takes_a_prefix_and_a_kind_and_leaves_out_what_is_deleted() {
    let mut a = Replica::new(1);
    a.one(&incr("user/1", 1));
    a.one(&set("user/2", Kind::MvRegister, "x"));
    a.one(&incr("user/3", 1));
    a.one(&incr("other", 1));
    a.one(&del("user/3"));
    let list = |a: &mut Replica, kind| {
        let mut keys = list_all(a, "user/", kind, (2, 1), |_, _| {});
        keys.sort();
        keys
    };
    let (first, second) = (("user/1".to_owned(), Kind::PnCounter), ("user/2".to_owned(), Kind::MvRegister));
    assert_eq!(list(&mut a, None), [first, second.clone()]);
    assert_eq!(list(&mut a, Some(Kind::MvRegister)), [second]);
    assert_eq!(list(&mut a, Some(Kind::LwwRegister)), []);
}

#[test]
fn bytes_that_are_no_cursor_are_refused() {
    for length in (0..10).filter(|length| *length != 5) {
        assert_eq!(Cursor::from_bytes(&vec![255; length]), Err(ReadError::InvalidCursor));
    }
    let a = Replica::new(1);
    let last = Cursor::from_bytes(&[255; 5]).unwrap();
    assert_eq!(a.keyspace.list(last, "", None, 1, 1).next, None);
}
