//! Forgetting: what is dropped and pruned under a stability clock never shows, whatever was still under way.
//!
//! Random histories of three replicas that hear of each other by deltas in any order, some of them lost or repeated,
//! and by catch-up, and that collect in between. Stability is what R9 makes of it: the minimum of summaries of all
//! replicas, each counted once the clock of whoever collects dominates it.

use std::collections::BTreeMap;

use trellis_crdt::{Entry, Kind, ReplicaId, VersionVector};
use trellis_storage::{CaptureCursor, Collected, Operation, ScanCursor};

use crate::reference::{Known, List, Name, Op, What, content, raise};
use crate::support::{
    Dice, Replica, Sent, assert_same, del, del_kind, incr, keys_of_slot, name_of, set, shown, switch,
};

#[test]
fn counters_that_are_reset_collected_and_started_over_stay_exact() {
    for seed in 0..20_000 {
        World::new(seed, &[Kind::GCounter, Kind::PnCounter], Stability::Confirmed).run();
    }
}

#[test]
fn all_kinds_stay_what_they_are_while_others_forget() {
    for seed in 0..4_000 {
        World::new(seed, &Kind::ALL, Stability::Confirmed).run();
    }
}

#[test]
fn dw_flags_stay_what_they_are_while_others_forget() {
    for seed in 0..4_000 {
        World::new(seed, &[Kind::DwFlag], Stability::Confirmed).run();
    }
}

#[test]
fn a_stability_that_is_not_confirmed_is_noticed() {
    // R9: j's summary covers a deletion, and an older write of j is still on its way.
    let fails = |seed| {
        let world = World::new(seed, &[Kind::LwwRegister], Stability::Unconfirmed);
        std::panic::catch_unwind(move || world.run()).is_err()
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = (0..20_000).find(|seed| fails(*seed));
    std::panic::set_hook(hook);
    assert!(found.is_some(), "no history shows it");
}

#[test]
fn a_deletion_is_forgotten_once_all_have_it_and_the_key_can_be_used_again() {
    for kind in Kind::ALL {
        let (mut a, mut b) = (Replica::new(1), Replica::new(2));
        let slot = 7;
        let key = keys_of_slot(slot, 1).remove(0);
        exchange(&mut a, &mut b, &something(&key, kind));
        let deletion = a.one(&del(&key));
        let nobody = VersionVector::new();
        assert_eq!(a.keyspace.collect(slot, &nobody, 9), []);
        assert_eq!((a.keyspace.usage().atoms, a.keyspace.usage().of(kind).deletions), (1, 1), "{kind}");
        b.take(&deletion);
        let stable = a.keyspace.clock(slot).clone();
        for replica in [&mut a, &mut b] {
            let before = replica.keyspace.digest(slot);
            let collected = replica.keyspace.collect(slot, &stable, 9);
            assert_eq!(collected.len(), 1);
            assert_eq!(Collected::decode(&collected[0].encode()), Ok(collected[0].clone()));
            let usage = replica.keyspace.usage();
            assert_eq!((usage.keys, usage.atoms, usage.index_entries), (0, 0, 0), "{kind}");
            assert_eq!((usage.of(kind).bytes, usage.of(kind).counter_slots), (0, 0), "{kind}");
            assert_eq!((replica.keyspace.digest(slot), replica.keyspace.floor(slot)), (before, &stable));
            assert_eq!(replica.keyspace.collectable_len(slot), 0);
        }
        exchange(&mut b, &mut a, &something(&key, kind));
        assert_eq!(a.keyspace.read(&key, None).unwrap().kinds, [kind]);
        assert_same(&a, &b, slot);
    }
}

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
fn r10_what_is_not_empty_only_forgets_origins_without_a_piece() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let key = keys_of_slot(7, 1).remove(0);
    exchange(&mut a, &mut b, &set(&key, Kind::LwwRegister, "old"));
    exchange(&mut b, &mut a, &set(&key, Kind::LwwRegister, "new"));
    assert_eq!(a.keyspace.usage().index_entries, 2);
    let stable = a.keyspace.clock(7).clone();
    for replica in [&mut a, &mut b] {
        let digest = replica.keyspace.digest(7);
        assert_eq!(replica.keyspace.collect(7, &stable, 9).len(), 1);
        assert_eq!(replica.keyspace.usage().index_entries, 1);
        assert_eq!(replica.values(&key, Kind::LwwRegister), [b"new"]);
        assert_eq!(replica.keyspace.digest(7), digest);
        assert_eq!(replica.keyspace.floor(7), &stable, "the whole list joins the floor");
        assert_eq!(replica.keyspace.collect(7, &stable, 9), [], "there is nothing more");
    }
}

