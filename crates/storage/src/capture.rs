//! A slot as a snapshot holds it: what is known of its dots first, then its atoms in bounded steps (R16).

use trellis_crdt::{Dot, VersionVector};

use crate::atoms::Stored;
use crate::scan::ScanStep;
use crate::slot::SlotState;

/// What is known of the dots of a slot.
///
/// It is captured before the first atom, and restored after the last: atoms that are captured later may hold more
/// than it says, which the log behind the snapshot tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotHeader {
    /// Of each origin the contiguous prefix merged.
    pub clock: VersionVector,
    /// Dots that were merged beyond the prefixes, ascending, at most
    /// [`Config::early_max_per_slot`](crate::Config::early_max_per_slot).
    pub early: Vec<Dot>,
    /// Of each origin the greatest seq merged, however it came. At least the clock.
    pub ceiling: VersionVector,
    /// Below it something was forgotten, so that a peer whose clock does not cover it needs the whole slot (R8).
    pub floor: VersionVector,
}

/// How far the capture of one slot has come.
///
/// Belongs to the process and the [`Keyspace`](crate::Keyspace) that it was used with first.
#[derive(Clone, Debug)]
pub struct CaptureCursor {
    slot: u8,
    /// Index of the next handle.
    next: usize,
    /// How often something had been dropped from the slot at the first step.
    drops: Option<u64>,
}

impl CaptureCursor {
    /// Starts a capture of all atoms of `slot`. The header is to be captured no later than the first step.
    pub const fn new(slot: u8) -> Self {
        Self { slot, next: 0, drops: None }
    }

    /// The slot that is captured.
    pub const fn slot(&self) -> u8 {
        self.slot
    }
}

impl SlotState {
    pub(crate) fn header(&self) -> SlotHeader {
        SlotHeader {
            clock: self.clock.clone(),
            early: self.early.iter().collect(),
            ceiling: self.ceiling.clone(),
            floor: self.floor.clone(),
        }
    }

    /// Goes on with a capture until the entries pass `bytes_max` or all atoms were met.
    ///
    /// An atom keeps its handle, so each that was there at the start is met; one that is made meanwhile may be missed.
    pub(crate) fn capture(&self, cursor: &mut CaptureCursor, bytes_max: usize) -> ScanStep {
        if *cursor.drops.get_or_insert(self.drops) != self.drops {
            return ScanStep { entries: Vec::new(), is_done: false, is_void: true };
        }
        let mut entries = Vec::new();
        let mut bytes = 0;
        for (handle, stored) in self.atoms.beginning_at(cursor.next) {
            if bytes > bytes_max {
                return ScanStep { entries, is_done: false, is_void: false };
            }
            cursor.next = handle.index() + 1;
            if matches!(stored, Stored::Atom(record) if !record.is_empty()) {
                let entry = self.encode_entry(handle);
                bytes += entry.len();
                entries.push(entry);
            }
        }
        ScanStep { entries, is_done: true, is_void: false }
    }

    /// Takes over what a snapshot knows of the dots of its atoms, which have been merged before.
    ///
    /// Early dots beyond the bound, which may have been another one, are forgotten: they are asked for once more.
    pub(crate) fn restore_header(&mut self, header: &SlotHeader, early_max: usize) {
        self.ceiling.merge(&header.ceiling);
        self.floor.merge(&header.floor);
        self.adopt(&header.clock);
        for dot in &header.early {
            self.ceiling.raise(dot.actor, dot.seq);
            if !self.clock.covers(*dot) && self.early.len() < early_max {
                self.early.insert(*dot);
            }
        }
    }
}
