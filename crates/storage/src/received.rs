//! Bytes from a peer or from the log, decoded and held against the envelope that they came in.

use trellis_crdt::{Delta, Dot, Entry, Hlc, ReplicaId, Value};

use crate::error::MergeError;
use crate::key::slot_of;

/// A delta that is what its envelope says, borrowed from its bytes, to be merged by [`Keyspace::merge_received_delta`].
///
/// [`Keyspace::merge_received_delta`]: crate::Keyspace::merge_received_delta
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedDelta<'a> {
    pub(crate) slot: u8,
    pub(crate) delta: Delta<'a>,
}

impl<'a> ReceivedDelta<'a> {
    /// Decodes `bytes`, which came as the delta of `dot` in `slot`.
    ///
    /// # Errors
    /// [`MergeError::Decode`] for bytes that are no delta, [`MergeError::Mismatch`] for those of another slot or dot.
    pub fn decode(slot: u8, dot: Dot, bytes: &'a [u8]) -> Result<Self, MergeError> {
        let delta = Delta::decode(bytes)?;
        let found = slot_of(&delta.entry.atom.key);
        if found != slot || delta.dot != dot {
            return Err(MergeError::Mismatch { slot: found, dot: Some(delta.dot) });
        }
        Ok(Self { slot, delta })
    }

    /// Every replica that the delta names, its origin included, ascending.
    pub fn origins(&self) -> impl Iterator<Item = ReplicaId> {
        self.delta.origins()
    }

    /// The greatest stamp in the delta, for the hybrid logical clock to be raised above; `None` where there is none.
    pub fn stamp(&self) -> Option<Hlc> {
        stamp_of(&self.delta.entry.value)
    }
}

/// A catch-up entry that is of the slot it came for, borrowed from its bytes, to be merged by [`Keyspace::merge_received_entry`].
///
/// [`Keyspace::merge_received_entry`]: crate::Keyspace::merge_received_entry
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedEntry<'a> {
    pub(crate) slot: u8,
    pub(crate) entry: Entry<'a>,
}

impl<'a> ReceivedEntry<'a> {
    /// Decodes `bytes`, which came as an entry of `slot`.
    ///
    /// # Errors
    /// [`MergeError::Decode`] for bytes that are no entry, [`MergeError::Mismatch`] for those of another slot.
    pub fn decode(slot: u8, bytes: &'a [u8]) -> Result<Self, MergeError> {
        let entry = Entry::decode(bytes)?;
        let found = slot_of(&entry.atom.key);
        if found != slot {
            return Err(MergeError::Mismatch { slot: found, dot: None });
        }
        Ok(Self { slot, entry })
    }

    /// Every replica that the entry names, ascending.
    pub fn origins(&self) -> impl Iterator<Item = ReplicaId> {
        self.entry.origins()
    }

    /// The greatest stamp in the entry, for the hybrid logical clock to be raised above; `None` where there is none.
    pub fn stamp(&self) -> Option<Hlc> {
        stamp_of(&self.entry.value)
    }
}

fn stamp_of(value: &Value<'_>) -> Option<Hlc> {
    match value {
        Value::LwwRegister(register) => register.stamp().map(|(hlc, _)| hlc),
        _ => None,
    }
}
