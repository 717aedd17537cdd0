//! A dot store with its causal context: the pair that merges.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode, Reader};
use crate::dot::Dot;
use crate::dot_store::{DecodeStore, DotFun, DotStore};
use crate::error::DecodeError;
use crate::lattice::{Covers, Crdt};
use crate::replica_id::{Actor, ReplicaId};
use crate::version_vector::VersionVector;

/// A dot store with the list that says what of it was seen, so that what is absent was either removed or never here.
///
/// The list covers every dot of the store. Registers that keep concurrent values, flags and the elements of sets are
/// made of it; so is any other value whose operations replace what they saw.
///
/// ```
/// use trellis_crdt::{Causal, Crdt, Dot, DotFun, ReplicaId};
///
/// type Vote = Causal<DotFun<ReplicaId, u8>>;
/// let (a, b) = (ReplicaId::from_u64(1), ReplicaId::from_u64(2));
/// let (mut at_a, mut at_b) = (Vote::new(), Vote::new());
/// let from_a = at_a.replace(Dot::new(a, 1), DotFun::one(Dot::new(a, 1), 3));
/// let from_b = at_b.replace(Dot::new(b, 1), DotFun::one(Dot::new(b, 1), 5));
/// at_a.apply_delta(&from_b);
/// at_b.apply_delta(&from_a);
/// assert_eq!(at_a, at_b);
/// assert!(at_a.store().iter().map(|(_, vote)| *vote).eq([3, 5]));
/// ```
///
/// Source: Almeida, Shoker, Baquero, "Delta state replicated data types", 2018: causal CRDTs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Causal<S, A = ReplicaId> {
    store: S,
    context: VersionVector<A>,
}

impl<S: DotStore<A>, A: Actor> Causal<S, A> {
    /// Returns the value that nobody has written.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces all that is held here by `store`, under `dot`; returns the delta: the store, and the whole list.
    ///
    /// A store that is empty makes it a removal of what was seen. O(actors).
    ///
    /// # Panics
    ///
    /// When the list covers `dot`, or the store holds any other dot.
    pub fn replace(&mut self, dot: Dot<A>, store: S) -> Self {
        assert!(store.dots().all(|held| held == dot), "an operation writes pieces of its own dot");
        self.context.advance(dot);
        self.store = store;
        self.clone()
    }
}

impl<S, A> Causal<S, A> {
    pub(crate) const fn from_parts(store: S, context: VersionVector<A>) -> Self {
        Self { store, context }
    }

    /// Returns the store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Returns the list: actor → greatest seq merged of its operations on this value.
    pub const fn context(&self) -> &VersionVector<A> {
        &self.context
    }
}

impl<S: DotStore<A>, A: Actor> Causal<S, A> {
    /// Tells whether [`collect`](Self::collect) would drop anything.
    pub fn is_collectable(&self) -> bool {
        // At most one dot for each actor, and each in the list.
        self.store.is_empty() || self.store.dots().len() < self.context.len()
    }

    /// Forgets the actors that own no piece, and all of a value that is empty.
    ///
    /// Only once all that the list names has reached every replica, and nothing older is under way. O(actors).
    pub fn collect(&mut self) {
        if self.store.is_empty() {
            *self = Self::default();
        } else {
            let store = &self.store;
            self.context.retain(|actor| store.dots().any(|dot| dot.actor == actor));
        }
    }
}

impl<A: Actor, V> Causal<DotFun<A, V>, A> {
    /// As [`Crdt::merge_unless`], of a value whose content becomes this one's by `own` where it is taken.
    pub(crate) fn merge_with<W>(
        &mut self,
        other: &Causal<DotFun<A, W>, A>,
        covered: &impl Covers<A>,
        own: impl Fn(&W) -> V,
    ) {
        self.store.join_with(&self.context, &other.store, &other.context, covered, own);
        self.context.merge(&other.context);
    }

    pub(crate) fn map<W>(self, to: impl FnMut(V) -> W) -> Causal<DotFun<A, W>, A> {
        Causal { store: self.store.map(to), context: self.context }
    }
}

impl<S: DotStore<A>, A: Actor> Causal<S, A> {
    /// Appends the pieces, without the list.
    pub(crate) fn encode_pieces(&self, out: &mut Vec<u8>) {
        self.store.encode_pieces(&self.context, out);
    }

    /// Reads the pieces of the value, which has its list and no pieces yet.
    pub(crate) fn read_pieces<'a>(&mut self, input: &mut Reader<'a>) -> Result<(), DecodeError>
    where
        S: DecodeStore<'a, A>,
    {
        self.store = S::decode_pieces(&self.context, input)?;
        Ok(())
    }
}

impl<S: DotStore<A>, A: Actor> Default for Causal<S, A> {
    fn default() -> Self {
        Self { store: S::default(), context: VersionVector::new() }
    }
}

impl<S: DotStore<A>, A: Actor> Crdt<A> for Causal<S, A> {
    fn merge_unless(&mut self, other: &Self, covered: &impl Covers<A>) {
        self.store.join(&self.context, &other.store, &other.context, covered);
        self.context.merge(&other.context);
    }

    fn context(&self) -> Cow<'_, VersionVector<A>> {
        Cow::Borrowed(&self.context)
    }

    fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode,
    {
        self.store.contents(visit);
    }
}

/// The list, then the pieces.
impl<S: DotStore<A>, A: Actor + Encode> Encode for Causal<S, A> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.context.encode(out);
        self.encode_pieces(out);
    }
}

impl<'a, S: DecodeStore<'a, A>, A: Actor + Decode<'a>> Decode<'a> for Causal<S, A> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let context = VersionVector::decode(input)?;
        let store = S::decode_pieces(&context, input)?;
        Ok(Self { store, context })
    }
}
