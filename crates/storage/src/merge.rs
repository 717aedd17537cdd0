//! Merging: protocol.md section 1, for deltas and catch-up entries alike.
//!
//! Idempotent, and commutative in any mix of deltas and entries. Replay of the log comes through here as well (R16).

use std::convert::Infallible;

use trellis_crdt::{Delta, Dot, Entry, Hlc, Slot, Value, VersionVector};

use crate::atom::{Handle, StoredAtom};
use crate::error::MergeError;
use crate::fault;
use crate::slot::SlotState;

/// What became of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// What it did to the clock.
    pub progress: Progress,
    /// The contiguous prefix of its origin in its slot, afterwards.
    pub prefix: u64,
    /// Its greatest stamp, for the hybrid logical clock to be raised above, also when it was not merged.
    pub stamp: Option<Hlc>,
    /// As [`Keyspace::key_hash`](crate::Keyspace::key_hash) of its key.
    pub key_hash: u64,
}

/// What a delta did to the clock of its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It was the next of its origin: the prefix covers it, and with it what had come early right behind it.
    Advanced,
    /// It was merged beyond a gap; the dots between the prefix and its own are wanted.
    Early,
    /// It had been merged before; nothing changed.
    Duplicate,
    /// It was beyond a gap and the early set was full; nothing changed, and it is to be asked for again.
    Dropped,
}

/// What became of a catch-up entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryMerged {
    /// False when everything in it was held here already.
    pub changed: bool,
    /// Its greatest stamp, for the hybrid logical clock to be raised above.
    pub stamp: Option<Hlc>,
    /// As [`Keyspace::key_hash`](crate::Keyspace::key_hash) of its key.
    pub key_hash: u64,
}

impl SlotState {
    pub(crate) fn merge_delta(&mut self, delta: &Delta, early_max: usize) -> Result<Progress, MergeError> {
        let Delta { dot, entry } = delta;
        let prefix = self.clock.get(dot.actor);
        if dot.seq <= prefix || self.early.contains(*dot) {
            self.check_held(*dot, entry)?;
            return Ok(Progress::Duplicate);
        }
        let is_next = dot.seq - 1 == prefix || fault::is_off("R2 the clock stops at a hole");
        if !is_next && self.early.len() >= early_max {
            if fault::is_off("R2 what does not fit is not merged") {
                self.join(entry, |held, clock| merge_pieces(held, &entry.value, clock))?;
            }
            return Ok(Progress::Dropped);
        }
        self.join(entry, |held, clock| merge_pieces(held, &entry.value, clock))?;
        if is_next {
            self.clock.raise(dot.actor, dot.seq);
            self.early.close(dot.actor, &mut self.clock);
            Ok(Progress::Advanced)
        } else {
            self.early.insert(*dot);
            Ok(Progress::Early)
        }
    }

    /// Merges an atom whole, with its whole list. Returns whether anything changed; the clock never does.
    pub(crate) fn merge_entry(&mut self, entry: &Entry) -> Result<bool, MergeError> {
        let changed = self.join(entry, |held, clock| {
            let before = held.clone();
            merge_pieces(held, &entry.value, clock);
            *held != before
        })?;
        Ok(changed.unwrap_or(false))
    }

    /// Has `merge` join `entry` to its atom; `None` when it is not to be created.
    fn join<T>(
        &mut self,
        entry: &Entry,
        merge: impl FnOnce(&mut Value, &VersionVector) -> T,
    ) -> Result<Option<T>, MergeError> {
        let subject = self.subject(&entry.atom.key, entry.value.kind());
        let list = entry.value.context();
        let held = subject.handle.map(|handle| self.atom(handle));
        let news = match held {
            Some(atom) => atom.news(list.iter()),
            None => list.iter().map(|(origin, seq)| (Dot::new(origin, seq), 0)).collect(),
        };
        if let Some((dot, _)) = news.iter().find(|(dot, _)| self.index.get(*dot).is_some()) {
            return Err(MergeError::Contradiction { dot: *dot });
        }
        // What the clock covers wholly and is not held was removed here, and forgotten.
        if held.is_none() && self.clock.dominates(list) {
            return Ok(None);
        }
        if let Some(atom) = held {
            check_pieces(atom, &entry.value)?;
        }
        let merged: Result<T, Infallible> = self.change(subject, news, |held, clock| Ok(merge(held, clock)));
        let Ok(merged) = merged;
        Ok(Some(merged))
    }

    /// Refuses a delta that came before with other content, as far as what is still held shows it.
    fn check_held(&self, dot: Dot, entry: &Entry) -> Result<(), MergeError> {
        let subject = self.subject(&entry.atom.key, entry.value.kind());
        let indexed: Option<Handle> = self.index.get(dot);
        if indexed.is_some() && indexed != subject.handle {
            return Err(MergeError::Contradiction { dot });
        }
        subject.handle.map_or(Ok(()), |handle| check_pieces(self.atom(handle), &entry.value))
    }
}

/// Joins `other` to `held`, piece by piece (R6): what the clock covers and is not held was removed here.
fn merge_pieces(held: &mut Value, other: &Value, clock: &VersionVector) {
    held.try_merge_unless(other, clock).expect("an atom is looked up by its kind");
}

/// Refuses counter slots that are as new as those held and yet count differently.
fn check_pieces(held: &StoredAtom, other: &Value) -> Result<(), MergeError> {
    let contradiction = match (&held.value, other) {
        (Value::GCounter(held), Value::GCounter(other)) => {
            other.slots().find(|(actor, slot)| held.slot(*actor).is_some_and(|held| differs(held, slot)))
        }
        (Value::PnCounter(held), Value::PnCounter(other)) => {
            other.slots().find(|(actor, slot)| held.slot(*actor).is_some_and(|held| differs(held, slot)))
        }
        _ => None,
    };
    contradiction
        .map_or(Ok(()), |(actor, slot)| Err(MergeError::Contradiction { dot: Dot::new(actor, slot.seq) }))
}

/// What an owner has counted up to one of its increments is one pair of numbers for ever; resets may differ.
fn differs(held: &Slot, other: &Slot) -> bool {
    (held.generation, held.seq) == (other.generation, other.seq) && (held.p, held.n) != (other.p, other.n)
}
