//! What can go wrong, by what the caller can do about it.

use thiserror::Error;

use crate::kind::Kind;

/// Bytes that no encoder of this version makes. Nothing was changed by them.
///
/// `UnsupportedVersion`, `UnsupportedKind` and `UnsupportedForm` may come from a later version; everything else is
/// damage, or a peer that misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end within a value.
    #[error("the bytes end too early")]
    Truncated,
    /// The value ends before the bytes do.
    #[error("{bytes} bytes are left over")]
    TrailingBytes {
        /// How many there are.
        bytes: usize,
    },
    /// The format is not the one this version writes.
    #[error("format version {version} is not supported")]
    UnsupportedVersion {
        /// The first byte.
        version: u8,
    },
    /// No values of this kind are built.
    #[error("kind {code} is not supported")]
    UnsupportedKind {
        /// The byte in the kind's place.
        code: u8,
    },
    /// A piece has a form that this version does not know.
    #[error("form {form:#04x} of a piece is not supported")]
    UnsupportedForm {
        /// The byte in the form's place.
        form: u8,
    },
    /// An integer is spelled with more bytes than it needs.
    #[error("an integer is not in its shortest form")]
    NonMinimalVarint,
    /// An integer does not fit 64 bits.
    #[error("an integer is beyond 64 bits")]
    VarintOverflow,
    /// A list of actors is unsorted, or names one twice.
    #[error("a list is not in strictly ascending order")]
    Unsorted,
    /// A seq is 0, which is no operation.
    #[error("a seq is zero")]
    ZeroSeq,
    /// A part that is written only when it is not zero is zero.
    #[error("a part that should have been left out is zero")]
    ZeroPart,
    /// A piece has a dot that the value's list does not cover.
    #[error("a piece is beyond the list of its value")]
    UncoveredDot,
    /// A counter slot took back more than it ever counted, or started after its last increment.
    #[error("a counter slot contradicts itself")]
    ImpossibleSlot,
    /// A key is empty or too long.
    #[error("a key of {bytes} bytes is not within 1..={max}", max = crate::KEY_BYTES_MAX)]
    KeyLength {
        /// Its length.
        bytes: usize,
    },
    /// A key is not UTF-8.
    #[error("a key is not UTF-8")]
    KeyNotUtf8,
    /// A value or a set element is too long.
    #[error("a value of {bytes} bytes is above {max}", max = crate::VALUE_BYTES_MAX)]
    ValueTooLong {
        /// Its length.
        bytes: usize,
    },
}

/// An amount that a counter refuses: the caller asked wrong. The counter is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CounterError {
    /// What this actor has counted in one direction would exceed 64 bits.
    #[error("adding {amount} to a slot that holds {held} exceeds 64 bits")]
    Overflow {
        /// What the slot holds in the direction of the amount.
        held: u64,
        /// What was to be added.
        amount: i64,
    },
    /// A g-counter only grows.
    #[error("a g-counter cannot take the negative amount {amount}")]
    Negative {
        /// What was to be added.
        amount: i64,
    },
}

/// A stamp that a clock does not make. Try again later: a clock that is ahead waits for the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClockError {
    /// The stamp would be further ahead of the wall clock than is allowed.
    #[error("the clock is {ahead_millis} ms ahead of the wall clock, above {drift_millis_max}")]
    Ahead {
        /// How far the stamp would be ahead.
        ahead_millis: u64,
        /// How far it may be.
        drift_millis_max: u64,
    },
    /// The last of all stamps was made: no later try will do.
    #[error("there is no stamp after the last")]
    Exhausted,
}

/// Two values of different kinds were to be merged: a bug of the caller. Neither was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a {theirs} cannot be merged into a {ours}")]
pub struct KindMismatch {
    /// The kind of the value merged into.
    pub ours: Kind,
    /// The kind of the other value.
    pub theirs: Kind,
}

/// Text that names nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A replica id is 16 lowercase hexadecimal digits.
    #[error("a replica id is 16 lowercase hexadecimal digits")]
    ReplicaId,
    /// No kind has this name.
    #[error("no kind has this name; there are {}", crate::kind::Names)]
    Kind,
}
