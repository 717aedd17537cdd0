//! One slot: its atoms, and what is known of the dots that made them.
//!
//! Invariants, kept by [`SlotState::close`] and by collection: the log of an origin holds of each atom the seq that
//! its list names, the ceiling is at least every list and the clock, and digest and counts are those of the atoms.

use std::collections::VecDeque;

use trellis_crdt::{Dot, Kind, ReplicaId, Value, VersionVector};

use crate::atoms::{Atoms, Handle, SetEntry, Stored};
use crate::batch::Undo;
use crate::digest::{KeyedHash, NameHash};
use crate::early_set::EarlySet;
use crate::fault;
use crate::origins::{HandleSet, Origins};
use crate::record::{Record, write_record};
use crate::table::Table;
use crate::usage::KindUsage;
use crate::warm::Pass;

/// The unit of clocks, catch-up and digests: one of 256 parts of the keyspace.
#[derive(Debug)]
pub(crate) struct SlotState {
    pub(crate) hash: KeyedHash,
    /// Keys to what they hold: atoms, and sets whose elements are atoms.
    pub(crate) table: Table,
    pub(crate) atoms: Atoms,
    pub(crate) origins: Origins,
    /// Of each origin the contiguous prefix merged.
    pub(crate) clock: VersionVector,
    pub(crate) early: EarlySet,
    /// Of each origin the greatest seq merged, however it came.
    pub(crate) ceiling: VersionVector,
    /// The join of the lists, as they were, of the atoms of which collection dropped anything.
    pub(crate) floor: VersionVector,
    /// Atoms of which something could be dropped when they were changed, each once. A handle stays until its turn
    /// comes, whatever has become of it.
    pub(crate) collectable: VecDeque<Handle>,
    /// What is in the queue.
    pub(crate) queued: HandleSet,
    /// How often something was dropped: a scan that this happens to is void.
    pub(crate) drops: u64,
    pub(crate) digest: u128,
    /// Bytes of the tables of sets.
    pub(crate) element_bytes: usize,
    pub(crate) usage: [KindUsage; Kind::ALL.len()],
    /// What a batch that is under way has written, in order.
    pub(crate) undo: Option<Vec<Undo>>,
    /// Where pieces are spelled to be hashed, and a changed atom before it is known how many bytes it takes.
    scratch: Vec<u8>,
    /// Where the dots that a change brings wait to be indexed.
    news: Vec<(Dot, bool)>,
}

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
    pub(crate) fn new(hash: KeyedHash) -> Self {
        Self {
            hash,
            table: Table::default(),
            atoms: Atoms::default(),
            origins: Origins::default(),
            clock: VersionVector::new(),
            early: EarlySet::default(),
            ceiling: VersionVector::new(),
            floor: VersionVector::new(),
            collectable: VecDeque::new(),
            queued: HandleSet::default(),
            drops: 0,
            digest: 0,
            element_bytes: 0,
            usage: Default::default(),
            undo: None,
            scratch: Vec::new(),
            news: Vec::new(),
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

    /// Accounts for the bytes of a record after it had others.
    pub(crate) fn resize(&mut self, kind: Kind, before: usize, after: usize) {
        let usage = &mut self.usage[kind_index(kind)];
        usage.bytes = usage.bytes + after - before;
    }

    /// Accounts for what an atom stands for after it stood for something else.
    pub(crate) fn restate(&mut self, kind: Kind, set: Option<Handle>, before: Standing, after: Standing) {
        if !fault::is_off("7 digests count every piece once") {
            self.digest = self.digest.wrapping_sub(before.digest);
        }
        self.digest = self.digest.wrapping_add(after.digest);
        let usage = &mut self.usage[kind_index(kind)];
        usage.atoms = usage.atoms + after.atoms - before.atoms;
        usage.deletions = usage.deletions + after.deletions - before.deletions;
        usage.counter_slots = usage.counter_slots + after.counter_slots - before.counter_slots;
        let Some(set) = set else {
            usage.keys = usage.keys + after.existing - before.existing;
            return;
        };
        let set = self.atoms.set_mut(set);
        let was_there = set.existing > 0;
        set.existing = set.existing + after.existing - before.existing;
        usage.keys = usage.keys + usize::from(set.existing > 0) - usize::from(was_there);
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

    /// Takes over a clock up to which everything has been merged, and closes the gaps that this leaves none of.
    pub(crate) fn adopt(&mut self, noted: &VersionVector) {
        self.clock.merge(noted);
        self.early.settle(&mut self.clock);
        self.ceiling.merge(&self.clock);
    }

    /// True when nothing beyond the clock has been merged.
    pub(crate) fn is_settled(&self) -> bool {
        self.clock.dominates(&self.ceiling)
    }

    /// The seq of the next operation of `origin`; `None` when one beyond its prefix is known already.
    pub(crate) fn next_seq(&self, origin: ReplicaId) -> Option<u64> {
        let prefix = self.clock.get(origin);
        if self.ceiling.get(origin) > prefix { None } else { prefix.checked_add(1) }
    }

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

/// What an atom contributes to its slot's digest and usage. All zero for an atom that is not there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    digest: u128,
    atoms: usize,
    existing: usize,
    deletions: usize,
    counter_slots: usize,
}

impl Standing {
    pub(crate) fn of(
        subject: &Subject<'_>,
        value: &Value<'_>,
        hash: &KeyedHash,
        scratch: &mut Vec<u8>,
    ) -> Self {
        let counter_slots = match value {
            Value::GCounter(counter) => counter.slots().len(),
            Value::PnCounter(counter) => counter.slots().len(),
            _ => 0,
        };
        Self {
            digest: hash.of_content(subject.hash, subject.kind, subject.element, value, scratch),
            atoms: 1,
            existing: usize::from(exists(value)),
            deletions: usize::from(value.is_empty()),
            counter_slots,
        }
    }
}

/// R18: an unreset amount, a value, an element, an enabled flag.
pub(crate) fn exists(value: &Value<'_>) -> bool {
    match value {
        Value::DwFlag(flag) => flag.is_enabled(),
        other => !other.is_empty(),
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

pub(crate) const fn kind_index(kind: Kind) -> usize {
    // Codes count from 1.
    kind.code() as usize - 1
}

/// Larger values are spelled in memory of their own, so that one of them does not stay with every slot.
const SCRATCH_BYTES_KEPT: usize = 4096;
/// Room for more dots than most changes bring.
const NEWS_KEPT: usize = 64;
