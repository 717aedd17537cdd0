//! The histories of protocol.md and of notes/replication.md section 3 that can go wrong here, each by its name there.

use trellis_crdt::{Dot, Hlc, Kind, ReplicaId, VersionVector};
use trellis_storage::{Operation, Progress, ScanCursor, slot_of};

use crate::support::{Replica, Sent, assert_same, del, del_kind, incr, keys_of_slot, permutations, set};

fn clock(entries: &[(&Replica, u64)]) -> VersionVector {
    entries.iter().map(|(replica, seq)| (replica.id, *seq)).collect()
}

#[test]
fn r2_the_clock_stops_before_a_hole_and_passes_it_once_it_is_closed() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let sent: Vec<Sent> = (0..5).map(|_| a.one(&incr("k", 1))).collect();
    let slot = slot_of("k");
    let mut steps = Vec::new();
    for index in [0, 2, 3, 2, 0, 1, 4] {
        let merged = b.take(&sent[index]);
        steps.push((merged.progress, merged.prefix, b.keyspace.early_len(slot), b.keyspace.is_settled(slot)));
    }
    let expected = [
        (Progress::Advanced, 1, 0, true),
        (Progress::Early, 1, 1, false),
        (Progress::Early, 1, 2, false),
        (Progress::Duplicate, 1, 2, false),
        (Progress::Duplicate, 1, 2, false),
        (Progress::Advanced, 4, 0, true),
        (Progress::Advanced, 5, 0, true),
    ];
    assert_eq!(steps, expected);
    assert_same(&a, &b, slot);
}

#[test]
fn r2_what_does_not_fit_in_the_early_set_is_dropped_whole() {
    let (mut a, mut b) = (Replica::new(1), Replica::with_early_max(2, 2));
    let sent: Vec<Sent> = (0..5).map(|_| a.one(&incr("k", 1))).collect();
    let slot = slot_of("k");
    b.take(&sent[2]);
    b.take(&sent[1]);
    let before = b.keyspace.digest(slot);
    assert_eq!(b.take(&sent[4]).progress, Progress::Dropped);
    assert_eq!(b.keyspace.digest(slot), before);
    assert_eq!(b.keyspace.ceiling(slot), &clock(&[(&a, 3)]));
    assert_eq!(b.keyspace.early_len(slot), 2);
    // The next of its origin is never dropped, however full the early set is.
    assert_eq!(b.take(&sent[0]).prefix, 3);
    assert_eq!(b.keyspace.usage().counters.deltas_dropped, 1);
}

#[test]
fn r3_a_cut_transfer_leaves_merged_atoms_and_the_old_clock() {
    let keys = keys_of_slot(9, 4);
    for cut in 0..4 {
        let (mut a, mut b) = (Replica::new(1), Replica::new(2));
        for key in &keys {
            a.one(&set(key, Kind::MvRegister, "old"));
        }
        let deletions: Vec<Sent> = keys.iter().map(|key| a.one(&del(key))).collect();
        let entries = a.entries_beyond(9, &VersionVector::new());
        for entry in &entries[..cut] {
            assert!(b.take_entry(9, entry));
            assert!(!b.take_entry(9, entry), "the second time it is known");
        }
        assert!(b.keyspace.clock(9).is_empty());
        assert_eq!(b.keyspace.is_settled(9), cut == 0);
        for deletion in &deletions {
            b.take(deletion);
        }
        assert_eq!(b.keyspace.keys(), 0);
        b.pull(&a, 9);
        assert_same(&a, &b, 9);
    }
}

#[test]
fn r3_t4_a_write_between_two_steps_of_a_scan_is_never_covered_and_missing() {
    let keys = keys_of_slot(9, 3);
    // Before the step of that number, that key is written: all pairs, and all orders of the keys at the start.
    for order in permutations(3) {
        for step in 0..4 {
            for written in 0..3 {
                let (mut a, mut b) = (Replica::new(1), Replica::new(2));
                for place in &order {
                    a.one(&incr(&keys[*place], 1));
                }
                let noted = a.keyspace.clock(9).clone();
                let mut cursor = ScanCursor::new(9, b.keyspace.clock(9).clone());
                let mut late = None;
                for number in 0.. {
                    if number == step {
                        late = Some(a.one(&incr(&keys[written], 10)));
                    }
                    let found = a.keyspace.scan(&mut cursor, 0);
                    for entry in &found.entries {
                        b.take_entry(9, entry);
                    }
                    if found.is_done {
                        break;
                    }
                }
                b.keyspace.adopt(9, &noted);
                assert_eq!(b.keyspace.clock(9), &noted);
                for key in &keys {
                    let held = b.counter(key, Kind::PnCounter).unwrap();
                    assert!(held == 1 || (held == 11 && *key == keys[written]));
                }
                let late = late.unwrap_or_else(|| a.one(&incr(&keys[written], 10)));
                b.take(&late);
                assert_same(&a, &b, 9);
            }
        }
    }
}

