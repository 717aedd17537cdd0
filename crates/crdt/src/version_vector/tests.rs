//! The vector against a plain set of dots.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;

use quickcheck::{Arbitrary, Gen};

use crate::laws::own::properties;

use super::*;

properties! {
    fn a_vector_is_a_set_of_dots_that_is_closed_downwards(changes: Vec<Change>) -> () {
        let (mut vector, mut model) = (VersionVector::new(), Model::default());
        for change in changes {
            let grew = model.apply(&change);
            assert_eq!(change.apply(&mut vector), grew, "{change:?}");
            assert_same(&vector, &model);
        }
    }

    fn comparing_vectors_is_comparing_sets(left: Vec<Change>, right: Vec<Change>) -> () {
        let ((left, left_model), (right, right_model)) = (both(&left), both(&right));
        let is_below = left_model.dots.is_subset(&right_model.dots);
        let is_above = right_model.dots.is_subset(&left_model.dots);
        assert_eq!((left <= right, left >= right), (is_below, is_above));
        assert_eq!((right.dominates(&left), left.dominates(&right)), (is_below, is_above));
        assert_eq!(left == right, is_below && is_above);

        let beyond = left_model.dots.difference(&right_model.dots).copied();
        let beyond: VersionVector = beyond.map(|(actor, seq)| (id(actor), seq)).collect();
        assert!(left.beyond(&right).eq(beyond.iter()));

        let mut joined = left.clone();
        joined.merge(&right);
        assert_same(&joined, &Model { dots: &left_model.dots | &right_model.dots });
    }

    fn a_vector_decodes_from_its_bytes(changes: Vec<Change>) -> () {
        let (vector, _) = both(&changes);
        let mut bytes = Vec::new();
        vector.encode(&mut bytes);
        let mut input = Reader::new(&bytes);
        assert_eq!(VersionVector::decode(&mut input), Ok(vector));
        assert_eq!(input.finish(), Ok(()));
    }
}

#[test]
fn a_seq_of_zero_is_no_entry() {
    let mut vector: VersionVector = [(id(1), 0)].into_iter().collect();
    assert!(!vector.raise(id(2), 0));
    assert!(vector.is_empty());
    assert!(vector.raise(id(2), 3));
    assert!(!vector.raise(id(2), 0) && !vector.raise(id(2), 3));
    assert_eq!(vector.get(id(2)), 3);
}

#[test]
fn a_vector_is_a_set_of_dots_to_those_who_leave_out_what_is_covered() {
    fn covers(covered: impl Covers<ReplicaId>, seq: u64) -> bool {
        covered.covers(Dot::new(id(1), seq))
    }
    let vector = VersionVector::from(Dot::new(id(1), 3));
    assert_eq!((covers(&vector, 3), covers(&vector, 4), covers(vector, 1)), (true, false, true));
    assert!(!covers(VersionVector::default(), 1));
}

#[test]
fn equal_vectors_have_equal_hashes_however_they_came_to_be() {
    let hash = |vector: &VersionVector| {
        let mut hasher = DefaultHasher::new();
        vector.hash(&mut hasher);
        hasher.finish()
    };
    let one = VersionVector::from(Dot::new(id(1), 3));
    let mut other: VersionVector = [(id(1), 3), (id(2), 1)].into_iter().collect();
    assert_ne!(hash(&one), hash(&other));
    other.remove(id(2));
    assert_eq!((hash(&one), &one), (hash(&other), &other));
}

#[test]
fn only_ascending_entries_with_seqs_are_a_vector() {
    let from = |entries: &[(u8, u64)]| {
        VersionVector::from_sorted(entries.iter().map(|(actor, seq)| (id(*actor), *seq)))
    };
    assert_eq!(from(&[]), Some(VersionVector::new()));
    assert_eq!(from(&[(1, 4), (3, 2)]), Some([(id(3), 2), (id(1), 4)].into_iter().collect()));
    assert_eq!(from(&[(1, 0)]), None);
    assert_eq!(from(&[(2, 1), (1, 1)]), None);
    assert_eq!(from(&[(1, 1), (1, 2)]), None);
}

#[test]
fn only_ascending_entries_with_seqs_decode() {
    let decode = |entries: &[(u8, u8)], count: u8| {
        let mut bytes = Vec::from([count]);
        for (actor, seq) in entries {
            id(*actor).encode(&mut bytes);
            bytes.push(*seq);
        }
        VersionVector::<ReplicaId>::decode(&mut Reader::new(&bytes)).map(|vector| vector.len())
    };
    assert_eq!(decode(&[(1, 1), (2, 1)], 2), Ok(2));
    assert_eq!(decode(&[(2, 1), (1, 1)], 2), Err(DecodeError::Unsorted));
    assert_eq!(decode(&[(1, 1), (1, 2)], 2), Err(DecodeError::Unsorted));
    assert_eq!(decode(&[(1, 0)], 1), Err(DecodeError::ZeroSeq));
    assert_eq!(decode(&[(1, 1)], 120), Err(DecodeError::Truncated));
}

#[derive(Clone, Debug)]
enum Change {
    Raise(u8, u64),
    Remove(u8),
}

impl Change {
    /// Returns whether anything changed.
    fn apply(&self, vector: &mut VersionVector) -> bool {
        match *self {
            Self::Raise(actor, seq) => vector.raise(id(actor), seq),
            Self::Remove(actor) => vector.remove(id(actor)).is_some(),
        }
    }
}

impl Arbitrary for Change {
    fn arbitrary(g: &mut Gen) -> Self {
        let actor = u8::arbitrary(g) % 6;
        if u8::arbitrary(g) % 8 == 0 {
            Self::Remove(actor)
        } else {
            Self::Raise(actor, u64::from(u8::arbitrary(g) % 12))
        }
    }
}

#[derive(Default)]
struct Model {
    dots: BTreeSet<(u8, u64)>,
}

impl Model {
    fn apply(&mut self, change: &Change) -> bool {
        let before = self.dots.len();
        match *change {
            Change::Raise(actor, seq) => self.dots.extend((1..=seq).map(|seq| (actor, seq))),
            Change::Remove(removed) => self.dots.retain(|(actor, _)| *actor != removed),
        }
        self.dots.len() != before
    }
}

fn both(changes: &[Change]) -> (VersionVector, Model) {
    let (mut vector, mut model) = (VersionVector::new(), Model::default());
    for change in changes {
        change.apply(&mut vector);
        model.apply(change);
    }
    (vector, model)
}

fn assert_same(vector: &VersionVector, model: &Model) {
    for actor in 0..6 {
        for seq in 1..13 {
            assert_eq!(vector.covers(Dot::new(id(actor), seq)), model.dots.contains(&(actor, seq)));
        }
    }
    let named = BTreeSet::from_iter(model.dots.iter().map(|(actor, _)| id(*actor)));
    assert!(vector.iter().map(|(actor, _)| actor).eq(named));
    assert!(vector.iter().all(|(_, seq)| seq > 0));
}

fn id(actor: u8) -> ReplicaId {
    ReplicaId::from_u64(u64::from(actor))
}
