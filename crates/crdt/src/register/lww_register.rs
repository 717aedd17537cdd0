//! A register whose last write wins.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::{Decode, DotReader, Encode, Reader, write_dot};
use crate::dot::Dot;
use crate::error::DecodeError;
use crate::fault;
use crate::hlc::Hlc;
use crate::lattice::{Covers, Crdt};
use crate::replica_id::{Actor, ReplicaId};
use crate::version_vector::VersionVector;

/// A register whose last write wins, in the order of (stamp, actor).
///
/// One piece: the greatest write, which holds a value or is a deletion, or none when nobody has written. A deletion
/// is a write with a stamp of its own and not the removal of what was seen: a write that was superseded elsewhere
/// before the deletion saw it would come back in some orders of arrival and not in others.
///
/// Source: Johnson, Thomas, "The maintenance of duplicate databases", 1975; the stamps are hybrid logical clocks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LwwRegister<A = ReplicaId, V = Box<[u8]>> {
    write: Option<Write<A, V>>,
    context: VersionVector<A>,
}

impl<A, V> LwwRegister<A, V> {
    /// Returns the register that nobody has written.
    pub const fn new() -> Self {
        Self::only_list(VersionVector::new())
    }

    /// Returns the register without a write that has seen `context`.
    pub(crate) const fn only_list(context: VersionVector<A>) -> Self {
        Self { write: None, context }
    }

    /// Returns the value, unless nobody has written or the last write is a deletion.
    pub fn value(&self) -> Option<&V> {
        self.write.as_ref().and_then(|write| write.value.as_ref())
    }

    /// Returns the list: actor → greatest seq merged of its operations on this register.
    pub const fn context(&self) -> &VersionVector<A> {
        &self.context
    }

    pub(crate) fn map<W>(self, to: impl FnOnce(V) -> W) -> LwwRegister<A, W> {
        let map = |Write { stamp, dot, value }| Write { stamp, dot, value: Option::map(value, to) };
        LwwRegister { write: self.write.map(map), context: self.context }
    }
}

impl<A: Actor, V: Clone> LwwRegister<A, V> {
    /// Writes `value` under `dot` with `stamp`; returns the delta.
    ///
    /// The write observes nothing: the delta's list is `dot` alone. It does not show here when a greater stamp was
    /// merged before; a caller whose stamps are above all that it merged sees its own writes.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn set(&mut self, dot: Dot<A>, stamp: Hlc, value: V) -> Self {
        self.write(Write { stamp, dot, value: Some(value) })
    }

    /// Writes a deletion under `dot` with `stamp`, in the same order as values; returns the delta.
    ///
    /// # Panics
    ///
    /// When the list covers `dot`.
    pub fn delete(&mut self, dot: Dot<A>, stamp: Hlc) -> Self {
        self.write(Write { stamp, dot, value: None })
    }

    fn write(&mut self, write: Write<A, V>) -> Self {
        self.context.advance(write.dot);
        if write.value.is_none() && fault::is_off("T6 a deletion is ordered like a write") {
            self.write = None;
            return self.clone();
        }
        let delta = Self { context: write.dot.into(), write: Some(write) };
        if self.rank() < delta.rank() {
            self.write.clone_from(&delta.write);
        }
        delta
    }
}

impl<A: Actor, V> LwwRegister<A, V> {
    /// Tells whether [`collect`](Self::collect) would drop anything.
    pub fn is_collectable(&self) -> bool {
        self.value().is_none() || self.context.len() > 1
    }

    /// Forgets the actors but that of the last write, and a deletion whole.
    ///
    /// Only once all that the list names has reached every replica, and nothing older is under way. O(actors).
    pub fn collect(&mut self) {
        match &self.write {
            Some(Write { dot, value: Some(_), .. }) => self.context.retain(|actor| actor == dot.actor),
            _ => (self.write, self.context) = (None, VersionVector::new()),
        }
    }

    /// Returns the stamp of the last write, be it a value or a deletion, and who wrote it.
    pub fn stamp(&self) -> Option<(Hlc, A)> {
        self.write.as_ref().map(|write| (write.stamp, write.dot.actor))
    }