#[test]
fn t4_an_atom_that_other_origins_write_during_a_scan_arrives_with_all_that_the_noted_clock_covers() {
    let keys = keys_of_slot(9, 2);
    let (mut a, mut c, mut b) = (Replica::new(1), Replica::new(3), Replica::new(2));
    for key in &keys {
        let sent = a.one(&incr(key, 1));
        c.take(&sent);
        let sent = c.one(&incr(key, 2));
        a.take(&sent);
    }
    let noted = a.keyspace.clock(9).clone();
    let mut cursor = ScanCursor::new(9, VersionVector::new());
    let mut step = a.keyspace.scan(&mut cursor, 0);
    let mut pushed = Vec::new();
    // The first atom was sent under its first origin; it changes under both, ahead of the scan and behind it.
    pushed.push(a.one(&incr(&keys[0], 4)));
    let reset = c.one(&del(&keys[0]));
    a.take(&reset);
    pushed.push(reset);
    loop {
        for entry in &step.entries {
            b.take_entry(9, entry);
        }
        if step.is_done {
            break;
        }
        step = a.keyspace.scan(&mut cursor, 0);
    }
    b.keyspace.adopt(9, &noted);
    assert_eq!(
        keys.iter().map(|key| b.counter(key, Kind::PnCounter)).collect::<Vec<_>>(),
        [Some(3), Some(3)]
    );
    for sent in &pushed {
        b.take(sent);
    }
    assert_same(&a, &b, 9);
    assert_eq!(a.counter(&keys[0], Kind::PnCounter), Some(4));
}

#[test]
fn a_scan_sends_each_atom_once_and_ends_a_step_with_the_entry_that_passes_the_limit() {
    let keys = keys_of_slot(9, 5);
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    for key in &keys {
        let sent = b.one(&incr(key, 1));
        a.take(&sent);
        a.one(&incr(key, 1));
        a.one(&incr(key, 1));
    }
    let mut cursor = ScanCursor::new(9, VersionVector::new());
    let first = a.keyspace.scan(&mut cursor, 1);
    assert_eq!((first.entries.len(), first.is_done), (1, false));
    let second = a.keyspace.scan(&mut cursor, first.entries[0].len());
    assert_eq!((second.entries.len(), second.is_done), (2, false));
    let third = a.keyspace.scan(&mut cursor, usize::MAX);
    assert_eq!((third.entries.len(), third.is_done), (2, true));
    let after = a.keyspace.scan(&mut cursor, usize::MAX);
    assert_eq!((after.entries.len(), after.is_done), (0, true));
    assert_eq!(a.entries_beyond(9, &clock(&[(&a, 8), (&b, 5)])).len(), 1);
    assert_eq!(a.entries_beyond(9, &clock(&[(&a, 10), (&b, 3)])).len(), 2);
    assert_eq!(a.entries_beyond(9, a.keyspace.clock(9)).len(), 0);
}

#[test]
fn r4_a_receiver_passes_on_what_an_entry_brought_of_every_origin() {
    let slot = slot_of("x");
    let (mut a, mut b, mut third) = (Replica::new(1), Replica::new(2), Replica::new(3));
    let (mut donor, mut receiver) = (Replica::new(4), Replica::new(5));
    let of_a = a.one(&incr("x", 1));
    let of_b = b.one(&incr("x", 2));
    donor.take(&of_a);
    donor.take(&of_b);
    // It knows of A's operation as seen, and is sent the atom for B's alone.
    let known = clock(&[(&a, 1)]);
    for entry in donor.entries_beyond(slot, &known) {
        receiver.take_entry(slot, &entry);
    }
    receiver.keyspace.adopt(slot, donor.keyspace.clock(slot));
    third.take(&of_b);
    third.pull(&receiver, slot);
    assert_same(&third, &donor, slot);
    assert_eq!(third.counter("x", Kind::PnCounter), Some(3));
}

