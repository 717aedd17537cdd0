//! Limits of a keyspace.

/// Limits of a [`Keyspace`](crate::Keyspace).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many dots beyond the contiguous prefixes a slot remembers, over all origins. Default 1024.
    ///
    /// A delta that does not fit is dropped whole and pulled later. Each dot costs about 24 bytes. Too low, and a
    /// reordered burst turns into pulls; 0 drops every delta that is out of order. Too high, and a peer that pushes
    /// around a hole costs that much memory in each of 256 slots.
    pub early_max_per_slot: usize,
    /// How many elements of sets one step of a deletion looks at; 0 counts as 1. Default 512.
    ///
    /// Each is a change with a delta and a record in the log. Too low, and the deletion of a big set takes many
    /// rounds; too high, and everything else in the slot waits for one step.
    pub delete_elements_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { early_max_per_slot: 1024, delete_elements_max: 512 }
    }
}
