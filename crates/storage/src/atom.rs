//! What one operation changes, as it is kept.

use trellis_crdt::{Atom, Delta, Dot, Entry, Kind, ReplicaId, Value, VersionVector};

/// Position of an atom among those of its slot. It never changes while the atom is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Handle(u32);

impl Handle {
    pub(crate) const MIN: Self = Self(0);
    pub(crate) const MAX: Self = Self(u32::MAX);

    pub(crate) fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("memory ends long before 2^32 atoms of one slot"))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A key's value of one kind. Without content it stays as a record of what was removed.
#[derive(Clone, Debug)]
pub(crate) struct StoredAtom {
    pub(crate) key: Box<str>,
    pub(crate) value: Value<'static>,
}

impl StoredAtom {
    pub(crate) fn kind(&self) -> Kind {
        self.value.kind()
    }

    pub(crate) fn exists(&self) -> bool {
        !self.value.is_empty()
    }

    /// Of each origin the greatest seq merged of its operations on this atom.
    pub(crate) fn list(&self) -> &VersionVector {
        self.value.context()
    }

    /// Returns the dots of `list` that are beyond this atom's own, each with the seq that it supersedes (0: none).
    pub(crate) fn news(&self, list: impl Iterator<Item = (ReplicaId, u64)>) -> Vec<(Dot, u64)> {
        list.map(|(origin, seq)| (Dot::new(origin, seq), self.list().get(origin)))
            .filter(|(dot, held)| dot.seq > *held)
            .collect()
    }

    /// Encodes it whole, as catch-up carries it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        entry(&self.key, self.value.clone()).encode()
    }
}

/// Encodes what one operation changed.
pub(crate) fn encode_delta(dot: Dot, key: &str, changed: Value) -> Vec<u8> {
    Delta { dot, entry: entry(key, changed) }.encode()
}

fn entry<'a>(key: &'a str, value: Value<'a>) -> Entry<'a> {
    Entry { atom: Atom { key: key.into(), kind: value.kind(), element: None }, value }
}
