//! Small histories in every order of delivery (T3b): the end is always the same, and on the way each settled state is
//! the one that the reference gives for its clock.

use std::collections::BTreeMap;

use quickcheck::{Gen, QuickCheck};
use trellis_crdt::{Kind, VersionVector};
use trellis_storage::Operation;

use crate::reference::{Known, Name, Op, What, content};
use crate::support::{Dice, Replica, Sent, del, keys_of_slot, permutations, set, shown, switch};

#[test]
fn every_history_of_three_operations_ends_the_same_in_every_order() {
    for kind in KINDS {
        for number in 0..(2 * 6 * 6 * 8) {
            let (choices, seen) = (number % 72, number / 72);
            // The first actor is the first by definition; after it, each may write or delete.
            let step = |choice: usize| Step { actor: choice % 3, is_delete: choice >= 3, seen: 0 };
            let mut steps = [step(3 * (choices % 2)), step(choices / 2 % 6), step(choices / 12)];
            steps[1].seen = (seen % 2) as u8;
            steps[2].seen = (seen / 2) as u8;
            History::write(kind, &steps).ends_the_same_in_every_order(&permutations(3));
        }
    }
}

#[test]
fn histories_of_six_operations_end_the_same_in_every_order() {
    let orders = permutations(6);
    for kind in KINDS {
        let mut dice = Dice::new(u64::from(kind.code()));
        for _ in 0..40 {
            let mut step = || Step {
                actor: dice.below(AUTHORS),
                is_delete: dice.below(3) == 0,
                seen: dice.below(64) as u8,
            };
            let steps: [Step; 6] = std::array::from_fn(|_| step());
            History::write(kind, &steps).ends_the_same_in_every_order(&orders);
        }
    }
}

#[test]
fn whole_entries_among_the_deltas_change_nothing_about_the_end() {
    fn holds(kind: u8, author: u8, steps: Vec<(u8, bool, u8)>) -> bool {
        let steps: Vec<Step> = steps.into_iter().take(4).map(Step::from).collect();
        let mut history = History::write(kind_of(kind), &steps);
        let author = &history.authors[usize::from(author) % AUTHORS];
        let entries = author.entries_beyond(SLOT, &VersionVector::new());
        history.parcels.extend(entries.into_iter().map(Parcel::Entry));
        history.ends_the_same_in_every_order(&permutations(history.parcels.len()));
        true
    }
    let mut quickcheck = QuickCheck::new().rng(Gen::new(10)).tests(60);
    quickcheck.quickcheck(holds as fn(u8, u8, Vec<(u8, bool, u8)>) -> bool);
}

#[derive(Clone, Copy, Debug)]
struct Step {
    actor: usize,
    is_delete: bool,
    /// Which of the deltas before it the actor has merged, as bits.
    seen: u8,
}

impl From<(u8, bool, u8)> for Step {
    fn from((actor, is_delete, seen): (u8, bool, u8)) -> Self {
        Self { actor: usize::from(actor) % AUTHORS, is_delete, seen }
    }
}

struct History {
    name: Name,
    authors: Vec<Replica>,
    operations: Vec<Op>,
    parcels: Vec<Parcel>,
}

enum Parcel {
    Delta(Sent),
    Entry(Vec<u8>),
}

impl History {
    fn write(kind: Kind, steps: &[Step]) -> Self {
        let key = keys_of_slot(SLOT, 1).remove(0);
        let element = kind.is_set().then(|| ELEMENT.to_owned());
        let mut authors: Vec<Replica> = (1..=AUTHORS as u64).map(Replica::new).collect();
        let mut knowledge = vec![Known::default(); AUTHORS];
        let (mut operations, mut sent): (Vec<Op>, Vec<Sent>) = (Vec::new(), Vec::new());
        for (place, step) in steps.iter().enumerate() {
            let (author, known) = (&mut authors[step.actor], &mut knowledge[step.actor]);
            let seen = |other: &usize| step.seen & (1 << other) != 0;
            for other in (0..place).filter(seen) {
                author.take(&sent[other]);
                known.learn(&operations[other]);
            }
            let exists = !author.keyspace.read(&key, None).unwrap().kinds.is_empty();
            let value = format!("value {place}");
            let operation = match kind {
                _ if step.is_delete && kind == Kind::DwFlag => switch(&key, kind, false),
                _ if step.is_delete && exists => del(&key),
                Kind::GCounter | Kind::PnCounter => {
                    Operation::Increment { key: &key, kind, amount: 10_i64.pow(place as u32) }
                }
                Kind::LwwRegister | Kind::MvRegister => set(&key, kind, &value),
                Kind::GSet | Kind::OrSet => Operation::Add { key: &key, kind, element: ELEMENT.as_bytes() },
                Kind::EwFlag | Kind::DwFlag => switch(&key, kind, true),
            };
            let what = match operation {
                Operation::Increment { amount, .. } => What::Add(amount),
                Operation::Set { .. } => What::Write(value.clone()),
                Operation::Switch { enabled: false, .. } => What::Disable,
                Operation::Add { .. } | Operation::Switch { .. } => What::Enable,
                _ => What::Delete,
            };
            let one = author.one(&operation);
            let (origin, seq) = (one.dot.actor.as_u64(), one.dot.seq);
            let own_reset = known.resets.get(&origin).copied().unwrap_or(0);
            let (observed, stamp) = (known.list.clone(), author.hlc);
            let element = element.clone();
            let op = Op { origin, seq, key: key.clone(), kind, element, what, observed, own_reset, stamp };
            known.learn(&op);
            operations.push(op);
            sent.push(one);
        }
        let parcels = sent.into_iter().map(Parcel::Delta).collect();
        Self { name: (key, kind, element), authors, operations, parcels }
    }

    fn ends_the_same_in_every_order(&self, orders: &[Vec<usize>]) {
        let mut ends = BTreeMap::new();
        for order in orders {
            let mut reader = Replica::new(9);
            for place in order {
                match &self.parcels[*place] {
                    Parcel::Delta(sent) => {
                        reader.take(sent);
                    }
                    Parcel::Entry(entry) => {
                        reader.take_entry(SLOT, entry);
                    }
                }
                self.check(&reader);
            }
            assert!(reader.keyspace.is_settled(SLOT), "{order:?}");
            assert_eq!(reader.keyspace.early_len(SLOT), 0);
            ends.insert(reader.keyspace.digest(SLOT), order);
        }
        assert_eq!(ends.len(), 1, "orders that end apart: {ends:?} of {:?}", self.operations);
    }

    fn check(&self, reader: &Replica) {
        if !reader.keyspace.is_settled(SLOT) {
            return;
        }
        let clock = reader.keyspace.clock(SLOT).iter().map(|(origin, seq)| (origin.as_u64(), seq)).collect();
        let expected = content(&self.operations, &clock, &self.name);
        assert_eq!(shown(reader, &self.name), expected, "{:?}", self.operations);
    }
}

fn kind_of(number: u8) -> Kind {
    KINDS[usize::from(number) % KINDS.len()]
}

const SLOT: u8 = 7;
const AUTHORS: usize = 3;
const KINDS: [Kind; 8] = Kind::ALL;
const ELEMENT: &str = "element";
