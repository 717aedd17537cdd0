//! A set that only grows, until it is reset.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Elements;
use crate::codec::{Decode, Encode, Reader};
use crate::dot::Dot;
use crate::error::DecodeError;
use crate::flag::EwFlag;
use crate::lattice::{Covers, Crdt};
use crate::replica_id::{Actor, ReplicaId};
use crate::version_vector::VersionVector;

/// A set that only grows, until it is reset.
///
/// As [`OrSet`](crate::OrSet), without the removal of one element: element → presence, each with a list of its own. A
/// reset takes back exactly what it saw; additions that it did not see survive.
///
/// Source: Shapiro, Preguiça, Baquero, Zawirski, "A comprehensive study of convergent and commutative replicated
/// data types", 2011.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GSet<E = Box<[u8]>, A = ReplicaId>(Elements<E, A>);

impl<E, A> GSet<E, A> {
    /// Returns the set that nobody has written.
    pub const fn new() -> Self {
        Self(Elements::new())
    }
}

impl<E: Ord + Clone, A: Actor> GSet<E, A> {
    /// Adds `element` under `dot`, be it present or not; returns the delta: this element alone, with its whole list.
    ///
    /// The dot replaces the additions of this element that were seen. O(log elements).
    ///
    /// # Panics
    ///
    /// When the element's list covers `dot`.
    pub fn insert(&mut self, dot: Dot<A>, element: E) -> Self {
        Self(self.0.insert(dot, element))
    }

    /// Resets the set under one `dot`: takes back every element that is present.
    ///
    /// Returns the delta: their lists without dots. That of a set without elements is empty: nothing is changed, and
    /// the dot is not taken. O(elements).
    ///
    /// # Panics
    ///
    /// When the list of an element that is present covers `dot`.
    pub fn clear(&mut self, dot: Dot<A>) -> Self {
        Self(self.0.clear(dot))
    }

    /// Tells whether `element` is in the set. O(log elements).
    pub fn contains(&self, element: &E) -> bool {
        self.0.contains(element)
    }

    /// Returns the elements in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &E> {
        self.0.iter()
    }

    /// Returns how many elements the set has. O(elements): records of removals are passed over.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Tells whether the set has no elements.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Returns each element with its presence, records of removals included, in ascending order.
    pub fn presences(&self) -> impl ExactSizeIterator<Item = (&E, &EwFlag<A>)> {
        self.0.presences()
    }
}

impl<E, A> Default for GSet<E, A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Ord + Clone + Encode, A: Actor> Crdt<A> for GSet<E, A> {
    fn merge_unless(&mut self, other: &Self, covered: &impl Covers<A>) {
        self.0.merge_unless(&other.0, covered);
    }

    fn context(&self) -> Cow<'_, VersionVector<A>> {
        Cow::Owned(self.0.context())
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    /// After its dot, a piece is the element's bytes.
    fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode,
    {
        self.0.contents(visit);
    }
}

/// The number of elements, then of each its bytes, its list and its dots, in ascending order of the elements.
impl<E: Ord + Clone + Encode, A: Actor + Encode> Encode for GSet<E, A> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl<'a, E: Ord + Clone + Decode<'a>, A: Actor + Decode<'a>> Decode<'a> for GSet<E, A> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Elements::decode(input).map(Self)
    }
}
