//! A register that keeps all concurrent writes.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::causal::Causal;
use crate::codec::{Decode, Encode, Reader};
use crate::dot::Dot;
use crate::dot_store::DotFun;
use crate::error::DecodeError;
use crate::fault;
use crate::lattice::{Covers, Crdt};
use crate::replica_id::{Actor, ReplicaId};
use crate::version_vector::VersionVector;

/// A register that keeps all concurrent writes; a write replaces those that it saw.
///
/// Dot → value, at most one for each actor, and the list. Concurrent values are never trimmed: a trim on one replica
/// alone would not be confluent.
///
/// Source: Almeida, Shoker, Baquero, "Delta state replicated data types", 2018: the multi-value register.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MvRegister<A = ReplicaId, V = Box<[u8]>>(Causal<DotFun<A, V>, A>);

impl<A, V> MvRegister<A, V> {
    /// Returns the register that nobody has written.
    pub const fn new() -> Self {
        Self::only_list(VersionVector::new())
    }

    /// Returns the register without pieces that has seen `context`.
    pub(crate) const fn only_list(context: VersionVector<A>) -> Self {
        Self(Causal::from_parts(DotFun::new(), context))
    }

    /// Returns the list: actor → greatest seq merged of its operations on this register.
    pub const fn context(&self) -> &VersionVector<A> {
        self.0.context()
    }
}

impl<A: Actor, V: Clone + Encode> MvRegister<A, V> {
    /// Replaces all values held here by `value`, under `dot`; returns the delta: the value, and the whole list.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn set(&mut self, dot: Dot<A>, value: V) -> Self {
        self.replace(dot, DotFun::one(dot, value))
    }

    /// Removes all values held here, under `dot`; returns the delta: no value, and the whole list.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn clear(&mut self, dot: Dot<A>) -> Self {
        self.replace(dot, DotFun::new())
    }

    fn replace(&mut self, dot: Dot<A>, values: DotFun<A, V>) -> Self {
        let delta = self.0.replace(dot, values);
        if fault::is_off("mv: a write replaces what it saw") {
            return Self(Causal::from_parts(delta.store().clone(), dot.into()));
        }
        Self(delta)
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

impl<A: Actor, V> MvRegister<A, V> {
    /// Returns the values in ascending order of their dots: none, one, or several that are concurrent.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> {
        self.pieces().map(|(_, value)| value)
    }

    /// Returns the values with their dots, in ascending order of the dots.
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = (Dot<A>, &V)> {
        self.0.store().iter()
    }

    /// As [`Crdt::merge_unless`], of a register whose values become this one's by `own` where they are taken.
    pub(crate) fn merge_with<W>(
        &mut self,
        other: &MvRegister<A, W>,
        covered: &impl Covers<A>,
        own: impl Fn(&W) -> V,
    ) {
        self.0.merge_with(&other.0, covered, own);
    }

    pub(crate) fn map<W>(self, to: impl FnMut(V) -> W) -> MvRegister<A, W> {
        MvRegister(self.0.map(to))
    }

    /// Appends the pieces, without the list.
    pub(crate) fn encode_pieces(&self, out: &mut Vec<u8>)
    where
        V: Clone + Encode,
    {
        self.0.encode_pieces(out);
    }

    /// Reads the pieces of the register, which has its list and no pieces yet.
    pub(crate) fn read_pieces<'a>(&mut self, input: &mut Reader<'a>) -> Result<(), DecodeError>
    where
        V: Clone + Encode + Decode<'a>,
    {
        self.0.read_pieces(input)
    }
}

impl<A, V> Default for MvRegister<A, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor, V: Clone + Encode> Crdt<A> for MvRegister<A, V> {
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

/// The list, then the number of values, then the dot and the value of each.
impl<A: Actor + Encode, V: Clone + Encode> Encode for MvRegister<A, V> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl<'a, A: Actor + Decode<'a>, V: Clone + Encode + Decode<'a>> Decode<'a> for MvRegister<A, V> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Causal::decode(input).map(Self)
    }
}
