//! What a key may be, and which slot it belongs to.

use trellis_crdt::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// Number of slots of the whole keyspace. A slot's number is a `u8`.
pub const SLOTS: usize = 256;

/// Returns the slot of `key`: its CRC32C modulo [`SLOTS`].
///
/// The same on every node and for ever, since clocks, catch-up and digests are per slot.
pub fn slot_of(key: &str) -> u8 {
    let [lowest, ..] = crc32c::crc32c(key.as_bytes()).to_le_bytes();
    lowest
}

pub(crate) fn is_valid_key(key: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len())
}

pub(crate) fn is_valid_value(value: &[u8]) -> bool {
    value.len() <= VALUE_BYTES_MAX
}

const _: () = assert!(SLOTS == 1 << u8::BITS, "the lowest byte of the checksum is its remainder by SLOTS");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_the_checksum_modulo_256() {
        // The check value of CRC32C is that of the nine digits: 0xe3069283.
        assert_eq!(slot_of("123456789"), 0x83);
        assert_eq!(slot_of(""), 0);
    }
}
