//! A register that keeps all concurrent writes.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::{Decode, DotReader, Encode, Reader, write_dot, write_varint};
use crate::dot::Dot;
use crate::dot_store::DotFun;
use crate::error::DecodeError;
use crate::fault;
use crate::lattice::{Covers, Crdt};
use crate::replica_id::{Actor, ReplicaId};
use crate::value::Pieces;
use crate::version_vector::VersionVector;

/// A register that keeps all concurrent writes; a write replaces those that it saw.
///
/// Dot → value, at most one for each actor, and the list. Concurrent values are never trimmed: a trim on one replica
/// alone would not be confluent.
///
/// Source: Almeida, Shoker, Baquero, "Delta state replicated data types", 2018, section 7.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MvRegister<A = ReplicaId, V = Box<[u8]>> {
    values: DotFun<A, V>,
    context: VersionVector<A>,
}

impl<A, V> MvRegister<A, V> {
    /// Returns the register that nobody has written.
    pub const fn new() -> Self {
        Self { values: DotFun::new(), context: VersionVector::new() }
    }
}

impl<A: Actor, V: Clone> MvRegister<A, V> {
    /// Replaces all values held here by `value`, under `dot`; returns the delta: the value, and the whole list.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn set(&mut self, dot: Dot<A>, value: V) -> Self {
        self.context.advance(dot);
        self.values.clear();
        self.values.insert(dot, value);
        self.delta(dot)
    }

    /// Removes all values held here, under `dot`; returns the delta: no value, and the whole list.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn clear(&mut self, dot: Dot<A>) -> Self {
        self.context.advance(dot);
        self.values.clear();
        self.delta(dot)
    }

    /// Returns the values in ascending order of their dots: none, one, or several that are concurrent.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> {
        self.pieces().map(|(_, value)| value)
    }

    /// Returns the values with their dots, in ascending order of the dots.
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = (Dot<A>, &V)> {
        self.values.iter()
    }

    /// What a write under `dot` left is also its delta.
    fn delta(&self, dot: Dot<A>) -> Self {
        let mut delta = self.clone();
        if fault::is_off("mv: a write replaces what it saw") {
            delta.context = dot.into();
        }
        delta
    }
}

impl<A, V> Default for MvRegister<A, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor, V: Clone + Encode> Crdt<A> for MvRegister<A, V> {
    fn merge_unless(&mut self, other: &Self, covered: &impl Covers<A>) {
        self.values.merge_unless(&self.context, &other.values, &other.context, covered);
        self.context.merge(&other.context);
    }

    fn context(&self) -> &VersionVector<A> {
        &self.context
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode,
    {
        let mut piece = Vec::new();
        for (dot, value) in self.values.iter() {
            piece.clear();
            dot.encode(&mut piece);
            value.encode(&mut piece);
            visit(&piece);
        }
    }
}

/// The number of values, then the dot and the value of each.
impl<A: Actor, V: Encode + Decode> Pieces<A> for MvRegister<A, V> {
    fn encode_pieces(&self, out: &mut Vec<u8>) {
        write_varint(out, self.values.len() as u64);
        for (dot, value) in self.values.iter() {
            write_dot(out, &self.context, dot);
            value.encode(out);
        }
    }

    fn decode_pieces(context: VersionVector<A>, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut dots = DotReader::new(&context);
        let mut values = DotFun::new();
        for _ in 0..dots.count(input)? {
            let dot = dots.next(input)?;
            values.insert(dot, V::decode(input)?);
        }
        Ok(Self { values, context })
    }
}
