//! Hybrid logical clock: stamps that follow wall time and never go back.

use alloc::vec::Vec;

use crate::codec::{Decode, Encode, Reader};
use crate::error::{ClockError, DecodeError};
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
    /// Greater than `self` always, but at the last of all stamps, where it stays. However far the clock is ahead of the
    /// wall clock, it goes on; [`tick_within`](Self::tick_within) bounds that.
    #[must_use]
    pub fn tick(self, wall_millis: u64) -> Self {
        if fault::is_off("hlc: stamps only grow") {
            return Self::from_parts(wall_millis, 0);
        }
        Self(self.0.saturating_add(1)).max(Self::from_parts(wall_millis, 0))
    }

    /// Returns the next stamp, as [`tick`](Self::tick) does, unless it is more than `drift_millis_max` ahead of the wall
    /// clock.
    ///
    /// A clock is ahead after it heard a stamp of someone whose wall clock is ahead, after its own wall clock went back,
    /// or after a burst. This is the place to bound it: what was received must be joined, however far ahead it is, or
    /// replicas that differ in what they refuse never agree. Too small a bound refuses writes where clocks are merely
    /// imprecise; too large a one lets a wrong clock win over all others for as long as it is ahead.
    ///
    /// # Errors
    ///
    /// `Ahead` when the wall clock has yet to catch up: try again later, or mend the clock that is wrong. `Exhausted` at
    /// the last of all stamps.
    pub fn tick_within(self, wall_millis: u64, drift_millis_max: u64) -> Result<Self, ClockError> {
        if self.0 == u64::MAX {
            return Err(ClockError::Exhausted);
        }
        let next = self.tick(wall_millis);
        let ahead_millis = next.wall_millis().saturating_sub(wall_millis);
        if ahead_millis > drift_millis_max {
            return Err(ClockError::Ahead { ahead_millis, drift_millis_max });
        }
        Ok(next)
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

    #[test]
    fn a_clock_that_is_too_far_ahead_makes_no_stamp_until_the_wall_clock_has_caught_up() {
        let heard = Hlc::from_parts(10_000, 3);
        let ahead = |ahead_millis| Err(ClockError::Ahead { ahead_millis, drift_millis_max: 500 });
        assert_eq!(heard.tick_within(9_499, 500), ahead(501));
        assert_eq!(heard.tick_within(0, 500), ahead(10_000));
        assert_eq!(heard.tick_within(9_500, 500), Ok(Hlc::from_parts(10_000, 4)));
        assert_eq!(heard.tick_within(10_001, 0), Ok(Hlc::from_parts(10_001, 0)));
        // A burst that carries into the next millisecond is ahead by one.
        let full = Hlc::from_parts(10_000, u16::MAX);
        assert_eq!(full.tick_within(10_000, 1), Ok(Hlc::from_parts(10_001, 0)));
        let refused = ClockError::Ahead { ahead_millis: 1, drift_millis_max: 0 };
        assert_eq!(full.tick_within(10_000, 0), Err(refused));
    }

    #[test]
    fn no_stamp_comes_after_the_last() {
        assert_eq!(Hlc::from_u64(u64::MAX).tick_within(u64::MAX, u64::MAX), Err(ClockError::Exhausted));
        let last_but_one = Hlc::from_u64(u64::MAX - 1);
        assert_eq!(last_but_one.tick_within(u64::MAX, 0), Ok(Hlc::from_u64(u64::MAX)));
    }

    properties! {
        fn a_stamp_within_the_drift_is_above_what_was_and_near_the_wall_clock(
            millis: u32, logical: u16, wall_millis: u32, drift_millis_max: u32
        ) -> () {
            let (wall_millis, drift_millis_max) = (u64::from(wall_millis), u64::from(drift_millis_max));
            let stamp = Hlc::from_parts(u64::from(millis), logical);
            let made = stamp.tick_within(wall_millis, drift_millis_max);
            let next = stamp.tick(wall_millis);
            let is_near = next.wall_millis() - wall_millis <= drift_millis_max;
            assert_eq!(made.ok(), is_near.then_some(next));
            assert!(next > stamp && next.wall_millis() >= wall_millis);
        }

        fn hearing_others_is_a_join_of_stamps(a: u64, b: u64, c: u64, wall_millis: u64) -> () {
            let [a, b, c] = [a, b, c].map(Hlc::from_u64);
            assert_eq!((a.max(b).max(c), a.max(b), a.max(a)), (a.max(b.max(c)), b.max(a), a));
            // A stamp made after hearing others is above theirs, but at the end of all stamps.
            let next = a.max(b).tick(wall_millis);
            assert!(next > a.max(b) || a.max(b).as_u64() == u64::MAX);
        }

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
