//! What a client may see, computed from the operations themselves and what each of them had observed.
//!
//! Lists of operations and maps of numbers, nothing of trellis-crdt but the names of the kinds. It answers for sets of
//! operations that are given by a clock (of each origin all operations up to a seq), which is what a settled slot
//! holds.

use std::collections::{BTreeMap, HashMap};

use trellis_crdt::Kind;

/// Origin → greatest seq.
pub type List = BTreeMap<u64, u64>;

/// What one operation changes. Ordered by key and kind: the elements of a set stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom {
    /// The key.
    pub key: &'static str,
    /// The kind: two under one key are two entries.
    pub kind: Kind,
    /// Of a set always, of anything else never.
    pub element: Option<&'static str>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The slot of its key.
    pub slot: u8,
    /// The replica that made it.
    pub origin: u64,
    /// Its number within slot and origin.
    pub seq: u64,
    /// What it changed.
    pub atom: Atom,
    /// How.
    pub what: What,
    /// The operations on the same atom that its origin had merged.
    pub observed: List,
    /// Up to which seq its origin knew its own earlier increments to be reset. An increment says so too: it carries
    /// its origin's whole slot (R7).
    pub own_reset: u64,
    /// The stamp of an lww operation.
    pub stamp: u64,
}

/// What an operation did to its atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Added to a counter.
    Add(i64),
    /// Wrote this token into a register.
    Write(u64),
    /// Enabled a flag, or added an element.
    Enable,
    /// Disabled a flag, or removed an element.
    Disable,
    /// Deleted what was there.
    Delete,
}

/// What a read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// There is no such entry.
    Nothing,
    /// A counter's value.
    Total(i128),
    /// A register's tokens, ascending.
    Tokens(Vec<u64>),
    /// A flag that is enabled.
    Enabled,
    /// A set's elements, ascending.
    Elements(Vec<&'static str>),
}

impl Operation {
    /// Whether its origin had merged `other` when it made this.
    pub fn saw(&self, other: &Self) -> bool {
        self.observed.get(&other.origin).is_some_and(|seq| *seq >= other.seq)
    }

    /// Up to which seq of each origin it says increments to be reset.
    pub fn resets(&self) -> List {
        let mut resets = if self.what == What::Delete { self.observed.clone() } else { List::new() };
        raise(&mut resets, self.origin, self.own_reset);
        resets
    }

    /// Whether `clock` covers it.
    pub fn is_within(&self, clock: &List) -> bool {
        clock.get(&self.origin).is_some_and(|seq| *seq >= self.seq)
    }
}

/// All operations of a history.
#[derive(Debug, Default)]
pub struct Model {
    operations: Vec<Operation>,
    by_dot: HashMap<(u8, u64, u64), usize>,
    /// In the order in which they were made.
    by_atom: BTreeMap<(u8, Atom), Vec<usize>>,
}

impl Model {
    /// Takes an operation; false if its dot is taken.
    pub fn insert(&mut self, operation: Operation) -> bool {
        let dot = (operation.slot, operation.origin, operation.seq);
        if self.by_dot.contains_key(&dot) {
            return false;
        }
        let index = self.operations.len();
        self.by_dot.insert(dot, index);
        self.by_atom.entry((operation.slot, operation.atom)).or_default().push(index);
        self.operations.push(operation);
        true
    }

    /// The operation of a dot.
    pub fn get(&self, slot: u8, origin: u64, seq: u64) -> Option<&Operation> {
        self.by_dot.get(&(slot, origin, seq)).map(|index| &self.operations[*index])
    }

