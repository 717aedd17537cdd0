//! The primitives: one spelling each, and no trust in bytes.

use crate::laws::own::properties;

use super::*;

properties! {
    fn a_varint_decodes_from_its_bytes(value: u64, shift: u32) -> bool {
        let value = value >> (shift % 64);
        let mut bytes = Vec::new();
        write_varint(&mut bytes, value);
        let mut input = Reader::new(&bytes);
        input.varint() == Ok(value) && input.is_empty()
    }

    fn a_varint_has_one_spelling(bytes: Vec<u8>) -> bool {
        let mut input = Reader::new(&bytes);
        let Ok(value) = input.varint() else { return true };
        let mut spelled = Vec::new();
        write_varint(&mut spelled, value);
        bytes[..bytes.len() - input.remaining()] == spelled
    }

    fn a_byte_string_decodes_from_its_bytes(string: Vec<u8>, rest: Vec<u8>) -> bool {
        let mut bytes = Vec::new();
        write_bytes(&mut bytes, &string);
        bytes.extend_from_slice(&rest);
        let mut input = Reader::new(&bytes);
        input.bytes() == Ok(&string) && input.rest() == rest && input.is_empty()
    }
}

#[test]
fn the_ends_of_the_range_are_varints() {
    for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX - 1, u64::MAX] {
        let mut bytes = Vec::new();
        write_varint(&mut bytes, value);
        assert_eq!(Reader::new(&bytes).varint(), Ok(value));
    }
}

#[test]
fn longer_spellings_of_an_integer_are_refused() {
    let varint = |bytes: &[u8]| Reader::new(bytes).varint();
    assert_eq!(varint(&[0x80, 0x00]), Err(DecodeError::NonMinimalVarint));
    assert_eq!(varint(&[0xff, 0x80, 0x00]), Err(DecodeError::NonMinimalVarint));
    assert_eq!(varint(&[0x80]), Err(DecodeError::Truncated));
    assert_eq!(varint(&[]), Err(DecodeError::Truncated));
}

#[test]
fn integers_beyond_64_bits_are_refused() {
    let mut bytes = [0xff; 11];
    bytes[9] = 0x01;
    assert_eq!(Reader::new(&bytes).varint(), Ok(u64::MAX));
    for tenth in [0x02, 0x7f, 0x80, 0x81] {
        bytes[9] = tenth;
        assert_eq!(Reader::new(&bytes).varint(), Err(DecodeError::VarintOverflow), "{tenth:#x}");
    }
}

#[test]
fn a_length_beyond_the_bytes_is_refused_and_nothing_is_allocated_for_it() {
    let mut bytes = Vec::new();
    write_varint(&mut bytes, u64::MAX);
    bytes.push(1);
    assert_eq!(Reader::new(&bytes).bytes(), Err(DecodeError::Truncated));
    assert_eq!(Box::<[u8]>::decode(&mut Reader::new(&bytes)), Err(DecodeError::Truncated));
}

#[test]
fn a_value_is_at_most_a_mebibyte() {
    for (bytes, expected) in [
        (VALUE_BYTES_MAX, None),
        (VALUE_BYTES_MAX + 1, Some(DecodeError::ValueTooLong { bytes: VALUE_BYTES_MAX + 1 })),
    ] {
        let mut out = Vec::new();
        write_bytes(&mut out, &alloc::vec![7; bytes]);
        let decoded = Box::<[u8]>::decode(&mut Reader::new(&out));
        assert_eq!(
            decoded.as_ref().map_or(0, |value| value.len()),
            if expected.is_none() { bytes } else { 0 }
        );
        assert_eq!(decoded.err(), expected);
    }
}

#[test]
fn what_is_left_is_told() {
    let mut input = Reader::new(&[1, 2, 3]);
    assert_eq!(input.u8(), Ok(1));
    assert_eq!(input.u64(), Err(DecodeError::Truncated));
    assert_eq!(input.finish(), Err(DecodeError::TrailingBytes { bytes: 2 }));
    assert_eq!(input.rest(), [2, 3]);
    assert_eq!(input.finish(), Ok(()));
}
