//! Laws and histories of the sets, whole and by element.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt::Debug;

use quickcheck::{Arbitrary, Gen};

use super::{GSet, OrSet};
use crate::codec::{Decode, Encode, Reader};
use crate::delta::Entry;
use crate::dot::Dot;
use crate::error::DecodeError;
use crate::flag::EwFlag;
use crate::kind::Kind;
use crate::lattice::{Covers, Crdt};
use crate::laws::own::{CASES, Own, check, contents, element_entry, join, properties};
use crate::laws::{History, Lawful, Run, check_model};
use crate::replica_id::ReplicaId;
use crate::value::Value;
use crate::version_vector::VersionVector;

type Bytes = Box<[u8]>;

#[test]
fn the_laws_hold_for_an_or_set() {
    check::<OrSet<u8>>(CASES);
}

#[test]
fn the_laws_hold_for_an_or_set_of_bytes() {
    check::<OrSet<Bytes>>(CASES);
}

#[test]
fn the_laws_hold_for_a_g_set() {
    check::<GSet<u8>>(CASES);
}

#[test]
fn the_laws_hold_for_a_g_set_of_bytes() {
    check::<GSet<Bytes>>(CASES);
}

#[test]
fn the_laws_hold_for_an_element_of_an_or_set() {
    check::<ElementOf<{ Kind::OrSet.code() }>>(CASES);
}

#[test]
fn the_laws_hold_for_an_element_of_a_g_set() {
    check::<ElementOf<{ Kind::GSet.code() }>>(CASES);
}

#[test]
fn an_or_set_has_the_elements_of_additions_that_nothing_replaced() {
    check_model::<OrSet<u8>>(CASES, |run| {
        run.join_of_deltas().iter().copied().eq(unreplaced(run, |set| lists(set.presences())))
    });
}

#[test]
fn a_g_set_has_the_elements_of_additions_that_no_reset_saw() {
    check_model::<GSet<u8>>(CASES, |run| {
        run.join_of_deltas().iter().copied().eq(unreplaced(run, |set| lists(set.presences())))
    });
}

properties! {
    fn merging_a_few_elements_is_merging_many(history: History<Operation<u8>>, elements: BTreeSet<u8>) -> () {
        // Beside a large set the elements are looked up, beside themselves they are walked.
        let run = Run::<OrSet<u8>>::of(&history);
        let mut large = OrSet::new();
        let stranger = ReplicaId::from_u64(99);
        let filling = elements.iter().copied().chain(100..if cfg!(miri) { 110 } else { 200 }).zip(1..);
        let deltas = filling.map(|(element, seq)| large.insert(Dot::new(stranger, seq), element));
        let others = join(&Vec::from_iter(deltas));
        let all = run.join_of_deltas();
        assert_eq!(join([&others, &all]), join([&all, &others]));
    }
}

#[test]
fn content_is_dots_with_elements() {
    let mut set = OrSet::<u8>::new();
    set.insert(dot(A, 1), 7);
    set.insert(dot(B, 1), 5);
    set.remove(dot(B, 2), &5).unwrap();
    assert_eq!(contents(&set), [[1, 0, 0, 0, 0, 0, 0, 0, 1, 7]]);
}

#[test]
fn elements_out_of_order_are_refused() {
    let mut set = OrSet::<u8>::new();
    set.insert(dot(A, 1), 1);
    set.insert(dot(A, 2), 2);
    let mut bytes = Vec::new();
    set.encode(&mut bytes);
    let second = 1 + (bytes.len() - 1) / 2;
    assert_eq!((bytes[1], bytes[second]), (1, 2));
    let decode = |bytes: &[u8]| OrSet::<u8>::decode(&mut Reader::new(bytes)).map(|set| set.len());
    assert_eq!(decode(&bytes), Ok(2));
    bytes[1] = 2;
    assert_eq!(decode(&bytes), Err(DecodeError::Unsorted));
    bytes[1] = 3;
    assert_eq!(decode(&bytes), Err(DecodeError::Unsorted));
}

#[derive(Clone, Debug)]
pub enum Operation<E> {
    Insert(E),
    Remove(E),
    Clear,
}

impl<E: Element> Arbitrary for Operation<E> {
    fn arbitrary(g: &mut Gen) -> Self {
        // Few elements, so that many operations are on the same one.
        let element = E::of(u8::arbitrary(g) % 4);
        match u8::arbitrary(g) % 8 {
            0..5 => Self::Insert(element),
            5..7 => Self::Remove(element),
            _ => Self::Clear,
        }
    }
}

/// What the sets under test are made of.
pub trait Element: Ord + Clone + Debug + Encode + for<'a> Decode<'a> + 'static {
    fn of(number: u8) -> Self;

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }
}

impl Element for u8 {
    fn of(number: u8) -> Self {
        number
    }
}

impl Element for Bytes {
    fn of(number: u8) -> Self {
        core::iter::repeat_n(b'x', usize::from(number)).collect()
    }
}

impl<E: Element> Lawful for OrSet<E> {
    type Actor = ReplicaId;
    type Operation = Operation<E>;

