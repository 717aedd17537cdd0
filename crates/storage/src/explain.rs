//! What a key is made of, for people who wonder.

use trellis_crdt::{Dot, Hlc, Kind, ReplicaId, Slot, Value, VersionVector};

use crate::atoms::Handle;
use crate::elements::{ElementCursor, elements_of};
use crate::slot::{Held, SlotState, exists};

/// What a key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The slot of the key.
    pub slot: u8,
    /// The atoms under the key, ascending by kind, then the elements of its sets in the order of their hashes.
    pub atoms: Vec<ExplainedAtom>,
    /// Where to go on among the elements of sets; `None` at the end.
    pub next: Option<ElementCursor>,
}

/// One atom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedAtom {
    /// Its kind.
    pub kind: Kind,
    /// Of a set always, of anything else never.
    pub element: Option<Box<[u8]>>,
    /// Whether a reader finds it.
    pub exists: bool,
    /// Its pieces with their dots, ascending by origin.
    pub pieces: Vec<(Dot, Piece)>,
    /// Of each origin the greatest seq merged of its operations on the atom.
    pub list: VersionVector,
    /// Whether something of it waits to be dropped: a removal, a slot that was reset, an origin without a piece.
    pub is_collectable: bool,
    /// Bytes that its record takes, name included.
    pub bytes: usize,
}

/// One piece of an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// What one replica counted.
    Slot(Slot),
    /// The last write of an lww-register.
    Written {
        /// What it is ordered by.
        stamp: Hlc,
        /// Length of the value; `None` for a deletion.
        value_bytes: Option<usize>,
    },
    /// One of the concurrent values of an mv-register.
    Value {
        /// Length of the value.
        value_bytes: usize,
    },
    /// An addition of an element.
    Added,
    /// An enabling of a flag.
    Enabled,
    /// A disabling of a dw-flag.
    Disabled,
}

impl SlotState {
    pub(crate) fn explain(&self, slot: u8, key: &str, from: ElementCursor, elements_max: usize) -> Explained {
        let (mut atoms, mut sets) = (Vec::new(), Vec::new());
        for (handle, held) in self.entries_of(key, self.hash.of_name(key.as_bytes())) {
            match held {
                Held::Set(set) => sets.push(set),
                Held::Atom(_) if from == ElementCursor::START => atoms.push(self.explain_atom(handle)),
                Held::Atom(_) => {}
            }
        }
        atoms.sort_unstable_by_key(|atom| atom.kind);
        let (elements, next) = elements_of(&sets, from, elements_max.max(1));
        atoms.extend(elements.into_iter().map(|(_, handle)| self.explain_atom(handle)));
        Explained { slot, atoms, next }
    }

    fn explain_atom(&self, handle: Handle) -> ExplainedAtom {
        let record = self.atoms.record(handle);
        let value = record.value(&self.origins);
        ExplainedAtom {
            kind: record.kind,
            element: record.set.map(|_| record.name.into()),
            exists: exists(&value),
            pieces: pieces(&value),
            list: record.list(&self.origins),
            is_collectable: value.is_collectable(),
            bytes: self.atoms.bytes_of(handle),
        }
    }
}

fn pieces(value: &Value<'_>) -> Vec<(Dot, Piece)> {
    match value {
        Value::GCounter(counter) => slots(counter.slots()),
        Value::PnCounter(counter) => slots(counter.slots()),
        Value::LwwRegister(register) => {
            let written = register.dot().zip(register.stamp()).map(|(dot, (stamp, _))| {
                (dot, Piece::Written { stamp, value_bytes: register.value().map(|value| value.len()) })
            });
            Vec::from_iter(written)
        }
        Value::MvRegister(register) => {
            let values = register.pieces();
            values.map(|(dot, value)| (dot, Piece::Value { value_bytes: value.len() })).collect()
        }
        Value::GSet(element) | Value::OrSet(element) => {
            element.dots().map(|dot| (dot, Piece::Added)).collect()
        }
        Value::EwFlag(flag) => flag.dots().map(|dot| (dot, Piece::Enabled)).collect(),
        Value::DwFlag(flag) => {
            let switched = |enabled| if enabled { Piece::Enabled } else { Piece::Disabled };
            flag.pieces().map(|(dot, enabled)| (dot, switched(enabled))).collect()
        }
        _ => Vec::new(),
    }
}

fn slots<'s>(slots: impl Iterator<Item = (ReplicaId, &'s Slot)>) -> Vec<(Dot, Piece)> {
    slots.map(|(owner, slot)| (Dot::new(owner, slot.seq), Piece::Slot(*slot))).collect()
}
