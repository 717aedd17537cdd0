//! What has been seen of every actor: actor → greatest seq.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::codec::{Decode, Encode, Reader, write_varint};
use crate::dot::Dot;
use crate::error::DecodeError;
use crate::lattice::Covers;
use crate::one_or_many::OneOrMany;
use crate::replica_id::{Actor, ReplicaId};

/// A set of dots that is closed downwards: with a dot, all earlier ones of its actor.
///
/// Sorted by actor, one entry each, no zero seqs: equal sets are equal values. It is the clock of a slot, and the
/// *list* (causal context) of a value. Look-ups cost O(log actors), raising an actor that is not there O(actors). One
/// entry takes no allocation.
///
/// `PartialOrd` is the causal order: `a <= b` when `b` covers all of `a`; neither holds when they are concurrent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionVector<A = ReplicaId> {
    entries: OneOrMany<(A, u64)>,
}

impl<A> VersionVector<A> {
    /// Returns the vector that has seen nothing.
    pub const fn new() -> Self {
        Self { entries: OneOrMany::new() }
    }

    /// Returns how many actors it names.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether it has seen nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<A: Actor> VersionVector<A> {
    /// Returns the vector of these entries, or none unless the actors are strictly ascending and no seq is 0. O(n).
    pub fn from_sorted(entries: impl IntoIterator<Item = (A, u64)>) -> Option<Self> {
        let entries = entries.into_iter();
        let mut sorted = OneOrMany::with_capacity(entries.size_hint().0);
        for (actor, seq) in entries {
            if seq == 0 || sorted.last().is_some_and(|(last, _)| *last >= actor) {
                return None;
            }
            sorted.push((actor, seq));
        }
        Some(Self { entries: sorted })
    }

    /// Raises what was seen of `actor` to `seq`; a `seq` that was seen changes nothing, and neither does 0.
    ///
    /// Returns whether it grew. Idempotent, commutes with every other raise and merge.
    pub fn raise(&mut self, actor: A, seq: u64) -> bool {
        match self.search(actor) {
            Ok(place) => {
                let held = &mut self.entries[place].1;
                let grew = *held < seq;
                *held = seq.max(*held);
                grew
            }
            Err(place) if seq > 0 => {
                self.entries.insert(place, (actor, seq));
                true
            }
            Err(_) => false,
        }
    }

    /// Joins `other` into `self`: the maximum for each actor. O(actors of both).
    pub fn merge(&mut self, other: &Self) {
        self.entries.merge(
            &other.entries,
            |(actor, _)| *actor,
            |(actor, _)| *actor,
            |(_, held), (_, seq)| *held = (*seq).max(*held),
            |entry| Some(*entry),
        );
    }

    /// Forgets `actor`, and returns what was seen of it.
    pub fn remove(&mut self, actor: A) -> Option<u64> {
        let place = self.search(actor).ok()?;
        Some(self.entries.remove(place).1)
    }

    /// Keeps the actors that `keep` says.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(A) -> bool) {
        self.entries.retain(|(actor, _)| keep(*actor));
    }

    /// Returns the greatest seq seen of `actor`, 0 for none.
    pub fn get(&self, actor: A) -> u64 {
        self.search(actor).map_or(0, |place| self.entries[place].1)
    }

    /// Tells whether `dot` was seen.
    pub fn covers(&self, dot: Dot<A>) -> bool {
        self.get(dot.actor) >= dot.seq
    }

    /// Tells whether all that `other` has seen was seen here. O(other × log actors).
    pub fn dominates(&self, other: &Self) -> bool {
        other.iter().all(|(actor, seq)| self.get(actor) >= seq)
    }

    /// Returns each actor with its greatest seq, in ascending order of the actors.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (A, u64)> + DoubleEndedIterator + '_ {
        self.entries.iter().copied()
    }

    /// Returns the entries whose seq is beyond what `other` has seen of the actor, in ascending order.
    pub fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (A, u64)> + 'a {
        self.iter().filter(|(actor, seq)| other.get(*actor) < *seq)
    }

    /// Takes the dot of an operation that is being made.
    ///
    /// # Panics
    ///
    /// When the dot was seen: a dot names one change for ever, and each operation of an actor comes after its others.
    #[inline]
    pub(crate) fn advance(&mut self, dot: Dot<A>) {
        assert!(self.raise(dot.actor, dot.seq), "an operation's dot is beyond all earlier ones of its actor");
    }

    /// Appends the vector as it would be without `actor`, which it names.
    pub(crate) fn encode_without(&self, actor: A, out: &mut Vec<u8>)
    where
        A: Encode,
    {
        write_entries(out, self.len() - 1, self.iter().filter(|(named, _)| *named != actor));
    }

    /// Returns the place of `actor` among the entries, and its seq.
    pub(crate) fn place(&self, actor: A) -> Option<(usize, u64)> {
        let place = self.search(actor).ok()?;
        Some((place, self.entries[place].1))
    }

    /// Returns the entry at a place.
    pub(crate) fn at(&self, place: usize) -> Option<(A, u64)> {
        self.entries.get(place).copied()
    }

    fn search(&self, actor: A) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&actor, |(held, _)| *held)
    }
}

impl<A> Default for VersionVector<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor> PartialOrd for VersionVector<A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.dominates(other), other.dominates(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl<A: Actor> Covers<A> for VersionVector<A> {
    fn covers(&self, dot: Dot<A>) -> bool {
        self.covers(dot)
    }
}

impl<A: Actor> From<Dot<A>> for VersionVector<A> {
    fn from(dot: Dot<A>) -> Self {
        Self::from_iter([dot])
    }
}

impl<A: Actor> FromIterator<(A, u64)> for VersionVector<A> {
    fn from_iter<I: IntoIterator<Item = (A, u64)>>(entries: I) -> Self {
        let mut vector = Self::new();
        for (actor, seq) in entries {
            vector.raise(actor, seq);
        }
        vector
    }
}

impl<A: Actor> FromIterator<Dot<A>> for VersionVector<A> {
    fn from_iter<I: IntoIterator<Item = Dot<A>>>(dots: I) -> Self {
        dots.into_iter().map(|dot| (dot.actor, dot.seq)).collect()
    }
}

/// The number of entries, then each as a dot, in ascending order of the actors.
impl<A: Actor + Encode> Encode for VersionVector<A> {
    fn encode(&self, out: &mut Vec<u8>) {
        write_entries(out, self.len(), self.iter());
    }
}

fn write_entries<A: Encode>(out: &mut Vec<u8>, count: usize, entries: impl Iterator<Item = (A, u64)>) {
    write_varint(out, count as u64);
    for (actor, seq) in entries {
        Dot { actor, seq }.encode(out);
    }
}

impl<'a, A: Actor + Decode<'a>> Decode<'a> for VersionVector<A> {
    #[inline]
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = input.varint()?;
        // Each entry takes two bytes at least, so no more room is made than there are bytes for.
        let room = input.remaining() / 2;
        let mut last = None;
        let entries = OneOrMany::try_fill(count, room, || {
            let Dot { actor, seq } = Dot::decode(input)?;
            if last.replace(actor).is_some_and(|last| last >= actor) {
                return Err(DecodeError::Unsorted);
            }
            Ok((actor, seq))
        })?;
        Ok(Self { entries })
    }
}

#[cfg(test)]
mod tests;
