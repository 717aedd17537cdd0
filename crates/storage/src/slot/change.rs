//! Changing one atom: its bytes are opened, its value is read and changed, spelled anew, and closed.
//!
//! Between opening and closing, or abandoning, the atom has no bytes in the slot, and nothing else may be asked of it.

use trellis_crdt::{Dot, Kind, Value, VersionVector};

use super::{SlotState, Standing, Subject};
use crate::atoms::{Handle, SetEntry, Stored};
use crate::fault;
use crate::origins::Origins;
use crate::record::{Record, write_record};
use crate::table::Table;

/// An atom that is being changed: its bytes are out of the slot.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Empty for an atom that is not there.
    record: Box<[u8]>,
}

impl Opened {
    /// The bytes that were opened, unless the atom was not there.
    pub(crate) fn copy(&self) -> Option<Box<[u8]>> {
        (!self.record.is_empty()).then(|| self.record.clone())
    }

    /// Number of bytes that were opened.
    pub(crate) const fn bytes(&self) -> usize {
        self.record.len()
    }

    fn record(&self) -> Option<Record<'_>> {
        (!self.record.is_empty()).then(|| Record::of(&self.record))
    }
}

impl SlotState {
    /// Takes an atom's bytes out for a change; they come back by [`close`](Self::close) or
    /// [`abandon`](Self::abandon). No bytes for an atom that is not there.
    pub(crate) fn open(&mut self, subject: &Subject<'_>) -> Opened {
        Opened { record: subject.handle.map(|handle| self.atoms.take(handle)).unwrap_or_default() }
    }

    /// Reads what was opened: the value, and what it stands for in the slot.
    pub(crate) fn read_opened<'o>(
        &mut self,
        subject: &Subject<'_>,
        opened: &'o Opened,
    ) -> (Value<'o>, Standing) {
        match opened.record() {
            Some(record) => {
                let value = record.value(&self.origins);
                let standing = Standing::of(subject, &value, &self.hash, &mut self.scratch);
                (value, standing)
            }
            None => (Value::empty(subject.kind), Standing::default()),
        }
    }

    /// Puts back what was opened and is not changed.
    pub(crate) fn abandon(&mut self, subject: &Subject<'_>, opened: Opened) {
        if let Some(handle) = subject.handle {
            self.atoms.put(handle, opened.record);
        }
    }

    /// Spells the changed value, and brings everything that follows from it up to date; the atom is created when it
    /// is not there. [`close`](Self::close) is to follow, once nothing borrows what was opened.
    pub(crate) fn spell(
        &mut self,
        subject: &Subject<'_>,
        opened: &Opened,
        before: Standing,
        value: &Value<'_>,
    ) -> Handle {
        let (handle, set) = match (subject.handle, subject.element) {
            (Some(handle), _) => (handle, subject.set),
            (None, None) => (self.create(subject.hash.position(), Stored::nothing()), None),
            (None, Some(element)) => self.create_element(subject, element),
        };
        let mut news = core::mem::take(&mut self.news);
        each_news(value.context(), opened.record(), &self.origins, |dot, is_first| {
            news.push((dot, is_first));
        });
        for (count, (dot, is_first)) in news.drain(..).enumerate() {
            self.ceiling.raise(dot.actor, dot.seq);
            let place = self.origins.intern(dot.actor);
            if count == 0 || !fault::is_off("R4 an entry is indexed under all its origins") {
                self.origins.log_mut(place).note(dot.seq, handle, is_first);
            }
        }
        if news.capacity() <= NEWS_KEPT {
            self.news = news;
        }
        if value.is_collectable() && self.queued.insert(handle) {
            self.collectable.push_back(handle);
        }
        let after = Standing::of(subject, value, &self.hash, &mut self.scratch);
        self.restate(subject.kind, set, before, after);
        self.scratch.clear();
        let name = subject.element.unwrap_or(subject.key.as_bytes());
        write_record(&mut self.scratch, set, name, value, &self.origins);
        handle
    }

    /// Tells whether what was spelled is anything else than what was opened.
    pub(crate) fn differs(&self, opened: &Opened) -> bool {
        *opened.record != *self.scratch
    }

    /// Puts the spelled bytes of an atom in the place of those that were opened.
    pub(crate) fn close(&mut self, kind: Kind, handle: Handle, opened: Opened) {
        let Opened { mut record } = opened;
        self.resize(kind, record.len(), self.scratch.len());
        if record.len() == self.scratch.len() {
            record.copy_from_slice(&self.scratch);
        } else {
            record = self.scratch.as_slice().into();
        }
        self.atoms.put(handle, record);
        if self.scratch.capacity() > SCRATCH_BYTES_KEPT {
            self.scratch = Vec::new();
        }
    }

    fn create(&mut self, position: u32, stored: Stored) -> Handle {
        let handle = self.atoms.insert(stored);
        self.table.insert(position, handle);
        handle
    }

    fn create_element(&mut self, subject: &Subject<'_>, element: &[u8]) -> (Handle, Option<Handle>) {
        let set = subject.set.unwrap_or_else(|| {
            let empty = SetEntry {
                key: subject.key.into(),
                kind: subject.kind,
                elements: Table::default(),
                existing: 0,
            };
            self.create(subject.hash.position(), Stored::Set(Box::new(empty)))
        });
        let handle = self.atoms.insert(Stored::nothing());
        let position = self.hash.of_name(element).position();
        self.change_elements(set, |elements| elements.insert(position, handle));
        (handle, Some(set))
    }

    /// Changes the table of a set, and accounts for its bytes.
    pub(crate) fn change_elements(&mut self, set: Handle, change: impl FnOnce(&mut Table)) {
        let elements = &mut self.atoms.set_mut(set).elements;
        let before = elements.bytes();
        change(elements);
        self.element_bytes = self.element_bytes + elements.bytes() - before;
    }
}

/// Visits the dots of `list` that are beyond the record's own list, each with whether the record names no other of its
/// origin. O(both).
pub(crate) fn each_news(
    list: &VersionVector,
    record: Option<Record<'_>>,
    origins: &Origins,
    mut visit: impl FnMut(Dot, bool),
) {
    let mut held = record.map(|record| record.listed_ids(origins).peekable());
    for (origin, seq) in list.iter() {
        let mut known = 0;
        if let Some(held) = &mut held {
            while held.next_if(|(named, _)| *named < origin).is_some() {}
            known = held.next_if(|(named, _)| *named == origin).map_or(0, |(_, seq)| seq);
        }
        if known < seq {
            visit(Dot::new(origin, seq), known == 0);
        }
    }
}

/// Larger values are spelled in memory of their own, so that one of them does not stay with every slot.
const SCRATCH_BYTES_KEPT: usize = 4096;
/// Room for more dots than most changes bring.
const NEWS_KEPT: usize = 64;
