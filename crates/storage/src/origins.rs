//! The origins of a slot, each with the log of its dots: from dots to atoms, compacted by construction.
//!
//! Invariant: of each atom and each origin in its list, the newest seq is in the log of that origin, and no log has
//! much more than that: what was superseded goes when a third of a log is of no use.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use trellis_crdt::ReplicaId;

use crate::atoms::Handle;

/// Places of origins, and seq → atom for each of them.
///
/// An origin keeps its place while the slot is in memory; there is one for every ReplicaId that ever wrote to it.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    /// By place.
    ids: Vec<ReplicaId>,
    /// By place.
    logs: Vec<OriginLog>,
    places: BTreeMap<ReplicaId, usize>,
}

impl Origins {
    pub(crate) fn place(&self, id: ReplicaId) -> Option<usize> {
        self.places.get(&id).copied()
    }

    pub(crate) fn id(&self, place: usize) -> ReplicaId {
        self.ids[place]
    }

    pub(crate) fn intern(&mut self, id: ReplicaId) -> usize {
        *self.places.entry(id).or_insert_with(|| {
            self.ids.push(id);
            self.logs.push(OriginLog::default());
            self.ids.len() - 1
        })
    }

    pub(crate) fn log(&self, place: usize) -> &OriginLog {
        &self.logs[place]
    }

    pub(crate) fn log_mut(&mut self, place: usize) -> &mut OriginLog {
        &mut self.logs[place]
    }

    /// The place of the first origin, or of the first after `id`, in ascending order of the ids.
    pub(crate) fn next(&self, id: Option<ReplicaId>) -> Option<usize> {
        let beyond = id.map_or(Unbounded, Excluded);
        self.places.range((beyond, Unbounded)).next().map(|(_, place)| *place)
    }

    /// Number of (atom, origin) pairs.
    pub(crate) fn live(&self) -> usize {
        self.logs.iter().map(|log| log.live).sum()
    }

    /// Bytes that the logs occupy.
    pub(crate) fn bytes(&self) -> usize {
        self.logs.iter().map(OriginLog::bytes).sum()
    }
}

/// Seq → atom of one origin, those that are of use and some that are not.
///
/// What comes in the order of its seqs is appended. What comes out of order, by catch-up, waits in a map until it is
/// worth a pass over the whole. Whether an atom still names a seq is told by the atom's list alone.
#[derive(Debug, Default)]
pub(crate) struct OriginLog {
    /// Ascending by seq.
    appended: Vec<Logged>,
    /// Not above the last appended one.
    strays: BTreeSet<(u64, Handle)>,
    /// How many atoms name this origin in their lists.
    live: usize,
    /// How many seqs were superseded since the last compaction.
    superseded: usize,
}

/// Twelve bytes: a seq, low half first, and an atom, or none when it was forgotten.
#[derive(Clone, Copy, Debug)]
struct Logged {
    seq: [u32; 2],
    atom: Option<Handle>,
}

impl Logged {
    fn new(seq: u64, atom: Handle) -> Self {
        // The casts take the two halves apart.
        Self { seq: [seq as u32, (seq >> u32::BITS) as u32], atom: Some(atom) }
    }

    fn seq(&self) -> u64 {
        u64::from(self.seq[0]) | u64::from(self.seq[1]) << u32::BITS
    }
}

impl OriginLog {
    /// Notes that an atom names `seq` for this origin; `is_first` when it named none before.
    pub(crate) fn note(&mut self, seq: u64, atom: Handle, is_first: bool) {
        let is_of_use = self.appended.len() + self.strays.len() <= self.live + self.live / 2 + SLACK;
        if !is_of_use || self.strays.len() > SLACK + self.appended.len() / 8 {
            self.compact();
        }
        self.live += usize::from(is_first);
        self.superseded += usize::from(!is_first);
        if self.appended.last().is_none_or(|last| last.seq() < seq) {
            if self.appended.len() == self.appended.capacity() {
                self.appended.reserve_exact(self.appended.len() / 4 + LOG_MIN);
            }
            self.appended.push(Logged::new(seq, atom));
        } else {
            self.strays.insert((seq, atom));
        }
    }

