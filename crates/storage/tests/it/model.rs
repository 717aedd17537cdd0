//! Random histories of three replicas: operations, deltas lost, repeated and reordered, catch-ups cut and delayed
//! chunk by chunk. After every step each settled slot must hold what the reference says for its clock, and settled
//! slots with equal clocks must have equal digests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quickcheck::{Gen, QuickCheck};
use trellis_crdt::{Entry, Kind, ReplicaId, VersionVector};
use trellis_storage::{Operation, Progress, ScanCursor};

use crate::reference::{Content, Known, List, Name, Op, What, content, raise};
use crate::support::{Replica, Sent, del, del_kind, keys_of_slot, name_of, set, shown, switch};

#[test]
fn random_histories_agree_with_the_reference_at_every_step() {
    fn holds(program: Vec<(u8, u8, u8, u8)>) -> bool {
        let mut world = World::new();
        for (action, a, b, c) in program {
            world.step(action, usize::from(a), usize::from(b), usize::from(c));
            world.check();
        }
        world.heal();
        true
    }
    let mut quickcheck = QuickCheck::new().rng(Gen::new(160)).tests(400);
    quickcheck.quickcheck(holds as fn(Vec<(u8, u8, u8, u8)>) -> bool);
}

type Knowledge = BTreeMap<Name, Known>;

struct World {
    keys: Vec<String>,
    replicas: Vec<Replica>,
    /// What each replica knows, kept apart from the code under test.
    known: Vec<Knowledge>,
    operations: Vec<Op>,
    /// Towards each replica, in any order.
    in_flight: Vec<Vec<Sent>>,
    transfers: Vec<Transfer>,
}

/// A catch-up under way: chunks that were sent land later, in their order.
struct Transfer {
    puller: usize,
    donor: usize,
    cursor: ScanCursor,
    noted: VersionVector,
    noted_hlc: u64,
    chunks: VecDeque<Chunk>,
    is_scanned: bool,
}

struct Chunk {
    entries: Vec<Vec<u8>>,
    known: Knowledge,
    is_last: bool,
}

impl World {
    fn new() -> Self {
        Self {
            keys: keys_of_slot(SLOT, 3),
            replicas: (1..=REPLICAS as u64).map(|id| Replica::with_early_max(id, EARLY_MAX)).collect(),
            known: vec![Knowledge::new(); REPLICAS],
            operations: Vec::new(),
            in_flight: vec![Vec::new(); REPLICAS],
            transfers: Vec::new(),
        }
    }

    fn step(&mut self, action: u8, a: usize, b: usize, c: usize) {
        let at = a % REPLICAS;
        match action % 16 {
            0..=4 => self.operate(at, b, c),
            5..=9 => self.deliver(at, b, c.is_multiple_of(4)),
            10 if !self.in_flight[at].is_empty() => {
                let lost = b % self.in_flight[at].len();
                self.in_flight[at].swap_remove(lost);
            }
            11 => self.start_transfer(at, b),
            12 | 13 if !self.transfers.is_empty() => {
                let transfer = a % self.transfers.len();
                self.scan_on(transfer, b);
            }
            14 if !self.transfers.is_empty() => {
                let transfer = a % self.transfers.len();
                self.land(transfer);
            }
            15 if !self.transfers.is_empty() => {
                let cut = a % self.transfers.len();
                self.transfers.swap_remove(cut);
            }
            _ => {}
        }
    }

