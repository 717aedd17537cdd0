//! Batches: all of their operations, or none.

use quickcheck::quickcheck;
use trellis_crdt::{Hlc, Kind, VersionVector};
use trellis_storage::{
    Applied, BatchError, Config, ElementCursor, Keyspace, Operation, OperationError, slot_of,
};

use crate::support::{DIGEST_KEY, Replica, add, del, incr, keys_of_slot, remove, set, switch};

fn batch(replica: &mut Replica, operations: &[Operation<'_>]) -> Result<Vec<Applied>, BatchError> {
    let hlc = &mut replica.hlc;
    let stamp = || {
        *hlc += 1;
        Hlc::from_u64(*hlc)
    };
    replica.keyspace.apply_batch(operations, replica.id, stamp)
}

#[test]
fn a_refused_operation_takes_back_those_before_it() {
    let mut a = Replica::new(1);
    a.one(&incr("counter", i64::MAX));
    a.one(&incr("counter", i64::MAX));
    let before = state(&a);
    let operations = [
        incr("fresh", 1),
        add("set", "x"),
        incr("fresh", 1),
        set("register", Kind::LwwRegister, "value"),
        del("counter"),
        incr("counter", 5),
        set("fresh", Kind::MvRegister, "value"),
    ];
    let cause = OperationError::WrongKind { actual: vec![Kind::PnCounter], requested: Kind::MvRegister };
    assert_eq!(batch(&mut a, &operations), Err(BatchError { place: 6, cause }));
    assert_eq!(state(&a), before);
    let applied = batch(&mut a, &operations[..6]).unwrap();
    let seqs: Vec<u64> = applied.iter().map(|one| one.changes[0].seq).collect();
    assert_eq!((seqs[0], seqs[2]), (1, 2), "no dot was taken by the batch that was refused");
    assert_eq!(a.counter("counter", Kind::PnCounter), Some(5), "each sees what those before it did");
}

#[test]
fn a_set_that_takes_several_steps_is_not_deleted_in_a_batch() {
    let mut a = Replica::new(1);
    a.keyspace = Keyspace::new(DIGEST_KEY, Config { delete_elements_max: 2, ..Config::default() });
    for element in ["x", "y", "z"] {
        a.one(&add("set", element));
    }
    let before = state(&a);
    let cause = OperationError::TooManyElements { elements_max: 2 };
    assert_eq!(batch(&mut a, &[incr("k", 1), del("set")]), Err(BatchError { place: 1, cause }));
    assert_eq!(state(&a), before);
    a.one(&remove("set", "x"));
    assert!(batch(&mut a, &[incr("k", 1), remove("set", "y"), remove("set", "z"), del("set")]).is_ok());
    assert_eq!(a.keyspace.keys(), 1);
}

#[test]
fn refused_batches_do_not_fill_the_queue_of_collection() {
    let mut a = Replica::new(1);
    let key = keys_of_slot(7, 2);
    a.one(&incr(&key[1], 1));
    for _ in 0..100 {
        let batch = [add(&key[0], "x"), remove(&key[0], "x"), set(&key[1], Kind::LwwRegister, "refused")];
        assert!(a.keyspace.apply_batch(&batch, a.id, || Hlc::ZERO).is_err());
    }
    assert_eq!(a.keyspace.usage().atoms, 1);
    assert!(a.keyspace.collectable_len(7) <= 2, "at most one entry for each atom that there was");
    a.keyspace.collect(7, &VersionVector::new(), 9);
    assert_eq!(a.keyspace.collectable_len(7), 0);
}

quickcheck! {
    fn a_batch_is_its_operations_one_by_one_or_nothing(before: Vec<u8>, batched: Vec<u8>, after: Vec<u8>) -> bool {
        let keys = [keys_of_slot(SLOT, 2), keys_of_slot(SLOT + 1, 1)].concat();
        let (mut a, mut b) = (Replica::new(1), Replica::new(1));
        for what in before {
            let _ = (a.apply(&operation(&keys, what)), b.apply(&operation(&keys, what)));
        }
        let (untouched, hlc) = (state(&a), b.hlc);
        let operations: Vec<Operation<'_>> = batched.iter().map(|what| operation(&keys, *what)).collect();
        match batch(&mut a, &operations) {
            Ok(applied) => {
                let alone: Vec<_> = operations.iter().map(|one| b.apply(one).unwrap()).collect();
                for (together, (sent, outcome)) in applied.iter().zip(alone) {
                    assert_eq!(together.outcome, outcome);
                    let deltas = together.changes.iter().map(|change| &change.delta);
                    assert!(deltas.eq(sent.iter().map(|one| &one.bytes)));
                }
            }
            Err(BatchError { place, cause }) => {
                assert_eq!(state(&a), untouched);
                let alone = operations.iter().map(|one| b.apply(one).map(drop));
                let refused = alone.enumerate().find_map(|(place, done)| done.err().map(|cause| (place, cause)));
                assert_eq!(refused, Some((place, cause)));
                return true;
            }
        }
        a.hlc = b.hlc.max(hlc);
        for what in after {
            let one = operation(&keys, what);
            assert_eq!(a.apply(&one).map(|(_, outcome)| outcome), b.apply(&one).map(|(_, outcome)| outcome));
        }
        state(&a) == state(&b)
    }
}

fn operation(keys: &[String], what: u8) -> Operation<'_> {
    let key = keys[usize::from(what) % keys.len()].as_str();
    let element = if what & 64 == 0 { "x" } else { "y" };
    match what / 3 % 16 {
        // A key of a kind of its own in most cases, so that not every batch is refused.
        0..=4 => incr(key, i64::from(what)),
        5 => incr(key, i64::MAX),
        6 => set(key, Kind::LwwRegister, element),
        7 => set(key, Kind::MvRegister, element),
        8 => add(key, element),
        9 => remove(key, element),
        10 => switch(key, Kind::EwFlag, true),
        11 => switch(key, Kind::DwFlag, what & 64 == 0),
        _ => Operation::Delete { key, kind: None, from: ElementCursor::START },
    }
}

/// All that a keyspace shows of the two slots, but for what its counters have counted.
fn state(replica: &Replica) -> impl PartialEq + std::fmt::Debug + use<> {
    let keyspace = &replica.keyspace;
    let slots: Vec<u8> = [SLOT, SLOT + 1]
        .into_iter()
        .chain(["counter", "fresh", "set", "register", "k"].map(slot_of))
        .collect();
    let shown: Vec<_> = slots
        .into_iter()
        .map(|slot| {
            let mut entries = replica.entries_beyond(slot, &VersionVector::new());
            entries.sort();
            (keyspace.header(slot), keyspace.digest(slot), keyspace.next_seq(slot, replica.id), entries)
        })
        .collect();
    let usage = keyspace.usage();
    (shown, usage.keys, usage.atoms, usage.index_entries, usage.kinds)
}

const SLOT: u8 = 42;
