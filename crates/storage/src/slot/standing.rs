//! What an atom stands for in its slot: what it adds to the digest and to the counts.

use trellis_crdt::{Kind, Value};

use super::{SlotState, Subject};
use crate::atoms::Handle;
use crate::digest::KeyedHash;
use crate::fault;

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
    /// Reckons what a value stands for; `scratch` is for its pieces, and what it holds is of no use.
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

impl SlotState {
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
}

const fn kind_index(kind: Kind) -> usize {
    // Codes count from 1.
    kind.code() as usize - 1
}
