//! The front of the crate: operations, merging, reading and scanning, each handed to the slot that it is about.

use trellis_crdt::{Dot, Hlc, Kind, ReplicaId, VersionVector};

use crate::apply::Writer;
use crate::capture::{CaptureCursor, SlotHeader};
use crate::collect::Collected;
use crate::config::Config;
use crate::digest::KeyedHash;
use crate::elements::{ElementCursor, ElementsPage};
use crate::error::{BatchError, MergeError, OperationError, ReadError};
use crate::explain::Explained;
use crate::key::{SLOTS, is_valid_key, slot_of};
use crate::list::{Cursor, ListPage, PageBuilder};
use crate::merge::{EntryMerged, Merged, Progress};
use crate::operation::{Applied, Operation};
use crate::query::Read;
use crate::received::{ReceivedDelta, ReceivedEntry};
use crate::scan::{ScanCursor, ScanStep};
use crate::slot::SlotState;
use crate::usage::{Counters, Usage};

/// All slots, in memory.
///
/// A node that keeps its slots in several shards has one keyspace in each and asks the one that owns the slot; slots
/// that are never asked for cost some hundred bytes.
#[derive(Debug)]
pub struct Keyspace {
    config: Config,
    hash: KeyedHash,
    /// By number, [`SLOTS`] of them.
    slots: Vec<SlotState>,
    counters: Counters,
}

impl Keyspace {
    /// Makes an empty keyspace. `digest_key` is the same on all nodes of a cluster and known to nobody else.
    pub fn new(digest_key: [u8; 16], config: Config) -> Self {
        let hash = KeyedHash::new(digest_key);
        let slots = (0..SLOTS).map(|_| SlotState::new(hash.clone())).collect();
        // A deletion that looks at nothing would never end.
        let config = Config { delete_elements_max: config.delete_elements_max.max(1), ..config };
        Self { config, hash, slots, counters: Counters::default() }
    }

    /// Does a local operation under the next dots of `origin`.
    ///
    /// `stamp` is called at most once, and only by a write or a deletion of an lww-register. Its answer must be
    /// greater than every stamp merged before, or the write loses to an older one. Costs O(log n), and the hashing of
    /// the atom twice.
    ///
    /// # Errors
    /// Any [`OperationError`]; nothing has changed then, no dot is taken, and `stamp` may have been called.
    pub fn apply(
        &mut self,
        operation: &Operation<'_>,
        origin: ReplicaId,
        stamp: impl FnOnce() -> Hlc,
    ) -> Result<Applied, OperationError> {
        let slot = slot_of(operation.key());
        let writer = Writer { slot, origin, delete_elements_max: self.config.delete_elements_max };
        let applied = self.slot_mut(slot).apply(operation, writer, stamp);
        let (changes, outcome) = applied.inspect_err(|_| self.counters.operations_refused += 1)?;
        self.counters.operations += changes.len() as u64;
        Ok(Applied { slot, changes, outcome })
    }

    /// Decodes and merges the delta of `dot` in `slot`; see [`Keyspace::merge_received_delta`].
    ///
    /// # Errors
    /// Any [`MergeError`]; nothing has changed then.
    pub fn merge_delta(&mut self, slot: u8, dot: Dot, bytes: &[u8]) -> Result<Merged, MergeError> {
        let delta = ReceivedDelta::decode(slot, dot, bytes).inspect_err(|_| self.counters.refused += 1)?;
        self.merge_received_delta(&delta)
    }

    /// Merges a delta and moves the clock as far as that leaves no gap.
    ///
    /// Idempotent; commutes with every other merge, of deltas and of entries. Source: protocol.md section 1, R2, R6.
    ///
    /// # Errors
    /// [`MergeError::Contradiction`], found only where it is cheap to see; nothing has changed then.
    pub fn merge_received_delta(&mut self, received: &ReceivedDelta<'_>) -> Result<Merged, MergeError> {
        let ReceivedDelta { slot, delta } = received;
        let early_max = self.config.early_max_per_slot;
        let state = self.slot_mut(*slot);
        let merged = state.merge_delta(delta, early_max);
        let prefix = state.clock.get(delta.dot.actor);
        let progress = merged.inspect_err(|_| self.counters.refused += 1)?;
        match progress {
            Progress::Advanced => self.counters.deltas_in_order += 1,
            Progress::Early => self.counters.deltas_early += 1,
            Progress::Duplicate => self.counters.deltas_duplicate += 1,
            Progress::Dropped => self.counters.deltas_dropped += 1,
        }
        let key_hash = self.key_hash(&delta.entry.atom.key);
        Ok(Merged { progress, prefix, stamp: received.stamp(), key_hash })
    }