    fn operate(&mut self, at: usize, b: usize, c: usize) {
        let key = self.keys[b % self.keys.len()].clone();
        let kind = KINDS[(b / 4) % KINDS.len()];
        let value = format!("value {}", self.operations.len());
        let element = ELEMENTS[c / 16 % ELEMENTS.len()].as_bytes();
        let amount = if kind == Kind::GCounter { (c / 4) as i64 } else { c as i64 - 100 };
        let is_second = c % 4 == 1;
        let operation = match kind {
            _ if c.is_multiple_of(4) && c.is_multiple_of(8) => del_kind(&key, kind),
            _ if c.is_multiple_of(4) => del(&key),
            Kind::GCounter | Kind::PnCounter => Operation::Increment { key: &key, kind, amount },
            Kind::LwwRegister | Kind::MvRegister => set(&key, kind, &value),
            Kind::OrSet if is_second => Operation::Remove { key: &key, kind, element },
            Kind::GSet | Kind::OrSet => Operation::Add { key: &key, kind, element },
            Kind::EwFlag | Kind::DwFlag => switch(&key, kind, !is_second),
        };
        let existing = self.replicas[at].keyspace.read(&key, None).unwrap().kinds;
        let before = self.replicas[at].keyspace.digest(SLOT);
        let Ok((sent, _)) = self.replicas[at].apply(&operation) else {
            assert!(!existing.is_empty() && !existing.contains(&kind), "only a wrong kind is refused here");
            assert_eq!(self.replicas[at].keyspace.digest(SLOT), before);
            return;
        };
        for sent in sent {
            let name = name_of(&sent.bytes);
            let known = self.known[at].entry(name.clone()).or_default();
            let origin = sent.dot.actor.as_u64();
            let (key, kind, element) = name;
            let op = Op {
                origin,
                seq: sent.dot.seq,
                key,
                kind,
                element,
                what: match operation {
                    Operation::Increment { amount, .. } => What::Add(amount),
                    Operation::Set { .. } => What::Write(value.clone()),
                    Operation::Switch { kind: Kind::DwFlag, enabled: false, .. } => What::Disable,
                    Operation::Add { .. } | Operation::Switch { enabled: true, .. } => What::Enable,
                    _ => What::Delete,
                },
                observed: known.list.clone(),
                own_reset: known.resets.get(&origin).copied().unwrap_or(0),
                stamp: self.replicas[at].hlc,
            };
            known.learn(&op);
            self.operations.push(op);
            for to in (0..REPLICAS).filter(|to| *to != at) {
                self.in_flight[to].push(sent.clone());
            }
        }
    }

    fn deliver(&mut self, to: usize, b: usize, is_repeated: bool) {
        if self.in_flight[to].is_empty() {
            return;
        }
        let index = b % self.in_flight[to].len();
        let sent = self.in_flight[to][index].clone();
        if !is_repeated {
            self.in_flight[to].swap_remove(index);
        }
        let merged = self.replicas[to].take(&sent);
        if matches!(merged.progress, Progress::Advanced | Progress::Early) {
            self.note(to, &sent);
        }
    }

    /// Notes what a delta that was merged brought.
    fn note(&mut self, at: usize, sent: &Sent) {
        let dot = (sent.dot.actor.as_u64(), sent.dot.seq);
        let op = self.operations.iter().find(|op| (op.origin, op.seq) == dot).unwrap();
        self.known[at].entry(name_of(&sent.bytes)).or_default().learn(op);
    }

    fn start_transfer(&mut self, puller: usize, b: usize) {
        let donor = (puller + 1 + b % (REPLICAS - 1)) % REPLICAS;
        let beyond = self.replicas[puller].keyspace.clock(SLOT).clone();
        let noted = self.replicas[donor].keyspace.clock(SLOT).clone();
        self.transfers.push(Transfer {
            puller,
            donor,
            cursor: ScanCursor::new(SLOT, beyond),
            noted,
            noted_hlc: self.replicas[donor].hlc,
            chunks: VecDeque::new(),
            is_scanned: false,
        });
    }

    fn scan_on(&mut self, transfer: usize, b: usize) {
        let transfer = &mut self.transfers[transfer];
        if transfer.is_scanned {
            return;
        }
        let step = self.replicas[transfer.donor].keyspace.scan(&mut transfer.cursor, b % 100);
        transfer.is_scanned = step.is_done;
        let mut known = Knowledge::new();
        for entry in &step.entries {
            let atom = Entry::<ReplicaId>::decode(entry).unwrap().atom;
            let element = atom.element.map(|element| String::from_utf8_lossy(&element).into_owned());
            let name = (atom.key.to_string(), atom.kind, element);
            known.insert(name.clone(), self.known[transfer.donor][&name].clone());
        }
        transfer.chunks.push_back(Chunk { entries: step.entries, known, is_last: step.is_done });
    }

