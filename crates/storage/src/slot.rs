//! One slot: its atoms, and what is known of the dots that made them.
//!
//! Invariants, kept by [`SlotState::change`]: the index holds of each atom exactly the dots of its list, the ceiling
//! is at least every list and the clock, and digest and count are those of the atoms that exist.

use trellis_crdt::{Dot, Kind, ReplicaId, Value, VersionVector};

use crate::atom::{Handle, StoredAtom};
use crate::digest::KeyedHash;
use crate::dot_index::DotIndex;
use crate::early_set::EarlySet;
use crate::fault;
use crate::key_table::KeyTable;

/// The unit of clocks, catch-up and digests: one of 256 parts of the keyspace.
#[derive(Debug)]
pub(crate) struct SlotState {
    pub(crate) hash: KeyedHash,
    pub(crate) table: KeyTable,
    /// By handle. Nothing is taken out.
    pub(crate) atoms: Vec<StoredAtom>,
    pub(crate) index: DotIndex,
    /// Of each origin the contiguous prefix merged.
    pub(crate) clock: VersionVector,
    pub(crate) early: EarlySet,
    /// Of each origin the greatest seq merged, however it came.
    pub(crate) ceiling: VersionVector,
    pub(crate) digest: u128,
    /// Number of atoms that exist.
    pub(crate) existing: usize,
}

/// Which atom is meant, looked up once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) key: &'a str,
    pub(crate) key_hash: u64,
    pub(crate) kind: Kind,
    /// `None` when there is no such atom.
    pub(crate) handle: Option<Handle>,
}

impl SlotState {
    pub(crate) fn new(hash: KeyedHash) -> Self {
        Self {
            hash,
            table: KeyTable::default(),
            atoms: Vec::new(),
            index: DotIndex::default(),
            clock: VersionVector::new(),
            early: EarlySet::default(),
            ceiling: VersionVector::new(),
            digest: 0,
            existing: 0,
        }
    }

    /// Runs `mutate` on an atom, created when it is not there, and brings everything that follows from it up to date.
    ///
    /// `news` are the dots that `mutate` adds to the atom's list, each with the seq that it supersedes. `mutate` sees
    /// the clock too, and must leave the value as it was when it fails; then nothing changes.
    pub(crate) fn change<T, E>(
        &mut self,
        subject: Subject<'_>,
        news: Vec<(Dot, u64)>,
        mutate: impl FnOnce(&mut Value<'static>, &VersionVector) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut created = None;
        let atom = match subject.handle {
            Some(handle) => &mut self.atoms[handle.index()],
            None => created.insert(StoredAtom { key: subject.key.into(), value: Value::empty(subject.kind) }),
        };
        let before = Standing::of(atom, &self.hash);
        let outcome = mutate(&mut atom.value, &self.clock)?;
        let after = Standing::of(atom, &self.hash);
        if !fault::is_off("7 digests count every piece once") {
            self.digest = self.digest.wrapping_sub(before.digest);
        }
        self.digest = self.digest.wrapping_add(after.digest);
        self.existing = self.existing + usize::from(after.exists) - usize::from(before.exists);
        let handle = subject.handle.unwrap_or_else(|| Handle::from_index(self.atoms.len()));
        if let Some(atom) = created {
            self.atoms.push(atom);
            self.table.insert(subject.key_hash, handle);
        }
        for (place, (dot, superseded)) in news.into_iter().enumerate() {
            if place == 0 || !fault::is_off("R4 an entry is indexed under all its origins") {
                self.index.advance(dot, superseded, handle);
            }
            self.ceiling.raise(dot.actor, dot.seq);
        }
        Ok(outcome)
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

    pub(crate) fn subject<'a>(&self, key: &'a str, kind: Kind) -> Subject<'a> {
        let key_hash = self.hash.of_key(key);
        let handle =
            self.atoms_of(key, key_hash).find(|(_, atom)| atom.kind() == kind).map(|(handle, _)| handle);
        Subject { key, key_hash, kind, handle }
    }

    /// The atoms of one key, of all kinds, those without content included.
    pub(crate) fn atoms_of(&self, key: &str, key_hash: u64) -> impl Iterator<Item = (Handle, &StoredAtom)> {
        let candidates = self.table.candidates(key_hash).map(|handle| (handle, self.atom(handle)));
        candidates.filter(move |(_, atom)| &*atom.key == key)
    }

    pub(crate) fn atom(&self, handle: Handle) -> &StoredAtom {
        &self.atoms[handle.index()]
    }
}

/// What an atom contributes to its slot's digest and count.
struct Standing {
    digest: u128,
    exists: bool,
}

impl Standing {
    fn of(atom: &StoredAtom, hash: &KeyedHash) -> Self {
        Self { digest: hash.of_atom(&atom.key, atom.kind(), &atom.value), exists: atom.exists() }
    }
}
