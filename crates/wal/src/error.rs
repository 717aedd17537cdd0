//! Every error of the log, by what the caller does next.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;

use thiserror::Error;

use crate::config::ConfigError;
use crate::lsn::Lsn;
use crate::snapshot::{RejectedSnapshot, Uuid};

/// Why a log did not open. No record is served after any of them.
///
/// Except for [`OpenError::Write`], nothing was written to the directory beyond the lock file and copies in
/// `quarantine/`.
#[non_exhaustive]
#[derive(Debug, Error)]
pub enum OpenError {
    /// The limits contradict each other: correct them.
    #[error("the configuration of the log is not valid")]
    Config(#[from] ConfigError),

    /// Another process, or another handle of this one, has the log open: try elsewhere or later.
    #[error("the log is open elsewhere")]
    Locked,

    /// There is no space to set aside a torn tail in a segment that holds nothing else: make room and try again.
    #[error("no space to set a torn tail aside")]
    DiskFull,

    /// The disk did not deliver bytes that should be there. This is never taken for the end of the log.
    #[error("cannot read {file} at offset {offset}")]
    Read {
        /// Name of the file; empty for the directory itself.
        file: String,
        /// First byte of the read that failed.
        offset: u64,
        /// What the disk said.
        source: io::Error,
    },

    /// Writing failed while the log was being made ready: the disk is not to be trusted.
    #[error("cannot make the log ready: {operation} of {file} failed")]
    Write {
        /// What was attempted.
        operation: Operation,
        /// Name of the file; empty for the directory itself.
        file: String,
        /// What the disk said.
        source: io::Error,
    },

    /// Bytes that were once durable are damaged: records are lost here and the log refuses to hide it.
    #[error("{file} is damaged at offset {offset}: {damage}; it should hold LSN {}", Range(.lsns))]
    Corrupt {
        /// Name of the file.
        file: String,
        /// First byte that cannot be explained.
        offset: u64,
        /// The records that are known to be affected, as far as the log can tell.
        lsns: RangeInclusive<Lsn>,
        /// What is wrong there.
        damage: Damage,
    },

    /// The log does not reach back to a snapshot that is whole: what lies between is lost here.
    #[error("the log begins at LSN {first} and no snapshot reaches so far, {} are damaged", .rejected.len())]
    NoSnapshot {
        /// The first record that the log holds.
        first: Lsn,
        /// The snapshots that cannot be used, the newest first.
        rejected: Vec<RejectedSnapshot>,
    },

    /// The log ends before records that a snapshot, or the caller, says were durable: they are lost here.
    #[error("the log ends at LSN {last}, but was durable up to LSN {durable}")]
    EndMissing {
        /// The last record of the log.
        last: Lsn,
        /// Up to where it was durable.
        durable: Lsn,
    },

    /// A record is intact but longer than the configuration allows: raise `record_bytes_max`.
    #[error("LSN {lsn} in {file} has {bytes} bytes, record_bytes_max is {limit}")]
    RecordTooLarge {
        /// Name of the file.
        file: String,
        /// The record.
        lsn: Lsn,
        /// Its length.
        bytes: u32,
        /// The configured limit.
        limit: u32,
    },

    /// The segment was written by a release that this one cannot read.
    #[error("{file} has format {major}.{minor} and needs a newer release")]
    UnsupportedFormat {
        /// Name of the file.
        file: String,
        /// Major version found.
        major: u16,
        /// Minor version found.
        minor: u16,
    },
}

/// Prints which records, of which the last is not always known.
struct Range<'a>(&'a RangeInclusive<Lsn>);

impl fmt::Display for Range<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.0.start(), *self.0.end());
        if end == Lsn::MAX { write!(f, "{start} and all behind it") } else { write!(f, "{start} to {end}") }
    }
}

