//! Keyed hashes: the digest of a slot's content, and the order of its keys.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use siphasher::sip128;
use siphasher::sip128::Hasher128;
use trellis_crdt::{Kind, Value};

/// SipHash-1-3 under the key that all nodes of a cluster share.
///
/// Source: Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF". Keyed, so that nobody outside can choose
/// content whose digests collide; additive over the pieces, so that one change costs the hashing of one atom.
#[derive(Clone, Debug)]
pub(crate) struct KeyedHash {
    key: [u8; 16],
}

impl KeyedHash {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    pub(crate) fn of_key(&self, key: &str) -> u64 {
        SipHasher13::new_with_key(&self.key).hash(key.as_bytes())
    }

    /// What an atom adds to its slot's digest: the wrapping sum over its pieces of content, each with its dot.
    ///
    /// What collection may drop adds nothing (R13), so an atom without content adds 0.
    pub(crate) fn of_atom(&self, key: &str, kind: Kind, value: &Value) -> u128 {
        let mut start = sip128::SipHasher13::new_with_key(&self.key);
        start.write(&[kind.code()]);
        start.write(&(key.len() as u64).to_le_bytes());
        start.write(key.as_bytes());
        let mut sum = 0_u128;
        value.contents(&mut |piece| {
            let mut hasher = start;
            hasher.write(piece);
            sum = sum.wrapping_add(hasher.finish128().as_u128());
        });
        sum
    }
}
