//! What every value here obeys: one trait, and what a merge may be told to leave out.

use alloc::borrow::Cow;

use crate::codec::Encode;
use crate::dot::Dot;
use crate::replica_id::Actor;
use crate::version_vector::VersionVector;

/// A state-based delta CRDT that carries its own causal context.
///
/// A value consists of *pieces* (the slots of a counter, the write of an lww-register, the values of an
/// mv-register, the dots of a flag or an element), each made by one operation and named by its dot, and of the
/// *list*: actor → greatest seq merged of that actor's operations on this value. An operation supersedes its actor's
/// earlier ones on the same value, so the list is exactly the causal context, whatever order the operations came in.
/// It covers the dot of every piece. A set is many such values, one for each element, each with a list of its own.
///
/// The axioms, over all values that operations and merges can reach:
///
/// - [`merge`](Self::merge) is a join: associative, commutative and idempotent; the list is joined by maximum.
/// - An operation is inflationary, and it equals merging its delta: the delta is below the state that it left.
/// - Deltas may be merged in any order, in parts and more than once; the join of all deltas is the join of all
///   states.
/// - The covered filter: a piece that is not held here and whose dot the list here, or `covered`, covers was
///   removed or superseded here, and is not taken. The filter is per piece: the rest of the same value is.
/// - Content, which digests are made of, depends on nothing that collection may drop; there is content exactly when the
///   value is not [empty](Self::is_empty).
/// - A value that is encoded has one spelling: equal values have equal bytes, what decodes encodes to the same bytes,
///   and bytes that end early do not decode.
///
/// The module `laws` (feature `laws`) checks them for any implementation.
///
/// Source: Almeida, Shoker, Baquero, "Delta state replicated data types", 2018.
pub trait Crdt<A: Actor>: Clone {
    /// Merges `other` into `self`, piece by piece, leaving out what `covered` says was removed here.
    ///
    /// A piece that both hold is joined; a piece of `other` alone is taken unless the list here or `covered` covers
    /// its dot; a piece held here alone is dropped when the list of `other` covers its dot, save in counters and
    /// lww-registers, whose removals are pieces themselves. Then the lists are joined. Idempotent; the list only
    /// grows. O(pieces and actors of both).
    fn merge_unless(&mut self, other: &Self, covered: &impl Covers<A>);

    /// Merges `other` into `self`: the join of the lattice.
    fn merge(&mut self, other: &Self) {
        self.merge_unless(other, &Nothing);
    }

    /// Merges what an operation elsewhere changed: a delta is a value of the same lattice.
    fn apply_delta(&mut self, delta: &Self) {
        self.merge(delta);
    }

    /// Returns the list: actor → greatest seq merged of its operations on this value.
    ///
    /// A set joins the lists of its elements, which costs O(elements × actors). All other kinds own one list, and have
    /// a method of the same name that returns a reference to it; where the type is known, that method is the one
    /// called.
    fn context(&self) -> Cow<'_, VersionVector<A>>;

    /// Tells whether a reader would find nothing: no amount that is not reset, no value, no element, no enabling.
    ///
    /// A counter that was incremented and then decremented to zero is not empty.
    fn is_empty(&self) -> bool;

    /// Visits the canonical bytes of each piece of content, its dot first, which the list covers.
    ///
    /// What collection may drop is left out: slots that are fully reset, deletions, the list. So replicas that hold
    /// the same content visit the same bytes in the same order, however much either has collected. The bytes do not
    /// say to which key they belong.
    fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode;
}

/// A set of dots that says which pieces need not be taken.
pub trait Covers<A> {
    /// Tells whether `dot` is in the set.
    fn covers(&self, dot: Dot<A>) -> bool;
}

impl<A, T: Covers<A> + ?Sized> Covers<A> for &T {
    fn covers(&self, dot: Dot<A>) -> bool {
        (**self).covers(dot)
    }
}

/// The empty set of dots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nothing;

impl<A> Covers<A> for Nothing {
    fn covers(&self, _dot: Dot<A>) -> bool {
        false
    }
}
