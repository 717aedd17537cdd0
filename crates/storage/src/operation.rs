//! What a client can ask to change, and what comes of it.

use trellis_crdt::Kind;

/// A change of one key, borrowing its key and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// Adds to a counter. 0 changes nothing, takes no dot, and answers the value.
    Increment {
        /// 1 to 1024 bytes.
        key: &'a str,
        /// A g-counter or a pn-counter.
        kind: Kind,
        /// Any `i64`; a g-counter takes no negative ones.
        amount: i64,
    },
    /// Writes a register.
    Set {
        /// 1 to 1024 bytes.
        key: &'a str,
        /// An lww-register or an mv-register.
        kind: Kind,
        /// At most 1 MiB, may be empty.
        value: &'a [u8],
    },
    /// Deletes what the key holds. Where it holds nothing, no dot is taken.
    Delete {
        /// 1 to 1024 bytes.
        key: &'a str,
        /// `None` deletes all kinds, each by a change of its own.
        kind: Option<Kind>,
    },
}

impl<'a> Operation<'a> {
    /// The key that the operation is about.
    pub fn key(&self) -> &'a str {
        match self {
            Self::Increment { key, .. } | Self::Set { key, .. } | Self::Delete { key, .. } => key,
        }
    }
}

/// What an operation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The slot of the key.
    pub slot: u8,
    /// Ascending by seq without a gap; empty when nothing changed. More than one only for a delete.
    pub changes: Vec<Change>,
    /// What the client is told.
    pub outcome: Outcome,
}

/// One dot, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The seq of the origin in the slot, at least 1.
    pub seq: u64,
    /// The delta in the codec of trellis-crdt, for log and peers alike.
    pub delta: Vec<u8>,
}

/// What the client is told of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The counter's value after the increment.
    Counter(Total),
    /// The register was written.
    Set,
    /// The key was deleted, if it held anything.
    Deleted {
        /// Whether it held anything.
        existed: bool,
    },
}

/// A counter's value as 64 bits can tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// The value, or the end of the range that it is beyond.
    pub value: i64,
    /// False when the value is beyond 64 bits.
    pub exact: bool,
}

impl From<i128> for Total {
    fn from(total: i128) -> Self {
        match i64::try_from(total) {
            Ok(value) => Self { value, exact: true },
            Err(_) => Self { value: if total < 0 { i64::MIN } else { i64::MAX }, exact: false },
        }
    }
}