    fn apply(&mut self, dot: Dot, operation: &Operation<E>) -> Option<Self> {
        match operation {
            Operation::Insert(element) => Some(self.insert(dot, element.clone())),
            Operation::Remove(element) => self.remove(dot, element),
            Operation::Clear if self.is_empty() => None,
            Operation::Clear => Some(self.clear(dot)),
        }
    }
}

impl<E: Element> Own for OrSet<E> {
    fn dots(&self) -> Vec<Dot> {
        self.presences().flat_map(|(_, presence)| presence.dots()).collect()
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        let value = |presence: &EwFlag| Value::OrSet(presence.clone());
        self.presences().map(|(element, presence)| element_entry(&element.bytes(), value(presence))).collect()
    }
}

impl<E: Element> Lawful for GSet<E> {
    type Actor = ReplicaId;
    type Operation = Operation<E>;

    fn apply(&mut self, dot: Dot, operation: &Operation<E>) -> Option<Self> {
        match operation {
            Operation::Insert(element) => Some(self.insert(dot, element.clone())),
            Operation::Clear if !self.is_empty() => Some(self.clear(dot)),
            Operation::Remove(_) | Operation::Clear => None,
        }
    }
}

impl<E: Element> Own for GSet<E> {
    fn dots(&self) -> Vec<Dot> {
        self.presences().flat_map(|(_, presence)| presence.dots()).collect()
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        let value = |presence: &EwFlag| Value::GSet(presence.clone());
        self.presences().map(|(element, presence)| element_entry(&element.bytes(), value(presence))).collect()
    }
}

/// One element of a set of the kind with this code, as logs, wire and storage have it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ElementOf<const CODE: u8>(Value<'static>);

impl<const CODE: u8> ElementOf<CODE> {
    fn kind() -> Kind {
        Kind::from_code(CODE).unwrap()
    }
}

impl<const CODE: u8> Default for ElementOf<CODE> {
    fn default() -> Self {
        Self(Value::empty(Self::kind()))
    }
}

impl<const CODE: u8> Crdt<ReplicaId> for ElementOf<CODE> {
    fn merge_unless(&mut self, other: &Self, covered: &impl Covers<ReplicaId>) {
        self.0.try_merge_unless(&other.0, covered).unwrap();
    }

    fn context(&self) -> Cow<'_, VersionVector> {
        Cow::Borrowed(self.0.context())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contents(&self, visit: &mut impl FnMut(&[u8])) {
        self.0.contents(visit);
    }
}

impl<const CODE: u8> Encode for ElementOf<CODE> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.context().encode(out);
        self.0.encode_pieces(out);
    }
}

impl<'a, const CODE: u8> Decode<'a> for ElementOf<CODE> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let context = VersionVector::decode(input)?;
        Value::decode_pieces(Self::kind(), context, input).map(|value| Self(value.into_owned()))
    }
}

impl<const CODE: u8> Lawful for ElementOf<CODE> {
    type Actor = ReplicaId;
    /// Whether it is added or removed.
    type Operation = bool;

    fn apply(&mut self, dot: Dot, is_added: &bool) -> Option<Self> {
        let (Value::OrSet(presence) | Value::GSet(presence)) = &mut self.0 else { return None };
        let delta = if *is_added { presence.enable(dot) } else { presence.disable(dot) };
        Some(Self(if CODE == Kind::OrSet.code() { Value::OrSet(delta) } else { Value::GSet(delta) }))
    }
}

impl<const CODE: u8> Own for ElementOf<CODE> {
    fn dots(&self) -> Vec<Dot> {
        let (Value::OrSet(presence) | Value::GSet(presence)) = &self.0 else { return Vec::new() };
        presence.dots().collect()
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        [element_entry(b"element", self.0.clone())].into()
    }
}

/// The reference: the elements that were added under a dot which no other operation's list for the element covers.
fn unreplaced<C: Lawful<Actor = ReplicaId, Operation = Operation<u8>>>(
    run: &Run<C>,
    lists: impl Fn(&C) -> Vec<(u8, VersionVector)>,
) -> BTreeSet<u8> {
    let is_replaced = |dot: Dot, added: u8| {
        let mut others = run.made.iter().filter(|made| made.dot != dot).flat_map(|made| lists(&made.delta));
        others.any(|(element, list)| element == added && list.covers(dot))
    };
    let added = run.made.iter().filter_map(|made| match made.operation {
        Operation::Insert(element) => Some((made.dot, element)),
        _ => None,
    });
    added.filter(|(dot, element)| !is_replaced(*dot, *element)).map(|(_, element)| element).collect()
}

fn lists<'a>(presences: impl Iterator<Item = (&'a u8, &'a EwFlag)>) -> Vec<(u8, VersionVector)> {
    presences.map(|(element, presence)| (*element, presence.context().clone())).collect()
}

fn dot(actor: ReplicaId, seq: u64) -> Dot {
    Dot::new(actor, seq)
}

const A: ReplicaId = ReplicaId::from_u64(1);
const B: ReplicaId = ReplicaId::from_u64(2);
