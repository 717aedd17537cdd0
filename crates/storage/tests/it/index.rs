//! The logs of dots, the counts and the queue of collection are exact after every step of random histories, and so is
//! what a snapshot and the log behind it give back (R16).

use std::collections::{BTreeMap, BTreeSet};

use trellis_crdt::{Dot, Entry, Hlc, Kind, ReplicaId, Value, VersionVector};
use trellis_storage::{CaptureCursor, Collected, Config, Keyspace, Operation, ScanCursor};

use crate::support::{DIGEST_KEY, Dice, Replica, Sent, add, del, incr, keys_of_slot, remove, set, switch};

/// Index, counts and queue against what a walk over all atoms finds.
pub(crate) fn assert_index_is_exact(keyspace: &Keyspace, slot: u8, dice: &mut Dice) {
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
