//! Faults that a review found: each test fails until its fault is mended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use quickcheck::quickcheck;
use trellis_crdt::codec::{Encode, write_varint};
use trellis_crdt::{Atom, Delta, Dot, Entry, FORMAT_VERSION, Hlc, Kind, ReplicaId, Value, VersionVector};
use trellis_storage::{
    CaptureCursor, Collected, Config, ElementCursor, Keyspace, MergeError, Operation, Outcome, ScanCursor,
};

use crate::support::{
    DIGEST_KEY, Dice, Replica, Sent, add, assert_same, del, del_kind, incr, keys_of_slot, remove, set, switch,
};

#[test]
fn a_dw_flag_enabled_after_its_disabling_was_forgotten_is_enabled_everywhere() {
    let (mut b, mut c, mut y) = (Replica::new(1), Replica::new(2), Replica::new(3));
    let key = keys_of_slot(7, 1).remove(0);
    let disabled = b.one(&switch(&key, Kind::DwFlag, false));
    c.take(&disabled);
    y.take(&disabled);
    // All three have all there is; C is the first to forget it, and enables.
    let stable = c.keyspace.clock(7).clone();
    c.keyspace.collect(7, &stable, 9);
    let enabled = c.one(&switch(&key, Kind::DwFlag, true));
    b.take(&enabled);
    y.take(&enabled);
    assert_eq!(c.keyspace.read(&key, None).unwrap().kinds, [Kind::DwFlag]);
    assert_eq!(
        y.keyspace.read(&key, None).unwrap().kinds,
        [Kind::DwFlag],
        "the enabling had seen the disabling"
    );
    assert_same(&c, &y, 7);
}

#[test]
fn refused_batches_leave_nothing_in_the_queue_of_collection() {
    let mut a = Replica::new(1);
    let key = keys_of_slot(7, 2);
    a.one(&incr(&key[1], 1));
    for _ in 0..100 {
        let batch = [add(&key[0], "x"), remove(&key[0], "x"), set(&key[1], Kind::LwwRegister, "refused")];
        assert!(a.keyspace.apply_batch(&batch, a.id, || Hlc::ZERO).is_err());
    }
    assert_eq!(a.keyspace.usage().atoms, 1);
    assert_eq!(a.keyspace.collectable_len(7), 0, "at most one entry for each atom, and there is none");
}

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
    let mut b = Replica::new(2);
    let a = ReplicaId::from_u64(1);
    for (kind, element) in [(Kind::OrSet, Some(&b"x"[..])), (Kind::EwFlag, None), (Kind::MvRegister, None)] {
        let entry =
            |is_there: bool| bytes(&key, kind, element, &[(1, 5)], if is_there { &[(0, 0)] } else { &[] });
        b.keyspace.merge_entry(7, &entry(true)).unwrap();
        let refused = b.keyspace.merge_entry(7, &entry(false));
        assert_eq!(refused.map(drop), Err(MergeError::Contradiction { dot: Dot::new(a, 5) }), "{kind}");
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
fn a_dw_flag_that_was_enabled_and_disabled_concurrently_can_be_deleted_and_forgotten() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let key = keys_of_slot(7, 1).remove(0);
    let (on, off) = (a.one(&switch(&key, Kind::DwFlag, true)), b.one(&switch(&key, Kind::DwFlag, false)));
    a.take(&off);
    b.take(&on);
    let (deleted, _) = a.apply(&del_kind(&key, Kind::DwFlag)).unwrap();
    for sent in &deleted {
        b.take(sent);
    }
    let stable = a.keyspace.clock(7).clone();
    a.keyspace.collect(7, &stable, 9);
    assert_eq!((a.keyspace.usage().keys, a.keyspace.usage().atoms), (0, 0));
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
    a.pull(&b, trellis_storage::slot_of("s"));
    let (mut told, mut next) = (Vec::new(), Some(ElementCursor::START));
    while let Some(cursor) = next {
        let page = a.keyspace.explain("s", cursor, 3).unwrap();
        told.extend(page.atoms.into_iter().map(|atom| (atom.kind, atom.element)));
        next = page.next;
    }
    assert_eq!(BTreeSet::from_iter(told.clone()).len(), 40);
    assert_eq!(told.len(), 40);
}

