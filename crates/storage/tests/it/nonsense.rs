//! Bytes that are well formed and make no sense: of two processes under one ReplicaId, of a peer that is broken.

use quickcheck::quickcheck;
use trellis_crdt::codec::{Encode, Reader, write_varint};
use trellis_crdt::{Atom, Delta, Dot, Entry, FORMAT_VERSION, Hlc, Kind, ReplicaId, Value, VersionVector};
use trellis_storage::{Config, Keyspace, MergeError, ScanCursor};

use crate::index::assert_index_is_exact;
use crate::support::{DIGEST_KEY, Dice, Replica, Sent, add, del, incr, keys_of_slot, set, switch};

#[test]
fn a_dw_flag_dot_that_enabled_here_and_disabled_there_is_a_contradiction() {
    let key = keys_of_slot(7, 1).remove(0);
    let (mut a, mut twin, mut b) = (Replica::new(1), Replica::new(1), Replica::new(2));
    let (on, off) = (a.one(&switch(&key, Kind::DwFlag, true)), twin.one(&switch(&key, Kind::DwFlag, false)));
    b.take(&on);
    let dot = Dot::new(a.id, 1);
    assert_eq!(b.try_take(&off), Err(MergeError::Contradiction { dot }));
    let entry = twin.entries_beyond(7, &VersionVector::new()).remove(0);
    assert_eq!(b.keyspace.merge_entry(7, &entry).unwrap_err(), MergeError::Contradiction { dot });
}

#[test]
fn a_presence_dot_that_added_here_and_removed_there_is_a_contradiction() {
    let key = keys_of_slot(7, 1).remove(0);
    let a = ReplicaId::from_u64(1);
    for (kind, element) in [(Kind::OrSet, Some(&b"x"[..])), (Kind::EwFlag, None), (Kind::MvRegister, None)] {
        let entry =
            |is_there: bool| bytes(&key, kind, element, &[(1, 5)], if is_there { &[(0, 0)] } else { &[] });
        let mut b = Replica::new(2);
        b.keyspace.merge_entry(7, &entry(true)).unwrap();
        let refused = b.keyspace.merge_entry(7, &entry(false));
        assert_eq!(refused.map(drop), Err(MergeError::Contradiction { dot: Dot::new(a, 5) }), "{kind}");
    }
}

#[test]
fn a_dot_that_was_taken_again_after_a_refused_batch_is_found() {
    let mut a = Replica::new(1);
    let keys = keys_of_slot(7, 3);
    a.one(&incr(&keys[0], 1));
    let batch = [incr(&keys[1], 1), set(&keys[0], Kind::LwwRegister, "refused")];
    assert!(a.keyspace.apply_batch(&batch, a.id, || Hlc::ZERO).is_err());
    a.one(&incr(&keys[1], 1));
    let mut twin = Replica::new(1);
    twin.one(&incr(&keys[0], 1));
    let other = twin.one(&incr(&keys[2], 1));
    assert_eq!(a.try_take(&other), Err(MergeError::Contradiction { dot: Dot::new(a.id, 2) }));
}

#[test]
fn a_dot_that_names_several_atoms_loses_none_of_them_in_the_index() {
    let mut b = Replica::new(2);
    let keys = keys_of_slot(7, 3);
    // A dot of an operation that was superseded on the first key comes with a second and a third one.
    for (key, seq) in [(0, 5), (0, 9), (1, 5), (2, 5)] {
        let entry = bytes(&keys[key], Kind::EwFlag, None, &[(1, seq)], &[(0, 0)]);
        let _ = b.keyspace.merge_entry(7, &entry);
    }
    assert_index_is_exact(&b.keyspace, 7, &mut Dice::new(1));
}

