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
/// of the same atom. One that was decoded borrows its key, element and values from the bytes it came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delta<'a, A = ReplicaId> {
    /// The operation.
    pub dot: Dot<A>,
    /// The atom it changed, with the pieces it wrote. The list names the actor of `dot` at exactly `dot.seq`: an
    /// operation is the last of its actor that it knows of.
    pub entry: Entry<'a, A>,
}

impl<A: Actor> Delta<'_, A> {
    /// Returns the delta with all bytes copied, unless they are its own already.
    pub fn into_owned(self) -> Delta<'static, A> {
        Delta { dot: self.dot, entry: self.entry.into_owned() }
    }

    /// Returns every actor that the delta names, in ascending order: those of its list, which covers its pieces.
    pub fn origins(&self) -> impl ExactSizeIterator<Item = A> {
        self.entry.origins()
    }
}

impl<A: Actor + Encode> Delta<'_, A> {
    /// Encodes the delta: the format version, the atom, the dot, what it observed of other actors, the pieces.
    ///
    /// # Panics
    ///
    /// When the list does not name the dot's actor at its seq, the atom's kind is not the value's, or a limit is
    /// exceeded: what nobody could read must not be written.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.entry.buffer();
        self.encode_into(&mut out);
        out
    }

    /// Appends what [`encode`](Self::encode) returns to `out`.
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode); `out` then holds a part of the delta.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let context = self.entry.value.context();
        let is_last = context.get(self.dot.actor) == self.dot.seq;
        assert!(is_last, "an operation is the last of its actor in the list it observed");
        self.entry.encode_atom(out);
        self.dot.encode(out);
        context.encode_without(self.dot.actor, out);
        self.entry.value.encode_pieces(out);
    }
}

impl<'a, A: Actor + Decode<'a>> Delta<'a, A> {
    /// Decodes a delta. Allocates nothing when it names one actor.
    ///
    /// # Errors
    ///
    /// When the bytes are not what [`encode`](Self::encode) makes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let atom = decode_atom(&mut input)?;
        let dot = Dot::<A>::decode(&mut input)?;
        let mut context = VersionVector::decode(&mut input)?;
        // The dot is written apart, so the list of the others must not name its actor a second time.
        if context.get(dot.actor) > 0 {
            return Err(DecodeError::Unsorted);
        }
        context.advance(dot);
        let value = Value::only_list(atom.kind, context);
        let mut delta = Self { dot, entry: Entry { atom, value } };
        delta.entry.value.read_pieces(&mut input)?;
        input.finish()?;
        Ok(delta)
    }
}

/// An atom whole, as catch-up and snapshots carry it. One that was decoded borrows as a [`Delta`] does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry<'a, A = ReplicaId> {
    /// Which atom.
    pub atom: Atom<'a>,
    /// Its pieces and its list. The kind is the atom's.
    pub value: Value<'a, A>,
}

impl<A: Actor> Entry<'_, A> {
    /// Returns the entry with all bytes copied, unless they are its own already.
    pub fn into_owned(self) -> Entry<'static, A> {
        Entry { atom: self.atom.into_owned(), value: self.value.into_owned() }
    }

    /// Returns every actor that the entry names, in ascending order: those of its list, which covers its pieces.
    pub fn origins(&self) -> impl ExactSizeIterator<Item = A> {
        self.value.context().iter().map(|(actor, _)| actor)
    }
}

impl<A: Actor + Encode> Entry<'_, A> {
    /// Encodes the entry: the format version, the atom, the list, the pieces.
    ///
    /// # Panics
    ///
    /// When the atom's kind is not the value's, or a limit is exceeded: what nobody could read must not be written.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.buffer();
        self.encode_into(&mut out);
        out
    }

    /// Encodes an entry whose pieces are spelled already, as [`Value::encode_pieces`] does beside this list.
    ///
    /// # Panics
    ///
    /// When a limit of the atom is exceeded.
    pub fn encode_parts(atom: &Atom<'_>, list: &VersionVector<A>, pieces: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(atom.key.len() + pieces.len() + HEADER_BYTES_HINT);
        out.push(FORMAT_VERSION);
        atom.encode(&mut out);
        list.encode(&mut out);
        out.extend_from_slice(pieces);
        out
    }

    /// Appends what [`encode`](Self::encode) returns to `out`.
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode); `out` then holds a part of the entry.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        self.encode_atom(out);
        self.value.context().encode(out);
        self.value.encode_pieces(out);
    }
}

impl<A> Entry<'_, A> {
    /// Returns an empty buffer with room for what is small.
    fn buffer(&self) -> Vec<u8> {
        Vec::with_capacity(self.atom.key.len() + HEADER_BYTES_HINT)
    }

    fn encode_atom(&self, out: &mut Vec<u8>) {
        assert_eq!(self.atom.kind, self.value.kind(), "an entry holds a value of its atom's kind");
        out.push(FORMAT_VERSION);
        self.atom.encode(out);
    }
}

impl<'a, A: Actor + Decode<'a>> Entry<'a, A> {
    /// Decodes an entry. Allocates nothing when it names one actor.
    ///
    /// # Errors
    ///
    /// When the bytes are not what [`encode`](Self::encode) makes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let atom = decode_atom(&mut input)?;
        let context = VersionVector::decode(&mut input)?;
        let value = Value::only_list(atom.kind, context);
        let mut entry = Self { atom, value };
        entry.value.read_pieces(&mut input)?;
        input.finish()?;
        Ok(entry)
    }
}

fn decode_atom<'a>(input: &mut Reader<'a>) -> Result<Atom<'a>, DecodeError> {
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