    /// Returns the dot of the last write, be it a value or a deletion.
    pub fn dot(&self) -> Option<Dot<A>> {
        self.write.as_ref().map(|write| write.dot)
    }

    /// As [`Crdt::merge_unless`], of a register whose value becomes this one's by `own` where it is taken.
    pub(crate) fn merge_with<W>(
        &mut self,
        other: &LwwRegister<A, W>,
        covered: &impl Covers<A>,
        own: impl FnOnce(&W) -> V,
    ) {
        let is_removed_here = |dot| self.write.is_none() && (self.context.covers(dot) || covered.covers(dot));
        let is_greater = self.rank() < other.rank()
            || (fault::is_off("lww: the greatest stamp wins") && other.write.is_some());
        if is_greater && !other.dot().is_some_and(is_removed_here) {
            let taken = |write: &Write<A, W>| write.value.as_ref().map(own);
            self.write = other.write.as_ref().map(|write| Write {
                stamp: write.stamp,
                dot: write.dot,
                value: taken(write),
            });
        }
        if other.write.is_none()
            && self.dot().is_some_and(|dot| other.context.covers(dot))
            && fault::is_off("T6 a deletion is ordered like a write")
        {
            self.write = None;
        }
        self.context.merge(&other.context);
    }

    /// What decides which write wins; nothing when there is none. Dots are ordered by actor first; the seq decides
    /// between equal stamps of one actor.
    fn rank(&self) -> Option<(Hlc, Dot<A>)> {
        self.write.as_ref().map(|write| (write.stamp, write.dot))
    }

    /// Appends a form byte, then the dot, the stamp, and the value when there is one.
    pub(crate) fn encode_pieces(&self, out: &mut Vec<u8>)
    where
        V: Encode,
    {
        let Some(Write { stamp, dot, value }) = &self.write else {
            out.push(UNWRITTEN);
            return;
        };
        out.push(if value.is_some() { WRITTEN } else { DELETED });
        write_dot(out, &self.context, *dot);
        stamp.encode(out);
        if let Some(value) = value {
            value.encode(out);
        }
    }

    /// Reads the write of the register, which has its list and no write yet.
    pub(crate) fn read_pieces<'a>(&mut self, input: &mut Reader<'a>) -> Result<(), DecodeError>
    where
        V: Decode<'a>,
    {
        let has_value = match input.u8()? {
            UNWRITTEN => return Ok(()),
            WRITTEN => true,
            DELETED => false,
            form => return Err(DecodeError::UnsupportedForm { form }),
        };
        let dot = DotReader::new(&self.context).next(input)?;
        let stamp = Hlc::decode(input)?;
        let value = if has_value { Some(V::decode(input)?) } else { None };
        self.write = Some(Write { stamp, dot, value });
        Ok(())
    }
}

impl<A, V> Default for LwwRegister<A, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor, V: Clone + Encode> Crdt<A> for LwwRegister<A, V> {
    fn merge_unless(&mut self, other: &Self, covered: &impl Covers<A>) {
        self.merge_with(other, covered, V::clone);
    }

    fn context(&self) -> Cow<'_, VersionVector<A>> {
        Cow::Borrowed(self.context())
    }

    fn is_empty(&self) -> bool {
        self.value().is_none()
    }

    fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode,
    {
        if let Some(Write { stamp, dot, value: Some(value) }) = &self.write {
            let mut piece = Vec::new();
            dot.encode(&mut piece);
            stamp.encode(&mut piece);
            value.encode(&mut piece);
            visit(&piece);
        }
    }
}

/// The list, then the write.
impl<A: Actor + Encode, V: Encode> Encode for LwwRegister<A, V> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.context.encode(out);
        self.encode_pieces(out);
    }
}

impl<'a, A: Actor + Decode<'a>, V: Decode<'a>> Decode<'a> for LwwRegister<A, V> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut register = Self::only_list(VersionVector::decode(input)?);
        register.read_pieces(input)?;
        Ok(register)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Write<A, V> {
    stamp: Hlc,
    dot: Dot<A>,
    /// `None` for a deletion.
    value: Option<V>,
}

const UNWRITTEN: u8 = 0;
const WRITTEN: u8 = 1;
const DELETED: u8 = 2;
