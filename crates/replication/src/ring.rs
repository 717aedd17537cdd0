//! The ring of encoded deltas of this replica: bounded, in log order, addressed by position and by (slot, seq).

use std::collections::{BTreeMap, VecDeque};

use crate::message::PushedDelta;

/// The newest deltas that this replica wrote, up to a fixed number of bytes.
///
/// A position counts deltas since the start of the process; positions of one slot are in the order of its seqs.
#[derive(Debug)]
pub(crate) struct Ring {
    deltas: VecDeque<PushedDelta>,
    /// Position of the front of `deltas`.
    first: u64,
    bytes: usize,
    bytes_max: usize,
    /// Slot → seq of its oldest delta here, and the positions from there on.
    slots: BTreeMap<u8, SlotPositions>,
}

#[derive(Debug)]
struct SlotPositions {
    first_seq: u64,
    positions: VecDeque<u64>,
}

impl Ring {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { deltas: VecDeque::new(), first: 0, bytes: 0, bytes_max, slots: BTreeMap::new() }
    }

    /// Appends the next delta of its slot and lets the oldest go where there is no room. O(1) amortised.
    pub(crate) fn push(&mut self, delta: PushedDelta) {
        let slot = self
            .slots
            .entry(delta.slot)
            .or_insert_with(|| SlotPositions { first_seq: delta.seq, positions: VecDeque::new() });
        assert_eq!(
            slot.first_seq + slot.positions.len() as u64,
            delta.seq,
            "the deltas of a slot become durable in the order of their seqs"
        );
        slot.positions.push_back(self.first + self.deltas.len() as u64);
        self.bytes += delta_bytes(&delta);
        self.deltas.push_back(delta);
        while self.bytes > self.bytes_max && self.deltas.len() > 1 {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let Some(oldest) = self.deltas.pop_front() else { return };
        self.first += 1;
        self.bytes -= delta_bytes(&oldest);
        if let Some(slot) = self.slots.get_mut(&oldest.slot) {
            slot.positions.pop_front();
            slot.first_seq += 1;
        }
    }

    /// Position of the oldest delta held.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Position that the next delta will have.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.deltas.len() as u64
    }

    pub(crate) fn get(&self, position: u64) -> Option<&PushedDelta> {
        self.deltas.get(usize::try_from(position.checked_sub(self.first)?).ok()?)
    }

    /// Returns exactly the deltas `first..=last` of `slot`, or `None` when one of them is not held (R5).
    pub(crate) fn range(&self, slot: u8, first: u64, last: u64) -> Option<Vec<PushedDelta>> {
        let positions = self.slots.get(&slot)?;
        let start = usize::try_from(first.checked_sub(positions.first_seq)?).ok()?;
        let count = usize::try_from(last.checked_sub(first)?).ok()?.checked_add(1)?;
        let end = start.checked_add(count).filter(|end| *end <= positions.positions.len())?;
        positions.positions.range(start..end).map(|position| self.get(*position).cloned()).collect()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What a delta counts against limits: its payload and its bookkeeping here.
pub(crate) fn delta_bytes(delta: &PushedDelta) -> usize {
    delta.payload.len() + DELTA_OVERHEAD_BYTES
}

/// The entry in the queue, its position in the slot's queue, and the header of the shared buffer.
const DELTA_OVERHEAD_BYTES: usize = 96;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn delta(slot: u8, seq: u64) -> PushedDelta {
        PushedDelta { slot, seq, payload: Bytes::from(vec![slot; 4]) }
    }

    #[test]
    fn a_range_is_answered_whole_or_not_at_all() {
        let mut ring = Ring::new(1 << 20);
        for seq in 1..=5 {
            ring.push(delta(7, seq));
            ring.push(delta(8, seq));
        }
        assert_eq!(ring.range(7, 2, 4).unwrap(), [delta(7, 2), delta(7, 3), delta(7, 4)]);
        assert_eq!(ring.range(7, 4, 6), None);
        assert_eq!(ring.range(9, 1, 1), None);
        assert_eq!(ring.range(7, 0, 1), None);
        assert_eq!(ring.range(7, 4, 2), None);
        assert_eq!(ring.range(7, 1, u64::MAX), None);
    }

    #[test]
    fn the_oldest_go_when_the_bytes_are_used_up() {
        let mut ring = Ring::new(4 * 100);
        for seq in 1..=10 {
            ring.push(delta(1, seq));
        }
        assert_eq!((ring.first(), ring.end()), (6, 10));
        assert_eq!(ring.range(1, 6, 7), None);
        assert_eq!(ring.range(1, 7, 10).unwrap().len(), 4);
        assert_eq!(ring.get(5), None);
        assert!(ring.bytes() <= 400);
    }
}
