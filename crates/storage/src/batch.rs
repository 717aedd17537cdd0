//! Several operations, all of them or none.

use trellis_crdt::{Atom, Dot, Hlc, ReplicaId, VersionVector};

use crate::apply::Writer;
use crate::error::{BatchError, OperationError};
use crate::key::slot_of;
use crate::keyspace::Keyspace;
use crate::operation::{Applied, Operation, Outcome};
use crate::slot::{Opened, SlotState, Standing, Subject};

/// One write of a batch, to be taken back if a later one is refused.
#[derive(Debug)]
pub(crate) struct Undo {
    pub(crate) atom: Atom<'static>,
    pub(crate) dot: Dot,
    /// The record before it; none for an atom that it created.
    pub(crate) record: Option<Box<[u8]>>,
}

impl Keyspace {
    /// Does operations one after the other under the next dots of `origin`, each seeing what those before it did: all
    /// of them, or none.
    ///
    /// `stamp` is called once for each operation that writes or deletes an lww-register, as by
    /// [`Keyspace::apply`]. Whether the log takes all deltas or none is the business of whoever logs them (R19). Costs
    /// the sum of the operations; what a refused batch did is taken back at O(dots of the slots it touched).
    ///
    /// # Errors
    /// The first refusal with the place of its operation; [`OperationError::TooManyElements`] for the deletion of a
    /// set that would take several steps. Nothing has changed then, no dot is taken, and `stamp` may have been called.
    pub fn apply_batch(
        &mut self,
        operations: &[Operation<'_>],
        origin: ReplicaId,
        mut stamp: impl FnMut() -> Hlc,
    ) -> Result<Vec<Applied>, BatchError> {
        self.warm(operations.iter().map(Operation::key));
        let delete_elements_max = self.config().delete_elements_max;
        let mut slots: Vec<u8> = operations.iter().map(|operation| slot_of(operation.key())).collect();
        slots.sort_unstable();
        slots.dedup();
        slots.iter().for_each(|slot| self.slot_mut(*slot).undo = Some(Vec::new()));
        let apply = |(place, operation): (usize, &Operation<'_>)| {
            let slot = slot_of(operation.key());
            let writer = Writer { slot, origin, delete_elements_max };
            let applied = self.slot_mut(slot).apply(operation, writer, &mut stamp);
            let (changes, outcome) = applied.map_err(|cause| BatchError { place, cause })?;
            if let Outcome::Deleted { next: Some(_), .. } = outcome {
                let cause = OperationError::TooManyElements { elements_max: delete_elements_max };
                return Err(BatchError { place, cause });
            }
            Ok(Applied { slot, changes, outcome })
        };
        let applied: Result<Vec<Applied>, BatchError> = operations.iter().enumerate().map(apply).collect();
        for slot in slots {
            let undo = self.slot_mut(slot).undo.take().unwrap_or_default();
            if applied.is_err() {
                undo.into_iter().rev().for_each(|undo| self.slot_mut(slot).take_back(undo));
            }
        }
        self.count_batch(&applied);
        applied
    }
}

impl SlotState {
    /// Takes the newest write of the slot back.
    fn take_back(&mut self, undo: Undo) {
        let Undo { atom, dot, record } = undo;
        let subject = self.subject(&atom.key, atom.kind, atom.element.as_deref());
        let handle = subject.handle.expect("what was written is there");
        let opened = self.open(&subject);
        let (value, after) = self.read_opened(&subject, &opened);
        drop(value);
        let origin = self.origins.place(dot.actor).expect("whoever wrote is an origin");
        self.origins.log_mut(origin).forget(dot.seq, handle);
        match record {
            None => {
                self.abandon(&subject, opened);
                self.take_out(&subject, handle, after);
            }
            Some(record) => self.reinstate(&subject, &opened, after, record, origin),
        }
        lower(&mut self.clock, dot);
        lower(&mut self.ceiling, dot);
    }

    fn reinstate(
        &mut self,
        subject: &Subject<'_>,
        opened: &Opened,
        after: Standing,
        record: Box<[u8]>,
        origin: usize,
    ) {
        let handle = subject.handle.expect("what was written is there");
        self.resize(subject.kind, opened.bytes(), record.len());
        self.atoms.put(handle, record);
        let record = self.atoms.record(handle);
        let before = {
            let value = record.value(&self.origins);
            Standing::of(subject, &value, &self.hash, &mut Vec::new())
        };
        let named = record.listed(origin);
        if named > 0 {
            self.origins.log_mut(origin).note(named, handle, true);
        }
        self.restate(subject.kind, subject.set, after, before);
    }
}

/// Takes a dot, the last of its actor, out of a vector.
fn lower(vector: &mut VersionVector, dot: Dot) {
    vector.remove(dot.actor);
    vector.raise(dot.actor, dot.seq - 1);
}