    /// All operations, in the order in which they were made.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The atoms of a slot that any operation ever changed.
    pub fn atoms(&self, slot: u8) -> impl Iterator<Item = Atom> + '_ {
        let from = (slot, Atom { key: "", kind: Kind::GCounter, element: None });
        self.by_atom.range(from..).take_while(move |((of, _), _)| *of == slot).map(|((_, atom), _)| *atom)
    }

    /// The operations on one atom.
    pub fn of_atom(&self, slot: u8, atom: Atom) -> impl Iterator<Item = &Operation> {
        let indexes = self.by_atom.get(&(slot, atom)).map_or(&[][..], Vec::as_slice);
        indexes.iter().map(|index| &self.operations[*index])
    }

    /// What an atom holds once exactly the operations up to `clock` are merged: of a set, this element or nothing.
    pub fn content(&self, slot: u8, atom: Atom, clock: &List) -> Content {
        let merged: Vec<&Operation> =
            self.of_atom(slot, atom).filter(|operation| operation.is_within(clock)).collect();
        match atom.kind {
            Kind::GCounter | Kind::PnCounter => unreset_total(&merged),
            Kind::LwwRegister => last_written(&merged),
            Kind::MvRegister => unseen_writes(&merged),
            _ if !is_enabled(&merged, atom.kind == Kind::DwFlag) => Content::Nothing,
            _ => atom.element.map_or(Content::Enabled, |element| Content::Elements(vec![element])),
        }
    }

    /// What the entries of a slot hold that hold something.
    pub fn entries(&self, slot: u8, clock: &List) -> BTreeMap<(&'static str, Kind), Content> {
        let mut entries: BTreeMap<_, Content> = BTreeMap::new();
        for atom in self.atoms(slot) {
            match (entries.get_mut(&(atom.key, atom.kind)), self.content(slot, atom, clock)) {
                (_, Content::Nothing) => {}
                (Some(Content::Elements(elements)), Content::Elements(element)) => elements.extend(element),
                (_, content) => drop(entries.insert((atom.key, atom.kind), content)),
            }
        }
        entries
    }
}

fn last_written(merged: &[&Operation]) -> Content {
    match merged.iter().max_by_key(|operation| (operation.stamp, operation.origin)).map(|last| last.what) {
        Some(What::Write(token)) => Content::Tokens(vec![token]),
        _ => Content::Nothing,
    }
}