#[test]
fn r6_t8_an_entry_with_a_dropped_slot_and_a_fresh_one_brings_the_fresh_one_alone() {
    let (mut a, mut b, mut c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    let key = keys_of_slot(7, 1).remove(0);
    let ten = a.one(&incr(&key, 10));
    b.take(&ten);
    let reset = b.one(&del(&key));
    for replica in [&mut a, &mut c] {
        replica.take(&ten);
        replica.take(&reset);
    }
    // A, B and C have all there is. A and C drop the slot; B still has it, fully reset, and adds one of its own.
    let stable = a.keyspace.clock(7).clone();
    a.keyspace.collect(7, &stable, 9);
    c.keyspace.collect(7, &stable, 9);
    let one = b.one(&incr(&key, 1));
    for entry in b.entries_beyond(7, c.keyspace.clock(7)) {
        assert!(c.take_entry(7, &entry));
    }
    assert_eq!(c.counter(&key, Kind::PnCounter), Some(1));
    // T8: what was sent before the reset arrives only after the drop.
    a.take(&ten);
    assert_eq!(a.counter(&key, Kind::PnCounter), None);
    a.take(&one);
    assert_eq!(a.counter(&key, Kind::PnCounter), Some(1));
    assert_eq!(a.keyspace.digest(7), b.keyspace.digest(7));
}

#[test]
fn r16_replay_drops_again_only_what_nothing_has_happened_to() {
    let key = keys_of_slot(7, 1).remove(0);
    let mut a = Replica::new(1);
    let mut log: Vec<Sent> = vec![a.one(&incr(&key, 5)), a.one(&del(&key))];
    let stable = a.keyspace.clock(7).clone();
    let collected = a.keyspace.collect(7, &stable, 9);
    assert_eq!(collected.len(), 1);
    log.push(a.one(&incr(&key, 3)));
    // In the order of the log, and with the drop coming late, as behind a snapshot that is ahead of it.
    for drop_at in [2, 3] {
        let mut replayed = Replica::new(9);
        for (place, delta) in log.iter().enumerate() {
            if place == drop_at {
                replayed.keyspace.replay_collected(&collected[0]);
            }
            replayed.take(delta);
        }
        replayed.keyspace.replay_collected(&collected[0]);
        assert_eq!(replayed.counter(&key, Kind::PnCounter), Some(3), "drop at {drop_at}");
        assert_eq!(replayed.keyspace.floor(7), a.keyspace.floor(7));
        assert_eq!(replayed.keyspace.digest(7), a.keyspace.digest(7));
    }
}

#[test]
fn a_scan_and_a_capture_are_void_once_something_was_dropped() {
    let mut a = Replica::new(1);
    let keys = keys_of_slot(7, 3);
    for key in &keys {
        a.one(&incr(key, 1));
    }
    let (mut scan, mut capture) = (ScanCursor::new(7, VersionVector::new()), CaptureCursor::new(7));
    assert_eq!(a.keyspace.scan(&mut scan, 0).entries.len(), 1);
    assert_eq!(a.keyspace.capture(&mut capture, 0).entries.len(), 1);
    a.one(&del(&keys[2]));
    let stable = a.keyspace.clock(7).clone();
    assert_eq!(a.keyspace.collect(7, &stable, 9).len(), 1);
    for step in [a.keyspace.scan(&mut scan, 9_999), a.keyspace.capture(&mut capture, 9_999)] {
        assert!(step.is_void && !step.is_done && step.entries.is_empty());
    }
}

#[test]
fn the_queue_of_collection_holds_an_atom_once() {
    let mut a = Replica::new(1);
    let key = keys_of_slot(7, 1).remove(0);
    for _ in 0..100 {
        a.one(&switch(&key, Kind::EwFlag, true));
        a.one(&switch(&key, Kind::EwFlag, false));
    }
    assert_eq!(a.keyspace.collectable_len(7), 1);
    a.one(&switch(&key, Kind::EwFlag, true));
    let stable = a.keyspace.clock(7).clone();
    assert_eq!(a.keyspace.collect(7, &stable, 9), [], "it is enabled again");
    assert_eq!(a.keyspace.collectable_len(7), 0);
    a.one(&switch(&key, Kind::EwFlag, false));
    assert_eq!(a.keyspace.collectable_len(7), 1);
}

fn something(key: &str, kind: Kind) -> Operation<'_> {
    match kind {
        Kind::GCounter | Kind::PnCounter => Operation::Increment { key, kind, amount: 5 },
        Kind::LwwRegister | Kind::MvRegister => Operation::Set { key, kind, value: b"value" },
        Kind::GSet | Kind::OrSet => Operation::Add { key, kind, element: b"element" },
        Kind::EwFlag | Kind::DwFlag => Operation::Switch { key, kind, enabled: true },
    }
}

