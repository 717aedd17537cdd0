//! A set in which a concurrent addition wins over a removal.

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

/// A set in which adding an element wins over a concurrent removal: *observed-remove*.
///
/// Element → presence, which is an [`EwFlag`]: the dots of its additions, and a list **of its own**. One list for the
/// whole set would not do: that an operation on one element was seen says nothing of the others, and an addition that
/// is still on its way would be taken for one that was removed here. An element that was removed stays as a record,
/// its list without dots, which keeps out the additions that the removal saw; its memory is freed by whoever knows
/// that no such addition is on its way any more.
///
/// Source: Almeida, Shoker, Baquero, "Delta state replicated data types", 2018: the add-wins set; here
/// with a context for each element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrSet<E = Box<[u8]>, A = ReplicaId>(Elements<E, A>);

impl<E, A> OrSet<E, A> {
    /// Returns the set that nobody has written.
    pub const fn new() -> Self {
        Self(Elements::new())
    }
}

impl<E: Ord + Clone, A: Actor> OrSet<E, A> {
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

    /// Removes `element` under `dot`; returns the delta: its list without dots.
    ///
    /// Returns nothing when it is not in the set: nothing is changed then, and the dot is not taken.
    ///
    /// # Panics
    ///
    /// When the element's list covers `dot`.
    pub fn remove(&mut self, dot: Dot<A>, element: &E) -> Option<Self> {
        self.0.remove(dot, element).map(Self)
    }

    /// Removes all elements that are present, under one `dot`; returns the delta: their lists without dots.
    ///
    /// The delta of a set without elements is empty: nothing is changed, and the dot is not taken. O(elements).
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

impl<E, A> Default for OrSet<E, A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Ord + Clone + Encode, A: Actor> Crdt<A> for OrSet<E, A> {
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
impl<E: Ord + Clone + Encode, A: Actor + Encode> Encode for OrSet<E, A> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl<'a, E: Ord + Clone + Decode<'a>, A: Actor + Decode<'a>> Decode<'a> for OrSet<E, A> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Elements::decode(input).map(Self)
    }
}
