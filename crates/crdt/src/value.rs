//! A value of any kind.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::{Encode, Reader};
use crate::counter::{GCounter, PnCounter};
use crate::error::{DecodeError, KindMismatch};
use crate::kind::Kind;
use crate::lattice::{Covers, Crdt, Nothing};
use crate::register::{LwwRegister, MvRegister};
use crate::replica_id::{Actor, ReplicaId};
use crate::version_vector::VersionVector;

/// A value of any kind that is built; registers hold bytes.
///
/// It has the methods of [`Crdt`]; merging is fallible, since the kinds may differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Value<A = ReplicaId> {
    /// A counter that only grows.
    GCounter(GCounter<A>),
    /// A counter that goes up and down.
    PnCounter(PnCounter<A>),
    /// A register whose last write wins.
    LwwRegister(LwwRegister<A, Box<[u8]>>),
    /// A register that keeps all concurrent writes.
    MvRegister(MvRegister<A, Box<[u8]>>),
}

impl<A> Value<A> {
    /// Returns the value of this kind that nobody has written, or none for kinds whose values are not built.
    pub const fn empty(kind: Kind) -> Option<Self> {
        match kind {
            Kind::GCounter => Some(Self::GCounter(GCounter::new())),
            Kind::PnCounter => Some(Self::PnCounter(PnCounter::new())),
            Kind::LwwRegister => Some(Self::LwwRegister(LwwRegister::new())),
            Kind::MvRegister => Some(Self::MvRegister(MvRegister::new())),
            Kind::GSet | Kind::OrSet | Kind::EwFlag | Kind::DwFlag => None,
        }
    }

    /// Returns the kind of the value.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::GCounter(_) => Kind::GCounter,
            Self::PnCounter(_) => Kind::PnCounter,
            Self::LwwRegister(_) => Kind::LwwRegister,
            Self::MvRegister(_) => Kind::MvRegister,
        }
    }
}

impl<A: Actor> Value<A> {
    /// Merges `other` into `self`, as [`Crdt::merge_unless`] does.
    ///
    /// # Errors
    ///
    /// When the kinds differ: the caller confused two entries. Nothing is changed.
    pub fn try_merge_unless(&mut self, other: &Self, covered: &impl Covers<A>) -> Result<(), KindMismatch> {
        match (&mut *self, other) {
            (Self::GCounter(ours), Self::GCounter(theirs)) => ours.merge_unless(theirs, covered),
            (Self::PnCounter(ours), Self::PnCounter(theirs)) => ours.merge_unless(theirs, covered),
            (Self::LwwRegister(ours), Self::LwwRegister(theirs)) => ours.merge_unless(theirs, covered),
            (Self::MvRegister(ours), Self::MvRegister(theirs)) => ours.merge_unless(theirs, covered),
            (ours, theirs) => return Err(KindMismatch { ours: ours.kind(), theirs: theirs.kind() }),
        }
        Ok(())
    }

    /// Merges `other` into `self`, as [`Crdt::merge`] does.
    ///
    /// # Errors
    ///
    /// When the kinds differ. Nothing is changed.
    pub fn try_merge(&mut self, other: &Self) -> Result<(), KindMismatch> {
        self.try_merge_unless(other, &Nothing)
    }

    /// Returns the list, as [`Crdt::context`] does.
    pub fn context(&self) -> &VersionVector<A> {
        match self {
            Self::GCounter(counter) => counter.context(),
            Self::PnCounter(counter) => counter.context(),
            Self::LwwRegister(register) => register.context(),
            Self::MvRegister(register) => register.context(),
        }
    }

    /// Tells whether a reader would find nothing, as [`Crdt::is_empty`] does.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::GCounter(counter) => counter.is_empty(),
            Self::PnCounter(counter) => counter.is_empty(),
            Self::LwwRegister(register) => register.is_empty(),
            Self::MvRegister(register) => register.is_empty(),
        }
    }

    /// Visits the bytes of each piece of content, as [`Crdt::contents`] does.
    pub fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode,
    {
        match self {
            Self::GCounter(counter) => counter.contents(visit),
            Self::PnCounter(counter) => counter.contents(visit),
            Self::LwwRegister(register) => register.contents(visit),
            Self::MvRegister(register) => register.contents(visit),
        }
    }

    /// Appends the pieces, without the kind and the list.
    pub(crate) fn encode_pieces(&self, out: &mut Vec<u8>) {
        match self {
            Self::GCounter(counter) => counter.encode_pieces(out),
            Self::PnCounter(counter) => counter.encode_pieces(out),
            Self::LwwRegister(register) => register.encode_pieces(out),
            Self::MvRegister(register) => register.encode_pieces(out),
        }
    }

    /// Reads the pieces of the value of this kind whose list is `context`.
    pub(crate) fn decode_pieces(
        kind: Kind,
        context: VersionVector<A>,
        input: &mut Reader<'_>,
    ) -> Result<Self, DecodeError> {
        match kind {
            Kind::GCounter => Pieces::decode_pieces(context, input).map(Self::GCounter),
            Kind::PnCounter => Pieces::decode_pieces(context, input).map(Self::PnCounter),
            Kind::LwwRegister => Pieces::decode_pieces(context, input).map(Self::LwwRegister),
            Kind::MvRegister => Pieces::decode_pieces(context, input).map(Self::MvRegister),
            Kind::GSet | Kind::OrSet | Kind::EwFlag | Kind::DwFlag => {
                Err(DecodeError::UnsupportedKind { code: kind.code() })
            }
        }
    }
}

impl<A> From<GCounter<A>> for Value<A> {
    fn from(counter: GCounter<A>) -> Self {
        Self::GCounter(counter)
    }
}

impl<A> From<PnCounter<A>> for Value<A> {
    fn from(counter: PnCounter<A>) -> Self {
        Self::PnCounter(counter)
    }
}

impl<A> From<LwwRegister<A>> for Value<A> {
    fn from(register: LwwRegister<A>) -> Self {
        Self::LwwRegister(register)
    }
}

impl<A> From<MvRegister<A>> for Value<A> {
    fn from(register: MvRegister<A>) -> Self {
        Self::MvRegister(register)
    }
}

/// A value whose pieces are written and read beside its list.
///
/// They are apart since a delta writes its list in a shorter way than an entry does. Pieces name their actors by
/// place in the list.
pub(crate) trait Pieces<A>: Sized {
    /// Appends the pieces.
    fn encode_pieces(&self, out: &mut Vec<u8>);

    /// Reads the pieces of the value whose list is `context`, which covers them all.
    fn decode_pieces(context: VersionVector<A>, input: &mut Reader<'_>) -> Result<Self, DecodeError>;
}
