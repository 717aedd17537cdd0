//! The name of one operation.

use alloc::vec::Vec;

use crate::codec::{Decode, Encode, Reader, write_varint};
use crate::error::DecodeError;
use crate::replica_id::ReplicaId;

/// The name of one operation: the `seq`-th of its actor. Ordered by actor, then seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot<A = ReplicaId> {
    /// Who made the operation.
    pub actor: A,
    /// Its place among the operations of that actor, from 1.
    pub seq: u64,
}

impl<A> Dot<A> {
    /// Names the `seq`-th operation of `actor`.
    ///
    /// # Panics
    ///
    /// When `seq` is 0: that is no operation.
    pub const fn new(actor: A, seq: u64) -> Self {
        assert!(seq > 0, "seqs count from 1");
        Self { actor, seq }
    }
}

impl<A: Encode> Encode for Dot<A> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.actor.encode(out);
        write_varint(out, self.seq);
    }
}

impl<'a, A: Decode<'a>> Decode<'a> for Dot<A> {
    #[inline]
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let actor = A::decode(input)?;
        match input.varint()? {
            0 => Err(DecodeError::ZeroSeq),
            seq => Ok(Self { actor, seq }),
        }
    }
}
