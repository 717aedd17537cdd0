//! Keyed hashes: the digest of a slot's content, and the order of its keys and elements.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};
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

    /// Hashes a key, or an element of a set.
    pub(crate) fn of_name(&self, name: &[u8]) -> NameHash {
        let mut state = SipHasher13::new_with_key(&self.key);
        write_name(&mut state, name);
        NameHash { state, hash: state.finish128().h1 }
    }
}

/// The hash of a name, and the state of the hasher behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameHash {
    state: SipHasher13,
    hash: u64,
}

impl NameHash {
    /// All 64 bits.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    /// The place of the name in the order of listings.
    pub(crate) const fn position(&self) -> u32 {
        // The upper half is cut off.
        self.hash as u32
    }

    /// What an atom under this key adds to its slot's digest: the wrapping sum over its pieces of content, each with
    /// its dot.
    ///
    /// What collection may drop adds nothing (R13), so an atom without content adds 0.
    pub(crate) fn of_content(&self, kind: Kind, element: Option<&[u8]>, value: &Value<'_>) -> u128 {
        let mut start = self.state;
        start.write(&[kind.code()]);
        if let Some(element) = element {
            write_name(&mut start, element);
        }
        let mut sum = 0_u128;
        value.contents(&mut |piece| {
            let mut hasher = start;
            hasher.write(piece);
            sum = sum.wrapping_add(hasher.finish128().as_u128());
        });
        sum
    }
}

/// The length goes first, so that what follows a name cannot be taken for a part of it.
fn write_name(hasher: &mut SipHasher13, name: &[u8]) {
    hasher.write(&(name.len() as u64).to_le_bytes());
    hasher.write(name);
}
