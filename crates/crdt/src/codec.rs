//! Bytes: primitives that have one spelling each, and a reader that trusts nothing.
//!
//! Integers are LEB128 varints in their shortest form, identities and stamps fixed and little-endian, byte strings
//! behind their length. Every list is sorted. So equal values have equal bytes, and what decodes encodes back to
//! the bytes it came from. No length that the bytes claim is allocated before as many bytes were seen.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

pub use crate::error::DecodeError;

mod listed_dot;
#[cfg(test)]
mod tests;

pub use listed_dot::{DotReader, write_dot};

/// A value with one canonical spelling in bytes.
pub trait Encode {
    /// Appends the bytes of the value to `out`.
    fn encode(&self, out: &mut Vec<u8>);
}

/// A value that can be read back from its canonical bytes, and may borrow from them.
pub trait Decode<'a>: Sized {
    /// Reads one value from the front of `input`.
    ///
    /// # Errors
    ///
    /// When the bytes are not what [`Encode::encode`] makes. The reader is then somewhere within the value.
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

/// A cursor over bytes from outside: it never panics, and copies nothing.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads one byte.
    ///
    /// # Errors
    ///
    /// `Truncated` when none is left.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Reads an integer of 8 bytes, little-endian.
    ///
    /// # Errors
    ///
    /// `Truncated` when fewer are left.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a LEB128 varint.
    ///
    /// # Errors
    ///
    /// `Truncated`, `VarintOverflow` beyond 64 bits, `NonMinimalVarint` when the last byte adds nothing.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    /// Reads a byte string behind its length.
    ///
    /// # Errors
    ///
    /// As [`varint`](Self::varint) for the length; `Truncated` when fewer bytes are left than it claims.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Takes all that is left, which may be nothing.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// Returns how many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Tells whether no byte is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Confirms that all was read.
    ///
    /// # Errors
    ///
    /// `TrailingBytes` when something is left.
    #[inline]
    pub const fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::TrailingBytes { bytes }),
        }
    }

    /// Reads a varint of any length: most have one byte, and need no loop.
    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(DecodeError::VarintOverflow);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return if byte == 0 && shift > 0 { Err(DecodeError::NonMinimalVarint) } else { Ok(value) };
            }
        }
        Err(DecodeError::VarintOverflow)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }
}

/// Appends `value` as a LEB128 varint: 1 byte below 128, at most 10.
#[inline]
pub fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits go first; the cast cuts the rest off.
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `bytes` behind their length.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The value of a register or the element of a set: at most [`VALUE_BYTES_MAX`] bytes, behind their length.
///
/// # Panics
///
/// When it is longer: what nobody could read must not be written.
impl Encode for &[u8] {
    fn encode(&self, out: &mut Vec<u8>) {
        assert!(self.len() <= VALUE_BYTES_MAX, "the length of a value is checked where it enters");
        write_bytes(out, self);
    }
}

impl<'a> Decode<'a> for &'a [u8] {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = input.bytes()?;
        if bytes.len() > VALUE_BYTES_MAX {
            return Err(DecodeError::ValueTooLong { bytes: bytes.len() });
        }
        Ok(bytes)
    }
}

impl Encode for Cow<'_, [u8]> {
    fn encode(&self, out: &mut Vec<u8>) {
        (&**self).encode(out);
    }
}

/// Borrows the bytes.
impl<'a> Decode<'a> for Cow<'a, [u8]> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Decode::decode(input).map(Self::Borrowed)
    }
}

impl Encode for Box<[u8]> {
    fn encode(&self, out: &mut Vec<u8>) {
        (&**self).encode(out);
    }
}

impl<'a> Decode<'a> for Box<[u8]> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        <&[u8]>::decode(input).map(Self::from)
    }
}

/// One byte.
impl Encode for u8 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
}

impl<'a> Decode<'a> for u8 {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.u8()
    }
}

/// One byte: 0 or 1.
impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl<'a> Decode<'a> for bool {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            form => Err(DecodeError::UnsupportedForm { form }),
        }
    }
}

/// No bytes.
impl Encode for () {
    fn encode(&self, _out: &mut Vec<u8>) {}
}

impl<'a> Decode<'a> for () {
    fn decode(_input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(())
    }
}

/// The longest value of a register, and the longest element of a set: 1 MiB.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
