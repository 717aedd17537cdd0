//! The position of a record in the log.

use std::fmt;

/// A log sequence number: records are numbered from 1 without a gap, and 0 stands before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

impl Lsn {
    /// The position before the first record.
    pub const ZERO: Self = Self(0);

    /// A position no record ever has: an upper bound for "everything".
    pub const MAX: Self = Self(u64::MAX);

    /// The highest number that is believed when it is read from a disk. A log that appends a record every
    /// nanosecond needs 292 years to reach it, so a larger one is damage, and sums of two stay in range.
    pub(crate) const CREDIBLE_MAX: Self = Self(u64::MAX >> 1);

    /// Makes the position with this number.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number of this position.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns the position that follows this one.
    ///
    /// # Panics
    ///
    /// After [`Lsn::MAX`], which no log reaches.
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("no log holds 2^64 records"))
    }

    /// Returns how many records lie after `earlier` up to and including this one; 0 if there are none.
    pub(crate) const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
