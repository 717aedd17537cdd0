//! Bytes that were cut or changed on their way: refused, or a change like any other, and never a panic.

use trellis_crdt::{Dot, Kind, ReplicaId, VersionVector};
use trellis_storage::{MergeError, Operation, slot_of};

use crate::support::{Replica, Sent, del};

/// Deltas of every form that a kind has, the key being `k`.
fn deltas(kind: Kind) -> (Replica, Vec<Sent>) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let change = |number: i64| match kind {
        Kind::GCounter => Operation::Increment { key: "k", kind, amount: 5 + number },
        Kind::PnCounter => Operation::Increment { key: "k", kind, amount: 5 - 10 * number },
        Kind::LwwRegister | Kind::MvRegister => Operation::Set { key: "k", kind, value: b"value" },
        Kind::GSet | Kind::OrSet => Operation::Add { key: "k", kind, element: b"element" },
        Kind::EwFlag | Kind::DwFlag => Operation::Switch { key: "k", kind, enabled: true },
    };
    let mut sent = vec![b.one(&change(0))];
    a.take(&sent[0]);
    sent.push(a.one(&change(1)));
    if kind == Kind::DwFlag {
        sent.push(a.one(&Operation::Switch { key: "k", kind, enabled: false }));
        sent.push(a.one(&change(0)));
    }
    sent.push(a.one(&del("k")));
    sent.push(a.one(&change(0)));
    (a, sent)
}

/// Every beginning of the bytes, and the bytes with every one of their bits turned.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cut = (0..bytes.len()).map(|end| bytes[..end].to_vec());
    let turned = (0..bytes.len() * 8).map(|bit| {
        let mut turned = bytes.to_vec();
        turned[bit / 8] ^= 1 << (bit % 8);
        turned
    });
    cut.chain(turned)
}

#[test]
fn damaged_deltas_are_refused_or_merged_and_leave_a_slot_that_works() {
    for kind in Kind::ALL {
        let (a, sent) = deltas(kind);
        for (place, delta) in sent.iter().enumerate() {
            for bytes in damaged(&delta.bytes) {
                let mut reader = Replica::new(9);
                for before in &sent[..place] {
                    reader.take(before);
                }
                let digest = reader.keyspace.digest(delta.slot);
                if reader.try_take(&Sent { bytes, ..delta.clone() }).is_err() {
                    assert_eq!(reader.keyspace.digest(delta.slot), digest, "{kind}");
                    reader.take(delta);
                }
                works(&mut reader, &a);
            }
        }
    }
}

#[test]
fn damaged_entries_are_refused_or_merged_and_leave_a_slot_that_works() {
    for kind in Kind::ALL {
        let (a, sent) = deltas(kind);
        let slot = slot_of("k");
        for entry in a.entries_beyond(slot, &VersionVector::new()) {
            for bytes in damaged(&entry) {
                let mut reader = Replica::new(9);
                reader.take(&sent[0]);
                let digest = reader.keyspace.digest(slot);
                if reader.keyspace.merge_entry(slot, &bytes).is_err() {
                    assert_eq!(reader.keyspace.digest(slot), digest, "{kind}");
                }
                works(&mut reader, &a);
            }
        }
    }
}

/// Whatever was merged can be read, scanned, deleted and forgotten.
fn works(reader: &mut Replica, donor: &Replica) {
    let slot = slot_of("k");
    for entry in donor.entries_beyond(slot, &VersionVector::new()) {
        let _ = reader.keyspace.merge_entry(slot, &entry);
    }
    let held = reader.entries_beyond(slot, &VersionVector::new());
    assert_eq!(held.len(), reader.keyspace.usage().atoms, "each atom is found by its dots");
    let _ = reader.apply(&del("k"));
    let ceiling = reader.keyspace.ceiling(slot).clone();
    reader.keyspace.collect(slot, &ceiling, usize::MAX);
    assert_eq!(reader.keyspace.usage().kinds.iter().map(|kind| kind.deletions).sum::<usize>(), 0);
}

#[test]
fn one_dot_with_two_contents_is_a_contradiction_for_every_kind_that_can_show_it() {
    let (slot, dot) = (slot_of("k"), Dot::new(ReplicaId::from_u64(1), 1));
    let changes = |kind| match kind {
        Kind::GCounter | Kind::PnCounter => {
            [1, 2].map(|amount| Operation::Increment { key: "k", kind, amount })
        }
        Kind::LwwRegister | Kind::MvRegister => {
            [&b"x"[..], b"y"].map(|value| Operation::Set { key: "k", kind, value })
        }
        Kind::GSet | Kind::OrSet => {
            [&b"x"[..], b"y"].map(|element| Operation::Add { key: "k", kind, element })
        }
        // An ew-flag's first change can only be one thing.
        Kind::EwFlag => [true, true].map(|enabled| Operation::Switch { key: "k", kind, enabled }),
        Kind::DwFlag => [true, false].map(|enabled| Operation::Switch { key: "k", kind, enabled }),
    };
    for kind in Kind::ALL {
        let [one, other] = changes(kind).map(|change| Replica::new(1).one(&change));
        let mut reader = Replica::new(9);
        reader.take(&one);
        let digest = reader.keyspace.digest(slot);
        let merged = reader.try_take(&other).map(drop);
        let expected = if kind == Kind::EwFlag { Ok(()) } else { Err(MergeError::Contradiction { dot }) };
        assert_eq!(merged, expected, "{kind}");
        assert_eq!((reader.keyspace.digest(slot), reader.keyspace.usage().atoms), (digest, 1));
    }
}
