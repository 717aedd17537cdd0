//! A write-ahead log of opaque records: durable in order, honest about what it lost.
//!
//! Many callers append through a [`Log`]; one [`Syncer`] writes and syncs what they appended, group by group, in a
//! thread, by hand, or in the hands of whichever caller waits. Every record gets an [`Lsn`], counted from 1 without a
//! gap, and is durable once [`Log::durable`] has reached it. [`open`] finds the records again: it opens a log with a
//! torn tail by itself, refuses one whose durable records are damaged, and says when it cannot be certain.
//!
//! A program that can write its whole state takes [`Snapshots`] of it beside the log while the log goes on;
//! [`recover`] then finds the newest that is whole and the records behind it, and what two snapshots make
//! needless is removed. [`tools`] look at a log, verify it, and cut off what is damaged.
//!
//! # What it does not do
//!
//! It does not know what records and snapshots mean, index them, or read a record by its LSN. It does not run a
//! thread, read a clock, draw randomness or depend on an asynchronous runtime, not even with the feature `async`, which
//! has futures for any of them. It does not repair unless it is told to: a damaged log is left as it is.
//!
//! # Two types to know
//!
//! [`Log`] is what callers clone and append to. [`Opened`] is what an opening gives: the log, its syncer, the
//! records there were, and a [`RecoveryReport`].
//!
//! ```
//! use trellis_wal::{Config, Lsn, MemoryDisk, OpenSeed, open};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let disk = MemoryDisk::new();
//! let seed = OpenSeed { log_uuid: [7; 16], salt: 11 };
//! let opened = open(disk.clone(), Config::default(), seed)?;
//!
//! let log = opened.log;
//! let syncer = opened.syncer;
//! drop(opened.records);
//! let thread = std::thread::spawn(move || syncer.run(|_durable| {}));
//! log.append(b"hello")?;
//! log.close();
//! thread.join().expect("the syncer does not panic");
//!
//! let reopened = open(disk, Config::default(), seed)?;
//! let records = reopened.records.collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(records, [(Lsn::from_u64(1), b"hello".to_vec())]);
//! assert!(reopened.report.tail_certain);
//! # Ok(())
//! # }
//! ```

mod config;
mod error;
mod lsn;

#[cfg(feature = "async")]
mod front;
mod log;
mod queue;
mod syncer;

mod batch;
mod gate;
mod room;
mod spare;
mod sync;

mod bytes;
mod record;
mod segment;
mod writer;

mod reader;
mod recovery;
mod replay;
mod snapshot;

mod disk;

pub mod tools;

#[cfg(all(test, loom))]
mod interleavings;

#[cfg(not(trellis_fault))]
mod fault;
#[cfg(trellis_fault)]
pub mod fault;

pub use self::config::{Config, ConfigError};
pub use self::disk::{Disk, DiskFile, Fault, FileDisk, MemoryDisk, MemoryFile, Sector};
pub use self::error::{
    AppendError, Damage, EnqueueError, OpenError, Operation, PoisonCause, Poisoned, RetainError,
    SnapshotDamage, SnapshotError, SyncError,
};
#[cfg(feature = "async")]
pub use self::front::{AsyncLog, DurableWatch};
pub use self::log::Log;
pub use self::lsn::Lsn;
pub use self::recovery::{
    Opened, Recovered, RecoveryProgress, RecoveryReport, RecoveryStage, open, open_after, recover,
};
pub use self::replay::Records;
pub use self::snapshot::{
    RejectedSnapshot, Retained, SnapshotInfo, SnapshotProgress, SnapshotPublication, SnapshotReader,
    SnapshotWriter, Snapshots, removable_segments,
};
pub use self::syncer::{SpareMaker, Synced, Syncer};
pub use self::writer::OpenSeed;

/// The README's program is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