/// Index, counts and queue against what a walk over all atoms finds.
fn assert_index_is_exact(keyspace: &Keyspace, slot: u8, dice: &mut Dice) {
    let step = keyspace.capture(&mut CaptureCursor::new(slot), usize::MAX);
    assert!(step.is_done);
    let atoms: Vec<(Vec<u8>, Entry<'_>)> =
        step.entries.iter().map(|entry| (entry.clone(), Entry::decode(entry).unwrap())).collect();
    let pairs: usize = atoms.iter().map(|(_, entry)| entry.value.context().len()).sum();
    let usage = keyspace.usage();
    assert_eq!((usage.atoms, usage.index_entries), (atoms.len(), pairs));
    for _ in 0..3 {
        let ceiling = keyspace.ceiling(slot);
        let beyond: VersionVector =
            ceiling.iter().map(|(origin, seq)| (origin, dice.below(seq as usize + 2) as u64)).collect();
        let expected: BTreeSet<&Vec<u8>> = atoms
            .iter()
            .filter(|(_, entry)| entry.value.context().beyond(&beyond).next().is_some())
            .map(|(bytes, _)| bytes)
            .collect();
        let mut cursor = ScanCursor::new(slot, beyond);
        let mut found = Vec::new();
        loop {
            let step = keyspace.scan(&mut cursor, dice.below(100));
            found.extend(step.entries);
            if step.is_done {
                break;
            }
        }
        assert_eq!(found.len(), expected.len(), "each once");
        assert_eq!(BTreeSet::from_iter(&found), expected);
    }
    let mut kinds = BTreeMap::<Kind, (usize, usize, usize)>::new();
    let mut keys = BTreeSet::new();
    for (_, Entry { atom, value }) in &atoms {
        let (count, deletions, slots) = kinds.entry(atom.kind).or_default();
        *count += 1;
        *deletions += usize::from(value.is_empty());
        *slots += match value {
            Value::GCounter(counter) => counter.slots().len(),
            Value::PnCounter(counter) => counter.slots().len(),
            _ => 0,
        };
        let exists = match value {
            Value::DwFlag(flag) => flag.is_enabled(),
            other => !other.is_empty(),
        };
        if exists {
            keys.insert((atom.key.to_string(), atom.kind));
        }
        assert!(ceiling_covers(keyspace.ceiling(slot), value.context()));
    }
    for kind in Kind::ALL {
        let held = usage.of(kind);
        let (count, deletions, slots) = kinds.get(&kind).copied().unwrap_or_default();
        assert_eq!((held.atoms, held.deletions, held.counter_slots), (count, deletions, slots), "{kind}");
        assert_eq!(held.keys, keys.iter().filter(|(_, of)| *of == kind).count(), "{kind}");
        assert_eq!(held.bytes == 0, held.atoms == 0, "{kind}");
    }
    let waiting = atoms.iter().filter(|(_, entry)| entry.value.is_collectable()).count();
    assert!(keyspace.collectable_len(slot) >= waiting, "all that can be dropped waits");
    assert!(keyspace.collectable_len(slot) <= atoms.len().max(waiting) + QUEUE_SLACK);
    // What is restored from it all is the same.
    let mut restored = Keyspace::new(DIGEST_KEY, Config::default());
    for entry in &step.entries {
        restored.merge_entry(slot, entry).unwrap();
    }
    restored.restore_header(slot, &keyspace.header(slot));
    assert_eq!(restored.digest(slot), keyspace.digest(slot));
    assert_eq!(restored.usage().kinds, usage.kinds);
    assert_eq!(restored.header(slot), keyspace.header(slot));
}

fn ceiling_covers(ceiling: &VersionVector, list: &VersionVector) -> bool {
    ceiling.dominates(list)
}

/// Stale entries of atoms that are gone.
const QUEUE_SLACK: usize = 64;

/// Random histories of three replicas with everything that moves an index; after each step it is recomputed.
fn index_history(seed: u64) {
    let mut dice = Dice::new(seed);
    let keys = keys_of_slot(7, 3);
    let mut replicas: Vec<Replica> = (1..=3).map(Replica::new).collect();
    let mut sent: Vec<Sent> = Vec::new();
    let steps = 30 + dice.below(150);
    for _ in 0..steps {
        let at = dice.below(3);
        let (what, key, element) = (dice.below(24), dice.below(3), ["x", "y", "z"][dice.below(3)]);
        let key = keys[key].as_str();
        let operation = |dice: &mut Dice| match dice.below(9) {
            0 | 1 => incr(key, 5),
            2 => set(key, Kind::LwwRegister, element),
            3 => set(key, Kind::MvRegister, element),
            4 => add(key, element),
            5 => remove(key, element),
            6 => switch(key, Kind::EwFlag, element == "x"),
            7 => switch(key, Kind::DwFlag, element == "x"),
            _ => del(key),
        };
        match what {
            0..=9 => {
                if let Ok((deltas, _)) = replicas[at].apply(&operation(&mut dice)) {
                    sent.extend(deltas);
                }
            }
            10..=12 => {
                let batch: Vec<_> = (0..1 + dice.below(5)).map(|_| operation(&mut dice)).collect();
                let id = replicas[at].id;
                let mut hlc = replicas[at].hlc;
                let done = replicas[at].keyspace.apply_batch(&batch, id, || {
                    hlc += 1;
                    Hlc::from_u64(hlc)
                });
                replicas[at].hlc = hlc;
                for applied in done.into_iter().flatten() {
                    let deltas = applied.changes.into_iter();
                    sent.extend(deltas.map(|change| Sent {
                        slot: 7,
                        dot: Dot::new(id, change.seq),
                        bytes: change.delta,
                    }));
                }
            }
            13..=19 if !sent.is_empty() => {
                let delta = sent[dice.below(sent.len())].clone();
                replicas[at].take(&delta);
            }
            20 | 21 => {
                let donor = (at + 1 + dice.below(2)) % 3;
                let noted = replicas[donor].keyspace.clock(7).clone();
                let mut entries = replicas[donor].entries_beyond(7, replicas[at].keyspace.clock(7));
                if dice.below(2) == 0 {
                    entries.reverse();
                }
                let is_cut = dice.below(3) == 0;
                entries.truncate(if is_cut { entries.len() / 2 } else { entries.len() });
                for entry in &entries {
                    replicas[at].take_entry(7, entry);
                }
                if !is_cut {
                    replicas[at].keyspace.adopt(7, &noted);
                }
            }
            22 => {
                // What all have is stable: there is nothing under way that anybody lacks.
                let common: VersionVector = (1..=3)
                    .map(ReplicaId::from_u64)
                    .map(|id| (id, replicas.iter().map(|one| one.keyspace.clock(7).get(id)).min().unwrap()))
                    .collect();
                replicas[at].keyspace.collect(7, &common, 1 + dice.below(5));
            }
            _ => {
                let header = replicas[at].keyspace.header(7);
                let entries = replicas[at].keyspace.capture(&mut CaptureCursor::new(7), usize::MAX).entries;
                let mut restored = Keyspace::new(DIGEST_KEY, Config::default());
                for entry in &entries {
                    restored.merge_entry(7, entry).unwrap();
                }
                restored.restore_header(7, &header);
                replicas[at].keyspace = restored;
            }
        }
        assert_index_is_exact(&replicas[at].keyspace, 7, &mut dice);
    }
}

#[test]
fn the_index_is_exact_after_every_step_of_random_histories() {
    (0..1_500).for_each(index_history);
}

#[derive(Clone)]
enum Record {
    Delta(Sent),
    Entry(Vec<u8>),
    Adopt(VersionVector),
    Collected(Collected),
}

fn replay(keyspace: &mut Keyspace, log: &[Record]) {
    for record in log {
        match record {
            Record::Delta(sent) => drop(keyspace.merge_delta(7, sent.dot, &sent.bytes)),
            Record::Entry(entry) => drop(keyspace.merge_entry(7, entry)),
            Record::Adopt(noted) => keyspace.adopt(7, noted),
            Record::Collected(collected) => {
                keyspace.replay_collected(&Collected::decode(&collected.encode()).unwrap());
            }
        }
    }
}

fn pull(replicas: &mut [Replica], at: usize, donor: usize, log: &mut Vec<Record>) {
    let noted = replicas[donor].keyspace.clock(7).clone();
    let entries = replicas[donor].entries_beyond(7, replicas[at].keyspace.clock(7));
    for entry in &entries {
        replicas[at].take_entry(7, entry);
    }
    replicas[at].keyspace.adopt(7, &noted);
    replicas[at].hlc = replicas[at].hlc.max(replicas[donor].hlc);
    if at == 0 {
        log.extend(entries.into_iter().map(Record::Entry));
        log.push(Record::Adopt(noted));
    }
}

/// R16: a snapshot with the log behind it, from any place before it on, is what was there.
fn replay_history(seed: u64, kinds: &[Kind]) -> usize {
    let mut dice = Dice::new(seed);
    let keys = keys_of_slot(7, 2);
    let mut replicas: Vec<Replica> = (1..=3).map(Replica::new).collect();
    let mut sent: Vec<Sent> = Vec::new();
    let mut log: Vec<Record> = Vec::new();
    let mut snapshots = Vec::new();
    for _ in 0..80 {
        let at = dice.below(3);
        let (what, key, kind) = (dice.below(20), dice.below(2), kinds[dice.below(kinds.len())]);
        let key = keys[key].as_str();
        let element = ["x", "y"][dice.below(2)];
        match what {
            0..=6 => {
                let operation = match (dice.below(3), kind) {
                    (0, _) => del(key),
                    (_, Kind::GCounter | Kind::PnCounter) => Operation::Increment { key, kind, amount: 5 },
                    (_, Kind::LwwRegister | Kind::MvRegister) => set(key, kind, element),
                    (1, Kind::OrSet) => remove(key, element),
                    (_, Kind::GSet | Kind::OrSet) => {
                        Operation::Add { key, kind, element: element.as_bytes() }
                    }
                    (which, _) => switch(key, kind, which == 1),
                };
                if let Ok((deltas, _)) = replicas[at].apply(&operation) {
                    if at == 0 {
                        log.extend(deltas.iter().cloned().map(Record::Delta));
                    }
                    sent.extend(deltas);
                }
            }
            7..=12 if !sent.is_empty() => {
                let delta = sent[dice.below(sent.len())].clone();
                replicas[at].take(&delta);
                if at == 0 {
                    log.push(Record::Delta(delta));
                }
            }
            13..=15 => {
                let donor = (at + 1 + dice.below(2)) % 3;
                pull(&mut replicas, at, donor, &mut log);
            }
            16 | 17 => {
                // Confirmed (R9): whoever collects has all that the others have.
                pull(&mut replicas, at, (at + 1) % 3, &mut log);
                pull(&mut replicas, at, (at + 2) % 3, &mut log);
                if dice.below(2) == 0 {
                    pull(&mut replicas, (at + 1) % 3, at, &mut log);
                    pull(&mut replicas, (at + 2) % 3, at, &mut log);
                }
                let least = |id| replicas.iter().map(|one| one.keyspace.clock(7).get(id)).min().unwrap();
                let stable: VersionVector =
                    (1..=3).map(ReplicaId::from_u64).map(|id| (id, least(id))).collect();
                let collected = replicas[at].keyspace.collect(7, &stable, 1 + dice.below(5));
                if at == 0 {
                    log.extend(collected.into_iter().map(Record::Collected));
                }
            }
            _ => {
                let entries = replicas[0].keyspace.capture(&mut CaptureCursor::new(7), usize::MAX).entries;
                snapshots.push((log.len(), replicas[0].keyspace.header(7), entries));
            }
        }
    }
    let lives = &replicas[0].keyspace;
    let dropped = log.iter().filter(|record| matches!(record, Record::Collected(_))).count();
    for (place, header, entries) in snapshots {
        let from = dice.below(place + 1);
        let mut restored = Keyspace::new(DIGEST_KEY, Config::default());
        for entry in &entries {
            restored.merge_entry(7, entry).unwrap();
        }
        restored.restore_header(7, &header);
        replay(&mut restored, &log[from..]);
        assert_eq!(restored.header(7), lives.header(7), "seed {seed}");
        assert_eq!(restored.digest(7), lives.digest(7), "seed {seed}");
        assert_eq!(restored.keys(), lives.keys(), "seed {seed}");
        assert_index_is_exact(&restored, 7, &mut dice);
    }
    dropped
}

#[test]
fn r16_a_snapshot_and_any_log_that_reaches_back_before_it_are_what_was_there() {
    let mut dropped = 0;
    for seed in 0..6_000 {
        let kind = Kind::ALL[seed as usize % Kind::ALL.len()];
        dropped += replay_history(seed, &[kind]);
    }
    dropped += (0..1_000).map(|seed| replay_history(seed, &Kind::ALL)).sum::<usize>();
    assert!(dropped > 2_000, "only {dropped} drops were replayed");
}

quickcheck! {
    fn bytes_that_are_nonsense_never_panic(entries: Vec<(u8, Vec<(u8, u8)>, Vec<(u8, u8)>)>, rounds: u8) -> bool {
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
fn r8_an_old_copy_that_catches_up_below_the_floor_is_what_the_others_are() {
    // There is no way yet to inherit a floor but with a whole header, nor to drop what a donor did not send.
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let key = keys_of_slot(7, 1).remove(0);
    let counted = a.one(&incr(&key, 5));
    b.take(&counted);
    let mut old_copy = Replica::new(3);
    old_copy.take(&counted);
    let deleted = a.one(&del(&key));
    b.take(&deleted);
    let stable = a.keyspace.clock(7).clone();
    a.keyspace.collect(7, &stable, 9);
    old_copy.pull(&a, 7);
    assert_eq!(old_copy.keyspace.floor(7), a.keyspace.floor(7));
    assert_same(&a, &old_copy, 7);
}

/// Not a test of speed by itself: it prints, and fails only where something grows with the square.
#[test]
fn what_costs_does_not_grow_with_the_square() {
    // A scan of atoms that many origins wrote.
    let scan_of = |origins: u64| {
        let mut keyspace = Keyspace::new(DIGEST_KEY, Config::default());
        let keys = keys_of_slot(7, 50);
        let start = Instant::now();
        for (number, key) in keys.iter().enumerate() {
            let list: Vec<(u64, u64)> = (1..=origins).map(|actor| (actor, number as u64 + 1)).collect();
            keyspace.merge_entry(7, &bytes(key, Kind::EwFlag, None, &list, &[(0, 0)])).unwrap();
        }
        let merged_in = start.elapsed();
        let start = Instant::now();
        let step = keyspace.scan(&mut ScanCursor::new(7, VersionVector::new()), usize::MAX);
        assert_eq!(step.entries.len(), 50);
        (merged_in, start.elapsed())
    };
    let (few, many) = (scan_of(200), scan_of(2_000));
    println!("50 atoms merged, scanned; of 200 origins: {few:?}, of 2000: {many:?}");
    // Increments of one counter by a replica of its own, beside a big set.
    let beside_a_set_of = |elements: usize| {
        let (mut a, mut b) = (Replica::new(1), Replica::new(2));
        let key = keys_of_slot(7, 2);
        for number in 0..elements {
            a.one(&add(&key[0], &number.to_string()));
        }
        let noted = a.keyspace.clock(7).clone();
        b.keyspace = a.keyspace;
        let _ = noted;
        let start = Instant::now();
        for _ in 0..20_000 {
            b.one(&incr(&key[1], 1));
        }
        start.elapsed() / 20_000
    };
    let (alone, beside) = (beside_a_set_of(1), beside_a_set_of(1_000_000));
    println!("an increment alone: {alone:?}, beside a set of 1 M: {beside:?}");
    // A page of a set that was big.
    let page_after = |elements: usize| {
        let mut a = Replica::new(1);
        let key = keys_of_slot(7, 1).remove(0);
        for number in 0..elements {
            a.one(&add(&key, &number.to_string()));
        }
        for number in 1..elements {
            a.one(&remove(&key, &number.to_string()));
        }
        let stable = a.keyspace.clock(7).clone();
        let start = Instant::now();
        a.keyspace.collect(7, &stable, usize::MAX);
        let collected = start.elapsed();
        let index_bytes = a.keyspace.usage().index_bytes;
        let start = Instant::now();
        let page = a.keyspace.elements(&key, Kind::OrSet, ElementCursor::START, 1, 1).unwrap();
        assert!(page.next.is_none());
        (start.elapsed(), collected, index_bytes)
    };
    println!("a page of one element: {:?}, that were 300 k: {:?}", page_after(2), page_after(300_000));
    // Origins that come in between others.
    let intern = |origins: u64| {
        let mut keyspace = Keyspace::new(DIGEST_KEY, Config::default());
        let key = keys_of_slot(7, 2);
        let list = |odd: u64| (1..=origins).map(|actor| (actor * 2 + odd, 1)).collect::<Vec<_>>();
        let start = Instant::now();
        for odd in [0, 1] {
            let entry = bytes(&key[odd as usize], Kind::EwFlag, None, &list(odd), &[(0, 0)]);
            keyspace.merge_entry(7, &entry).unwrap();
        }
        start.elapsed()
    };
    println!("two entries of 10 k origins: {:?}, of 100 k: {:?}", intern(10_000), intern(100_000));
    assert!(many.1 < many.0, "a scan takes longer than the merges of all it found");
    assert!(beside < alone * 4, "a counter pays for the set beside it");
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
        if let Ok(found) =
            Value::decode_pieces(kind, list.clone(), &mut trellis_crdt::codec::Reader::new(&[0]))
        {
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
