//! The laws of bytes: one spelling for each value, and one value for each spelling.

use alloc::format;
use alloc::vec::Vec;

use super::{Broken, Lawful, confirm, same};
use crate::codec::{DecodeError, Encode, Reader};

/// A value comes back from its bytes, and the decoder stops where they end.
///
/// # Errors
///
/// When it does not.
pub fn what_is_encoded_decodes<C: Lawful>(value: &C) -> Result<(), Broken> {
    let mut bytes = encode(value);
    same("what is encoded decodes", &decode(&bytes).as_ref(), &Ok(value))?;
    let end = bytes.len();
    bytes.extend_from_slice(&[0, 0x80, 0xff]);
    let mut input = Reader::new(&bytes);
    let decoded = C::decode(&mut input);
    confirm(decoded.is_ok() && input.remaining() == 3, "a decoder stops where the value ends", || {
        format!("{} bytes were read of {end}, for {decoded:?}", bytes.len() - input.remaining())
    })
}

/// Equal values have equal bytes.
///
/// # Errors
///
/// When these two are equal and their bytes are not.
pub fn equal_values_have_equal_bytes<C: Lawful>(a: &C, b: &C) -> Result<(), Broken> {
    let bytes = [encode(a), encode(b)];
    confirm(a != b || bytes[0] == bytes[1], "equal values have equal bytes", || {
        format!("{a:?}\nis encoded as {:02x?} and as {:02x?}", bytes[0], bytes[1])
    })
}

/// Bytes are refused, or are the one spelling of the value they decode to. To be tried with bytes that were damaged.
///
/// # Errors
///
/// When they are another spelling.
pub fn bytes_are_canonical<C: Lawful>(bytes: &[u8]) -> Result<(), Broken> {
    let Ok(value) = decode::<C>(bytes) else { return Ok(()) };
    let spelled = encode(&value);
    confirm(spelled == bytes, "what decodes encodes to the same bytes", || {
        format!("{bytes:02x?} decode to {value:?},\nwhich is encoded as {spelled:02x?}")
    })
}

/// Bytes that end early are refused, wherever they end.
///
/// # Errors
///
/// When a beginning decodes.
pub fn no_beginning_decodes<C: Lawful>(value: &C) -> Result<(), Broken> {
    let bytes = encode(value);
    (0..bytes.len()).try_for_each(|end| {
        let decoded = decode::<C>(&bytes[..end]);
        confirm(decoded.is_err(), "bytes that end early are refused", || {
            format!("{end} bytes of {bytes:02x?} decode to {decoded:?}")
        })
    })
}

pub(super) fn encode(value: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

fn decode<C: Lawful>(bytes: &[u8]) -> Result<C, DecodeError> {
    let mut input = Reader::new(bytes);
    let value = C::decode(&mut input)?;
    input.finish()?;
    Ok(value)
}
