//! What can go wrong, one enum for each of the three things a caller asks: change, merge, read.

use trellis_crdt::{DecodeError, Dot, Kind, ReplicaId};

/// Why a local operation was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// Asked wrong: the key is empty or too long.
    #[error("a key has 1 to {} bytes, this one has {bytes}", trellis_crdt::KEY_BYTES_MAX)]
    InvalidKey {
        /// Length of the refused key.
        bytes: usize,
    },
    /// Asked wrong: the value is too long.
    #[error("a value has at most {} bytes, this one has {bytes}", trellis_crdt::VALUE_BYTES_MAX)]
    ValueTooLarge {
        /// Length of the refused value.
        bytes: usize,
    },
    /// Asked wrong: the key holds content, but none of the requested kind.
    #[error("the key holds {}, not a {requested}", list(actual))]
    WrongKind {
        /// The kinds of which the key holds content, at least one, ascending by code.
        actual: Vec<Kind>,
        /// The kind of the refused operation.
        requested: Kind,
    },
    /// Asked wrong: this operation cannot be done to this kind.
    #[error("this operation cannot be done to a {kind}")]
    NotApplicable {
        /// The kind of the refused operation.
        kind: Kind,
    },
    /// Asked wrong: a g-counter only grows.
    #[error("a g-counter cannot be incremented by {amount}")]
    NegativeAmount {
        /// The refused amount.
        amount: i64,
    },
    /// Asked wrong: what this replica has added to, or taken from, the counter would not fit 64 bits.
    #[error("the counter cannot take an increment of {amount} at this replica")]
    CounterOverflow {
        /// The refused amount.
        amount: i64,
    },
    /// Asked wrong: a batch cannot delete a set in several steps.
    #[error("a batch cannot delete a set of more than {elements_max} elements; delete it by itself")]
    TooManyElements {
        /// How many elements one step takes.
        elements_max: usize,
    },
    /// This node is broken: somebody else writes under its ReplicaId, which must never be used again.
    #[error("the next dot of replica {origin} in slot {slot} is already taken")]
    DotTaken {
        /// The slot.
        slot: u8,
        /// The replica that was about to write.
        origin: ReplicaId,
    },
}

/// Why a batch was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operation {place} of the batch is refused")]
pub struct BatchError {
    /// Which of its operations was refused, from 0.
    pub place: usize,
    /// Why.
    #[source]
    pub cause: OperationError,
}

fn list(kinds: &[Kind]) -> String {
    let names: Vec<String> = kinds.iter().map(|kind| format!("a {kind}")).collect();
    names.join(" and ")
}

/// Why received bytes were not merged. Nothing has changed then. In each case the sender or the log misbehaves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// The bytes are no delta or entry of this version.
    #[error("cannot be decoded")]
    Decode(#[from] DecodeError),
    /// The bytes are of another slot or dot than their envelope says.
    #[error("the envelope does not fit the payload, whose slot is {slot} and whose dot is {dot:?}")]
    Mismatch {
        /// The slot of the payload's key.
        slot: u8,
        /// The payload's dot; `None` for a catch-up entry, which has many.
        dot: Option<Dot>,
    },
    /// One dot names two different changes: two processes wrote under one ReplicaId, or bytes rotted on their way.
    #[error("a dot names one change for ever, and this one is held here with another: {dot:?}")]
    Contradiction {
        /// The dot.
        dot: Dot,
    },
}

/// Why a read or a listing was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Asked wrong: the key is empty or too long.
    #[error("a key has 1 to {} bytes, this one has {bytes}", trellis_crdt::KEY_BYTES_MAX)]
    InvalidKey {
        /// Length of the refused key.
        bytes: usize,
    },
    /// Asked wrong: these bytes were not made by `to_bytes` of the cursor that is read from them.
    #[error("not a cursor of a listing")]
    InvalidCursor,
    /// Asked wrong: only sets have elements.
    #[error("a {kind} has no elements")]
    NotASet {
        /// The kind that was asked for.
        kind: Kind,
    },
}
