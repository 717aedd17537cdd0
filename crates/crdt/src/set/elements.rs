//! Element → presence: all that the two kinds of sets share.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode, Reader, write_varint};
use crate::dot::Dot;
use crate::error::DecodeError;
use crate::fault;
use crate::flag::EwFlag;
use crate::lattice::{Covers, Crdt};
use crate::replica_id::Actor;
use crate::version_vector::VersionVector;

/// Element → presence. A presence without dots is the record of a removal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Elements<E, A> {
    presences: BTreeMap<E, EwFlag<A>>,
}

impl<E, A> Elements<E, A> {
    pub(super) const fn new() -> Self {
        Self { presences: BTreeMap::new() }
    }
}

impl<E: Ord + Clone, A: Actor> Elements<E, A> {
    pub(super) fn insert(&mut self, dot: Dot<A>, element: E) -> Self {
        let delta = match self.presences.get_mut(&element) {
            Some(presence) => presence.enable(dot),
            None => self.presences.entry(element.clone()).or_default().enable(dot),
        };
        Self { presences: [(element, delta)].into() }
    }

    pub(super) fn remove(&mut self, dot: Dot<A>, element: &E) -> Option<Self> {
        let presence = self.presences.get_mut(element).filter(|presence| presence.is_enabled())?;
        let delta = presence.disable(dot);
        Some(Self { presences: [(element.clone(), delta)].into() })
    }

    pub(super) fn clear(&mut self, dot: Dot<A>) -> Self {
        let present = self.presences.iter_mut().filter(|(_, presence)| presence.is_enabled());
        let removed = present.map(|(element, presence)| (element.clone(), presence.disable(dot)));
        Self { presences: removed.collect() }
    }

    pub(super) fn merge_unless(&mut self, other: &Self, covered: &impl Covers<A>) {
        let mut lacking = Vec::new();
        let mut lack = |element: &E, theirs| {
            let mut presence = EwFlag::new();
            merge_presence(&mut presence, theirs, covered);
            lacking.push((element.clone(), presence));
        };
        // A few elements, as a delta has them, are looked up; otherwise one pass over both sides costs less.
        if other.presences.len().saturating_mul(SPARSE_FACTOR) < self.presences.len() {
            for (element, theirs) in &other.presences {
                match self.presences.get_mut(element) {
                    Some(ours) => merge_presence(ours, theirs, covered),
                    None => lack(element, theirs),
                }
            }
        } else {
            let mut held = self.presences.iter_mut().peekable();
            for (element, theirs) in &other.presences {
                while held.next_if(|(ours, _)| **ours < *element).is_some() {}
                match held.peek_mut() {
                    Some((ours, presence)) if *ours == element => {
                        merge_presence(presence, theirs, covered);
                    }
                    _ => lack(element, theirs),
                }
            }
        }
        self.presences.extend(lacking);
    }

    pub(super) fn contains(&self, element: &E) -> bool {
        self.presences.get(element).is_some_and(EwFlag::is_enabled)
    }

    /// Returns the elements that are present, in ascending order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &E> {
        self.presences.iter().filter(|(_, presence)| presence.is_enabled()).map(|(element, _)| element)
    }

    pub(super) fn presences(&self) -> impl ExactSizeIterator<Item = (&E, &EwFlag<A>)> {
        self.presences.iter()
    }

    pub(super) fn context(&self) -> VersionVector<A> {
        let mut all = VersionVector::new();
        self.presences.values().for_each(|presence| all.merge(presence.context()));
        all
    }

    pub(super) fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        E: Encode,
        A: Encode,
    {
        let mut piece = Vec::new();
        for (element, presence) in &self.presences {
            for dot in presence.dots() {
                piece.clear();
                dot.encode(&mut piece);
                element.encode(&mut piece);
                visit(&piece);
            }
        }
    }

    /// Appends the number of elements, then each with its list and its dots.
    pub(super) fn encode(&self, out: &mut Vec<u8>)
    where
        E: Encode,
        A: Encode,
    {
        write_varint(out, self.presences.len() as u64);
        for (element, presence) in &self.presences {
            element.encode(out);
            presence.encode(out);
        }
    }

    pub(super) fn decode<'a>(input: &mut Reader<'a>) -> Result<Self, DecodeError>
    where
        E: Decode<'a>,
        A: Decode<'a>,
    {
        let mut presences = BTreeMap::new();
        for _ in 0..input.varint()? {
            let element = E::decode(input)?;
            if presences.last_key_value().is_some_and(|(last, _)| *last >= element) {
                return Err(DecodeError::Unsorted);
            }
            presences.insert(element, EwFlag::decode(input)?);
        }
        Ok(Self { presences })
    }
}

/// Merges the presence of one element.
pub(crate) fn merge_presence<A: Actor>(ours: &mut EwFlag<A>, theirs: &EwFlag<A>, covered: &impl Covers<A>) {
    ours.merge_unless(theirs, covered);
    if !theirs.is_enabled() && fault::is_off("set: an addition wins over a removal that did not see it") {
        ours.drop_dots();
    }
}

/// How many times fewer the other set's elements are before they are looked up one by one.
const SPARSE_FACTOR: usize = 8;
