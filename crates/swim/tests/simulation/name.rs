//! Ids and addresses of simulated members: small, and as long on the wire as real ones are.

use trellis_swim::MemberId;

/// A member's id, four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(pub(crate) u32);

impl MemberId for Name {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self(u32::from_be_bytes(bytes.try_into().ok()?)))
    }
}

/// The address of this number.
pub(crate) fn addr_of(number: u32) -> String {
    format!("10.{}.{}.{}:7500", number >> 16, number >> 8 & 255, number & 255)
}

/// The number of an address made by [`addr_of`].
pub(crate) fn number_of(addr: &str) -> u32 {
    let host = addr.strip_prefix("10.").and_then(|rest| rest.strip_suffix(":7500")).expect("made by addr_of");
    let parts = host.split('.').map(|part| part.parse::<u32>().expect("made by addr_of"));
    parts.fold(0, |number, part| number << 8 | part)
}
