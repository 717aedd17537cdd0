//! The dots of a value's pieces, spelled relative to the list of the value.
//!
//! The list covers every piece, so a dot is the place of its actor in the list and how far it is behind the seq
//! that is listed: two bytes as a rule. A dot beyond the list cannot be spelled.

use alloc::vec::Vec;

use super::{DecodeError, Reader, write_varint};
use crate::dot::Dot;
use crate::replica_id::Actor;
use crate::version_vector::VersionVector;

/// Appends the dot of a piece of the value whose list is `context`.
///
/// # Panics
///
/// When the list does not cover the dot.
pub fn write_dot<A: Actor>(out: &mut Vec<u8>, context: &VersionVector<A>, dot: Dot<A>) {
    let (place, listed) =
        context.place(dot.actor).expect("the list of a value names the actor of every piece");
    write_varint(out, place as u64);
    write_varint(out, listed.checked_sub(dot.seq).expect("the list of a value covers every piece"));
}

/// Reads the dots of a value's pieces, which are in strictly ascending order of their actors.
#[derive(Clone, Debug)]
pub struct DotReader<'c, A> {
    context: &'c VersionVector<A>,
    place_min: usize,
}

impl<'c, A: Actor> DotReader<'c, A> {
    /// Starts before the first piece of the value whose list is `context`.
    pub const fn new(context: &'c VersionVector<A>) -> Self {
        Self { context, place_min: 0 }
    }

    /// Reads how many pieces there are: one for each actor listed, at most.
    ///
    /// # Errors
    ///
    /// `UncoveredDot` when there are more; as [`Reader::varint`].
    #[inline]
    pub fn count(&self, input: &mut Reader<'_>) -> Result<usize, DecodeError> {
        let count = usize::try_from(input.varint()?).map_err(|_| DecodeError::UncoveredDot)?;
        if count > self.context.len() {
            return Err(DecodeError::UncoveredDot);
        }
        Ok(count)
    }

    /// Reads the dot of the next piece.
    ///
    /// # Errors
    ///
    /// `UncoveredDot` when the list does not cover it, `Unsorted` when it is not beyond the last one's actor; as
    /// [`Reader::varint`].
    #[inline]
    pub fn next(&mut self, input: &mut Reader<'_>) -> Result<Dot<A>, DecodeError> {
        let place = usize::try_from(input.varint()?).map_err(|_| DecodeError::UncoveredDot)?;
        if place < self.place_min {
            return Err(DecodeError::Unsorted);
        }
        let (actor, listed) = self.context.at(place).ok_or(DecodeError::UncoveredDot)?;
        let behind = input.varint()?;
        let seq = listed.checked_sub(behind).filter(|seq| *seq > 0).ok_or(DecodeError::UncoveredDot)?;
        self.place_min = place + 1;
        Ok(Dot { actor, seq })
    }
}
