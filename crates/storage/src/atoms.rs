//! Where the atoms of a slot are kept: records of bytes, and the sets that the elements among them belong to.

use std::num::NonZeroU32;

use trellis_crdt::Kind;

use crate::record::Record;
use crate::table::Table;

/// Position of an atom, or of a set, among those of its slot. It never changes while the atom is there, and names
/// another one at some time after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Handle(NonZeroU32);

impl Handle {
    pub(crate) const MIN: Self = Self(NonZeroU32::MIN);
    pub(crate) const MAX: Self = Self(NonZeroU32::MAX);

    pub(crate) fn from_index(index: usize) -> Self {
        let number = u32::try_from(index).ok().and_then(|index| NonZeroU32::MIN.checked_add(index));
        Self(number.expect("memory ends long before 2^32 atoms of one slot"))
    }

    pub(crate) fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    pub(crate) const fn to_bytes(self) -> [u8; 4] {
        self.0.get().to_le_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        NonZeroU32::new(u32::from_le_bytes(bytes)).map(Self)
    }
}

/// A set: its elements are atoms, each with a record of its own.
#[derive(Debug)]
pub(crate) struct SetEntry {
    pub(crate) key: Box<str>,
    pub(crate) kind: Kind,
    /// The elements, those that were removed and are still recorded included.
    pub(crate) elements: Table,
    /// Number of elements that are in the set.
    pub(crate) existing: usize,
}

/// What a handle leads to.
#[derive(Debug)]
pub(crate) enum Stored {
    /// An atom, in the form that [`Record`] reads. Without bytes it is nothing at present: a handle that is free.
    Atom(Box<[u8]>),
    Set(Box<SetEntry>),
}

impl Stored {
    /// What is not there, or not yet.
    pub(crate) fn nothing() -> Self {
        Self::Atom(Box::default())
    }
}

/// All that is stored in a slot, by handle.
#[derive(Debug, Default)]
pub(crate) struct Atoms {
    stored: Vec<Stored>,
    free: Vec<Handle>,
    atoms: usize,
}

impl Atoms {
    pub(crate) fn insert(&mut self, stored: Stored) -> Handle {
        self.atoms += usize::from(matches!(stored, Stored::Atom(_)));
        if let Some(handle) = self.free.pop() {
            self.stored[handle.index()] = stored;
            return handle;
        }
        if self.stored.len() == self.stored.capacity() {
            // A quarter at a time: doubling would leave a third of it unused on average.
            self.stored.reserve_exact(self.stored.len() / 4 + STORED_MIN);
        }
        self.stored.push(stored);
        Handle::from_index(self.stored.len() - 1)
    }

    /// Frees a handle.
    pub(crate) fn remove(&mut self, handle: Handle) -> Stored {
        let removed = core::mem::replace(&mut self.stored[handle.index()], Stored::nothing());
        self.atoms -= usize::from(matches!(removed, Stored::Atom(_)));
        self.free.push(handle);
        removed
    }

    /// Takes the bytes of an atom for a change; [`put`](Self::put) brings them back.
    pub(crate) fn take(&mut self, handle: Handle) -> Box<[u8]> {
        match &mut self.stored[handle.index()] {
            Stored::Atom(record) => core::mem::take(record),
            other => unreachable!("{other:?} is not an atom"),
        }
    }

    pub(crate) fn put(&mut self, handle: Handle, record: Box<[u8]>) {
        self.stored[handle.index()] = Stored::Atom(record);
    }

    pub(crate) fn get(&self, handle: Handle) -> &Stored {
        &self.stored[handle.index()]
    }

    /// The record of an atom; `None` when the handle leads to something else.
    pub(crate) fn atom(&self, handle: Handle) -> Option<Record<'_>> {
        match self.get(handle) {
            Stored::Atom(record) if !record.is_empty() => Some(Record::of(record)),
            Stored::Atom(_) | Stored::Set(_) => None,
        }
    }

    /// The record of an atom that is known to be one.
    pub(crate) fn record(&self, handle: Handle) -> Record<'_> {
        self.atom(handle).expect("the handle was found as that of an atom")
    }

    pub(crate) fn set(&self, handle: Handle) -> &SetEntry {
        match self.get(handle) {
            Stored::Set(set) => set,
            other => unreachable!("{other:?} is not a set"),
        }
    }

    pub(crate) fn set_mut(&mut self, handle: Handle) -> &mut SetEntry {
        match &mut self.stored[handle.index()] {
            Stored::Set(set) => set,
            other => unreachable!("{other:?} is not a set"),
        }
    }

    /// Bytes of an atom's record.
    pub(crate) fn bytes_of(&self, handle: Handle) -> usize {
        match self.get(handle) {
            Stored::Atom(record) => record.len(),
            Stored::Set(_) => 0,
        }
    }

    /// The first byte of an atom's record; 0 for anything else.
    pub(crate) fn first_byte(&self, handle: Handle) -> u8 {
        match self.get(handle) {
            Stored::Atom(record) => record.first().copied().unwrap_or(0),
            Stored::Set(_) => 0,
        }
    }

    /// The key of an atom: its own name, or that of the set it is an element of.
    pub(crate) fn key_of<'a>(&'a self, record: &Record<'a>) -> &'a [u8] {
        match record.set {
            None => record.name,
            Some(set) => self.set(set).key.as_bytes(),
        }
    }

    /// Number of atoms.
    pub(crate) const fn len(&self) -> usize {
        self.atoms
    }

    /// Bytes that the handles occupy.
    pub(crate) const fn bytes(&self) -> usize {
        self.stored.capacity() * size_of::<Stored>()
    }

    /// All handles from an index on, ascending, those that are free included.
    pub(crate) fn beginning_at(&self, index: usize) -> impl Iterator<Item = (Handle, &Stored)> {
        let stored = self.stored.iter().enumerate().skip(index);
        stored.map(|(index, stored)| (Handle::from_index(index), stored))
    }
}

/// Handles that the first atom of a slot makes room for.
const STORED_MIN: usize = 4;

// A boxed record is a pointer and a length; a set fits where its pointer would be null.
const _: () = assert!(size_of::<Stored>() == 16 || size_of::<usize>() != 8);