    /// Decodes and merges a catch-up entry of `slot`; see [`Keyspace::merge_received_entry`].
    ///
    /// # Errors
    /// Any [`MergeError`]; nothing has changed then.
    pub fn merge_entry(&mut self, slot: u8, bytes: &[u8]) -> Result<EntryMerged, MergeError> {
        let entry = ReceivedEntry::decode(slot, bytes).inspect_err(|_| self.counters.refused += 1)?;
        self.merge_received_entry(&entry)
    }

    /// Merges a whole atom with its whole list, and indexes it under every origin of the list (R4).
    ///
    /// The clock does not move: that is for [`Keyspace::adopt`]. Idempotent; commutes with every other merge.
    ///
    /// # Errors
    /// [`MergeError::Contradiction`], found only where it is cheap to see; nothing has changed then.
    pub fn merge_received_entry(&mut self, received: &ReceivedEntry<'_>) -> Result<EntryMerged, MergeError> {
        let merged = self.slot_mut(received.slot).merge_entry(&received.entry);
        let changed = merged.inspect_err(|_| self.counters.refused += 1)?;
        if changed {
            self.counters.entries_changed += 1;
        } else {
            self.counters.entries_unchanged += 1;
        }
        let key_hash = self.key_hash(&received.entry.atom.key);
        Ok(EntryMerged { changed, stamp: received.stamp(), key_hash })
    }

    /// Ends a catch-up of `slot`: joins the donor's clock as of the start of its scan to the slot's own (R3).
    ///
    /// Only once every entry of that one scan has been merged. Idempotent; the clock only grows.
    pub fn adopt(&mut self, slot: u8, clock: &VersionVector) {
        self.slot_mut(slot).adopt(clock);
        self.counters.adoptions += 1;
    }

    /// Reads a key, of the kind asked for or of the only one that it holds.
    ///
    /// # Errors
    /// [`ReadError::InvalidKey`].
    pub fn read(&self, key: &str, kind: Option<Kind>) -> Result<Read, ReadError> {
        if is_valid_key(key) {
            Ok(self.slot(slot_of(key)).read(key, kind))
        } else {
            Err(ReadError::InvalidKey { bytes: key.len() })
        }
    }

    /// Tells whether an element is in a set, and the dots behind the answer (R20).
    ///
    /// # Errors
    /// [`ReadError::InvalidKey`]; [`ReadError::NotASet`] for a kind that has no elements.
    pub fn contains(
        &self,
        key: &str,
        kind: Kind,
        element: &[u8],
    ) -> Result<(bool, VersionVector), ReadError> {
        check_set(key, kind)?;
        Ok(self.slot(slot_of(key)).contains(key, kind, element))
    }

    /// Reads the elements of a set from `cursor` on.
    ///
    /// An element that is there throughout comes exactly once, whatever else comes and goes between pages. A page ends
    /// once `examine_max` elements were looked at, those recorded as removed included, or those found pass
    /// `bytes_max` bytes, and may pass either by the elements that share 32 bits of hash, so that every page gets on.
    ///
    /// # Errors
    /// As [`Keyspace::contains`].
    pub fn elements(
        &self,
        key: &str,
        kind: Kind,
        cursor: ElementCursor,
        examine_max: usize,
        bytes_max: usize,
    ) -> Result<ElementsPage, ReadError> {
        check_set(key, kind)?;
        Ok(self.slot(slot_of(key)).elements(key, kind, cursor, examine_max, bytes_max))
    }