/// What is wrong with a segment that is damaged.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// The segment's header fails its checksum or contradicts itself.
    #[error("the segment header is not valid")]
    Header,

    /// The segment does not continue the one before it: a segment is missing, misnamed or of another log.
    #[error("the segment does not continue its predecessor")]
    Chain,

    /// The log does not begin with its first segment.
    #[error("the segments before it are missing")]
    PredecessorMissing,

    /// The segment says that another follows, but there is none.
    #[error("the segment that follows is missing")]
    SuccessorMissing,

    /// The file is shorter than it was made, and no seal explains that.
    #[error("the file is {found} bytes long and was made {made}")]
    Shortened {
        /// Bytes there are.
        found: u64,
        /// Bytes the file was made with.
        made: u64,
    },

    /// A record that was durable is not readable any more.
    #[error("a durable record is not readable, {valid_after} valid records follow in the file")]
    Record {
        /// Valid records of the same segment after the damage.
        valid_after: usize,
    },
}

/// Why a record was not accepted. Nothing was appended.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnqueueError {
    /// Too many bytes wait for the disk, or others came first and wait for room: try again when some are durable.
    #[error("{pending_bytes} bytes wait for the disk, the limit is {limit}")]
    Busy {
        /// Bytes that wait, record headers included.
        pending_bytes: usize,
        /// The configured `pending_bytes_max`.
        limit: usize,
    },

    /// The record or the batch can never be appended.
    #[error("{bytes} bytes are more than the {limit} that fit")]
    TooLarge {
        /// Bytes asked for: of the record, or of the batch with its record headers.
        bytes: usize,
        /// The configured `record_bytes_max` or `batch_bytes_max`.
        limit: usize,
    },

    /// The log was closed and accepts nothing more.
    #[error("the log is closed")]
    Closed,

    /// The log has failed: reopen it to learn what is durable.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// Why a record was not appended, or is not known to be durable.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// Nothing was appended.
    #[error(transparent)]
    Refused(#[from] EnqueueError),

    /// The log failed after the record was appended: whether the record survives is unknown.
    #[error(transparent)]
    Unknown(#[from] Poisoned),
}

/// Why pending records are not durable.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SyncError {
    /// There is no space for the next segment. Nothing was lost and nothing is poisoned: the records stay
    /// pending, and the next sync tries again.
    #[error("no space for the next segment of the log")]
    DiskFull,

    /// The log has failed for good; every waiter was told.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// The log failed and stays failed: what is above `durable` may or may not be on the disk.
///
/// A failed sync is never repeated, as the kernel may have dropped the pages it could not write and would
/// report success (Rebello and others, USENIX ATC 2020).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the log failed after LSN {durable}: {cause}")]
pub struct Poisoned {
    /// The last record known to be durable.
    pub durable: Lsn,
    /// What happened.
    pub cause: PoisonCause,
}

/// What made a log fail.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PoisonCause {
    /// The disk refused an operation.
    #[error("{operation} failed: {kind}")]
    Disk {
        /// What was attempted.
        operation: Operation,
        /// The class of the error.
        kind: io::ErrorKind,
        /// The number the operating system gave, if it gave one.
        os_error: Option<i32>,
    },

    /// The [`Syncer`](crate::Syncer) ended before it was asked to, or with records it could not write.
    #[error("the syncer is gone")]
    Abandoned,
}

impl PoisonCause {
    pub(crate) fn disk(operation: Operation, error: &io::Error) -> Self {
        Self::Disk { operation, kind: error.kind(), os_error: error.raw_os_error() }
    }
}

