//! What is captured in steps is restored by its chunks and the log behind them.

use std::time::Instant;

use quickcheck::quickcheck;
use trellis_crdt::{Dot, Kind, ReplicaId, VersionVector};
use trellis_storage::{
    Config as StorageConfig, ElementCursor, Keyspace, Operation, ReceivedDelta, ReceivedEntry, ScanCursor,
    Usage,
};

use super::*;
use crate::core::solo::{CLUSTER, Solo};
use crate::core::{Recovery, RestoreError};

quickcheck! {
    fn a_snapshot_and_the_log_behind_it_give_what_the_whole_log_gives(before: Vec<u8>, during: Vec<u8>) -> bool {
        let mut history = History::begin();
        before.iter().for_each(|what| history.do_something(*what));
        let mut during = during.into_iter();
        let (chunks, start) = history.capture(|history| {
            during.by_ref().take(2).for_each(|what| history.do_something(what));
        });
        during.by_ref().for_each(|what| history.do_something(what));
        history.solo.sync();
        assert_same(&history.solo.replay(), &history.solo.replay_behind(&chunks, start));
        true
    }
}

#[test]
fn a_slot_of_which_something_was_dropped_is_captured_again() {
    let mut history = History::begin();
    let slot = trellis_storage::slot_of(KEYS[0]);
    let others: Vec<String> = (0..)
        .map(|number| format!("k{number}"))
        .filter(|key| trellis_storage::slot_of(key) == slot)
        .take(8)
        .collect();
    for key in &others {
        history.solo.increment(key, 1);
    }
    history.solo.increment(KEYS[0], 1);
    history.solo.delete(KEYS[0]);
    history.solo.sync();
    let clock = history.solo.core.look_at_slot(slot, |held| held.clock(slot).clone());
    let (mut steps, mut dropped) = (0, 0);
    let (chunks, start) = history.capture(|history| {
        steps += usize::from(history.is_within(slot));
        if dropped == 0 && steps == 6 {
            dropped += history.solo.core.collect(slot, &clock, 1, history.solo.now);
        }
    });
    assert_eq!(dropped, 1);
    assert!(chunks.iter().any(|chunk| *chunk == Chunk::Again { slot }.encode()));
    history.solo.sync();
    let restored = history.solo.replay_behind(&chunks, start);
    assert_eq!(restored.look_at_slot(slot).usage().atoms, 8);
    assert_same(&history.solo.replay(), &restored);
}

#[test]
fn an_atom_that_is_longer_than_a_chunk_is_in_several() {
    let mut history = History::begin();
    let set = Operation::Set { key: "long", kind: Kind::LwwRegister, value: &[7; 1000] };
    history.solo.core.write(&set, history.solo.now).unwrap();
    let (chunks, start) = history.capture(|_| {});
    assert!(chunks.iter().all(|chunk| chunk.len() < 300), "{:?}", chunks.iter().map(Vec::len).max());
    history.solo.sync();
    assert_same(&history.solo.replay(), &history.solo.replay_behind(&chunks, start));
}

#[test]
fn a_guest_is_one_after_a_start_from_a_snapshot() {
    let solo = Solo::guest(Instant::now());
    let mut history = History { solo, remote: remote(), sent: Vec::new(), within: None };
    let (chunks, start) = history.capture(|_| {});
    let restored = history.solo.replay_behind(&chunks, start);
    assert_eq!(restored.guest_of().map(std::collections::BTreeSet::len), Some(256));
    assert!(!restored.is_fresh());
    assert_same(&history.solo.replay(), &restored);
}

#[test]
fn nothing_is_captured_beside_a_log_that_failed() {
    let history = History::begin();
    let mut capture = history.solo.core.begin_capture(SMALL).unwrap();
    history.solo.core.handle_log_failed(history.solo.now);
    assert_eq!(history.solo.core.begin_capture(SMALL).map(drop), Err(CaptureError));
    assert_eq!(history.solo.core.step_capture(&mut capture), Err(CaptureError));
}

