//! Hybrid logical clock: stamps that follow wall time and never go back.

use alloc::vec::Vec;

use crate::codec::{Decode, Encode, Reader};
use crate::error::DecodeError;
use crate::fault;

/// A stamp: 48 bits of wall-clock milliseconds since the Unix epoch, then 16 bits that count within one.
///
/// Stamps are ordered as their bits are. The logical part carries into the milliseconds, so a burst of more than
/// 65,536 stamps in one millisecond runs ahead of the wall clock and stays ordered. Joining what was heard from
/// others is `Ord::max`. Encoded as 8 bytes, little-endian.
///
/// Source: Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical physical clocks", 2014; here the two parts share one
/// integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(u64);

impl Hlc {
    /// The stamp below all that a clock makes.
    pub const ZERO: Self = Self(0);

    /// Wraps the bits of a stamp.
    pub const fn from_u64(bits: u64) -> Self {
        Self(bits)
    }

    /// Puts a stamp together. Milliseconds beyond 48 bits (the year 10889) count as the last there are.
    pub const fn from_parts(wall_millis: u64, logical: u16) -> Self {
        let wall_millis = if wall_millis > WALL_MILLIS_MAX { WALL_MILLIS_MAX } else { wall_millis };
        // A u16 always fits a u64; `From` is not const.
        Self((wall_millis << LOGICAL_BITS) | logical as u64)
    }

    /// Returns the bits of the stamp.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn wall_millis(self) -> u64 {
        self.0 >> LOGICAL_BITS
    }

    /// Returns the count within the millisecond.
    pub const fn logical(self) -> u16 {
        // The upper bits are meant to be cut off.
        self.0 as u16
    }

    /// Returns the next stamp of a clock that stands at `self`: the wall clock's, or one above `self` when the wall
    /// clock is not ahead.
    ///
    /// Greater than `self` always, but at the last of all stamps, where it stays.
    #[must_use]
    pub fn tick(self, wall_millis: u64) -> Self {
        if fault::is_off("hlc: stamps only grow") {
            return Self::from_parts(wall_millis, 0);
        }
        Self(self.0.saturating_add(1)).max(Self::from_parts(wall_millis, 0))
    }
}

impl Encode for Hlc {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }
}

impl<'a> Decode<'a> for Hlc {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.u64().map(Self)
    }
}

const LOGICAL_BITS: u32 = 16;
const WALL_MILLIS_MAX: u64 = (1 << (64 - LOGICAL_BITS)) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::own::properties;

    #[test]
    fn the_logical_part_carries_into_the_milliseconds() {
        let full = Hlc::from_parts(1_000, u16::MAX);
        let next = full.tick(1_000);
        assert_eq!((next.wall_millis(), next.logical()), (1_001, 0));
        assert!(next > full);
    }

    #[test]
    fn a_wall_clock_that_is_ahead_starts_a_count_at_zero() {
        assert_eq!(Hlc::from_parts(1_000, 7).tick(2_000), Hlc::from_parts(2_000, 0));
    }

    #[test]
    fn a_wall_clock_that_went_back_does_not_take_the_stamp_back() {
        assert_eq!(Hlc::from_parts(2_000, 7).tick(1_000), Hlc::from_parts(2_000, 8));
    }

    #[test]
    fn the_last_stamp_stays() {
        let last = Hlc::from_u64(u64::MAX);
        assert_eq!(last.tick(0), last);
        assert_eq!(Hlc::from_parts(u64::MAX, u16::MAX), last);
    }

    properties! {
        fn a_tick_is_above_what_was_and_not_below_the_wall_clock(bits: u64, wall_millis: u64) -> bool {
            let (stamp, wall_millis) = (Hlc::from_u64(bits), wall_millis & WALL_MILLIS_MAX);
            let next = stamp.tick(wall_millis);
            (next > stamp || bits == u64::MAX) && next.wall_millis() >= wall_millis
        }

        fn parts_and_bits_are_the_same_stamp(bits: u64) -> bool {
            let stamp = Hlc::from_u64(bits);
            Hlc::from_parts(stamp.wall_millis(), stamp.logical()) == stamp && stamp.as_u64() == bits
        }
    }
}
