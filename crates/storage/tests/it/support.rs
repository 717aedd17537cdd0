//! A replica for tests: a keyspace, its identity, and a hybrid logical clock that follows what it merges.

use trellis_crdt::{Delta, Dot, Hlc, Kind, ReplicaId, VersionVector};
use trellis_storage::{
    Applied, Config, ElementCursor, Keyspace, MergeError, Merged, Operation, OperationError, Outcome,
    ReadValue, ScanCursor, Total, slot_of,
};

use crate::reference::{Content, Name};

/// One delta on its way.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) slot: u8,
    pub(crate) dot: Dot,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) keyspace: Keyspace,
    pub(crate) hlc: u64,
}

impl Replica {
    pub(crate) fn new(id: u64) -> Self {
        Self::with_early_max(id, Config::default().early_max_per_slot)
    }

    pub(crate) fn with_early_max(id: u64, early_max_per_slot: usize) -> Self {
        let keyspace = Keyspace::new(DIGEST_KEY, Config { early_max_per_slot, ..Config::default() });
        Self { id: ReplicaId::from_u64(id), keyspace, hlc: 0 }
    }

    pub(crate) fn apply(
        &mut self,
        operation: &Operation<'_>,
    ) -> Result<(Vec<Sent>, Outcome), OperationError> {
        let hlc = &mut self.hlc;
        let stamp = || {
            *hlc += 1;
            Hlc::from_u64(*hlc)
        };
        let Applied { slot, changes, outcome } = self.keyspace.apply(operation, self.id, stamp)?;
        let sent = |change: trellis_storage::Change| {
            let dot = Dot::new(self.id, change.seq);
            Sent { slot, dot, bytes: change.delta }
        };
        Ok((changes.into_iter().map(sent).collect(), outcome))
    }

    /// An operation that makes exactly one delta.
    pub(crate) fn one(&mut self, operation: &Operation<'_>) -> Sent {
        let (mut sent, _) = self.apply(operation).unwrap();
        assert_eq!(sent.len(), 1, "{operation:?}");
        sent.remove(0)
    }

    pub(crate) fn take(&mut self, sent: &Sent) -> Merged {
        self.try_take(sent).unwrap()
    }

    pub(crate) fn try_take(&mut self, sent: &Sent) -> Result<Merged, MergeError> {
        let merged = self.keyspace.merge_delta(sent.slot, sent.dot, &sent.bytes)?;
        self.raise(merged.stamp);
        Ok(merged)
    }

    pub(crate) fn take_entry(&mut self, slot: u8, entry: &[u8]) -> bool {
        let merged = self.keyspace.merge_entry(slot, entry).unwrap();
        self.raise(merged.stamp);
        merged.changed
    }

    /// A whole catch-up of one slot.
    pub(crate) fn pull(&mut self, donor: &Self, slot: u8) {
        let noted = donor.keyspace.clock(slot).clone();
        for entry in donor.entries_beyond(slot, self.keyspace.clock(slot)) {
            self.take_entry(slot, &entry);
        }
        self.keyspace.adopt(slot, &noted);
    }

    pub(crate) fn entries_beyond(&self, slot: u8, beyond: &VersionVector) -> Vec<Vec<u8>> {
        let step = self.keyspace.scan(&mut ScanCursor::new(slot, beyond.clone()), usize::MAX);
        assert!(step.is_done);
        step.entries
    }

    pub(crate) fn counter(&self, key: &str, kind: Kind) -> Option<i64> {
        match self.keyspace.read(key, Some(kind)).unwrap().value {
            Some(ReadValue::Counter(Total { value, exact: true })) => Some(value),
            None => None,
            other => panic!("not a counter's value: {other:?}"),
        }
    }

    pub(crate) fn values(&self, key: &str, kind: Kind) -> Vec<Vec<u8>> {
        match self.keyspace.read(key, Some(kind)).unwrap().value {
            Some(ReadValue::Values(values)) => values.into_iter().map(Vec::from).collect(),
            None => Vec::new(),
            other => panic!("not a register's value: {other:?}"),
        }
    }

    fn raise(&mut self, stamp: Option<Hlc>) {
        self.hlc = self.hlc.max(stamp.map_or(0, Hlc::as_u64));
    }
}

/// What a read answers of an atom, in the reference's terms.
pub(crate) fn shown(replica: &Replica, (key, kind, element): &Name) -> Content {
    if let Some(element) = element {
        let (is_member, _) = replica.keyspace.contains(key, *kind, element.as_bytes()).unwrap();
        return if is_member { Content::Present } else { Content::Nothing };
    }
    match replica.keyspace.read(key, Some(*kind)).unwrap().value {
        None => Content::Nothing,
        Some(ReadValue::Counter(total)) => Content::Total(total.value),
        Some(ReadValue::Enabled) => Content::Present,
        Some(ReadValue::Values(values)) => {
            let mut values: Vec<String> =
                values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
            values.sort();
            Content::Values(values)
        }
        Some(other) => panic!("no reference for {other:?}"),
    }
}

/// The name of the atom that a delta changes.
pub(crate) fn name_of(delta: &[u8]) -> Name {
    let atom = Delta::<ReplicaId>::decode(delta).unwrap().entry.atom;
    let element = atom.element.map(|element| String::from_utf8_lossy(&element).into_owned());
    (atom.key.into_owned(), atom.kind, element)
}

pub(crate) fn incr(key: &str, amount: i64) -> Operation<'_> {
    Operation::Increment { key, kind: Kind::PnCounter, amount }
}

pub(crate) fn set<'a>(key: &'a str, kind: Kind, value: &'a str) -> Operation<'a> {
    Operation::Set { key, kind, value: value.as_bytes() }
}

pub(crate) fn add<'a>(key: &'a str, element: &'a str) -> Operation<'a> {
    Operation::Add { key, kind: Kind::OrSet, element: element.as_bytes() }
}

pub(crate) fn remove<'a>(key: &'a str, element: &'a str) -> Operation<'a> {
    Operation::Remove { key, kind: Kind::OrSet, element: element.as_bytes() }
}

pub(crate) fn switch(key: &str, kind: Kind, enabled: bool) -> Operation<'_> {
    Operation::Switch { key, kind, enabled }
}

pub(crate) fn del(key: &str) -> Operation<'_> {
    Operation::Delete { key, kind: None, from: ElementCursor::START }
}

pub(crate) fn del_kind(key: &str, kind: Kind) -> Operation<'_> {
    Operation::Delete { key, kind: Some(kind), from: ElementCursor::START }
}

/// Keys of one slot, as many as asked for.
pub(crate) fn keys_of_slot(slot: u8, count: usize) -> Vec<String> {
    (0..).map(|number| format!("key{number}")).filter(|key| slot_of(key) == slot).take(count).collect()
}

/// Both hold the same and know it.
pub(crate) fn assert_same(a: &Replica, b: &Replica, slot: u8) {
    assert_eq!(a.keyspace.clock(slot), b.keyspace.clock(slot));
    assert!(a.keyspace.is_settled(slot) && b.keyspace.is_settled(slot));
    assert_eq!(a.keyspace.digest(slot), b.keyspace.digest(slot));
}

/// All orders of `0..count`.
pub(crate) fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for next in 0..count {
        let longer = |order: &Vec<usize>| {
            let order = order.clone();
            (0..=order.len()).map(move |place| {
                let mut longer = order.clone();
                longer.insert(place, next);
                longer
            })
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    orders
}

pub(crate) const DIGEST_KEY: [u8; 16] = *b"a key for tests!";

/// A seeded generator: Knuth's MMIX generator, whose low bits are poor and whose high ones are not.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}
