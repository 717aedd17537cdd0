//! A flag in which disabling wins.

use alloc::borrow::Cow;
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

/// A flag in which disabling wins over a concurrent enabling.
///
/// Dot → whether it enabled, of the operations that nothing replaced, at most one for each actor, and the list.
/// A flag that holds nothing, or only disablings, is empty: it reads as one that nobody has written.
///
/// Source: Almeida, Shoker, Baquero, "Delta state replicated data types", 2018, section 7, of which this is the
/// remove-wins set for a single element, with additions and removals in one store so that both can be cleared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DwFlag<A = ReplicaId>(Causal<DotFun<A, bool>, A>);

impl<A> DwFlag<A> {
    /// Returns the flag that nobody has written: disabled.
    pub const fn new() -> Self {
        Self::only_list(VersionVector::new())
    }

    /// Returns the flag without pieces that has seen `context`.
    pub(crate) const fn only_list(context: VersionVector<A>) -> Self {
        Self(Causal::from_parts(DotFun::new(), context))
    }

    /// Returns the list: actor → greatest seq merged of its operations on this flag.
    pub const fn context(&self) -> &VersionVector<A> {
        self.0.context()
    }
}

impl<A: Actor> DwFlag<A> {
    /// Enables the flag under `dot`, which replaces all that was seen; returns the delta: the dot, and the whole list.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn enable(&mut self, dot: Dot<A>) -> Self {
        Self(self.0.replace(dot, DotFun::one(dot, true)))
    }

    /// Disables the flag under `dot`, which replaces all that was seen; returns the delta: the dot, and the whole
    /// list.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn disable(&mut self, dot: Dot<A>) -> Self {
        Self(self.0.replace(dot, DotFun::one(dot, false)))
    }

    /// Removes all that was seen, enablings and disablings, under `dot`; returns the delta: no dot, and the whole
    /// list.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn clear(&mut self, dot: Dot<A>) -> Self {
        Self(self.0.replace(dot, DotFun::new()))
    }

    /// Tells whether the flag is enabled: an enabling is held, and no disabling. O(dots).
    pub fn is_enabled(&self) -> bool {
        let is_disabled =
            self.pieces().any(|(_, enabled)| !enabled) && !fault::is_off("flag: disabling wins");
        !self.holds_no_enabling() && !is_disabled
    }

    /// Returns the operations that nothing replaced: dot, and whether it enabled, in ascending order of the dots.
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = (Dot<A>, bool)> {
        self.0.store().iter().map(|(dot, enabled)| (dot, *enabled))
    }

    fn holds_no_enabling(&self) -> bool {
        self.pieces().all(|(_, enabled)| !enabled)
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

    /// Forgets the actors that own no piece, and all of a flag that holds nothing.
    ///
    /// Disablings stay, also where they are all that is left: an enabling made where one of them was forgotten would
    /// not say that it had seen it, and would lose to it wherever it is still held.
    ///
    /// Only once all that the list names has reached every replica, and nothing older is under way. O(actors).
    pub fn collect(&mut self) {
        self.0.collect();
    }
}

impl<A> Default for DwFlag<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor> Crdt<A> for DwFlag<A> {
    fn merge_unless(&mut self, other: &Self, covered: &impl Covers<A>) {
        self.0.merge_unless(&other.0, covered);
    }

    fn context(&self) -> Cow<'_, VersionVector<A>> {
        Cow::Borrowed(self.context())
    }

    fn is_empty(&self) -> bool {
        self.holds_no_enabling()
    }

    /// Disablings beside an enabling are content, since they decide what is read; alone they read as nothing.
    fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode,
    {
        if !self.is_empty() {
            self.0.contents(visit);
        }
    }
}

/// The list, then the number of dots, then each dot and whether it enabled.
impl<A: Actor + Encode> Encode for DwFlag<A> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl<'a, A: Actor + Decode<'a>> Decode<'a> for DwFlag<A> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Causal::decode(input).map(Self)
    }
}