/// The operations that no other one had seen.
fn unseen<'a>(merged: &'a [&'a Operation]) -> impl Iterator<Item = &'a Operation> {
    let mut seen = List::new();
    for (origin, seq) in merged.iter().flat_map(|operation| &operation.observed) {
        raise(&mut seen, *origin, *seq);
    }
    merged.iter().copied().filter(move |operation| !operation.is_within(&seen))
}

fn unseen_writes(merged: &[&Operation]) -> Content {
    let tokens = unseen(merged)
        .filter_map(|operation| if let What::Write(token) = operation.what { Some(token) } else { None });
    let mut tokens: Vec<u64> = tokens.collect();
    tokens.sort_unstable();
    if tokens.is_empty() { Content::Nothing } else { Content::Tokens(tokens) }
}

/// Of concurrent operations the enabling wins, or the disabling does.
fn is_enabled(merged: &[&Operation], disabling_wins: bool) -> bool {
    let unseen: Vec<What> = unseen(merged).map(|operation| operation.what).collect();
    unseen.contains(&What::Enable) && !(disabling_wins && unseen.contains(&What::Disable))
}

fn unreset_total(merged: &[&Operation]) -> Content {
    let mut resets = List::new();
    for operation in merged {
        operation.resets().iter().for_each(|(origin, seq)| raise(&mut resets, *origin, *seq));
    }
    let counts =
        |operation: &&&Operation| operation.seq > resets.get(&operation.origin).copied().unwrap_or(0);
    let amounts = merged.iter().filter(counts).filter_map(|operation| match operation.what {
        What::Add(amount) => Some(i128::from(amount)),
        _ => None,
    });
    amounts.fold(Content::Nothing, |content, amount| match content {
        Content::Total(total) => Content::Total(total + amount),
        _ => Content::Total(amount),
    })
}

/// Raises one entry of a list.
pub fn raise(list: &mut List, origin: u64, seq: u64) {
    if seq > 0 {
        let held = list.entry(origin).or_default();
        *held = seq.max(*held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(kind: Kind, origin: u64, seq: u64, what: What, observed: &[(u64, u64)]) -> Operation {
        let observed = observed.iter().copied().collect();
        Operation {
            slot: 1,
            origin,
            seq,
            atom: atom(kind),
            what,
            observed,
            own_reset: 0,
            stamp: seq * 10 + origin,
        }
    }

    fn content(kind: Kind, operations: &[Operation], clock: &[(u64, u64)]) -> Content {
        let mut model = Model::default();
        operations.iter().for_each(|operation| assert!(model.insert(operation.clone())));
        model.content(1, atom(kind), &clock.iter().copied().collect())
    }

    fn atom(kind: Kind) -> Atom {
        Atom { key: "k", kind, element: kind.is_set().then_some("e") }
    }

    #[test]
    fn a_reset_takes_what_it_saw_and_nothing_else() {
        let kind = Kind::PnCounter;
        let history = [
            operation(kind, 1, 1, What::Add(10), &[]),
            operation(kind, 2, 1, What::Delete, &[(1, 1)]),
            operation(kind, 1, 2, What::Add(5), &[(1, 1)]),
        ];
        assert_eq!(content(kind, &history, &[(1, 2), (2, 1)]), Content::Total(5));
        assert_eq!(content(kind, &history, &[(1, 1), (2, 1)]), Content::Nothing);
        assert_eq!(content(kind, &history, &[(1, 2)]), Content::Total(15));
    }

    #[test]
    fn an_increment_tells_of_the_reset_that_its_origin_knew() {
        let kind = Kind::PnCounter;
        let mut later = operation(kind, 1, 2, What::Add(5), &[(1, 1), (2, 1)]);
        later.own_reset = 1;
        let history = [operation(kind, 1, 1, What::Add(10), &[]), later];
        assert_eq!(content(kind, &history, &[(1, 2)]), Content::Total(5));
    }

    #[test]
    fn concurrent_writes_stay_side_by_side_until_one_sees_them() {
        let kind = Kind::MvRegister;
        let history = [
            operation(kind, 1, 1, What::Write(7), &[]),
            operation(kind, 2, 1, What::Write(3), &[]),
            operation(kind, 2, 2, What::Write(4), &[(1, 1), (2, 1)]),
        ];
        assert_eq!(content(kind, &history, &[(1, 1), (2, 1)]), Content::Tokens(vec![3, 7]));
        assert_eq!(content(kind, &history, &[(1, 1), (2, 2)]), Content::Tokens(vec![4]));
    }

    #[test]
    fn the_greatest_stamp_holds_be_it_a_write_or_a_deletion() {
        let kind = Kind::LwwRegister;
        let history = [operation(kind, 1, 1, What::Write(7), &[]), operation(kind, 2, 2, What::Delete, &[])];
        assert_eq!(content(kind, &history, &[(1, 1)]), Content::Tokens(vec![7]));
        assert_eq!(content(kind, &history, &[(1, 1), (2, 2)]), Content::Nothing);
    }

    #[test]
    fn an_addition_wins_over_a_removal_that_did_not_see_it() {
        let kind = Kind::OrSet;
        let history = [
            operation(kind, 1, 1, What::Enable, &[]),
            operation(kind, 2, 1, What::Disable, &[(1, 1)]),
            operation(kind, 1, 2, What::Enable, &[(1, 1)]),
        ];
        let there = Content::Elements(vec!["e"]);
        assert_eq!(content(kind, &history, &[(1, 1)]), there);
        assert_eq!(content(kind, &history, &[(1, 1), (2, 1)]), Content::Nothing);
        assert_eq!(content(kind, &history, &[(1, 2), (2, 1)]), there);
    }

    #[test]
    fn of_concurrent_switches_the_enabling_wins_in_one_kind_and_the_disabling_in_the_other() {
        let history = |kind| {
            [
                operation(kind, 1, 1, What::Enable, &[]),
                operation(kind, 2, 1, What::Disable, &[]),
                operation(kind, 1, 2, What::Enable, &[(1, 1), (2, 1)]),
                operation(kind, 2, 2, What::Delete, &[(1, 2), (2, 1)]),
            ]
        };
        let at = |kind, clock: &[(u64, u64)]| content(kind, &history(kind), clock);
        assert_eq!(at(Kind::EwFlag, &[(1, 1), (2, 1)]), Content::Enabled);
        assert_eq!(at(Kind::DwFlag, &[(1, 1), (2, 1)]), Content::Nothing);
        for kind in [Kind::EwFlag, Kind::DwFlag] {
            assert_eq!(at(kind, &[(1, 2), (2, 1)]), Content::Enabled);
            assert_eq!(at(kind, &[(1, 2), (2, 2)]), Content::Nothing);
        }
    }

    #[test]
    fn the_elements_of_a_set_are_one_entry() {
        let mut model = Model::default();
        for (seq, element) in [(1, "b"), (2, "a"), (3, "c")] {
            let atom = Atom { key: "k", kind: Kind::GSet, element: Some(element) };
            model.insert(Operation { atom, ..operation(Kind::GSet, 1, seq, What::Enable, &[]) });
        }
        let entries = model.entries(1, &List::from([(1, 2)]));
        assert_eq!(entries, BTreeMap::from([(("k", Kind::GSet), Content::Elements(vec!["a", "b"]))]));
    }

    #[test]
    fn a_dot_is_taken_once() {
        let mut model = Model::default();
        let first = operation(Kind::GCounter, 1, 1, What::Add(1), &[]);
        assert!(model.insert(first.clone()) && !model.insert(first));
    }
}
