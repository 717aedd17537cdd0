//! Keyed hashes: the digest of a slot's content, and the order of its keys and elements.

use siphasher::sip128::SipHasher13;
use trellis_crdt::{Kind, Value};

/// SipHash-1-3 under the key that all nodes of a cluster share.
///
/// Source: Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF". Keyed, so that nobody outside can choose
/// content whose digests collide; additive over the pieces, so that one change costs the hashing of one atom.
#[derive(Clone, Debug)]
pub(crate) struct KeyedHash {
    hasher: SipHasher13,
}

impl KeyedHash {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { hasher: SipHasher13::new_with_key(&key) }
    }

    /// Hashes a key, or an element of a set.
    pub(crate) fn of_name(&self, name: &[u8]) -> NameHash {
        NameHash { hash: self.hash(name) }
    }

    /// What an atom adds to its slot's digest: the wrapping sum over its pieces of content, each with its dot.
    ///
    /// What collection may drop adds nothing (R13), so an atom without content adds 0. Names go in as their hashes, so
    /// that a piece costs the same under a long name; `buffer` is for the pieces, and what it holds is of no use.
    pub(crate) fn of_content(
        &self,
        key: NameHash,
        kind: Kind,
        element: Option<&[u8]>,
        value: &Value<'_>,
        buffer: &mut Vec<u8>,
    ) -> u128 {
        buffer.clear();
        buffer.push(kind.code());
        buffer.extend_from_slice(&key.hash.to_le_bytes());
        if let Some(element) = element {
            buffer.extend_from_slice(&self.hash(element).to_le_bytes());
        }
        let (names, mut sum) = (buffer.len(), 0_u128);
        value.contents(&mut |piece| {
            buffer.extend_from_slice(piece);
            sum = sum.wrapping_add(self.hash(buffer));
            buffer.truncate(names);
        });
        sum
    }

    fn hash(&self, bytes: &[u8]) -> u128 {
        self.hasher.hash(bytes).as_u128()
    }
}

/// The keyed hash of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameHash {
    hash: u128,
}

impl NameHash {
    /// The lower 64 bits.
    pub(crate) const fn hash(&self) -> u64 {
        // The upper half is cut off.
        self.hash as u64
    }

    /// The place of the name in the order of listings.
    pub(crate) const fn position(&self) -> u32 {
        // The upper bits are cut off.
        self.hash as u32
    }
}
