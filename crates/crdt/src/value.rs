//! The value of one atom, of any kind.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::{Encode, Reader};
use crate::counter::{GCounter, PnCounter};
use crate::error::{DecodeError, KindMismatch};
use crate::flag::{DwFlag, EwFlag};
use crate::kind::Kind;
use crate::lattice::{Covers, Crdt, Nothing};
use crate::register::{LwwRegister, MvRegister};
use crate::replica_id::{Actor, ReplicaId};
use crate::set::merge_presence;
use crate::version_vector::VersionVector;

/// The value of one atom, of any kind; registers hold bytes, which may be borrowed.
///
/// Of a set it is the presence of the one element that the atom names: sets are kept, logged and sent by element. It
/// has the methods of [`Crdt`]; merging is fallible, since the kinds may differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Value<'a, A = ReplicaId> {
    /// A counter that only grows.
    GCounter(GCounter<A>),
    /// A counter that goes up and down.
    PnCounter(PnCounter<A>),
    /// A register whose last write wins.
    LwwRegister(LwwRegister<A, Cow<'a, [u8]>>),
    /// A register that keeps all concurrent writes.
    MvRegister(MvRegister<A, Cow<'a, [u8]>>),
    /// The presence of one element of a set that only grows: disabled by a reset.
    GSet(EwFlag<A>),
    /// The presence of one element of a set in which adding wins: disabled by a removal.
    OrSet(EwFlag<A>),
    /// A flag in which enabling wins.
    EwFlag(EwFlag<A>),
    /// A flag in which disabling wins.
    DwFlag(DwFlag<A>),
}

/// Does the same with the value of whatever kind it is.
macro_rules! with_each {
    ($value:expr, $inner:ident => $body:expr) => {
        match $value {
            Self::GCounter($inner) => $body,
            Self::PnCounter($inner) => $body,
            Self::LwwRegister($inner) => $body,
            Self::MvRegister($inner) => $body,
            Self::GSet($inner) | Self::OrSet($inner) | Self::EwFlag($inner) => $body,
            Self::DwFlag($inner) => $body,
        }
    };
}

impl<'a, A> Value<'a, A> {
    /// Returns the value of this kind that nobody has written.
    pub const fn empty(kind: Kind) -> Self {
        Self::only_list(kind, VersionVector::new())
    }

    /// Returns the value of this kind without pieces that has seen `context`.
    pub(crate) const fn only_list(kind: Kind, context: VersionVector<A>) -> Self {
        match kind {
            Kind::GCounter => Self::GCounter(GCounter::only_list(context)),
            Kind::PnCounter => Self::PnCounter(PnCounter::only_list(context)),
            Kind::LwwRegister => Self::LwwRegister(LwwRegister::only_list(context)),
            Kind::MvRegister => Self::MvRegister(MvRegister::only_list(context)),
            Kind::GSet => Self::GSet(EwFlag::only_list(context)),
            Kind::OrSet => Self::OrSet(EwFlag::only_list(context)),
            Kind::EwFlag => Self::EwFlag(EwFlag::only_list(context)),
            Kind::DwFlag => Self::DwFlag(DwFlag::only_list(context)),
        }
    }

    /// Returns the kind of the value.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::GCounter(_) => Kind::GCounter,
            Self::PnCounter(_) => Kind::PnCounter,
            Self::LwwRegister(_) => Kind::LwwRegister,
            Self::MvRegister(_) => Kind::MvRegister,
            Self::GSet(_) => Kind::GSet,
            Self::OrSet(_) => Kind::OrSet,
            Self::EwFlag(_) => Kind::EwFlag,
            Self::DwFlag(_) => Kind::DwFlag,
        }
    }

    /// Returns the list: actor → greatest seq merged of its operations on this value.
    pub const fn context(&self) -> &VersionVector<A> {
        with_each!(self, value => value.context())
    }
}

impl<'a, A: Actor> Value<'a, A> {
    /// Merges `other` into `self`, as [`Crdt::merge_unless`] does. Bytes that are taken are copied.
    ///
    /// # Errors
    ///
    /// When the kinds differ: the caller confused two entries. Nothing is changed.
    pub fn try_merge_unless(
        &mut self,
        other: &Value<'_, A>,
        covered: &impl Covers<A>,
    ) -> Result<(), KindMismatch> {
        let own = |bytes: &Cow<'_, [u8]>| Cow::Owned(bytes.to_vec());
        match (&mut *self, other) {
            (Self::GCounter(ours), Value::GCounter(theirs)) => ours.merge_unless(theirs, covered),
            (Self::PnCounter(ours), Value::PnCounter(theirs)) => ours.merge_unless(theirs, covered),
            (Self::LwwRegister(ours), Value::LwwRegister(theirs)) => ours.merge_with(theirs, covered, own),
            (Self::MvRegister(ours), Value::MvRegister(theirs)) => ours.merge_with(theirs, covered, own),
            (Self::GSet(ours), Value::GSet(theirs)) | (Self::OrSet(ours), Value::OrSet(theirs)) => {
                merge_presence(ours, theirs, covered);
            }
            (Self::EwFlag(ours), Value::EwFlag(theirs)) => ours.merge_unless(theirs, covered),
            (Self::DwFlag(ours), Value::DwFlag(theirs)) => ours.merge_unless(theirs, covered),
            (ours, theirs) => return Err(KindMismatch { ours: ours.kind(), theirs: theirs.kind() }),
        }
        Ok(())
    }

