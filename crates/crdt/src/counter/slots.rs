//! The slots of a counter with their list: all that the two kinds of counters share.

use alloc::vec::Vec;

use super::slot::Slot;
use crate::codec::{DotReader, Encode, Reader, write_dot, write_varint};
use crate::dot::Dot;
use crate::error::{CounterError, DecodeError};
use crate::fault;
use crate::lattice::Covers;
use crate::one_or_many::OneOrMany;
use crate::replica_id::Actor;
use crate::version_vector::VersionVector;

/// Actor → slot, sorted by actor, and the list, which covers the dot of every slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slots<A> {
    slots: OneOrMany<(A, Slot)>,
    context: VersionVector<A>,
}

impl<A> Slots<A> {
    pub(super) const fn only_list(context: VersionVector<A>) -> Self {
        Self { slots: OneOrMany::new(), context }
    }

    pub(super) const fn context(&self) -> &VersionVector<A> {
        &self.context
    }
}

impl<A: Actor> Slots<A> {
    /// Adds `amount` under `dot` and returns the delta: the actor's whole slot, and a list of its own dot alone.
    pub(super) fn increment(&mut self, dot: Dot<A>, amount: i64) -> Result<Self, CounterError> {
        let search = self.search(dot.actor);
        // A slot that is absent here may have been collected here and still be held, fully reset, by others. Started
        // over in the same generation, the old amounts there would swallow this increment by maximum: 5 joined with
        // 10 of which 10 are reset is nothing. In a generation above all earlier ones, which the seq of this dot is,
        // the slot replaces the old one wherever that is held. A slot that is fully reset here starts over likewise,
        // so that it makes no difference whether it was collected.
        let held = match search {
            Ok(place) if !self.slots[place].1.is_fully_reset() => self.slots[place].1,
            Ok(place) if fault::is_off("R7 a fresh slot has a fresh generation") => {
                Slot { generation: self.slots[place].1.generation, ..Slot::start(dot.seq) }
            }
            _ => Slot::start(dot.seq),
        };
        let slot = held.increment(dot.seq, amount)?;
        self.context.advance(dot);
        match search {
            Ok(place) => self.slots[place].1 = slot,
            Err(place) => self.slots.insert(place, (dot.actor, slot)),
        }
        // The whole slot: without its reset parts, its amounts would count in full where the slot was collected.
        let mut sent = slot;
        if fault::is_off("R7 deltas carry whole slots") {
            (sent.reset_p, sent.reset_n) = (0, 0);
        } else if fault::is_off("R7 deltas carry sums") {
            let alone = Slot::start(dot.seq).increment(dot.seq, amount)?;
            sent = Slot { generation: slot.generation, ..alone };
        }
        Ok(Self { slots: OneOrMany::One((dot.actor, sent)), context: dot.into() })
    }

    /// Resets every slot under `dot` and returns the delta: all slots, and the whole list.
    pub(super) fn reset(&mut self, dot: Dot<A>) -> Self {
        self.context.advance(dot);
        // Slots that were reset before go along. Who has heard of neither reset would otherwise take this list and
        // hold no slot, and then count the owner's next increment, made before it heard of a reset, in full.
        let mut delta = self.clone();
        if fault::is_off("R7 a reset carries every slot") {
            delta.slots.retain(|(_, slot)| !slot.is_fully_reset());
        }
        for (_, slot) in self.slots.iter_mut().chain(delta.slots.iter_mut()) {
            slot.reset();
        }
        delta
    }

    pub(super) fn merge_unless(&mut self, other: &Self, covered: &impl Covers<A>) {
        let is_removed = |dot| self.context.covers(dot) || covered.covers(dot);
        self.slots.merge(
            &other.slots,
            |(actor, _)| *actor,
            |(actor, _)| *actor,
            |(_, held), (_, slot)| held.join(slot),
            |(actor, slot)| {
                let dot = Dot { actor: *actor, seq: slot.seq };
                (!is_removed(dot)).then_some((*actor, *slot))
            },
        );
        self.context.merge(&other.context);
    }

    pub(super) fn value(&self) -> i128 {
        self.slots.iter().map(|(_, slot)| slot.value()).sum()
    }

    pub(super) fn slots(&self) -> impl ExactSizeIterator<Item = (A, &Slot)> {
        self.slots.iter().map(|(actor, slot)| (*actor, slot))
    }

    pub(super) fn slot(&self, actor: A) -> Option<&Slot> {
        self.search(actor).ok().map(|place| &self.slots[place].1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.iter().all(|(_, slot)| slot.is_fully_reset())
    }

    pub(super) fn contents(&self, visit: &mut impl FnMut(&[u8]))
    where
        A: Encode,
    {
        let mut piece = Vec::with_capacity(PIECE_BYTES_HINT);
        for (actor, slot) in self.slots().filter(|(_, slot)| !slot.is_fully_reset()) {
            piece.clear();
            Dot { actor, seq: slot.seq }.encode(&mut piece);
            slot.encode(&mut piece);
            visit(&piece);
        }
    }

    /// Appends the number of slots, then the dot and the parts of each.
    pub(super) fn encode_pieces(&self, out: &mut Vec<u8>) {
        write_varint(out, self.slots.len() as u64);
        for (actor, slot) in self.slots() {
            write_dot(out, &self.context, Dot { actor, seq: slot.seq });
            slot.encode(out);
        }
    }

    /// Reads the slots of the counter, which has its list and no slots yet; `form` are the bits that a slot's form may
    /// have.
    pub(super) fn read_pieces(&mut self, form: u8, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let mut dots = DotReader::new(&self.context);
        let count = dots.count(input)?;
        self.slots = OneOrMany::with_capacity(count);
        for _ in 0..count {
            let dot = dots.next(input)?;
            self.slots.push((dot.actor, Slot::decode(dot.seq, form, input)?));
        }
        Ok(())
    }

    pub(super) fn is_collectable(&self) -> bool {
        // Every slot's actor is in the list.
        self.slots.len() < self.context.len() || self.slots.iter().any(|(_, slot)| slot.is_fully_reset())
    }

    pub(super) fn collect(&mut self) {
        self.slots.retain(|(_, slot)| !slot.is_fully_reset());
        let slots = &self.slots;
        self.context.retain(|actor| slots.binary_search_by_key(&actor, |(held, _)| *held).is_ok());
    }

    fn search(&self, actor: A) -> Result<usize, usize> {
        self.slots.binary_search_by_key(&actor, |(held, _)| *held)
    }
}

/// What a slot takes with its dot, mostly.
const PIECE_BYTES_HINT: usize = 40;