#[test]
fn chunks_read_back_as_they_were_written_and_nonsense_is_refused() {
    let replica = ReplicaId::from_u64(5);
    let clock: VersionVector = [(replica, 7)].into_iter().collect();
    let header = SlotHeader {
        clock: clock.clone(),
        early: vec![Dot::new(replica, 9)],
        ceiling: clock.clone(),
        floor: clock,
    };
    let state = NodeState {
        hlc: trellis_crdt::Hlc::from_u64(77),
        guest_of: Some([1, 255].into_iter().collect()),
        addresses: [("n2".to_owned(), "127.0.0.1:7502".to_owned())].into_iter().collect(),
        roster: Solo::founder(Instant::now()).replay().roster().clone(),
    };
    let chunks = [
        Chunk::Node(Box::new(state)),
        Chunk::Node(Box::default()),
        Chunk::Entries { slot: 3, entries: vec![b"an atom", b"", b"another"] },
        Chunk::Part { slot: 3, is_last: true, bytes: b"the end" },
        Chunk::Header { slot: 255, header },
        Chunk::Again { slot: 4 },
        Chunk::End,
    ];
    for chunk in chunks {
        let bytes = chunk.encode();
        assert_eq!(Chunk::decode(&bytes).unwrap(), chunk);
        for cut in 0..bytes.len() {
            let _ = Chunk::decode(&bytes[..cut]);
        }
    }
    assert_eq!(Chunk::decode(&[9]), Err(ChunkError::UnknownKind { kind: 9 }));
    assert_eq!(Chunk::decode(&[1, 2]), Err(ChunkError::UnknownVersion { version: 2 }));
    assert_eq!(Chunk::decode(&[4, 0, 0, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0, 0, 0, 1]), Err(ChunkError::Sealed));
}

#[test]
fn chunks_out_of_place_and_a_snapshot_without_its_end_are_refused() {
    let mut recovery = Recovery::new(1, CLUSTER, &StorageConfig::default());
    assert_eq!(recovery.restore(&Chunk::End.encode()), Err(RestoreError::OutOfPlace));
    let node = Chunk::Node(Box::default()).encode();
    assert_eq!(recovery.restore(&node), Ok(()));
    assert_eq!(recovery.restore(&node), Err(RestoreError::OutOfPlace));
    let record = Record::GuestEnd.encode();
    assert!(recovery.replay(Lsn::from_u64(1), &record).is_err());
}

/// A node, another one whose deltas come in any order, and a snapshot that is being taken.
struct History {
    solo: Solo,
    remote: Keyspace,
    sent: Vec<(u8, Dot, Vec<u8>)>,
    within: Option<usize>,
}

impl History {
    fn begin() -> Self {
        let solo = Solo::founder(Instant::now());
        Self { solo, remote: remote(), sent: Vec::new(), within: None }
    }

    /// Takes a snapshot and does something after each step.
    fn capture(&mut self, mut between: impl FnMut(&mut Self)) -> (Vec<Vec<u8>>, Lsn) {
        self.solo.sync();
        let mut capture = self.solo.core.begin_capture(SMALL).unwrap();
        let mut chunks = Vec::new();
        while !capture.is_done() {
            self.solo.core.step_capture(&mut capture).unwrap();
            chunks.extend(std::iter::from_fn(|| capture.poll_chunk()));
            self.within = Some(capture.slots_done());
            between(self);
        }
        (chunks, capture.start())
    }

    /// Whether the capture is in the middle of this slot.
    fn is_within(&self, slot: u8) -> bool {
        self.within == Some(usize::from(slot))
    }