#[test]
fn r6_of_an_entry_only_the_pieces_that_were_removed_here_are_skipped() {
    let slot = slot_of("x");
    let (mut a, mut b, mut here) = (Replica::new(1), Replica::new(2), Replica::new(3));
    let of_a = a.one(&incr("x", 1));
    b.take(&of_a);
    // A's operation is covered and not held, as where it was removed and collected.
    here.keyspace.adopt(slot, &clock(&[(&a, 1)]));
    assert!(!here.take_entry(slot, &a.entries_beyond(slot, &VersionVector::new())[0]));
    assert_eq!(here.keyspace.usage().atoms, 0, "what the clock covers wholly creates nothing");
    b.one(&incr("x", 2));
    assert!(here.take_entry(slot, &b.entries_beyond(slot, &VersionVector::new())[0]));
    assert_eq!(here.counter("x", Kind::PnCounter), Some(2));
}

#[test]
fn r7_t8_an_increment_after_a_reset_counts_whatever_older_slots_arrive_later() {
    let (mut a, mut b, mut c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    let ten = a.one(&incr("x", 10));
    let old_state = a.entries_beyond(ten.slot, &VersionVector::new()).remove(0);
    b.take(&ten);
    let reset = b.one(&del("x"));
    a.take(&reset);
    let reset_state = a.entries_beyond(ten.slot, &VersionVector::new()).remove(0);
    let five = a.one(&incr("x", 5));
    c.take(&five);
    // The whole slot alone tells the value.
    assert_eq!(c.counter("x", Kind::PnCounter), Some(5));
    for state in [&old_state, &reset_state, &old_state] {
        c.take_entry(ten.slot, state);
        assert_eq!(c.counter("x", Kind::PnCounter), Some(5));
    }
    c.take(&ten);
    c.take(&reset);
    b.take(&five);
    assert_same(&a, &c, ten.slot);
    assert_same(&b, &c, ten.slot);
}

#[test]
fn r7_a_reset_carries_the_slots_that_were_reset_before_it() {
    let (mut a, mut b, mut c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    let ten = a.one(&incr("x", 10));
    b.take(&ten);
    let first = b.one(&del("x"));
    let more = c.one(&incr("x", 1));
    b.take(&more);
    let second = b.one(&del("x"));
    for order in permutations(4) {
        let mut reader = Replica::new(9);
        let parcels = [&ten, &first, &more, &second];
        for place in order {
            reader.take(parcels[place]);
        }
        assert_eq!(reader.counter("x", Kind::PnCounter), None);
        assert_same(&reader, &b, ten.slot);
    }
    // The last reset without the first, then what both reset.
    let mut reader = Replica::new(9);
    for sent in [&second, &ten, &more] {
        reader.take(sent);
    }
    assert_eq!(reader.counter("x", Kind::PnCounter), None);
}

#[test]
fn t7_a_reset_leaves_the_increments_it_did_not_see() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let five = a.one(&incr("x", 5));
    b.take(&five);
    let reset = b.one(&del("x"));
    let three = a.one(&incr("x", 3));
    for order in permutations(3) {
        let mut reader = Replica::new(9);
        for place in order {
            reader.take([&five, &reset, &three][place]);
        }
        assert_eq!(reader.counter("x", Kind::PnCounter), Some(3));
    }
}

#[test]
fn t6_a_deletion_of_an_lww_register_is_ordered_like_a_write() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    b.hlc = 100;
    let low = a.one(&set("x", Kind::LwwRegister, "low"));
    let high = b.one(&set("x", Kind::LwwRegister, "high"));
    // A deletes without having seen the higher write, then somebody who saw all does.
    let deletion = a.one(&del("x"));
    for order in permutations(3) {
        let mut reader = Replica::new(9);
        for place in order {
            reader.take([&low, &high, &deletion][place]);
        }
        assert_eq!(reader.values("x", Kind::LwwRegister), [b"high"]);
        let last = reader.one(&del("x"));
        b.take(&low);
        b.take(&deletion);
        b.take(&last);
        assert_eq!(b.values("x", Kind::LwwRegister), Vec::<Vec<u8>>::new());
        b = Replica::new(2);
        b.take(&high);
    }
}

#[test]
fn t18_one_key_created_with_two_kinds_holds_both_everywhere() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let count = a.one(&incr("k", 1));
    let write = b.one(&set("k", Kind::MvRegister, "x"));
    a.take(&write);
    b.take(&count);
    assert_same(&a, &b, count.slot);
    assert_eq!(a.keyspace.read("k", None).unwrap().kinds, [Kind::PnCounter, Kind::MvRegister]);
    // Deleting the one leaves the other the only one.
    let deletion = a.one(&del_kind("k", Kind::PnCounter));
    b.take(&deletion);
    assert_eq!(b.keyspace.read("k", None).unwrap().kind, Some(Kind::MvRegister));
    assert_same(&a, &b, count.slot);
}

