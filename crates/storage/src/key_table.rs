//! From keys to atoms, in the order of a keyed hash of the key.

use std::collections::BTreeSet;

use crate::atom::Handle;

/// The handles of a slot's atoms, ordered by the upper half of their key's hash.
///
/// An order by hash serves two ends: a position in a listing survives any change of the table, also a restart and a
/// change of node, since the hash is keyed by the cluster; and nobody can choose keys that crowd one place. All atoms
/// of one key, and the rare keys that share the 32 bits, are neighbours: whoever looks a key up compares it.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    places: BTreeSet<(u32, Handle)>,
}

impl KeyTable {
    pub(crate) fn insert(&mut self, key_hash: u64, atom: Handle) {
        self.places.insert((Self::position(key_hash), atom));
    }

    /// The atoms whose key may be the one with this hash. O(log n).
    pub(crate) fn candidates(&self, key_hash: u64) -> impl Iterator<Item = Handle> {
        let position = Self::position(key_hash);
        self.places.range((position, Handle::MIN)..=(position, Handle::MAX)).map(|(_, atom)| *atom)
    }

    /// All atoms from a position on, with their positions, ascending.
    pub(crate) fn beginning_at(&self, position: u32) -> impl Iterator<Item = (u32, Handle)> {
        self.places.range((position, Handle::MIN)..).copied()
    }

    fn position(key_hash: u64) -> u32 {
        let [.., a, b, c, d] = key_hash.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}
