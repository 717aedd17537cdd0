//! Reading one key.

use trellis_crdt::{Kind, Value};

use crate::apply::counter_total;
use crate::operation::Total;
use crate::slot::SlotState;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The kinds of which the key holds content, ascending by code; empty when the key is absent.
    pub kinds: Vec<Kind>,
    /// The kind whose value is answered: the one asked for, or the only one; `None` where there is no value.
    pub kind: Option<Kind>,
    /// `None` when the key holds nothing of the kind asked for, or several kinds and none was asked for.
    pub value: Option<ReadValue>,
}

/// The content of one key and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadValue {
    /// A counter's value.
    Counter(Total),
    /// A register's values, at least one: of an mv-register all concurrent ones, in the order of their dots.
    Values(Vec<Box<[u8]>>),
}

impl SlotState {
    pub(crate) fn read(&self, key: &str, kind: Option<Kind>) -> Read {
        let atoms = self.existing_atoms(key);
        let found = match (kind, atoms.as_slice()) {
            (Some(kind), _) => atoms.iter().find(|(found, _)| *found == kind),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        Read {
            kinds: atoms.iter().map(|(kind, _)| *kind).collect(),
            kind: found.map(|(kind, _)| *kind),
            value: found.and_then(|(_, value)| content(value)),
        }
    }

    /// The kinds of which `key` holds content, ascending by code.
    pub(crate) fn kinds_of(&self, key: &str) -> Vec<Kind> {
        self.existing_atoms(key).into_iter().map(|(kind, _)| kind).collect()
    }

    fn existing_atoms(&self, key: &str) -> Vec<(Kind, &Value<'static>)> {
        let atoms = self.atoms_of(key, self.hash.of_key(key)).map(|(_, atom)| atom);
        let mut existing: Vec<(Kind, &Value<'static>)> =
            atoms.filter(|atom| atom.exists()).map(|atom| (atom.kind(), &atom.value)).collect();
        existing.sort_unstable_by_key(|(kind, _)| *kind);
        existing
    }
}

fn content(value: &Value) -> Option<ReadValue> {
    match value {
        Value::LwwRegister(register) => {
            register.value().map(|value| ReadValue::Values(vec![value.as_ref().into()]))
        }
        Value::MvRegister(register) => {
            Some(ReadValue::Values(register.values().map(|value| value.as_ref().into()).collect()))
        }
        counter => counter_total(counter).map(ReadValue::Counter),
    }
}
