//! Kinds that are made of another one.

/// Implements [`Crdt`](crate::Crdt), [`Encode`](crate::codec::Encode) and [`Decode`](crate::codec::Decode) for a tuple
/// struct of one field, by that field.
///
/// For a kind of one's own that has other operations than the value it is made of, most often a
/// [`Causal`](crate::Causal) store. Names the struct and the actor; the struct is to be `Clone`.
///
/// ```
/// use trellis_crdt::{Crdt, Dot, DotFun, Causal, ReplicaId, delegate_crdt};
///
/// #[derive(Clone, Debug, Default, PartialEq)]
/// struct Mood(Causal<DotFun<ReplicaId, u8>>);
/// delegate_crdt!(Mood, ReplicaId);
///
/// impl Mood {
///     fn feel(&mut self, dot: Dot, mood: u8) -> Self {
///         Self(self.0.replace(dot, DotFun::one(dot, mood)))
///     }
/// }
///
/// let (mut here, mut there) = (Mood::default(), Mood::default());
/// there.apply_delta(&here.feel(Dot::new(ReplicaId::from_u64(1), 1), 7));
/// assert_eq!(here, there);
/// ```
#[macro_export]
macro_rules! delegate_crdt {
    ($kind:ty, $actor:ty) => {
        impl $crate::Crdt<$actor> for $kind {
            fn merge_unless(&mut self, other: &Self, covered: &impl $crate::Covers<$actor>) {
                $crate::Crdt::merge_unless(&mut self.0, &other.0, covered);
            }

            fn context(&self) -> $crate::delegate::Cow<'_, $crate::VersionVector<$actor>> {
                $crate::Crdt::context(&self.0)
            }

            fn is_empty(&self) -> bool {
                $crate::Crdt::is_empty(&self.0)
            }

            fn contents(&self, visit: &mut impl FnMut(&[u8])) {
                $crate::Crdt::contents(&self.0, visit);
            }
        }

        impl $crate::codec::Encode for $kind {
            fn encode(&self, out: &mut $crate::delegate::Vec<u8>) {
                $crate::codec::Encode::encode(&self.0, out);
            }
        }

        impl<'a> $crate::codec::Decode<'a> for $kind {
            fn decode(input: &mut $crate::codec::Reader<'a>) -> Result<Self, $crate::codec::DecodeError> {
                $crate::codec::Decode::decode(input).map(Self)
            }
        }
    };
}

#[doc(hidden)]
pub use alloc::{borrow::Cow, vec::Vec};
