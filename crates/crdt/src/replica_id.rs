//! Who made an operation.

use alloc::vec::Vec;
use core::fmt;
use core::hash::Hash;
use core::str::FromStr;

use crate::codec::{Decode, Encode, Reader};
use crate::error::{DecodeError, ParseError};

/// What can be the actor of a dot: an identity that is cheap to copy and totally ordered.
///
/// The order decides ties between concurrent writes, so it must be the same at every replica.
pub trait Actor: Copy + Ord + Hash + fmt::Debug {}

impl<T: Copy + Ord + Hash + fmt::Debug> Actor for T {}

/// The identity of one run of a process: 64 random bits, minted at every start.
///
/// It never outlives the process that minted it, so a dot names one change for ever. Shown as 16 lowercase
/// hexadecimal digits, encoded as 8 bytes, little-endian.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(u64);

impl ReplicaId {
    /// Wraps the bits of an id.
    pub const fn from_u64(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the bits of the id.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplicaId({self})")
    }
}

impl FromStr for ReplicaId {
    type Err = ParseError;

    /// Parses what `Display` prints, and nothing else.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(is_digit) {
            return Err(ParseError::ReplicaId);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| ParseError::ReplicaId)
    }
}

impl Encode for ReplicaId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }
}

impl<'a> Decode<'a> for ReplicaId {
    #[inline]
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.u64().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn what_is_shown_parses_back() {
        let id = ReplicaId::from_u64(0x00ab_cdef);
        assert_eq!(id.to_string(), "0000000000abcdef");
        assert_eq!("0000000000abcdef".parse(), Ok(id));
    }

    #[test]
    fn only_sixteen_lowercase_digits_parse() {
        for text in ["", "abcdef", "0000000000ABCDEF", "+000000000abcdef", "00000000000abcdef"] {
            assert_eq!(text.parse::<ReplicaId>(), Err(ParseError::ReplicaId), "{text:?}");
        }
    }
}
