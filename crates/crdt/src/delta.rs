//! What travels: the change of one operation, and an atom whole.

use alloc::vec::Vec;

use crate::atom::Atom;
use crate::codec::{Decode, Encode, Reader};
use crate::dot::Dot;
use crate::error::DecodeError;
use crate::replica_id::{Actor, ReplicaId};
use crate::value::Value;
use crate::version_vector::VersionVector;

/// What one operation changed: the pieces that it wrote, under the list that it observed.
///
/// Encoded once, by the origin, for log and wire alike. Merging it is idempotent and commutes with every other merge
/// of the same atom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delta<A = ReplicaId> {
    /// The operation.
    pub dot: Dot<A>,
    /// The atom it changed, with the pieces it wrote. The list names the actor of `dot` at exactly `dot.seq`: an
    /// operation is the last of its actor that it knows of.
    pub entry: Entry<A>,
}

impl<A: Actor> Delta<A> {
    /// Returns every actor that the delta names, in ascending order: those of its list, which covers its pieces.
    pub fn origins(&self) -> impl ExactSizeIterator<Item = A> {
        self.entry.origins()
    }
}

impl<A: Actor + Encode> Delta<A> {
    /// Encodes the delta: the format version, the atom, the dot, what it observed of other actors, the pieces.
    ///
    /// # Panics
    ///
    /// When the list does not name the dot's actor at its seq, the atom's kind is not the value's, or a limit is
    /// exceeded: what nobody could read must not be written.
    pub fn encode(&self) -> Vec<u8> {
        let context = self.entry.value.context();
        let is_last = context.get(self.dot.actor) == self.dot.seq;
        assert!(is_last, "an operation is the last of its actor in the list it observed");
        let mut out = self.entry.encode_atom();
        self.dot.encode(&mut out);
        context.encode_without(self.dot.actor, &mut out);
        self.entry.value.encode_pieces(&mut out);
        out
    }
}

impl<A: Actor + Decode> Delta<A> {
    /// Decodes a delta.
    ///
    /// # Errors
    ///
    /// When the bytes are not what [`encode`](Self::encode) makes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let atom = decode_atom(&mut input)?;
        let dot = Dot::<A>::decode(&mut input)?;
        let mut context = VersionVector::decode(&mut input)?;
        // The dot is written apart, so the list of the others must not name its actor a second time.
        if context.get(dot.actor) > 0 {
            return Err(DecodeError::Unsorted);
        }
        context.advance(dot);
        let value = Value::decode_pieces(atom.kind, context, &mut input)?;
        input.finish()?;
        Ok(Self { dot, entry: Entry { atom, value } })
    }
}

/// An atom whole, as catch-up and snapshots carry it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry<A = ReplicaId> {
    /// Which atom.
    pub atom: Atom,
    /// Its pieces and its list. The kind is the atom's.
    pub value: Value<A>,
}

impl<A: Actor> Entry<A> {
    /// Returns every actor that the entry names, in ascending order: those of its list, which covers its pieces.
    pub fn origins(&self) -> impl ExactSizeIterator<Item = A> {
        self.value.context().iter().map(|(actor, _)| actor)
    }
}

impl<A: Actor + Encode> Entry<A> {
    /// Encodes the entry: the format version, the atom, the list, the pieces.
    ///
    /// # Panics
    ///
    /// When the atom's kind is not the value's, or a limit is exceeded: what nobody could read must not be written.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_atom();
        self.value.context().encode(&mut out);
        self.value.encode_pieces(&mut out);
        out
    }
}

impl<A> Entry<A> {
    fn encode_atom(&self) -> Vec<u8> {
        assert_eq!(self.atom.kind, self.value.kind(), "an entry holds a value of its atom's kind");
        let mut out = Vec::with_capacity(self.atom.key.len() + HEADER_BYTES_HINT);
        out.push(FORMAT_VERSION);
        self.atom.encode(&mut out);
        out
    }
}

impl<A: Actor + Decode> Entry<A> {
    /// Decodes an entry.
    ///
    /// # Errors
    ///
    /// When the bytes are not what [`encode`](Self::encode) makes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let atom = decode_atom(&mut input)?;
        let context = VersionVector::decode(&mut input)?;
        let value = Value::decode_pieces(atom.kind, context, &mut input)?;
        input.finish()?;
        Ok(Self { atom, value })
    }
}

fn decode_atom(input: &mut Reader<'_>) -> Result<Atom, DecodeError> {
    match input.u8()? {
        FORMAT_VERSION => Atom::decode(input),
        version => Err(DecodeError::UnsupportedVersion { version }),
    }
}

/// The first byte of every encoded delta and entry.
pub const FORMAT_VERSION: u8 = 1;

/// What an increment takes beside its key, roughly.
const HEADER_BYTES_HINT: usize = 32;

#[cfg(test)]
mod tests;
