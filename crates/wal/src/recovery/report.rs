//! What an opening found and did, and how far it is.

use std::fmt;

use crate::lsn::Lsn;
use crate::snapshot::{RejectedSnapshot, SnapshotInfo};

/// What an opening found and did. How long it took is measured by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The identity of the log, fixed when its first segment is made.
    pub log_uuid: [u8; 16],
    /// Replay starts behind this record: the start of the snapshot, and [`Lsn::ZERO`] without one.
    pub start: Lsn,
    /// The last record; [`Lsn::ZERO`] if the log is empty.
    pub last: Lsn,
    /// How many records are replayed: those behind `start` up to `last`.
    pub records: u64,
    /// Bytes of the log that are read for that, record headers included.
    pub bytes: u64,
    /// How many segments there were.
    pub segments: usize,
    /// How many of them were not read, as the snapshot holds all they did.
    pub segments_skipped: usize,
    /// Whether no durable record can be missing at the end.
    ///
    /// If not, records that were acknowledged in the last moments may be gone: whoever told others of them
    /// must not reuse their identities. The doubt is reported at every opening until a record is appended.
    pub tail_certain: bool,
    /// How many records nothing attested. They were logged again and are durable.
    pub relogged: u64,
    /// Bytes of the torn tail that were set aside.
    pub torn_bytes: u64,
    /// The name in `quarantine/` of the copy of these bytes.
    pub quarantined: Option<String>,
    /// The snapshot that is used.
    pub snapshot: Option<SnapshotInfo>,
    /// Newer snapshots that could not be used, the newest first.
    pub rejected: Vec<RejectedSnapshot>,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rejected in &self.rejected {
            writeln!(f, "snapshot not used: {rejected}")?;
        }
        match &self.snapshot {
            Some(snapshot) => writeln!(f, "snapshot {snapshot}")?,
            None => writeln!(f, "no snapshot")?,
        }
        let (read, skipped) = (self.segments - self.segments_skipped, self.segments_skipped);
        writeln!(
            f,
            "{} records behind LSN {} up to LSN {}, {} bytes, {read} segments read and {skipped} skipped",
            self.records, self.start, self.last, self.bytes
        )?;
        if self.relogged > 0 {
            writeln!(f, "{} records at the end were logged again", self.relogged)?;
        }
        if let Some(copy) = &self.quarantined {
            writeln!(f, "{} torn bytes at the end were set aside as quarantine/{copy}", self.torn_bytes)?;
        }
        f.write_str(match self.tail_certain {
            true => "nothing that was durable is missing at the end",
            false => "the last group of records may be missing at the end",
        })
    }
}

/// How far an opening, or the replay behind it, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryProgress {
    /// What is being done.
    pub stage: RecoveryStage,
    /// Bytes that were read in this stage.
    pub bytes_done: u64,
    /// Bytes there are to be read in it.
    pub bytes_total: u64,
}

/// The stages of a recovery in their order. A snapshot that proves damaged begins the first one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecoveryStage {
    /// A snapshot is verified.
    Snapshot,
    /// The last segment is judged. It may end before its last byte, where the records end.
    Tail,
    /// The records are read by the caller.
    Replay,
}
