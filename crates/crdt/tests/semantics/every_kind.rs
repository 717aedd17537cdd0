//! Claims about all kinds, made of values of each.

use std::borrow::Cow;

use trellis_crdt::{
    DwFlag, EwFlag, GCounter, Hlc, Kind, KindMismatch, LwwRegister, MvRegister, PnCounter, Value,
};

use super::{A, B, C, dot, orders};

#[test]
fn replicas_that_merged_the_same_deltas_are_equal() {
    for kind in Kind::ALL {
        let deltas = deltas(kind);
        let merged = |order: &[usize]| {
            let mut value = Value::empty(kind);
            // The first arrives again when all others have.
            for place in order.iter().chain(&order[..1]) {
                value.try_merge(&deltas[*place]).unwrap();
            }
            value
        };
        let all = Vec::from_iter(orders(deltas.len()).iter().map(|order| merged(order)));
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{kind}: {all:#?}");
    }
}

#[test]
fn what_is_empty_has_no_content() {
    for kind in Kind::ALL {
        let mut value = Value::empty(kind);
        assert!(value.is_empty() && contents(&value).is_empty(), "{kind}");
        let [written, .., deletion] = deltas(kind);
        value.try_merge(&written).unwrap();
        assert!(!value.is_empty() && !contents(&value).is_empty(), "{kind}");
        value.try_merge(&deletion).unwrap();
        assert!(value.is_empty() && contents(&value).is_empty(), "{kind}");
    }
}

#[test]
fn collection_changes_nothing_that_is_seen() {
    for kind in Kind::ALL {
        let mut value = Value::empty(kind);
        for delta in deltas(kind) {
            value.try_merge(&delta).unwrap();
            let mut collected = value.clone();
            collected.collect();
            assert_eq!(collected.is_empty(), value.is_empty(), "{kind}");
            assert_eq!(contents(&collected), contents(&value), "{kind}");
            assert!(!collected.is_collectable(), "{kind}");
        }
    }
}

#[test]
fn values_of_two_kinds_do_not_merge() {
    for ours in Kind::ALL {
        for theirs in Kind::ALL {
            let mut value = deltas(ours)[0].clone();
            let outcome = value.try_merge(&deltas(theirs)[1]);
            if ours == theirs {
                assert_eq!(outcome, Ok(()));
            } else {
                assert_eq!(outcome, Err(KindMismatch { ours, theirs }));
                assert_eq!(value, deltas(ours)[0]);
            }
        }
    }
}

/// A write of A; one of B made at the same time; one of A that saw its first; and a deletion by C that saw that first one.
fn deltas(kind: Kind) -> [Value<'static>; 4] {
    let [a1, b1, a2, c1] = [dot(A, 1), dot(B, 1), dot(A, 2), dot(C, 1)];
    let x = || Cow::Borrowed(&b"x"[..]);
    match kind {
        Kind::GCounter => {
            let mut at_a = GCounter::new();
            let first = at_a.increment(a1, 5).expect("there is room");
            let deletion = first.clone().reset(c1);
            let other = GCounter::new().increment(b1, 2).expect("there is room");
            [first, other, at_a.increment(a2, 3).expect("there is room"), deletion].map(Value::from)
        }
        Kind::PnCounter => {
            let mut at_a = PnCounter::new();
            let first = at_a.increment(a1, -5).expect("there is room");
            let deletion = first.clone().reset(c1);
            let other = PnCounter::new().increment(b1, 2).expect("there is room");
            [first, other, at_a.increment(a2, 3).expect("there is room"), deletion].map(Value::from)
        }
        Kind::LwwRegister => {
            let mut at_a = LwwRegister::new();
            let first = at_a.set(a1, Hlc::from_u64(1), x());
            let deletion = first.clone().delete(c1, Hlc::from_u64(3));
            let other = LwwRegister::new().set(b1, Hlc::from_u64(2), x());
            [first, other, at_a.set(a2, Hlc::from_u64(4), x()), deletion].map(Value::from)
        }
        Kind::MvRegister => {
            let mut at_a = MvRegister::new();
            let first = at_a.set(a1, x());
            let deletion = first.clone().clear(c1);
            [first, MvRegister::new().set(b1, x()), at_a.set(a2, x()), deletion].map(Value::from)
        }
        Kind::GSet => presences().map(Value::GSet),
        Kind::OrSet => presences().map(Value::OrSet),
        Kind::EwFlag => presences().map(Value::EwFlag),
        Kind::DwFlag => {
            let mut at_a = DwFlag::new();
            let first = at_a.enable(a1);
            let deletion = first.clone().clear(c1);
            [first, DwFlag::new().disable(b1), at_a.enable(a2), deletion].map(Value::from)
        }
    }
}

fn presences() -> [EwFlag; 4] {
    let mut at_a = EwFlag::new();
    let first = at_a.enable(dot(A, 1));
    let deletion = first.clone().disable(dot(C, 1));
    [first, EwFlag::new().enable(dot(B, 1)), at_a.enable(dot(A, 2)), deletion]
}

fn contents(value: &Value<'_>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    value.contents(&mut |piece| pieces.push(piece.to_vec()));
    pieces
}
