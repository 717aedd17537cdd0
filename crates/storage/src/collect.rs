//! Forgetting what every member has heard of: R10, and its replay, R16.

use std::borrow::Cow;

use trellis_crdt::codec::{Decode, DecodeError, Encode, Reader};
use trellis_crdt::{Atom, VersionVector};

use crate::atoms::{Handle, Stored};
use crate::error::MergeError;
use crate::fault;
use crate::key::slot_of;
use crate::slot::{SlotState, Standing, Subject};
use crate::table::Table;

/// One atom of which something was dropped: for the log, so that replay drops it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The atom.
    pub atom: Atom<'static>,
    /// Its list as it was. All of it was stable, and all of it is in the floor of its slot since.
    pub list: VersionVector,
}

impl Collected {
    /// The slot of the atom.
    pub fn slot(&self) -> u8 {
        slot_of(&self.atom.key)
    }

    /// Spells the atom, then the list, in the codec of trellis-crdt.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.atom.encode(&mut out);
        self.list.encode(&mut out);
        out
    }

    /// Reads what [`encode`](Self::encode) made.
    ///
    /// # Errors
    /// When the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, MergeError> {
        let mut input = Reader::new(bytes);
        let mut read = || -> Result<Self, DecodeError> {
            let atom = Atom::decode(&mut input)?.into_owned();
            let list = VersionVector::decode(&mut input)?;
            input.finish()?;
            Ok(Self { atom, list })
        };
        Ok(read()?)
    }
}

impl SlotState {
    /// Looks at up to `examine_max` of the atoms that have something to drop, those first that wait longest, and
    /// drops it where every seq of the atom's list is stable: the whole atom when it is empty, else the slots of a
    /// counter that are fully reset, and the entries of the list whose origins own no piece.
    ///
    /// Its own dot is not enough: what the list names was seen by whoever made the removal, and may still be on its
    /// way to somebody who would take it for news.
    pub(crate) fn collect(&mut self, stable: &VersionVector, examine_max: usize) -> Vec<Collected> {
        let mut collected = Vec::new();
        for _ in 0..examine_max.min(self.collectable.len()) {
            let Some(handle) = self.collectable.pop_front() else { break };
            self.queued.remove(handle);
            let Some(record) = self.atoms.atom(handle) else { continue };
            let list = record.list(&self.origins);
            let is_in_part = || list.iter().any(|(origin, seq)| stable.get(origin) >= seq);
            if stable.dominates(&list) || (fault::is_off("R10 the whole list must be stable") && is_in_part())
            {
                collected.extend(self.drop_stable(handle, list));
            } else if record.value(&self.origins).is_collectable() && self.queued.insert(handle) {
                self.collectable.push_back(handle);
            }
        }
        collected
    }

    /// Drops again what a [`Collected`] tells of, as far as nothing has happened to the atom since.
    pub(crate) fn replay_collected(&mut self, collected: &Collected) {
        let Collected { atom, list } = collected;
        self.floor.merge(list);
        let subject = self.subject(&atom.key, atom.kind, atom.element.as_deref());
        let Some(handle) = subject.handle else { return };
        let held = self.atoms.record(handle).list(&self.origins);
        if list.dominates(&held) || fault::is_off("R16 what changed since is not dropped again") {
            self.drop_stable(handle, held);
        }
    }

    /// Drops what there is to drop of an atom whose list is stable. `None` when there is nothing.
    fn drop_stable(&mut self, handle: Handle, list: VersionVector) -> Option<Collected> {
        let record = self.atoms.record(handle);
        let (set, element) = (record.set, record.set.map(|_| Box::<[u8]>::from(record.name)));
        let key = std::str::from_utf8(self.atoms.key_of(&record)).expect("keys are UTF-8 where they enter");
        let atom = Atom {
            key: Cow::Owned(key.into()),
            kind: record.kind,
            element: element.map(|e| Cow::Owned(e.into())),
        };
        let hash = self.hash.of_name(key.as_bytes());
        let subject = Subject {
            key: &atom.key,
            hash,
            kind: atom.kind,
            element: atom.element.as_deref(),
            set,
            handle: Some(handle),
        };
        let opened = self.open(&subject);
        let (mut value, before) = self.read_opened(&subject, &opened);
        let has_something = value.is_collectable();
        if has_something {
            value.collect();
            for (origin, seq) in list.iter().filter(|(origin, _)| value.context().get(*origin) == 0) {
                let place = self.origins.place(origin).expect("a list names origins of the slot");
                self.origins.log_mut(place).forget(seq, handle);
            }
        }
        if value.context().is_empty() {
            drop(value);
            self.abandon(&subject, opened);
            self.take_out(&subject, handle, before);
        } else {
            self.spell(&subject, &opened, before, &value);
            drop(value);
            self.close(subject.kind, handle, opened);
        }
        has_something.then(|| {
            self.floor.merge(&list);
            self.drops += 1;
            Collected { atom, list }
        })
    }

    /// Takes out an atom without content, and its set when that was the last of its elements.
    pub(crate) fn take_out(&mut self, subject: &Subject<'_>, handle: Handle, before: Standing) {
        self.restate(subject.kind, subject.set, before, Standing::default());
        if let Stored::Atom(record) = self.atoms.remove(handle) {
            self.resize(subject.kind, record.len(), 0);
        }
        let (Some(set), Some(element)) = (subject.set, subject.element) else {
            self.table.remove(subject.hash.position(), handle);
            return;
        };
        let position = self.hash.of_name(element).position();
        self.change_elements(set, |elements| elements.remove(position, handle));
        if self.atoms.set(set).elements.is_empty() {
            self.change_elements(set, |elements| *elements = Table::default());
            self.table.remove(subject.hash.position(), set);
            self.atoms.remove(set);
        }
    }
}