    fn do_something(&mut self, what: u8) {
        let key = KEYS[usize::from(what / 12) % KEYS.len()];
        let slot = trellis_storage::slot_of(key);
        let core = &self.solo.core;
        let value = [what];
        match what % 12 {
            0 | 1 => self.write(&Operation::Increment { key, kind: Kind::PnCounter, amount: 5 }),
            2 => self.write(&Operation::Set { key, kind: Kind::LwwRegister, value: &value }),
            3 => self.write(&Operation::Set { key, kind: Kind::MvRegister, value: &value }),
            4 => self.write(&Operation::Delete { key, kind: None, from: ElementCursor::START }),
            5 => {
                let clock = core.look_at_slot(slot, |held| held.clock(slot).clone());
                core.collect(slot, &clock, 2, self.solo.now);
            }
            6 => self.solo.sync(),
            7 => self.send(&Operation::Increment { key, kind: Kind::PnCounter, amount: 3 }),
            8 => self.send(&Operation::Set { key, kind: Kind::MvRegister, value: &value }),
            9 => self.send(&Operation::Delete { key, kind: None, from: ElementCursor::START }),
            10 => self.give(usize::from(what / 12)),
            _ => self.transfer(slot),
        }
    }

    /// What makes no sense is refused.
    fn write(&self, operation: &Operation<'_>) {
        let _ = self.solo.core.write(operation, self.solo.now);
    }

    /// The other node writes, and its deltas are on their way.
    fn send(&mut self, operation: &Operation<'_>) {
        let origin = ReplicaId::from_u64(2);
        let stamp = || trellis_crdt::Hlc::from_u64(1 << 20);
        let Ok(applied) = self.remote.apply(operation, origin, stamp) else { return };
        let deltas = applied.changes.into_iter();
        self.sent.extend(deltas.map(|change| (applied.slot, Dot::new(origin, change.seq), change.delta)));
    }

    fn give(&mut self, index: usize) {
        if self.sent.is_empty() {
            return;
        }
        let (slot, dot, bytes) = self.sent.swap_remove(index % self.sent.len());
        let delta = ReceivedDelta::decode(slot, dot, &bytes).unwrap();
        let shared = &self.solo.core.shared;
        self.solo.core.shard(slot).lock().merge_delta(slot, dot, &delta, &bytes, shared).unwrap();
    }

    /// A slot comes whole.
    fn transfer(&mut self, slot: u8) {
        let mut cursor = ScanCursor::new(slot, VersionVector::new());
        let step = self.remote.scan(&mut cursor, usize::MAX);
        let mut shard = self.solo.core.shard(slot).lock();
        let shared = &self.solo.core.shared;
        for bytes in step.entries {
            let entry = ReceivedEntry::decode(slot, &bytes).unwrap();
            shard.merge_entry(slot, &entry, &bytes, shared).unwrap();
        }
        let hlc = trellis_crdt::Hlc::from_u64(1 << 40);
        shard.adopt(slot, self.remote.clock(slot), hlc, shared).unwrap();
    }
}

fn assert_same(whole: &Recovery, restored: &Recovery) {
    for slot in 0..=u8::MAX {
        let (a, b) = (whole.look_at_slot(slot), restored.look_at_slot(slot));
        assert_eq!(a.header(slot), b.header(slot), "slot {slot}");
        assert_eq!(a.digest(slot), b.digest(slot), "slot {slot}");
        assert_eq!(held(&a.usage()), held(&b.usage()), "slot {slot}");
    }
    assert_eq!(whole.hlc(), restored.hlc());
    assert_eq!(whole.roster(), restored.roster());
    assert_eq!(whole.guest_of(), restored.guest_of());
    assert_eq!(whole.addresses(), restored.addresses());
}

/// What is held, by kind. Not its bytes: an old entry that is replayed over what was pruned of a list brings its dots into
/// the list once more, as it would if it arrived, and the next collection takes them out.
fn held(usage: &Usage) -> Vec<[usize; 4]> {
    usage.kinds.iter().map(|kind| [kind.keys, kind.atoms, kind.deletions, kind.counter_slots]).collect()
}

fn remote() -> Keyspace {
    Keyspace::new([0; 16], StorageConfig::default())
}

const KEYS: [&str; 3] = ["hits", "misses", "names"];
const SMALL: CaptureLimits = CaptureLimits { step_bytes: 1, chunk_bytes: 60 };
