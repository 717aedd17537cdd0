//! What clients ask and what they hear, in plain types.

use bytes::Bytes;
use trellis_crdt::Kind;

mod status;

pub use self::status::{ClusterStatus, MemberState, MemberStatus, NodeSnapshot, NodeUsage};

/// Adds to a counter, and creates it if the key is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Increment {
    /// The key.
    pub key: String,
    /// What to add. 0 writes nothing and answers the value.
    pub amount: i64,
    /// Which counter; `None` means a pn-counter.
    pub kind: Option<Kind>,
    /// How to write.
    pub options: WriteOptions,
}

/// The answer to [`Increment`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incremented {
    /// The value after it.
    pub value: i64,
    /// False when the value is outside 64 bits and given as the nearest end.
    pub is_exact: bool,
}

/// Reads a counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetCounter {
    /// The key.
    pub key: String,
    /// Which counter; `None` means whichever the key holds.
    pub kind: Option<Kind>,
}

/// The answer to [`GetCounter`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// 0 when it is absent.
    pub value: i64,
    /// False when the value is outside 64 bits and given as the nearest end.
    pub is_exact: bool,
    /// The kind under which it exists; `None` when it is absent.
    pub kind: Option<Kind>,
}

impl Counter {
    /// Tells whether the key holds a counter.
    pub fn exists(&self) -> bool {
        self.kind.is_some()
    }
}

/// Writes a register, and creates it if the key is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetRegister {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// Which register; `None` means an lww-register.
    pub kind: Option<Kind>,
    /// How to write.
    pub options: WriteOptions,
}

/// Reads a register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetRegister {
    /// The key.
    pub key: String,
    /// Which register; `None` means whichever the key holds.
    pub kind: Option<Kind>,
}

/// The answer to [`GetRegister`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// Empty when it is absent; several only of an mv-register that was written concurrently.
    pub values: Vec<Bytes>,
    /// The kind under which it exists; `None` when it is absent.
    pub kind: Option<Kind>,
}

impl Register {
    /// Tells whether the key holds a register.
    pub fn exists(&self) -> bool {
        self.kind.is_some()
    }
}

/// Reads a key of whatever kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetKey {
    /// The key.
    pub key: String,
    /// `None` means the only kind that the key holds.
    pub kind: Option<Kind>,
}

/// The answer to [`GetKey`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyContent {
    /// Every kind under which the key exists.
    pub kinds: Vec<Kind>,
    /// What the kind asked for, or the only one, holds.
    pub value: Option<KeyValue>,
}

/// What a key holds under one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// A counter.
    Counter {
        /// Its value.
        value: i64,
        /// False when the value is outside 64 bits and given as the nearest end.
        is_exact: bool,
    },
    /// A register.
    Register {
        /// Its values; several only of an mv-register that was written concurrently.
        values: Vec<Bytes>,
    },
}

/// Deletes a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteKey {
    /// The key.
    pub key: String,
    /// `None` means every kind that the key holds.
    pub kind: Option<Kind>,
    /// How to write.
    pub options: WriteOptions,
}

/// The answer to [`DeleteKey`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// False when there was nothing to delete.
    pub existed: bool,
}

/// Lists some keys, in no order: a key that is there from the first page to the last comes at least once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListKeys {
    /// What the keys begin with; empty means all.
    pub prefix: String,
    /// Only keys of this kind.
    pub kind: Option<Kind>,
    /// The most keys to answer; 0 leaves it to the node.
    pub page_size: u32,
    /// From [`KeyPage::next_page_token`]; empty for the first page.
    pub page_token: String,
}

/// The answer to [`ListKeys`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// May be empty on a page that is not the last.
    pub keys: Vec<KeySummary>,
    /// Empty after the last page.
    pub next_page_token: String,
}

/// A key in a listing, once for each of its kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySummary {
    /// The key.
    pub key: String,
    /// A kind under which it exists.
    pub kind: Kind,
}

/// A snapshot that a node has taken because an administrator asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotTaken {
    /// The record of the log up to which the snapshot holds everything.
    pub start_lsn: u64,
    /// The bytes of its file.
    pub bytes: u64,
    /// How long it took.
    pub duration_millis: u64,
}

/// How a write is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// How safe the write is before it is answered. Default [`Durability::Synced`].
    pub durability: Durability,
    /// The number of nodes that must hold it durably before it is answered, the answering one included. Default 1.
    pub replicas: u32,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { durability: Durability::Synced, replicas: 1 }
    }
}

/// How safe a write is before it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// In memory of the answering node; logged like any other, but a crash right after the answer may lose it.
    Memory,
    /// In the synced log of the answering node.
    #[default]
    Synced,
}
