//! Logs that are held against each other, each through the same few calls.

use std::path::Path;

use anyhow::Result;

mod bare;
#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "okaywal")]
mod okaywal;
mod ours;
#[cfg(feature = "raft-engine")]
mod raft_engine;

pub(crate) use self::bare::bare;
pub(crate) use self::ours::{Ours, alone, config};

/// A log that many threads append to.
pub(crate) trait Contender: Send + Sync {
    /// Appends a record and returns when it is durable. `thread` and `count` name it where a log needs a key.
    fn append(&self, thread: u64, count: u64, record: &[u8]) -> Result<()>;

    /// Ends it in order.
    fn close(self: Box<Self>) -> Result<()>;
}

/// How a kind of log is opened, filled and recovered.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) open: fn(&Path) -> Result<Box<dyn Contender>>,
    /// Writes this many records, all of them `record`, in the fastest way there is, and closes.
    pub(crate) fill: fn(&Path, &[u8], u64) -> Result<()>,
    /// Opens a log that was filled, reads all of its records and returns how many there are.
    pub(crate) recover: fn(&Path) -> Result<u64>,
}

/// Ours first.
pub(crate) const CONTENDERS: &[Kind] = &[
    ours::KIND,
    #[cfg(feature = "okaywal")]
    okaywal::KIND,
    #[cfg(feature = "raft-engine")]
    raft_engine::KIND,
    #[cfg(feature = "fjall")]
    fjall::KIND,
];

/// Ours, and of the others those with these names, or all.
pub(crate) fn chosen(against: Option<&[String]>) -> Vec<&'static Kind> {
    let is_chosen = |kind: &Kind| against.is_none_or(|names| names.iter().any(|name| name == kind.name));
    let (ours, others) = (&CONTENDERS[..1], &CONTENDERS[1..]);
    ours.iter().chain(others.iter().filter(|kind| is_chosen(kind))).collect()
}

/// Rivals that this build does not have.
pub(crate) const LEFT_OUT: &[&str] = &[
    #[cfg(not(feature = "okaywal"))]
    "okaywal",
    #[cfg(not(feature = "raft-engine"))]
    "raft-engine",
    #[cfg(not(feature = "fjall"))]
    "fjall",
];