    fn land(&mut self, index: usize) {
        let transfer = &mut self.transfers[index];
        let puller = transfer.puller;
        let Some(chunk) = transfer.chunks.pop_front() else { return };
        for entry in &chunk.entries {
            self.replicas[puller].take_entry(SLOT, entry);
        }
        for (name, known) in chunk.known {
            self.known[puller].entry(name).or_default().join(&known);
        }
        if chunk.is_last {
            let ended = self.transfers.swap_remove(index);
            self.replicas[puller].keyspace.adopt(SLOT, &ended.noted);
            self.replicas[puller].hlc = self.replicas[puller].hlc.max(ended.noted_hlc);
        }
    }

    /// All that was lost comes by catch-up alone; then all are equal, and hold every operation.
    fn heal(&mut self) {
        self.transfers.clear();
        for _ in 0..2 {
            for puller in 0..REPLICAS {
                for donor in 0..REPLICAS - 1 {
                    self.start_transfer(puller, donor);
                    self.scan_whole();
                    self.land(0);
                    self.check();
                }
            }
        }
        let minted: List = self.operations.iter().fold(List::new(), |mut minted, op| {
            raise(&mut minted, op.origin, op.seq);
            minted
        });
        for replica in &self.replicas {
            assert_eq!(plain(replica.keyspace.clock(SLOT)), minted);
            assert!(replica.keyspace.is_settled(SLOT));
            assert_eq!(replica.keyspace.early_len(SLOT), 0);
            assert_eq!(replica.keyspace.digest(SLOT), self.replicas[0].keyspace.digest(SLOT));
        }
    }

    fn scan_whole(&mut self) {
        let donor = self.transfers[0].donor;
        let known = self.known[donor].clone();
        let transfer = &mut self.transfers[0];
        let step = self.replicas[donor].keyspace.scan(&mut transfer.cursor, usize::MAX);
        transfer.chunks.push_back(Chunk { entries: step.entries, known, is_last: step.is_done });
    }

    /// All atoms that there can be.
    fn names(&self) -> impl Iterator<Item = Name> {
        self.keys.iter().flat_map(|key| {
            KINDS.into_iter().flat_map(move |kind| {
                let elements = if kind.is_set() { ELEMENTS.map(Some).to_vec() } else { vec![None] };
                elements.into_iter().map(move |element| (key.clone(), kind, element.map(str::to_owned)))
            })
        })
    }

    fn check(&self) {
        for (at, replica) in self.replicas.iter().enumerate() {
            let keyspace = &replica.keyspace;
            assert!(keyspace.early_len(SLOT) <= EARLY_MAX);
            assert!(keyspace.ceiling(SLOT).dominates(keyspace.clock(SLOT)));
            let listed: usize = self.known[at].values().map(|known| known.list.len()).sum();
            assert_eq!(keyspace.usage().index_entries, listed, "one place for each atom and origin");
            if !keyspace.is_settled(SLOT) {
                continue;
            }
            let clock = plain(keyspace.clock(SLOT));
            let mut existing = BTreeSet::new();
            for name in self.names() {
                let expected = content(&self.operations, &clock, &name);
                assert_eq!(shown(replica, &name), expected, "replica {at}, {name:?}");
                if expected != Content::Nothing {
                    existing.insert((name.0, name.1));
                }
            }
            assert_eq!(keyspace.keys(), existing.len());
            for other in &self.replicas[..at] {
                let is_comparable =
                    other.keyspace.is_settled(SLOT) && plain(other.keyspace.clock(SLOT)) == clock;
                assert!(!is_comparable || other.keyspace.digest(SLOT) == keyspace.digest(SLOT));
            }
        }
    }
}

fn plain(clock: &VersionVector) -> List {
    clock.iter().map(|(origin, seq)| (origin.as_u64(), seq)).collect()
}

const SLOT: u8 = 42;
const REPLICAS: usize = 3;
const EARLY_MAX: usize = 4;
const KINDS: [Kind; 8] = Kind::ALL;
const ELEMENTS: [&str; 2] = ["x", "y"];
