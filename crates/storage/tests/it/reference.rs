//! What a slot must hold, computed from the operations themselves and what each of them observed.
//!
//! It shares no code with the crates: sets of operations and maps of numbers, nothing else. It answers for sets of
//! operations that hold, with an operation, all that its delta's list names, which is what a settled slot holds.

use std::collections::BTreeMap;

use trellis_crdt::Kind;

/// Origin → greatest seq.
pub(crate) type List = BTreeMap<u64, u64>;

#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) origin: u64,
    pub(crate) seq: u64,
    pub(crate) key: String,
    pub(crate) kind: Kind,
    /// Of sets.
    pub(crate) element: Option<String>,
    pub(crate) what: What,
    /// The operations on the same key and kind that its origin had merged.
    pub(crate) observed: List,
    /// Up to which seq its origin knew its own earlier increments to be reset. An increment says so too: it carries
    /// its origin's whole slot (R7).
    pub(crate) own_reset: u64,
    /// Of lww operations.
    pub(crate) stamp: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Add(i64),
    Write(String),
    /// Adds an element, or enables a flag.
    Enable,
    /// Disables a dw-flag.
    Disable,
    /// Removes an element, disables an ew-flag, or deletes whatever it is.
    Delete,
}

/// What a read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Nothing,
    Total(i64),
    /// Sorted.
    Values(Vec<String>),
    /// An element that is in its set, or a flag that is enabled.
    Present,
}

impl Op {
    /// Whether its delta carries the list that it observed.
    pub(crate) fn carries_its_list(&self) -> bool {
        match self.kind {
            Kind::LwwRegister => false,
            kind if kind.is_counter() => self.is_reset(),
            _ => true,
        }
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.kind.is_counter() && matches!(self.what, What::Delete)
    }

    fn saw(&self, other: &Self) -> bool {
        self.observed.get(&other.origin).is_some_and(|seq| *seq >= other.seq)
    }
}

/// What one replica knows of one atom.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Of each origin the greatest seq merged.
    pub(crate) list: List,
    /// Of each origin up to which its increments are known to be reset.
    pub(crate) resets: List,
}

impl Known {
    /// Merges the delta of `op`, or makes it.
    pub(crate) fn learn(&mut self, op: &Op) {
        raise(&mut self.list, op.origin, op.seq);
        if op.carries_its_list() {
            join(&mut self.list, &op.observed);
        }
        if op.is_reset() {
            join(&mut self.resets, &op.observed);
        }
        raise(&mut self.resets, op.origin, op.own_reset);
    }

    /// Merges the whole entry of a replica that knew `other`.
    pub(crate) fn join(&mut self, other: &Self) {
        join(&mut self.list, &other.list);
        join(&mut self.resets, &other.resets);
    }
}

pub(crate) fn raise(list: &mut List, origin: u64, seq: u64) {
    let held = list.entry(origin).or_default();
    *held = seq.max(*held);
}

fn join(list: &mut List, other: &List) {
    for (origin, seq) in other {
        raise(list, *origin, *seq);
    }
}

/// Key, kind, and of sets the element.
pub(crate) type Name = (String, Kind, Option<String>);

/// What one atom holds once exactly the operations up to `clock` are merged.
pub(crate) fn content(operations: &[Op], clock: &List, (key, kind, element): &Name) -> Content {
    let merged: Vec<&Op> = operations
        .iter()
        .filter(|op| op.key == *key && op.kind == *kind && op.element == *element)
        .filter(|op| clock.get(&op.origin).is_some_and(|seq| *seq >= op.seq))
        .collect();
    match kind {
        Kind::LwwRegister => {
            let last = merged.iter().max_by_key(|op| (op.stamp, op.origin));
            match last.map(|op| &op.what) {
                Some(What::Write(value)) => Content::Values(vec![value.clone()]),
                _ => Content::Nothing,
            }
        }
        Kind::MvRegister => {
            let survives = |op: &&&Op| !merged.iter().any(|later| later.saw(op));
            let mut values: Vec<String> = merged
                .iter()
                .filter(survives)
                .filter_map(|op| if let What::Write(value) = &op.what { Some(value.clone()) } else { None })
                .collect();
            values.sort();
            if values.is_empty() { Content::Nothing } else { Content::Values(values) }
        }
        Kind::GSet | Kind::OrSet | Kind::EwFlag | Kind::DwFlag => {
            let survives = |op: &&&Op| !merged.iter().any(|later| later.saw(op));
            let surviving: Vec<&What> = merged.iter().filter(survives).map(|op| &op.what).collect();
            let has = |wanted: fn(&What) -> bool| surviving.iter().any(|what| wanted(what));
            let is_disabled = has(|what| matches!(what, What::Disable));
            let is_enabled = has(|what| matches!(what, What::Enable)) && !is_disabled;
            if is_enabled { Content::Present } else { Content::Nothing }
        }
        Kind::GCounter | Kind::PnCounter => {
            let tells_of_reset = |later: &&Op, op: &Op| {
                (later.is_reset() && later.saw(op))
                    || (later.origin == op.origin && later.own_reset >= op.seq)
            };
            let was_reset = |op: &Op| merged.iter().any(|later| tells_of_reset(later, op));
            let counted: Vec<i64> = merged
                .iter()
                .filter(|op| !was_reset(op))
                .filter_map(|op| if let What::Add(amount) = op.what { Some(amount) } else { None })
                .collect();
            if counted.is_empty() { Content::Nothing } else { Content::Total(counted.iter().sum()) }
        }
    }
}
