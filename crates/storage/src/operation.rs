//! What a client can ask to change, and what comes of it.

use trellis_crdt::Kind;

use crate::elements::ElementCursor;

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
    /// Adds an element to a set.
    Add {
        /// 1 to 1024 bytes.
        key: &'a str,
        /// A g-set or an or-set.
        kind: Kind,
        /// At most 1 MiB, may be empty.
        element: &'a [u8],
    },
    /// Removes an element from an or-set. Where it is not in the set, no dot is taken.
    Remove {
        /// 1 to 1024 bytes.
        key: &'a str,
        /// An or-set: elements of a g-set cannot be removed one by one.
        kind: Kind,
        /// At most 1 MiB, may be empty.
        element: &'a [u8],
    },
    /// Enables or disables a flag. An ew-flag that is not enabled is disabled without a dot; a dw-flag takes one
    /// each time, since its disabling wins over an enabling that is under way elsewhere.
    Switch {
        /// 1 to 1024 bytes.
        key: &'a str,
        /// An ew-flag or a dw-flag.
        kind: Kind,
        /// What it is to be.
        enabled: bool,
    },
    /// Deletes what the key holds. Where it holds nothing, no dot is taken.
    ///
    /// Of sets one step looks at [`Config::delete_elements_max`](crate::Config::delete_elements_max) elements; what
    /// is added meanwhile where the steps have passed stays.
    Delete {
        /// 1 to 1024 bytes.
        key: &'a str,
        /// `None` deletes all kinds, each by a change of its own.
        kind: Option<Kind>,
        /// [`ElementCursor::START`], then what the last step told.
        from: ElementCursor,
    },
}

impl<'a> Operation<'a> {
    /// The key that the operation is about.
    pub fn key(&self) -> &'a str {
        match self {
            Self::Increment { key, .. }
            | Self::Set { key, .. }
            | Self::Add { key, .. }
            | Self::Remove { key, .. }
            | Self::Switch { key, .. }
            | Self::Delete { key, .. } => key,
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
    /// The element is in the set.
    Added {
        /// Whether it was before.
        was_member: bool,
    },
    /// The element is not in the set.
    Removed {
        /// Whether it was before.
        was_member: bool,
    },
    /// The flag was enabled or disabled here; [`Operation::Switch`] tells when that takes a dot.
    Switched {
        /// What it is: a dw-flag that was enabled stays disabled where it was disabled concurrently, and unheard of.
        enabled: bool,
    },
    /// The key was deleted, if it held anything.
    Deleted {
        /// Whether this step deleted anything.
        existed: bool,
        /// Where the next step begins; `None` when nothing is left to look at.
        next: Option<ElementCursor>,
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