#[test]
fn r13_a_digest_shows_content_and_nothing_that_may_be_forgotten() {
    let mut digests = Vec::new();
    let contents: [&[Operation<'_>]; 6] = [
        &[incr("k", 1)],
        &[incr("k", 2)],
        &[Operation::Increment { key: "k", kind: Kind::GCounter, amount: 1 }],
        &[set("k", Kind::LwwRegister, "x")],
        &[set("k", Kind::MvRegister, "x")],
        &[set("k", Kind::MvRegister, "")],
    ];
    for operations in contents {
        let mut a = Replica::new(1);
        for operation in operations {
            a.one(operation);
        }
        digests.push(a.keyspace.digest(slot_of("k")));
        a.one(&del("k"));
        assert_eq!(a.keyspace.digest(slot_of("k")), 0, "{operations:?}");
    }
    digests.push(0);
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), contents.len() + 1);
}

#[test]
fn r16_replaying_what_was_logged_gives_the_same_keyspace() {
    enum Record {
        Delta(Sent),
        Entry(Vec<u8>),
        Adoption(VersionVector),
    }
    let keys = keys_of_slot(9, 3);
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let mut log = Vec::new();
    for round in 0..4 {
        for key in &keys {
            let theirs = b.one(&incr(key, round + 1));
            if round % 2 == 0 && a.take(&theirs).progress != Progress::Dropped {
                log.push(Record::Delta(theirs));
            }
            log.push(Record::Delta(a.one(&incr(key, 100))));
        }
        log.push(Record::Delta(a.one(&del(&keys[0]))));
        let noted = b.keyspace.clock(9).clone();
        for entry in b.entries_beyond(9, a.keyspace.clock(9)) {
            a.take_entry(9, &entry);
            log.push(Record::Entry(entry));
        }
        a.keyspace.adopt(9, &noted);
        log.push(Record::Adoption(noted));
    }
    let mut replayed = Replica::new(7);
    for _ in 0..2 {
        for record in &log {
            match record {
                Record::Delta(sent) => {
                    replayed.take(sent);
                }
                Record::Entry(entry) => {
                    replayed.take_entry(9, entry);
                }
                Record::Adoption(clock) => replayed.keyspace.adopt(9, clock),
            }
        }
        assert_same(&a, &replayed, 9);
        for key in &keys {
            assert_eq!(replayed.counter(key, Kind::PnCounter), a.counter(key, Kind::PnCounter));
        }
    }
}

#[test]
fn r18_a_counter_at_zero_exists_and_a_deleted_one_does_not() {
    let mut a = Replica::new(1);
    a.one(&incr("k", 1));
    a.one(&incr("k", -1));
    assert_eq!(a.counter("k", Kind::PnCounter), Some(0));
    a.one(&del("k"));
    assert_eq!(a.counter("k", Kind::PnCounter), None);
    assert_eq!(a.keyspace.keys(), 0);
}

#[test]
fn a_merge_tells_the_stamp_for_the_hybrid_logical_clock_even_when_it_drops() {
    let (mut a, mut b) = (Replica::new(1), Replica::with_early_max(2, 0));
    a.hlc = 41;
    let count = a.one(&incr("c", 1));
    assert_eq!(b.take(&count).stamp, None);
    a.one(&set("x", Kind::LwwRegister, "lost"));
    let write = a.one(&set("x", Kind::LwwRegister, "late"));
    let merged = b.keyspace.merge_delta(write.slot, write.dot, &write.bytes).unwrap();
    assert_eq!((merged.progress, merged.stamp), (Progress::Dropped, Some(Hlc::from_u64(43))));
    assert_eq!(merged.key_hash, b.keyspace.key_hash("x"));
    let entry = a.entries_beyond(write.slot, &VersionVector::new()).pop().unwrap();
    assert_eq!(b.keyspace.merge_entry(write.slot, &entry).unwrap().stamp, Some(Hlc::from_u64(43)));
}

#[test]
fn an_adopted_clock_closes_gaps_over_what_came_early() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let sent: Vec<Sent> = (0..6).map(|_| a.one(&incr("k", 1))).collect();
    let slot = slot_of("k");
    for index in [1, 3, 5] {
        b.take(&sent[index]);
    }
    b.keyspace
        .adopt(slot, &VersionVector::from_iter([Dot::new(a.id, 3), Dot::new(ReplicaId::from_u64(8), 1)]));
    assert_eq!(b.keyspace.clock(slot).get(a.id), 4);
    assert_eq!(b.keyspace.early_len(slot), 1);
    b.take(&sent[4]);
    assert_eq!(b.keyspace.clock(slot).get(a.id), 6);
    assert!(b.keyspace.is_settled(slot));
}