fn exchange(from: &mut Replica, to: &mut Replica, operation: &Operation<'_>) {
    let sent = from.one(operation);
    to.take(&sent);
}

#[derive(Clone, Copy, PartialEq)]
enum Stability {
    /// A summary counts once its clock is dominated here.
    Confirmed,
    Unconfirmed,
}

struct World {
    dice: Dice,
    kinds: Vec<Kind>,
    stability: Stability,
    keys: Vec<String>,
    replicas: Vec<Replica>,
    known: Vec<BTreeMap<Name, Known>>,
    operations: Vec<Op>,
    in_flight: Vec<Vec<Sent>>,
    /// The clock in the newest summary that one replica counts of another.
    counted: Vec<Vec<VersionVector>>,
    /// Summaries that arrived and are not counted yet.
    summaries: Vec<Vec<Option<VersionVector>>>,
}

impl World {
    fn new(seed: u64, kinds: &[Kind], stability: Stability) -> Self {
        Self {
            dice: Dice::new(seed),
            kinds: kinds.to_vec(),
            stability,
            keys: keys_of_slot(SLOT, 2),
            replicas: (1..=REPLICAS as u64).map(Replica::new).collect(),
            known: vec![BTreeMap::new(); REPLICAS],
            operations: Vec::new(),
            in_flight: vec![Vec::new(); REPLICAS],
            counted: vec![vec![VersionVector::new(); REPLICAS]; REPLICAS],
            summaries: vec![vec![None; REPLICAS]; REPLICAS],
        }
    }

    fn run(mut self) {
        for _ in 0..40 {
            let at = self.dice.below(REPLICAS);
            match self.dice.below(10) {
                0..=2 => self.operate(at),
                3..=5 => self.deliver(at),
                6 => self.hear_summary(at),
                7 | 8 => self.collect(at),
                _ => self.pull(at),
            }
            self.check();
        }
        self.heal();
    }

    fn operate(&mut self, at: usize) {
        let key = self.keys[self.dice.below(self.keys.len())].clone();
        let kind = self.kinds[self.dice.below(self.kinds.len())];
        let operation = match self.dice.below(3) {
            0 => del(&key),
            1 if kind.is_flag() => switch(&key, kind, false),
            _ => something(&key, kind),
        };
        let Ok((sent, _)) = self.replicas[at].apply(&operation) else { return };
        for sent in sent {
            let name = name_of(&sent.bytes);
            let origin = sent.dot.actor.as_u64();
            let known = self.known[at].entry(name.clone()).or_default();
            let (key, kind, element) = name;
            let what = match operation {
                Operation::Increment { amount, .. } => What::Add(amount),
                Operation::Set { .. } => What::Write("value".to_owned()),
                Operation::Switch { kind: Kind::DwFlag, enabled: false, .. } => What::Disable,
                Operation::Add { .. } | Operation::Switch { enabled: true, .. } => What::Enable,
                _ => What::Delete,
            };
            let own_reset = known.resets.get(&origin).copied().unwrap_or(0);
            let (observed, stamp) = (known.list.clone(), self.replicas[at].hlc);
            let op = Op { origin, seq: sent.dot.seq, key, kind, element, what, observed, own_reset, stamp };
            known.learn(&op);
            self.operations.push(op);
            for to in (0..REPLICAS).filter(|to| *to != at) {
                self.in_flight[to].push(sent.clone());
            }
        }
    }

    fn deliver(&mut self, to: usize) {
        if self.in_flight[to].is_empty() {
            return;
        }
        let index = self.dice.below(self.in_flight[to].len());
        let sent = self.in_flight[to][index].clone();
        match self.dice.below(8) {
            // Repeated later.
            0 | 1 => {}
            // Lost.
            2 => {
                self.in_flight[to].swap_remove(index);
                return;
            }
            _ => drop(self.in_flight[to].swap_remove(index)),
        }
        self.take(to, &sent);
    }

    fn take(&mut self, at: usize, sent: &Sent) {
        self.replicas[at].take(sent);
        let is_it = |op: &&Op| (op.origin, op.seq) == (sent.dot.actor.as_u64(), sent.dot.seq);
        let op = self.operations.iter().find(is_it).unwrap();
        self.known[at].entry(name_of(&sent.bytes)).or_default().learn(op);
    }

