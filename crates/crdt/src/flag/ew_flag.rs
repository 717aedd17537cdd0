//! A flag in which enabling wins.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::causal::Causal;
use crate::codec::{Decode, Encode, Reader};
use crate::dot::Dot;
use crate::dot_store::{DotSet, DotStore};
use crate::error::DecodeError;
use crate::lattice::{Covers, Crdt};
use crate::replica_id::{Actor, ReplicaId};
use crate::version_vector::VersionVector;

/// A flag in which enabling wins over a concurrent disabling.
///
/// The dots of the enablings that nothing replaced, at most one for each actor, and the list. It is also the presence
/// of one element of a set.
///
/// Source: Almeida, Shoker, Baquero, "Delta state replicated data types", 2018: the enable-wins flag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EwFlag<A = ReplicaId>(Causal<DotSet<A>, A>);

impl<A> EwFlag<A> {
    /// Returns the flag that nobody has written: disabled.
    pub const fn new() -> Self {
        Self::only_list(VersionVector::new())
    }

    /// Returns the flag without pieces that has seen `context`.
    pub(crate) const fn only_list(context: VersionVector<A>) -> Self {
        Self(Causal::from_parts(DotSet::new(), context))
    }

    /// Tells whether the flag is enabled: whether it has a dot.
    pub fn is_enabled(&self) -> bool {
        !self.0.store().is_empty()
    }

    /// Returns the list: actor → greatest seq merged of its operations on this flag.
    pub const fn context(&self) -> &VersionVector<A> {
        self.0.context()
    }
}

impl<A: Actor> EwFlag<A> {
    /// Enables the flag under `dot`, which replaces all that was seen; returns the delta: the dot, and the whole list.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn enable(&mut self, dot: Dot<A>) -> Self {
        Self(self.0.replace(dot, DotSet::one(dot, ())))
    }

    /// Removes all enablings that were seen, under `dot`; returns the delta: no dot, and the whole list.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn disable(&mut self, dot: Dot<A>) -> Self {
        Self(self.0.replace(dot, DotSet::new()))
    }

    /// Returns the dots of the enablings that nothing replaced, in ascending order.
    pub fn dots(&self) -> impl ExactSizeIterator<Item = Dot<A>> {
        self.0.store().dots()
    }

    /// Drops the enablings and keeps the list, as no operation does.
    pub(crate) fn drop_dots(&mut self) {
        *self = Self::only_list(self.context().clone());
    }

    /// Appends the pieces, without the list.
    pub(crate) fn encode_pieces(&self, out: &mut Vec<u8>) {
        self.0.encode_pieces(out);
    }

    /// Reads the pieces of the flag, which has its list and no pieces yet.
    pub(crate) fn read_pieces(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        self.0.read_pieces(input)
    }

    /// Tells whether [`collect`](Self::collect) would drop anything.
    pub fn is_collectable(&self) -> bool {
        self.0.is_collectable()
    }

    /// Forgets the actors that own no piece, and all of a value that is empty.
    ///
    /// Only once all that the list names has reached every replica, and nothing older is under way. O(actors).
    pub fn collect(&mut self) {
        self.0.collect();
    }
}

impl<A> Default for EwFlag<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor> Crdt<A> for EwFlag<A> {
    fn merge_unless(&mut self, other: &Self, covered: &impl Covers<A>) {
        self.0.merge_unless(&other.0, covered);
    }

    fn context(&self) -> Cow<'_, VersionVector<A>> {
        Cow::Borrowed(self.context())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode,
    {
        self.0.contents(visit);
    }
}

/// The list, then the number of dots, then the dots.
impl<A: Actor + Encode> Encode for EwFlag<A> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl<'a, A: Actor + Decode<'a>> Decode<'a> for EwFlag<A> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Causal::decode(input).map(Self)
    }
}
