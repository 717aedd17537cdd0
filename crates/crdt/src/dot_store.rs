//! Dot → content, joined under the causal contexts of both sides.

use alloc::vec::Vec;

use crate::codec::{Decode, DotReader, Encode, Reader, write_dot, write_varint};
use crate::dot::Dot;
use crate::error::DecodeError;
use crate::fault;
use crate::lattice::Covers;
use crate::one_or_many::OneOrMany;
use crate::replica_id::{Actor, ReplicaId};
use crate::version_vector::VersionVector;

/// A set of dots with what hangs on them. It is a lattice only beside its causal context: see
/// [`Causal`](crate::Causal), which owns both.
///
/// It holds at most one dot of each actor. One is all there can be: an operation supersedes its actor's earlier ones
/// on the same value, and its context says so.
///
/// Source: Almeida, Shoker, Baquero, "Delta state replicated data types", 2018: dot stores.
pub trait DotStore<A: Actor>: Clone + Default {
    /// Joins `other`, whose context is `theirs`, into this store, whose context is `ours` and not yet joined.
    ///
    /// What both hold stays. What is held here alone stays unless `theirs` covers its dot; what `other` holds alone
    /// is taken unless `ours` or `covered` covers its dot.
    fn join(
        &mut self,
        ours: &VersionVector<A>,
        other: &Self,
        theirs: &VersionVector<A>,
        covered: &impl Covers<A>,
    );

    /// Tells whether it holds no dot.
    fn is_empty(&self) -> bool;

    /// Returns the dots, in ascending order.
    fn dots(&self) -> impl ExactSizeIterator<Item = Dot<A>>;

    /// Visits the canonical bytes of each piece of content, its dot first, in ascending order of the dots.
    fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode;

    /// Appends the number of pieces, then the dot and the content of each, in ascending order of the dots.
    ///
    /// # Panics
    ///
    /// When `context` does not cover every dot.
    fn encode_pieces(&self, context: &VersionVector<A>, out: &mut Vec<u8>);
}

/// A store that can be read back, and may borrow from the bytes.
pub trait DecodeStore<'a, A: Actor>: DotStore<A> {
    /// Reads the pieces of the value whose list is `context`, as [`encode_pieces`](DotStore::encode_pieces) writes
    /// them.
    ///
    /// # Errors
    ///
    /// When the bytes are not what it makes.
    fn decode_pieces(context: &VersionVector<A>, input: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

/// Dots alone: what is there, and by whom.
pub type DotSet<A = ReplicaId> = DotFun<A, ()>;

/// Dot → content, in ascending order of the dots, at most one for each actor. One takes no allocation.
///
/// What hangs on a dot is the same everywhere, since a dot names one operation: of what both sides hold, nothing has
/// to be joined.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DotFun<A, V> {
    entries: OneOrMany<(Dot<A>, V)>,
}

impl<A, V> DotFun<A, V> {
    /// Returns the store that holds nothing.
    pub const fn new() -> Self {
        Self { entries: OneOrMany::new() }
    }

    /// Returns the store that holds one piece.
    pub const fn one(dot: Dot<A>, content: V) -> Self {
        Self { entries: OneOrMany::One((dot, content)) }
    }

    /// Returns how many dots it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether it holds no dot.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<A: Actor, V> DotFun<A, V> {
    /// Returns each dot with its content, in ascending order of the dots.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Dot<A>, &V)> {
        self.entries.iter().map(|(dot, content)| (*dot, content))
    }

    /// Returns what hangs on `dot`. O(log dots).
    pub fn get(&self, dot: Dot<A>) -> Option<&V> {
        let place = self.entries.binary_search_by_key(&dot, |(held, _)| *held).ok()?;
        Some(&self.entries[place].1)
    }

    /// As [`DotStore::join`], of a store whose content becomes this one's by `own` where it is taken.
    pub(crate) fn join_with<W>(
        &mut self,
        ours: &VersionVector<A>,
        other: &DotFun<A, W>,
        theirs: &VersionVector<A>,
        covered: &impl Covers<A>,
        own: impl Fn(&W) -> V,
    ) {
        self.entries.retain(|(dot, _)| !theirs.covers(*dot) || other.get(*dot).is_some());
        let is_removed = |dot| {
            (ours.covers(dot) || covered.covers(dot)) && !fault::is_off("mv: what was replaced stays away")
        };
        self.entries.merge(
            &other.entries,
            |(dot, _)| *dot,
            |(dot, _)| *dot,
            |_, _| {},
            |(dot, content)| (!is_removed(*dot)).then(|| (*dot, own(content))),
        );
    }

    pub(crate) fn map<W>(self, mut to: impl FnMut(V) -> W) -> DotFun<A, W> {
        DotFun { entries: self.entries.map(|(dot, content)| (dot, to(content))) }
    }
}

impl<A, V> Default for DotFun<A, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor, V: Clone + Encode> DotStore<A> for DotFun<A, V> {
    fn join(
        &mut self,
        ours: &VersionVector<A>,
        other: &Self,
        theirs: &VersionVector<A>,
        covered: &impl Covers<A>,
    ) {
        self.join_with(ours, other, theirs, covered, V::clone);
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn dots(&self) -> impl ExactSizeIterator<Item = Dot<A>> {
        self.entries.iter().map(|(dot, _)| *dot)
    }

    fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode,
    {
        let mut piece = Vec::new();
        for (dot, content) in self.iter() {
            piece.clear();
            dot.encode(&mut piece);
            content.encode(&mut piece);
            visit(&piece);
        }
    }

    fn encode_pieces(&self, context: &VersionVector<A>, out: &mut Vec<u8>) {
        write_varint(out, self.len() as u64);
        for (dot, content) in self.iter() {
            write_dot(out, context, dot);
            content.encode(out);
        }
    }
}

impl<'a, A: Actor, V: Clone + Encode + Decode<'a>> DecodeStore<'a, A> for DotFun<A, V> {
    fn decode_pieces(context: &VersionVector<A>, input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut dots = DotReader::new(context);
        let count = dots.count(input)?;
        let entries =
            OneOrMany::try_fill(count as u64, count, || Ok((dots.next(input)?, V::decode(input)?)))?;
        Ok(Self { entries })
    }
}

#[cfg(test)]
mod tests;