    fn hear_summary(&mut self, at: usize) {
        let of = self.dice.below(REPLICAS);
        if self.summaries[at][of].is_none() || self.dice.below(3) == 0 {
            self.summaries[at][of] = Some(self.replicas[of].keyspace.clock(SLOT).clone());
        }
    }

    fn collect(&mut self, at: usize) {
        let own = self.replicas[at].keyspace.clock(SLOT).clone();
        for of in 0..REPLICAS {
            let is_due =
                |summary: &VersionVector| self.stability == Stability::Unconfirmed || own.dominates(summary);
            if self.summaries[at][of].as_ref().is_some_and(is_due) {
                self.counted[at][of] = self.summaries[at][of].take().unwrap();
            }
        }
        self.counted[at][at] = own;
        let minimum = |origin| self.counted[at].iter().map(|clock| clock.get(origin)).min().unwrap_or(0);
        let origins = (1..=REPLICAS as u64).map(ReplicaId::from_u64);
        let stable: VersionVector = origins.map(|origin| (origin, minimum(origin))).collect();
        let budget = 1 + self.dice.below(3);
        self.replicas[at].keyspace.collect(SLOT, &stable, budget);
    }

    fn pull(&mut self, at: usize) {
        let donor = (at + 1 + self.dice.below(REPLICAS - 1)) % REPLICAS;
        self.pull_from(at, donor);
    }

    fn pull_from(&mut self, at: usize, donor: usize) {
        let noted = self.replicas[donor].keyspace.clock(SLOT).clone();
        let beyond = self.replicas[at].keyspace.clock(SLOT).clone();
        for entry in self.replicas[donor].entries_beyond(SLOT, &beyond) {
            let atom = Entry::<ReplicaId>::decode(&entry).unwrap().atom;
            let element = atom.element.map(|element| String::from_utf8_lossy(&element).into_owned());
            let name = (atom.key.to_string(), atom.kind, element);
            let known = self.known[donor].entry(name.clone()).or_default().clone();
            self.known[at].entry(name).or_default().join(&known);
            self.replicas[at].take_entry(SLOT, &entry);
        }
        self.replicas[at].keyspace.adopt(SLOT, &noted);
        self.replicas[at].hlc = self.replicas[at].hlc.max(self.replicas[donor].hlc);
    }

    fn check(&self) {
        for (at, replica) in self.replicas.iter().enumerate() {
            if !replica.keyspace.is_settled(SLOT) {
                continue;
            }
            let clock = plain(replica.keyspace.clock(SLOT));
            for name in self.known.iter().flat_map(BTreeMap::keys) {
                let expected = content(&self.operations, &clock, name);
                assert_eq!(shown(replica, name), expected, "replica {at}, {name:?}");
            }
            for other in &self.replicas[..at] {
                let is_comparable =
                    other.keyspace.is_settled(SLOT) && plain(other.keyspace.clock(SLOT)) == clock;
                assert!(!is_comparable || other.keyspace.digest(SLOT) == replica.keyspace.digest(SLOT));
            }
        }
    }

    /// All hear of all, and then forget all there is to forget.
    fn heal(&mut self) {
        for (puller, donor) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
            self.pull_from(puller, donor);
            self.check();
        }
        let stable = self.replicas[0].keyspace.clock(SLOT).clone();
        let mut minted = List::new();
        self.operations.iter().for_each(|op| raise(&mut minted, op.origin, op.seq));
        assert_eq!(plain(&stable), minted);
        for replica in &mut self.replicas {
            replica.keyspace.collect(SLOT, &stable, usize::MAX);
            let usage = replica.keyspace.usage();
            assert!(usage.kinds.iter().all(|kind| kind.deletions == 0), "nothing that was removed is held");
            assert!(usage.atoms == 0 || usage.keys > 0 || has_disabled_flag(replica, &self.keys));
        }
        self.check();
    }
}

/// A dw-flag that was enabled and disabled concurrently is held, and yet no reader finds it.
fn has_disabled_flag(replica: &Replica, keys: &[String]) -> bool {
    keys.iter().any(|key| {
        let explained = replica.keyspace.explain(key, trellis_storage::ElementCursor::START, 99).unwrap();
        explained.atoms.iter().any(|atom| atom.kind == Kind::DwFlag && !atom.exists)
    })
}

fn plain(clock: &VersionVector) -> List {
    clock.iter().map(|(origin, seq)| (origin.as_u64(), seq)).collect()
}

const SLOT: u8 = 42;
const REPLICAS: usize = 3;