    /// Merges `other` into `self`, as [`Crdt::merge`] does. Bytes that are taken are copied.
    ///
    /// # Errors
    ///
    /// When the kinds differ: the caller confused two entries. Nothing is changed.
    pub fn try_merge(&mut self, other: &Value<'_, A>) -> Result<(), KindMismatch> {
        self.try_merge_unless(other, &Nothing)
    }

    /// Returns the value with its bytes copied, unless they are its own already.
    pub fn into_owned(self) -> Value<'static, A> {
        let own = |bytes: Cow<'a, [u8]>| Cow::Owned(bytes.into_owned());
        match self {
            Self::GCounter(counter) => Value::GCounter(counter),
            Self::PnCounter(counter) => Value::PnCounter(counter),
            Self::LwwRegister(register) => Value::LwwRegister(register.map(own)),
            Self::MvRegister(register) => Value::MvRegister(register.map(own)),
            Self::GSet(presence) => Value::GSet(presence),
            Self::OrSet(presence) => Value::OrSet(presence),
            Self::EwFlag(flag) => Value::EwFlag(flag),
            Self::DwFlag(flag) => Value::DwFlag(flag),
        }
    }

    /// Tells whether a reader would find nothing, as [`Crdt::is_empty`] does.
    pub fn is_empty(&self) -> bool {
        with_each!(self, value => value.is_empty())
    }

    /// Tells whether [`collect`](Self::collect) would drop anything: of a value that nobody has written, nothing.
    pub fn is_collectable(&self) -> bool {
        !self.context().is_empty() && with_each!(self, value => value.is_collectable())
    }

    /// Drops what nobody needs once all that the list names has reached every replica, and nothing older is under way:
    /// fully reset slots, deletions, the actors that own no piece; all of a value that is empty.
    ///
    /// What a reader sees and what [`contents`](Self::contents) visits stays as it is. O(actors).
    pub fn collect(&mut self) {
        with_each!(self, value => value.collect());
    }

    /// Visits the bytes of each piece of content, as [`Crdt::contents`] does. A set's element is not among them.
    pub fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode,
    {
        with_each!(self, value => value.contents(visit));
    }

    /// Appends the pieces, without the kind and the list.
    ///
    /// They name their actors by place in the list, and no actor by itself. So whoever keeps the list in another
    /// spelling can keep the pieces as they are, and bring both together by [`decode_pieces`](Self::decode_pieces).
    ///
    /// # Panics
    ///
    /// When a value is longer than [`VALUE_BYTES_MAX`](crate::VALUE_BYTES_MAX).
    pub fn encode_pieces(&self, out: &mut Vec<u8>) {
        with_each!(self, value => value.encode_pieces(out));
    }

    /// Reads the pieces of the value of this kind whose list is `context`; bytes are borrowed from the input.
    ///
    /// Allocates nothing for a value with one writer.
    ///
    /// # Errors
    ///
    /// When the bytes are not what [`encode_pieces`](Self::encode_pieces) makes beside this list. What comes after the
    /// pieces is left in the reader.
    #[inline]
    pub fn decode_pieces(
        kind: Kind,
        context: VersionVector<A>,
        input: &mut Reader<'a>,
    ) -> Result<Self, DecodeError> {
        let mut value = Self::only_list(kind, context);
        value.read_pieces(input)?;
        Ok(value)
    }

    /// Reads the pieces of the value, which has its list and no pieces yet.
    ///
    /// Into their place: returning them through all layers takes as long as all the rest of decoding.
    pub(crate) fn read_pieces(&mut self, input: &mut Reader<'a>) -> Result<(), DecodeError> {
        with_each!(self, value => value.read_pieces(input))
    }
}

impl<A> From<GCounter<A>> for Value<'_, A> {
    fn from(counter: GCounter<A>) -> Self {
        Self::GCounter(counter)
    }
}

impl<A> From<PnCounter<A>> for Value<'_, A> {
    fn from(counter: PnCounter<A>) -> Self {
        Self::PnCounter(counter)
    }
}

impl<'a, A> From<LwwRegister<A, Cow<'a, [u8]>>> for Value<'a, A> {
    fn from(register: LwwRegister<A, Cow<'a, [u8]>>) -> Self {
        Self::LwwRegister(register)
    }
}

impl<A> From<LwwRegister<A, Box<[u8]>>> for Value<'_, A> {
    fn from(register: LwwRegister<A, Box<[u8]>>) -> Self {
        Self::LwwRegister(register.map(|bytes| Cow::Owned(bytes.into_vec())))
    }
}

impl<'a, A> From<MvRegister<A, Cow<'a, [u8]>>> for Value<'a, A> {
    fn from(register: MvRegister<A, Cow<'a, [u8]>>) -> Self {
        Self::MvRegister(register)
    }
}

impl<A: Actor> From<MvRegister<A, Box<[u8]>>> for Value<'_, A> {
    fn from(register: MvRegister<A, Box<[u8]>>) -> Self {
        Self::MvRegister(register.map(|bytes| Cow::Owned(bytes.into_vec())))
    }
}

/// A flag, not the presence of a set's element.
impl<A> From<EwFlag<A>> for Value<'_, A> {
    fn from(flag: EwFlag<A>) -> Self {
        Self::EwFlag(flag)
    }
}

impl<A> From<DwFlag<A>> for Value<'_, A> {
    fn from(flag: DwFlag<A>) -> Self {
        Self::DwFlag(flag)
    }
}