#[test]
fn a_dot_that_names_several_atoms_does_not_panic_in_collection() {
    let mut b = Replica::new(2);
    let keys = keys_of_slot(7, 3);
    for (key, seq) in [(0, 5), (0, 9), (1, 5), (2, 5)] {
        let _ = b.keyspace.merge_entry(7, &bytes(&keys[key], Kind::EwFlag, None, &[(1, seq)], &[]));
    }
    let stable = VersionVector::from(Dot::new(ReplicaId::from_u64(1), 5));
    b.keyspace.collect(7, &stable, 2);
    b.keyspace.merge_entry(7, &bytes(&keys[0], Kind::EwFlag, None, &[(1, 10)], &[])).unwrap();
    b.keyspace.collect(7, &stable, 9);
    b.keyspace.collect(7, &stable, 9);
}

#[test]
fn a_delta_of_nonsense_is_refused_or_harmless() {
    // seqs at the end of the range, for every kind, and the origin's own next write after it.
    for kind in Kind::ALL {
        let mut b = Replica::new(2);
        let key = keys_of_slot(7, 1).remove(0);
        let element = kind.is_set().then_some(&b"x"[..]);
        let dot = Dot::new(ReplicaId::from_u64(1), u64::MAX);
        let mut value = Value::empty(kind);
        let list: VersionVector = VersionVector::from_iter([dot, Dot::new(b.id, u64::MAX)]);
        let mut out = Vec::new();
        list.encode(&mut out);
        out.push(0);
        if let Ok(found) = Value::decode_pieces(kind, list.clone(), &mut Reader::new(&[0])) {
            value = found;
        }
        let atom = Atom { key: key.as_str().into(), kind, element: element.map(Into::into) };
        let delta = Delta { dot, entry: Entry { atom, value } };
        let encoded = delta.encode();
        b.keyspace.merge_delta(7, dot, &encoded).unwrap();
        b.keyspace.merge_delta(7, dot, &encoded).unwrap();
        assert!(b.apply(&del(&key)).is_ok() || b.keyspace.next_seq(7, b.id).is_none());
        assert!(b.apply(&incr(&key, 1)).is_err());
        b.keyspace.adopt(7, &list);
        b.keyspace.collect(7, &list, 9);
        assert_eq!(b.keyspace.usage().atoms, 0, "{kind}");
        assert!(b.apply(&incr(&key, 1)).is_err());
    }
}

#[test]
fn two_processes_under_one_replica_id_are_an_error_and_no_panic() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let panicked: Vec<u64> =
        (0..3_000).filter(|seed| std::panic::catch_unwind(|| twin_history(*seed)).is_err()).collect();
    std::panic::set_hook(hook);
    assert!(
        panicked.is_empty(),
        "{} of 3000 histories panic, the first with seed {}",
        panicked.len(),
        panicked[0]
    );
}

fn twin_history(seed: u64) {
    let mut dice = Dice::new(seed);
    let keys = keys_of_slot(7, 4);
    // Two of the same id, and one that hears of both.
    let mut replicas = [Replica::new(1), Replica::new(1), Replica::new(2)];
    let mut sent: Vec<Sent> = Vec::new();
    for _ in 0..120 {
        let at = dice.below(3);
        let key = keys[dice.below(4)].as_str();
        match dice.below(10) {
            0..=3 => {
                let operation = match dice.below(7) {
                    0 => incr(key, 5),
                    1 => set(key, Kind::LwwRegister, "v"),
                    2 => set(key, Kind::MvRegister, "v"),
                    3 => add(key, "x"),
                    4 => switch(key, Kind::EwFlag, true),
                    5 => switch(key, Kind::DwFlag, false),
                    _ => del(key),
                };
                if let Ok((deltas, _)) = replicas[at].apply(&operation) {
                    sent.extend(deltas);
                }
            }
            4..=6 if !sent.is_empty() => {
                let delta = sent[dice.below(sent.len())].clone();
                let _ = replicas[at].try_take(&delta);
            }
            7 => {
                let donor = (at + 1 + dice.below(2)) % 3;
                let entries = replicas[donor].entries_beyond(7, replicas[at].keyspace.clock(7));
                for entry in entries {
                    let _ = replicas[at].keyspace.merge_entry(7, &entry);
                }
                let noted = replicas[donor].keyspace.clock(7).clone();
                replicas[at].keyspace.adopt(7, &noted);
            }
            _ => {
                let stable = replicas[at].keyspace.clock(7).clone();
                replicas[at].keyspace.collect(7, &stable, 1 + dice.below(3));
            }
        }
        let usage = replicas[at].keyspace.usage();
        assert!(usage.atoms < 100 && usage.index_entries < 1_000);
    }
}