    /// Forgets that an atom names a seq: the origin leaves its list, or the atom goes.
    ///
    /// O(log n), and a pass over the log for the first one after others were superseded: a seq that was superseded
    /// must not stay behind as the newest of its atom.
    pub(crate) fn forget(&mut self, seq: u64, atom: Handle) {
        if self.superseded > 0 {
            self.compact();
        }
        self.live -= 1;
        if !self.strays.remove(&(seq, atom))
            && let Some(place) = self.place(seq)
            && self.appended[place].atom == Some(atom)
        {
            self.appended[place].atom = None;
        }
    }

    /// The atoms that this seq changed, as far as they are of use still or were not long ago: one, unless several
    /// processes wrote under one ReplicaId, or bytes rotted on their way.
    pub(crate) fn find(&self, seq: u64) -> impl Iterator<Item = Handle> {
        // What is beyond the last is asked for most.
        let is_beyond = self.appended.last().is_none_or(|last| last.seq() < seq);
        let appended = if is_beyond { None } else { self.place(seq) };
        let strays = (!is_beyond).then(|| self.strays.range((seq, Handle::MIN)..=(seq, Handle::MAX)));
        let appended = appended.and_then(|place| self.appended[place].atom);
        appended.into_iter().chain(strays.into_iter().flatten().map(|(_, atom)| *atom))
    }

    fn place(&self, seq: u64) -> Option<usize> {
        self.appended.binary_search_by_key(&seq, Logged::seq).ok()
    }

    /// Seqs and atoms beyond a seq, ascending.
    pub(crate) fn beyond(&self, seq: u64) -> impl Iterator<Item = (u64, Handle)> {
        let start = self.appended.partition_point(|logged| logged.seq() <= seq);
        let appended = self.appended[start..].iter();
        let mut appended =
            appended.filter_map(|logged| logged.atom.map(|atom| (logged.seq(), atom))).peekable();
        let mut strays = self.strays.range((Excluded((seq, Handle::MAX)), Unbounded)).copied().peekable();
        core::iter::from_fn(move || match (appended.peek(), strays.peek()) {
            (Some((ours, _)), Some((theirs, _))) if theirs < ours => strays.next(),
            (Some(_), _) => appended.next(),
            (None, _) => strays.next(),
        })
    }

    /// Drops all but the newest seq of each atom, and takes the strays in. O(n).
    ///
    /// The newest one of an atom here is what its list names: what an atom ceases to name is forgotten by name.
    fn compact(&mut self) {
        let mut kept = Vec::from_iter(self.beyond(0));
        let mut met = HandleSet::default();
        let mut is_newest = Vec::from_iter(kept.iter().rev().map(|(_, atom)| met.insert(*atom)));
        kept.retain(|_| is_newest.pop().is_some_and(|is_newest| is_newest));
        self.appended.clear();
        self.appended.shrink_to(kept.len() + kept.len() / 4 + LOG_MIN);
        self.appended.reserve_exact(kept.len());
        self.appended.extend(kept.into_iter().map(|(seq, atom)| Logged::new(seq, atom)));
        self.strays.clear();
        self.superseded = 0;
    }

    fn bytes(&self) -> usize {
        self.appended.capacity() * size_of::<Logged>() + self.strays.len() * STRAY_BYTES
    }
}

/// A set of atoms of one slot, as bits.
#[derive(Clone, Debug, Default)]
pub(crate) struct HandleSet {
    words: Vec<u64>,
}

impl HandleSet {
    pub(crate) fn contains(&self, handle: Handle) -> bool {
        let word = self.words.get(handle.index() / 64).copied().unwrap_or(0);
        word & (1 << (handle.index() % 64)) != 0
    }

    pub(crate) fn remove(&mut self, handle: Handle) {
        if let Some(word) = self.words.get_mut(handle.index() / 64) {
            *word &= !(1 << (handle.index() % 64));
        }
    }

    /// Adds a handle; returns whether it was not there.
    pub(crate) fn insert(&mut self, handle: Handle) -> bool {
        let (word, bit) = (handle.index() / 64, 1_u64 << (handle.index() % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_first = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_first
    }
}

/// How many seqs of no use, or out of order, are not worth a pass.
const SLACK: usize = 32;
/// Seqs that the first one makes room for.
const LOG_MIN: usize = 4;
/// What a stray costs in its map, roughly.
const STRAY_BYTES: usize = 24;
