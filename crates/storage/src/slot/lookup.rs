//! Finding what a key holds.

use trellis_crdt::Kind;

use super::{SlotState, exists};
use crate::atoms::{Handle, SetEntry, Stored};
use crate::digest::NameHash;
use crate::record::Record;
use crate::warm::Pass;

/// Which atom is meant, looked up once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) key: &'a str,
    pub(crate) hash: NameHash,
    pub(crate) kind: Kind,
    /// Of a set always, of anything else never.
    pub(crate) element: Option<&'a [u8]>,
    /// `None` when there is no such set.
    pub(crate) set: Option<Handle>,
    /// `None` when there is no such atom.
    pub(crate) handle: Option<Handle>,
}

impl SlotState {
    /// Looks up the atom of a key and kind, and of a set the one of an element.
    pub(crate) fn subject<'a>(&self, key: &'a str, kind: Kind, element: Option<&'a [u8]>) -> Subject<'a> {
        let hash = self.hash.of_name(key.as_bytes());
        let found =
            self.entries_of(key, hash).find(|(_, found)| found.kind() == kind).map(|(handle, _)| handle);
        self.subject_in(key, hash, kind, element, found)
    }

    /// Looks up the element, if it is about one, where the entry of key and kind was looked up before.
    pub(crate) fn subject_in<'a>(
        &self,
        key: &'a str,
        hash: NameHash,
        kind: Kind,
        element: Option<&'a [u8]>,
        found: Option<Handle>,
    ) -> Subject<'a> {
        let (set, handle) = match element {
            // Of a set there is an atom for each element, and none for the whole.
            None => (None, found.filter(|_| !kind.is_set())),
            Some(element) => (found, found.and_then(|set| self.element_of(self.atoms.set(set), element))),
        };
        Subject { key, hash, kind, element, set, handle }
    }

    /// What a key holds, by kind, what has no content included.
    pub(crate) fn entries_of(&self, key: &str, hash: NameHash) -> impl Iterator<Item = (Handle, Held<'_>)> {
        let candidates = self.table.candidates(hash.position());
        candidates.filter_map(move |handle| {
            let held = Held::of(self.atoms.get(handle))?;
            (held.key() == key.as_bytes()).then_some((handle, held))
        })
    }

    fn element_of(&self, set: &SetEntry, element: &[u8]) -> Option<Handle> {
        let position = self.hash.of_name(element).position();
        set.elements.candidates(position).find(|handle| self.atoms.record(*handle).name == element)
    }

    /// Tells whether the list of an atom names this seq for the origin at this place.
    pub(crate) fn is_named(&self, atom: Handle, origin: usize, seq: u64) -> bool {
        self.atoms.atom(atom).is_some_and(|record| record.listed(origin) == seq)
    }

    /// Tells whether an entry has content.
    pub(crate) fn exists(&self, held: &Held<'_>) -> bool {
        match held {
            Held::Atom(record) => exists(&record.value(&self.origins)),
            Held::Set(set) => set.existing > 0,
        }
    }

    /// Looks where an operation on a key with this position begins to read; returns something that depends on it.
    pub(crate) fn peek(&self, position: u32, pass: Pass) -> usize {
        match (pass, self.table.candidates(position).next()) {
            (Pass::Table, Some(handle)) => handle.index(),
            (Pass::Handle, Some(handle)) => self.atoms.bytes_of(handle),
            (Pass::Record, Some(handle)) => usize::from(self.atoms.first_byte(handle)),
            (_, None) => 0,
        }
    }
}

/// What a key holds of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held<'a> {
    Atom(Record<'a>),
    Set(&'a SetEntry),
}

impl<'a> Held<'a> {
    pub(crate) fn of(stored: &'a Stored) -> Option<Self> {
        match stored {
            Stored::Atom(record) => (!record.is_empty()).then(|| Self::Atom(Record::of(record))),
            Stored::Set(set) => Some(Self::Set(set)),
        }
    }

    pub(crate) fn key(&self) -> &'a [u8] {
        match self {
            Self::Atom(record) => record.name,
            Self::Set(set) => set.key.as_bytes(),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Atom(record) => record.kind,
            Self::Set(set) => set.kind,
        }
    }
}
