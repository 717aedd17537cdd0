//! What a person does with a log that no program has open: look at it, verify it, cut off what is damaged.
//!
//! All but [`repair`] only read, take no lock and change nothing, so that they work on a
//! [`FileDisk::read_only`](crate::FileDisk::read_only). Of a log that is being written they may see half a record at
//! the end, which looks like a torn tail. Every result can be printed.
//!
//! # Exit codes
//!
//! For programs around these functions, by [`Verdict::exit_code`]:
//!
//! | code | verdict |
//! |---|---|
//! | 0 | clean |
//! | 1 | a torn tail, which the next opening sets aside by itself |
//! | 2 | damage: an opening refuses the log, or a snapshot cannot be used |
//! | 3 | something cannot be read, or is of a newer release |
//!
//! A program that is asked wrongly should end with another one: `trellis` does with 64.

mod dump;
mod inspect;
mod repair;
mod snapshot;
mod verify;

use std::fmt;

pub use self::dump::{Dumped, DumpedRecord, RecordKind, dump};
pub use self::inspect::{Inspection, SegmentEnd, SegmentFacts, SegmentView, inspect};
pub use self::repair::{DataLoss, RepairError, RepairPlan, Taken, repair};
pub use self::snapshot::{SnapshotChunk, SnapshotView, inspect_snapshot, verify_snapshot};
pub use self::verify::{Finding, Verification, verify};
use crate::error::{OpenError, SnapshotDamage};

/// How bad it is. The worst of several is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything is as it was written.
    Clean,
    /// What is at the end is no record, and nothing says that it was ever durable.
    TornTail,
    /// Something that was durable is damaged.
    Corrupt,
    /// Something cannot be read at all, and so is not known to be good.
    Unreadable,
}

impl Verdict {
    /// Returns the code that a program ends with.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::TornTail => 1,
            Self::Corrupt => 2,
            Self::Unreadable => 3,
        }
    }

    /// Returns what an opening that failed says of the log.
    pub fn of_error(error: &OpenError) -> Self {
        match error {
            OpenError::Corrupt { .. } | OpenError::NoSnapshot { .. } | OpenError::EndMissing { .. } => {
                Self::Corrupt
            }
            _ => Self::Unreadable,
        }
    }

    /// Returns what the damage of a snapshot says of it.
    pub const fn of_snapshot(damage: &SnapshotDamage) -> Self {
        match damage {
            SnapshotDamage::UnsupportedFormat { .. } | SnapshotDamage::Unreadable { .. } => Self::Unreadable,
            _ => Self::Corrupt,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clean => "clean",
            Self::TornTail => "torn tail",
            Self::Corrupt => "damaged",
            Self::Unreadable => "unreadable",
        })
    }
}

/// The longest record that a tool reads, whatever the log was opened with.
const RECORD_BYTES_MAX: u32 = crate::config::RECORD_BYTES_LIMIT;