    /// Lists existing entries of all slots whose key begins with `prefix`, of one kind or of all, from `cursor` on.
    ///
    /// An entry that is there throughout a listing comes exactly once, whatever else comes and goes between pages. A
    /// page ends once `examine_max` atoms were looked at or `out_max` entries found, and may pass either by the atoms
    /// whose keys share 32 bits of hash, so that every page gets on.
    pub fn list(
        &self,
        cursor: Cursor,
        prefix: &str,
        kind: Option<Kind>,
        examine_max: usize,
        out_max: usize,
    ) -> ListPage {
        let mut page = PageBuilder { prefix, kind, examine_left: examine_max, out_max, keys: Vec::new() };
        let mut next = Some(cursor);
        while let Some(cursor) = next {
            next = self.fill(cursor, &mut page);
            if page.is_full() {
                break;
            }
        }
        ListPage { keys: page.keys, next }
    }

    /// Lists as [`Keyspace::list`] does, but ends the page with the slot of `cursor`; the next one begins after it.
    ///
    /// For a node that keeps neighbouring slots in different keyspaces.
    pub fn list_slot(
        &self,
        cursor: Cursor,
        prefix: &str,
        kind: Option<Kind>,
        examine_max: usize,
        out_max: usize,
    ) -> ListPage {
        let mut page = PageBuilder { prefix, kind, examine_left: examine_max, out_max, keys: Vec::new() };
        let next = self.fill(cursor, &mut page);
        ListPage { keys: page.keys, next }
    }

    /// The clock of `slot`: of each origin the contiguous prefix merged.
    pub fn clock(&self, slot: u8) -> &VersionVector {
        &self.slot(slot).clock
    }

    /// The ceiling of `slot`: of each origin the greatest seq merged, however it came. At least the clock.
    pub fn ceiling(&self, slot: u8) -> &VersionVector {
        &self.slot(slot).ceiling
    }

    /// Returns true when nothing beyond the clock of `slot` has been merged.
    pub fn is_settled(&self, slot: u8) -> bool {
        self.slot(slot).is_settled()
    }

    /// The digest of the content of `slot`: equal wherever two settled slots have equal clocks (R13). 0 when empty.
    ///
    /// The wrapping sum of a keyed 128-bit hash of each piece of content with its dot, key and kind. O(1).
    pub fn digest(&self, slot: u8) -> u128 {
        self.slot(slot).digest
    }

    /// Number of dots remembered beyond the prefixes of `slot`, at most [`Config::early_max_per_slot`].
    pub fn early_len(&self, slot: u8) -> usize {
        self.slot(slot).early.len()
    }

    /// The seq that the next operation of `origin` takes in `slot`; `None` when a dot beyond its prefix is known.
    pub fn next_seq(&self, slot: u8, origin: ReplicaId) -> Option<u64> {
        self.slot(slot).next_seq(origin)
    }

    /// Goes on with a scan until the entries pass `bytes_max` bytes; the one that passes them is the last.
    ///
    /// Between two steps anything may change. See [`ScanCursor`].
    pub fn scan(&self, cursor: &mut ScanCursor, bytes_max: usize) -> ScanStep {
        self.slot(cursor.slot()).scan(cursor, bytes_max)
    }

    /// What is known of the dots of `slot`, as a snapshot holds it. O(origins and early dots).
    pub fn header(&self, slot: u8) -> SlotHeader {
        self.slot(slot).header()
    }

    /// Goes on with a capture until the entries pass `bytes_max` bytes; the one that passes them is the last.
    ///
    /// Between two steps anything but collection may change: see [`ScanStep::is_void`].
    pub fn capture(&self, cursor: &mut CaptureCursor, bytes_max: usize) -> ScanStep {
        self.slot(cursor.slot()).capture(cursor, bytes_max)
    }

    /// Ends the restoring of `slot`, once every entry that was captured behind this header has been merged.
    ///
    /// The other way round, the clock would have the entries skipped as removed. Idempotent.
    pub fn restore_header(&mut self, slot: u8, header: &SlotHeader) {
        let early_max = self.config.early_max_per_slot;
        self.slot_mut(slot).restore_header(header, early_max);
    }

    /// Forgets all of `slot`: for a restoring that begins again, since a capture was void.
    pub fn forget(&mut self, slot: u8) {
        *self.slot_mut(slot) = SlotState::new(self.hash.clone());
    }

    /// The floor of `slot`: the join of the lists, as they were, of the atoms of which collection dropped anything.
    pub fn floor(&self, slot: u8) -> &VersionVector {
        &self.slot(slot).floor
    }

