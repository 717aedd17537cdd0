//! Dot → content, joined under the causal contexts of both sides.

use alloc::vec::Vec;

use crate::dot::Dot;
use crate::fault;
use crate::lattice::Covers;
use crate::replica_id::Actor;
use crate::version_vector::VersionVector;

/// Dot → content, in ascending order of the dots, at most one for each actor.
///
/// One for each actor is all there can be: an operation supersedes its actor's earlier ones on the same value, and its
/// context says so. The context is not in here; whoever owns the store has it.
///
/// Source: Almeida, Shoker, Baquero, "Delta state replicated data types", 2018, section 7.2, `DotFun`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DotFun<A, V> {
    entries: Vec<(Dot<A>, V)>,
}

impl<A, V> DotFun<A, V> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<A: Actor, V> DotFun<A, V> {
    /// Puts content under a dot of an actor that has none.
    pub(crate) fn insert(&mut self, dot: Dot<A>, content: V) {
        let place = self.entries.partition_point(|(held, _)| *held < dot);
        self.entries.insert(place, (dot, content));
    }

    /// Joins `other`, whose context is `theirs`, into this store, whose context is `ours` and not yet joined.
    pub(crate) fn merge_unless(
        &mut self,
        ours: &VersionVector<A>,
        other: &Self,
        theirs: &VersionVector<A>,
        covered: &impl Covers<A>,
    ) where
        V: Clone,
    {
        self.entries.retain(|(dot, _)| other.holds(*dot) || !theirs.covers(*dot));
        let is_removed = |dot| {
            (ours.covers(dot) || covered.covers(dot)) && !fault::is_off("mv: what was replaced stays away")
        };
        for (dot, content) in &other.entries {
            if !self.holds(*dot) && !is_removed(*dot) {
                self.insert(*dot, content.clone());
            }
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (Dot<A>, &V)> {
        self.entries.iter().map(|(dot, content)| (*dot, content))
    }

    fn holds(&self, dot: Dot<A>) -> bool {
        self.entries.binary_search_by_key(&dot, |(held, _)| *held).is_ok()
    }
}
