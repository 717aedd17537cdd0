//! Reading one key.

use trellis_crdt::{Kind, Value, VersionVector};

use crate::apply::counter_total;
use crate::operation::Total;
use crate::slot::{Held, SlotState};

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The kinds of which the key holds content, ascending by code; empty when the key is absent.
    pub kinds: Vec<Kind>,
    /// The kind whose value is answered: the one asked for, or the only one; `None` where there is no value.
    pub kind: Option<Kind>,
    /// `None` when the key holds nothing of the kind asked for, or several kinds and none was asked for.
    pub value: Option<ReadValue>,
    /// The list of what is answered, for a token (R20); empty where nothing is answered, and for sets, whose elements
    /// have lists of their own.
    pub dots: VersionVector,
}

/// The content of one key and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadValue {
    /// A counter's value.
    Counter(Total),
    /// A register's values, at least one: of an mv-register all concurrent ones, in the order of their dots.
    Values(Vec<Box<[u8]>>),
    /// A set, whose elements are read in pages.
    Set {
        /// Number of its elements, at least 1.
        len: usize,
    },
    /// A flag that is enabled; one that is not is as absent as any other key.
    Enabled,
}

impl SlotState {
    pub(crate) fn read(&self, key: &str, kind: Option<Kind>) -> Read {
        let hash = self.hash.of_name(key.as_bytes());
        let existing = self.entries_of(key, hash).filter(|(_, held)| self.exists(held));
        let mut held: Vec<Held<'_>> = existing.map(|(_, held)| held).collect();
        held.sort_unstable_by_key(Held::kind);
        let found = match (kind, held.as_slice()) {
            (Some(kind), _) => held.iter().find(|held| held.kind() == kind),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        Read {
            kinds: held.iter().map(Held::kind).collect(),
            kind: found.map(Held::kind),
            value: found.and_then(|held| self.content(held)),
            dots: found.map_or(VersionVector::new(), |held| self.dots(held)),
        }
    }

    /// Whether an element is in a set, with the dots behind the answer.
    pub(crate) fn contains(&self, key: &str, kind: Kind, element: &[u8]) -> (bool, VersionVector) {
        let subject = self.subject(key, kind, Some(element));
        let record = subject.handle.map(|handle| self.atoms.record(handle));
        record.map_or((false, VersionVector::new()), |record| {
            (!record.value(&self.origins).is_empty(), record.list(&self.origins))
        })
    }

    fn content(&self, held: &Held<'_>) -> Option<ReadValue> {
        let record = match held {
            Held::Atom(record) => record,
            Held::Set(set) => return Some(ReadValue::Set { len: set.existing }),
        };
        match record.value(&self.origins) {
            Value::LwwRegister(register) => {
                register.value().map(|value| ReadValue::Values(vec![value.as_ref().into()]))
            }
            Value::MvRegister(register) => {
                Some(ReadValue::Values(register.values().map(|value| value.as_ref().into()).collect()))
            }
            Value::EwFlag(_) | Value::DwFlag(_) => Some(ReadValue::Enabled),
            counter => counter_total(&counter).map(ReadValue::Counter),
        }
    }

    fn dots(&self, held: &Held<'_>) -> VersionVector {
        match held {
            Held::Atom(record) => record.list(&self.origins),
            Held::Set(_) => VersionVector::new(),
        }
    }
}
