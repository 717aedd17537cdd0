//! Merging: protocol.md section 1, for deltas and catch-up entries alike.
//!
//! Idempotent, and commutative in any mix of deltas and entries. Replay of the log comes through here as well (R16).

use trellis_crdt::{Delta, Dot, Entry, Hlc, ReplicaId, Slot, Value};

use crate::atoms::Handle;
use crate::error::MergeError;
use crate::fault;
use crate::slot::{SlotState, Subject, each_news};

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
    pub(crate) fn merge_delta(
        &mut self,
        delta: &Delta<'_>,
        early_max: usize,
    ) -> Result<Progress, MergeError> {
        let Delta { dot, entry } = delta;
        let prefix = self.clock.get(dot.actor);
        if dot.seq <= prefix || self.early.contains(*dot) {
            self.check_held(*dot, entry)?;
            if fault::is_off("T8 what the clock covers is no news") {
                self.join(entry)?;
            }
            return Ok(Progress::Duplicate);
        }
        let is_next = dot.seq - 1 == prefix || fault::is_off("R2 the clock stops at a hole");
        if !is_next && self.early.len() >= early_max {
            if fault::is_off("R2 what does not fit is not merged") {
                self.join(entry)?;
            }
            return Ok(Progress::Dropped);
        }
        self.join(entry)?;
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
    pub(crate) fn merge_entry(&mut self, entry: &Entry<'_>) -> Result<bool, MergeError> {
        self.join(entry)
    }

    /// Joins an entry to its atom, piece by piece (R6): what the clock covers and is not held was removed here.
    /// Returns whether anything changed.
    fn join(&mut self, entry: &Entry<'_>) -> Result<bool, MergeError> {
        let subject = self.subject_of(entry);
        let list = entry.value.context();
        let held = subject.handle.map(|handle| self.atoms.record(handle));
        let mut taken = None;
        each_news(list, held, &self.origins, |dot, _| {
            taken = taken.or_else(|| self.live_atom(dot).map(|_| dot));
        });
        if let Some(dot) = taken {
            return Err(MergeError::Contradiction { dot });
        }
        // What the clock covers wholly and is not held was removed here, and forgotten.
        let is_news = fault::is_off("T8 what the clock covers is no news") || !self.clock.dominates(list);
        if held.is_none() && !is_news {
            return Ok(false);
        }
        if fault::is_off("T18 two kinds under one key are two entries")
            && self.entries_of(subject.key, subject.hash).any(|(_, other)| other.kind() != subject.kind)
        {
            return Ok(false);
        }
        let opened = self.open(&subject);
        let (mut value, before) = self.read_opened(&subject, &opened);
        if let Err(contradiction) = check_pieces(&value, &entry.value) {
            self.abandon(&subject, opened);
            return Err(contradiction);
        }
        let ignores_clock = fault::is_off("T8 what the clock covers is no news")
            || (fault::is_off("R6 the filter is per piece") && !self.clock.dominates(list));
        let merged = if ignores_clock {
            value.try_merge(&entry.value)
        } else {
            value.try_merge_unless(&entry.value, &self.clock)
        };
        merged.expect("an atom is looked up by its kind");
        let handle = self.spell(&subject, &opened, before, &value);
        let changed = self.differs(&opened);
        self.close(subject.kind, handle, opened);
        Ok(changed)
    }

    /// Refuses a delta that came before with other content, as far as what is still held shows it.
    fn check_held(&self, dot: Dot, entry: &Entry<'_>) -> Result<(), MergeError> {
        let subject = self.subject_of(entry);
        let named = self.live_atom(dot);
        if named.is_some() && named != subject.handle {
            return Err(MergeError::Contradiction { dot });
        }
        let held = subject.handle.map(|handle| self.atoms.record(handle).value(&self.origins));
        held.map_or(Ok(()), |held| check_pieces(&held, &entry.value))
    }

    /// The atom whose newest operation of that origin has this dot.
    fn live_atom(&self, dot: Dot) -> Option<Handle> {
        let origin = self.origins.place(dot.actor)?;
        self.origins.log(origin).find(dot.seq).find(|atom| self.is_named(*atom, origin, dot.seq))
    }

    fn subject_of<'a>(&self, entry: &'a Entry<'_>) -> Subject<'a> {
        self.subject(&entry.atom.key, entry.atom.kind, entry.atom.element.as_deref())
    }
}

/// Refuses pieces that are as new as those held and yet say something else.
fn check_pieces(held: &Value<'_>, other: &Value<'_>) -> Result<(), MergeError> {
    let seen_alike = held.context() == other.context();
    let contradiction = match (held, other) {
        (Value::GCounter(held), Value::GCounter(other)) => {
            slot_that_differs(other.slots(), |actor| held.slot(actor))
        }
        (Value::PnCounter(held), Value::PnCounter(other)) => {
            slot_that_differs(other.slots(), |actor| held.slot(actor))
        }
        (Value::LwwRegister(held), Value::LwwRegister(other)) => {
            let is_same_write = held.dot().is_some() && held.dot() == other.dot();
            let differs = held.stamp() != other.stamp() || held.value() != other.value();
            held.dot().filter(|_| is_same_write && differs)
        }
        (Value::MvRegister(ours), Value::MvRegister(theirs)) => {
            piece_that_differs(ours.pieces(), theirs.pieces(), seen_alike)
        }
        (Value::DwFlag(ours), Value::DwFlag(theirs)) => {
            piece_that_differs(ours.pieces(), theirs.pieces(), seen_alike)
        }
        (Value::GSet(ours), Value::GSet(theirs))
        | (Value::OrSet(ours), Value::OrSet(theirs))
        | (Value::EwFlag(ours), Value::EwFlag(theirs)) => {
            let bare = |dot| (dot, ());
            piece_that_differs(ours.dots().map(bare), theirs.dots().map(bare), seen_alike)
        }
        _ => None,
    };
    contradiction.map_or(Ok(()), |dot| Err(MergeError::Contradiction { dot }))
}

/// What hangs on a dot is the same everywhere; and whoever has `seen_alike` holds the same dots. Both ascend.
fn piece_that_differs<T: PartialEq>(
    ours: impl Iterator<Item = (Dot, T)>,
    theirs: impl Iterator<Item = (Dot, T)>,
    seen_alike: bool,
) -> Option<Dot> {
    let (mut ours, mut theirs) = (ours.peekable(), theirs.peekable());
    loop {
        match (ours.peek(), theirs.peek()) {
            (None, None) => return None,
            (Some((dot, _)), None) | (None, Some((dot, _))) => return seen_alike.then_some(*dot),
            (Some((held, our_content)), Some((dot, content))) if held == dot => {
                if our_content != content {
                    return Some(*dot);
                }
                ours.next();
                theirs.next();
            }
            (Some((held, _)), Some((dot, _))) => {
                if seen_alike {
                    return Some(*held.min(dot));
                }
                let _ = if held < dot { ours.next() } else { theirs.next() };
            }
        }
    }
}

/// What an owner has counted up to one of its increments, and since when, is the same for ever; resets may differ.
fn slot_that_differs<'s>(
    mut others: impl Iterator<Item = (ReplicaId, &'s Slot)>,
    held: impl Fn(ReplicaId) -> Option<&'s Slot>,
) -> Option<Dot> {
    let differs = |(actor, other): &(ReplicaId, &Slot)| {
        held(*actor).is_some_and(|held| {
            (held.generation, held.seq) == (other.generation, other.seq)
                && (held.p, held.n) != (other.p, other.n)
        })
    };
    others.find(differs).map(|(actor, slot)| Dot::new(actor, slot.seq))
}