    /// Drops of `slot` what every member has heard of (R10): looks at up to `examine_max` of the atoms that have
    /// something to drop, and tells what was dropped, for the log.
    ///
    /// `stable` is a clock that the durable clock of every member covers, confirmed as R9 demands. Digest and what
    /// reads show stay as they are. Scans and captures of the slot that are under way are void if anything is
    /// dropped: not to be called while there are any.
    pub fn collect(&mut self, slot: u8, stable: &VersionVector, examine_max: usize) -> Vec<Collected> {
        self.slot_mut(slot).collect(stable, examine_max)
    }

    /// Drops again what the log tells was dropped, as far as nothing has happened to the atom since (R16).
    pub fn replay_collected(&mut self, collected: &Collected) {
        self.slot_mut(collected.slot()).replay_collected(collected);
    }

    /// Number of entries in the queue of collection of `slot`: at most one for each atom that there was at one time, and
    /// some that turn out to have nothing to drop.
    pub fn collectable_len(&self, slot: u8) -> usize {
        self.slot(slot).collectable.len()
    }

    /// Tells what a key is made of: its atoms, of sets the elements from `from` on, at most about `elements_max`.
    ///
    /// # Errors
    /// [`ReadError::InvalidKey`].
    pub fn explain(
        &self,
        key: &str,
        from: ElementCursor,
        elements_max: usize,
    ) -> Result<Explained, ReadError> {
        if !is_valid_key(key) {
            return Err(ReadError::InvalidKey { bytes: key.len() });
        }
        let slot = slot_of(key);
        Ok(self.slot(slot).explain(slot, key, from, elements_max))
    }

    /// A keyed hash of `key`, as merges report it: to note which keys changed without keeping them.
    pub fn key_hash(&self, key: &str) -> u64 {
        self.hash.of_name(key.as_bytes()).hash()
    }

    /// Number of entries that exist: pairs of key and kind with content. O([`SLOTS`]).
    pub fn keys(&self) -> usize {
        self.slots.iter().flat_map(|slot| &slot.usage).map(|usage| usage.keys).sum()
    }

    /// What is held and what was done. O([`SLOTS`] times origins, and the tables of all sets).
    pub fn usage(&self) -> Usage {
        let mut usage = Usage { keys: self.keys(), counters: self.counters, ..Usage::default() };
        for slot in &self.slots {
            usage.atoms += slot.atoms.len();
            usage.index_entries += slot.origins.live();
            usage.index_bytes +=
                slot.origins.bytes() + slot.table.bytes() + slot.atoms.bytes() + slot.element_bytes;
            usage.early += slot.early.len();
            usage.kinds.iter_mut().zip(slot.usage).for_each(|(sum, kind)| *sum += kind);
        }
        usage
    }

    /// Fills `page` from one slot; returns where to go on, there or in the next slot.
    fn fill(&self, cursor: Cursor, page: &mut PageBuilder<'_>) -> Option<Cursor> {
        let slot = cursor.slot();
        match self.slot(slot).list(cursor.position(), page) {
            Some(position) => Some(Cursor::new(slot, position)),
            None => slot.checked_add(1).map(Cursor::at_slot),
        }
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn position_of(&self, key: &str) -> u32 {
        self.hash.of_name(key.as_bytes()).position()
    }

    pub(crate) fn count_batch(&mut self, applied: &Result<Vec<Applied>, BatchError>) {
        match applied {
            Ok(applied) => {
                self.counters.operations += applied.iter().map(|one| one.changes.len() as u64).sum::<u64>();
            }
            Err(_) => self.counters.operations_refused += 1,
        }
    }

    pub(crate) fn slot(&self, slot: u8) -> &SlotState {
        &self.slots[usize::from(slot)]
    }

    pub(crate) fn slot_mut(&mut self, slot: u8) -> &mut SlotState {
        &mut self.slots[usize::from(slot)]
    }
}

fn check_set(key: &str, kind: Kind) -> Result<(), ReadError> {
    if !is_valid_key(key) {
        return Err(ReadError::InvalidKey { bytes: key.len() });
    }
    if kind.is_set() { Ok(()) } else { Err(ReadError::NotASet { kind }) }
}
