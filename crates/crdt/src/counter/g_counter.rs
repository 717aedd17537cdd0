//! A counter that only grows, until it is reset.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::slot::G_FORM;
use super::{Slot, Slots};
use crate::codec::{Decode, Encode, Reader};
use crate::dot::Dot;
use crate::error::{CounterError, DecodeError};
use crate::lattice::{Covers, Crdt};
use crate::replica_id::{Actor, ReplicaId};
use crate::version_vector::VersionVector;

/// A counter that only grows; all concurrent increments count.
///
/// As [`PnCounter`](crate::PnCounter), with slots whose `n` is 0. A reset takes back exactly what it saw.
///
/// Source: Shapiro, Preguiça, Baquero, Zawirski, "A comprehensive study of convergent and commutative replicated
/// data types", 2011.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GCounter<A = ReplicaId>(Slots<A>);

impl<A> GCounter<A> {
    /// Returns the counter that nobody has written.
    pub const fn new() -> Self {
        Self::only_list(VersionVector::new())
    }

    /// Returns the counter without slots that has seen `context`.
    pub(crate) const fn only_list(context: VersionVector<A>) -> Self {
        Self(Slots::only_list(context))
    }

    /// Returns the list: actor → greatest seq merged of its operations on this counter.
    pub const fn context(&self) -> &VersionVector<A> {
        self.0.context()
    }
}

impl<A: Actor> GCounter<A> {
    /// Adds `amount` under `dot`; returns the delta, as [`PnCounter::increment`](crate::PnCounter::increment) does.
    ///
    /// # Errors
    ///
    /// `Negative` for an amount below 0; `Overflow` when what the actor has added would exceed 64 bits. Nothing is
    /// changed, and the dot is not taken.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn increment(&mut self, dot: Dot<A>, amount: i64) -> Result<Self, CounterError> {
        if amount < 0 {
            return Err(CounterError::Negative { amount });
        }
        self.0.increment(dot, amount).map(Self)
    }

    /// Takes back all that is counted here, under `dot`; returns the delta: every slot, and the whole list.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn reset(&mut self, dot: Dot<A>) -> Self {
        Self(self.0.reset(dot))
    }

    /// Returns the value, never negative: 0 when nothing is counted. O(actors).
    pub fn value(&self) -> i128 {
        self.0.value()
    }

    /// Returns each actor with its slot, in ascending order of the actors.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = (A, &Slot)> {
        self.0.slots()
    }

    /// Returns the slot of `actor`. O(log actors).
    pub fn slot(&self, actor: A) -> Option<&Slot> {
        self.0.slot(actor)
    }

    /// Appends the slots, without the list.
    pub(crate) fn encode_pieces(&self, out: &mut Vec<u8>) {
        self.0.encode_pieces(out);
    }

    /// Reads the slots of the counter, which has its list and no slots yet.
    pub(crate) fn read_pieces(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        self.0.read_pieces(G_FORM, input)
    }

    /// Tells whether [`collect`](Self::collect) would drop anything.
    pub fn is_collectable(&self) -> bool {
        self.0.is_collectable()
    }

    /// Drops the slots that are fully reset, and forgets the actors that are left without one.
    ///
    /// Only once all that the list names has reached every replica, and nothing older is under way. O(actors).
    pub fn collect(&mut self) {
        self.0.collect();
    }
}

impl<A> Default for GCounter<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor> Crdt<A> for GCounter<A> {
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

/// The list, then the slots.
impl<A: Actor + Encode> Encode for GCounter<A> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.context().encode(out);
        self.encode_pieces(out);
    }
}

impl<'a, A: Actor + Decode<'a>> Decode<'a> for GCounter<A> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut counter = Self::only_list(VersionVector::decode(input)?);
        counter.read_pieces(input)?;
        Ok(counter)
    }
}