#[test]
fn a_scan_of_atoms_that_very_many_origins_wrote_ends() {
    // With the list of each atom read under each of its origins, this would be 400 million seqs.
    let mut b = Replica::new(2);
    for (key, seq) in keys_of_slot(7, 100).iter().zip(1..) {
        let list: Vec<(u64, u64)> = (1..=2_000).map(|actor| (actor, seq)).collect();
        b.keyspace.merge_entry(7, &bytes(key, Kind::EwFlag, None, &list, &[(0, 0)])).unwrap();
    }
    let step = b.keyspace.scan(&mut ScanCursor::new(7, VersionVector::new()), usize::MAX);
    assert_eq!((step.entries.len(), step.is_done), (100, true));
}

/// What to do, the list, and the dots of the pieces.
type Spelled = (u8, Vec<(u8, u8)>, Vec<(u8, u8)>);

quickcheck! {
    fn bytes_that_are_nonsense_never_panic(entries: Vec<Spelled>, rounds: u8) -> bool {
        let keys = keys_of_slot(7, 2);
        let mut keyspace = Keyspace::new(DIGEST_KEY, Config::default());
        let kinds = [Kind::MvRegister, Kind::GSet, Kind::OrSet, Kind::EwFlag, Kind::DwFlag];
        for round in 0..=rounds % 4 {
            for (what, list, pieces) in &entries {
                let kind = kinds[usize::from(*what) % 5];
                let list: Vec<(u64, u64)> = list
                    .iter()
                    .map(|(actor, seq)| (u64::from(actor % 3) + 1, u64::from(seq % 6) + 1))
                    .collect();
                let pieces: Vec<(u64, u64)> =
                    pieces.iter().map(|(place, lag)| (u64::from(place % 3), u64::from(lag % 3))).collect();
                let element = kind.is_set().then_some(&b"x"[..]);
                let key = &keys[usize::from(what / 5) % 2];
                let _ = keyspace.merge_entry(7, &bytes(key, kind, element, &list, &pieces));
                if what % 7 == round {
                    let stable = keyspace.ceiling(7).clone();
                    keyspace.adopt(7, &stable);
                    keyspace.collect(7, &stable, 1);
                }
                let usage = keyspace.usage();
                assert!(usage.atoms < 100 && usage.index_entries < 1_000);
            }
        }
        true
    }
}

/// An entry of causal kind, spelled by hand: list, then the place and the lag of each piece's dot.
fn bytes(
    key: &str,
    kind: Kind,
    element: Option<&[u8]>,
    list: &[(u64, u64)],
    pieces: &[(u64, u64)],
) -> Vec<u8> {
    let mut out = vec![FORMAT_VERSION];
    Atom { key: key.into(), kind, element: element.map(Into::into) }.encode(&mut out);
    let list: VersionVector = list.iter().map(|(actor, seq)| (ReplicaId::from_u64(*actor), *seq)).collect();
    list.encode(&mut out);
    write_varint(&mut out, pieces.len() as u64);
    for (place, behind) in pieces {
        write_varint(&mut out, *place);
        write_varint(&mut out, *behind);
        match kind {
            Kind::MvRegister => out.extend([1, b'v']),
            Kind::DwFlag => out.push(1),
            _ => {}
        }
    }
    out
}