/// What is wrong with the file of a snapshot.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SnapshotDamage {
    /// The header fails its checksum or contradicts itself.
    #[error("the header is not valid")]
    Header,

    /// The snapshot was written by a release that this one cannot read.
    #[error("format {major}.{minor} needs a newer release")]
    UnsupportedFormat {
        /// Major version found.
        major: u16,
        /// Minor version found.
        minor: u16,
    },

    /// The snapshot is one of another log.
    #[error("the snapshot is of log {}", Uuid(.log_uuid))]
    Foreign {
        /// The log it belongs to.
        log_uuid: [u8; 16],
    },

    /// The file has another name than its header says.
    #[error("the snapshot starts at LSN {start} and its name says otherwise")]
    Misnamed {
        /// Where it starts according to its header.
        start: Lsn,
    },

    /// A chunk is not readable.
    #[error("chunk {index} at offset {offset} is damaged")]
    Chunk {
        /// Position of the chunk, from 0.
        index: u64,
        /// Where it starts in the file.
        offset: u64,
    },

    /// The file ends where a chunk or the footer should be.
    #[error("the file ends at offset {offset} without a footer")]
    Unfinished {
        /// Where the next chunk should start.
        offset: u64,
    },

    /// The footer does not agree with the chunks before it.
    #[error("the footer at offset {offset} does not agree with the chunks")]
    Footer {
        /// Where it starts in the file.
        offset: u64,
    },

    /// Bytes follow the footer.
    #[error("bytes follow the footer, from offset {offset} on")]
    Trailing {
        /// The first of them.
        offset: u64,
    },

    /// The disk did not deliver bytes that should be there.
    #[error("cannot read at offset {offset}: {kind}")]
    Unreadable {
        /// First byte of the read that failed.
        offset: u64,
        /// The class of the error.
        kind: io::ErrorKind,
    },
}

/// Why a snapshot was not written. The log and all other snapshots are as they were.
#[non_exhaustive]
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// There is no space for it: make room and begin again.
    #[error("no space for the snapshot")]
    DiskFull,

    /// The disk refused a step: the snapshot is abandoned.
    #[error("cannot write the snapshot: {operation} of {file} failed")]
    Disk {
        /// What was attempted.
        operation: Operation,
        /// Name of the unfinished file.
        file: String,
        /// What the disk said.
        source: io::Error,
    },

    /// The chunk can never be written; the writer goes on.
    #[error("a chunk of {bytes} bytes is more than the {limit} that fit")]
    ChunkTooLarge {
        /// Bytes asked for.
        bytes: usize,
        /// The most that fit.
        limit: usize,
    },

    /// The snapshot would hold what the log can still lose: wait until that is durable.
    #[error("the snapshot reaches to LSN {end} and the log is durable up to LSN {durable}")]
    NotDurable {
        /// The last record that the snapshot may hold.
        end: Lsn,
        /// The last durable record.
        durable: Lsn,
    },

    /// What was read back is not what was written: the disk is not to be trusted.
    #[error("the snapshot was read back and is not what was written")]
    NotVerified(#[source] SnapshotDamage),

    /// An earlier step failed, and said why.
    #[error("the snapshot was abandoned")]
    Abandoned,
}

/// Why old segments and snapshots were not all removed. Nothing that is needed was.
#[non_exhaustive]
#[derive(Debug, Error)]
pub enum RetainError {
    /// The disk refused a step: what is left is removed another time.
    #[error("cannot remove what is old: {operation} of {file} failed")]
    Disk {
        /// What was attempted.
        operation: Operation,
        /// Name of the file; empty for the directory itself.
        file: String,
        /// What the disk said.
        source: io::Error,
    },

    /// A sync of the directory has failed: nothing is removed until the log is opened anew.
    #[error("names in the directory of the log may not be durable")]
    Distrusted,

    /// The log has failed: nothing is removed until it is opened anew.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// A step on the disk that can fail.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Reading bytes, a length or the directory.
    Read,
    /// Making a file.
    Create,
    /// Reserving space for a file.
    Allocate,
    /// Writing bytes.
    Write,
    /// Making a file's bytes durable.
    Sync,
    /// Giving a file its name.
    Rename,
    /// Removing a file.
    Remove,
    /// Cutting a file.
    Truncate,
    /// Making names durable.
    SyncDirectory,
    /// Keeping a copy of bytes in `quarantine/`.
    Quarantine,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Allocate => "allocation",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::Remove => "removal",
            Self::Truncate => "truncation",
            Self::SyncDirectory => "directory sync",
            Self::Quarantine => "quarantine copy",
        })
    }
}
