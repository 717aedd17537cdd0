//! The limits of a log and the relations between them.

use thiserror::Error;

use crate::record::{HEADER_BYTES, framed_bytes};
use crate::segment::SEGMENT_HEADER_BYTES;

/// The limits of one log. They may differ from one opening to the next, except that a log which holds a
/// record longer than `record_bytes_max` does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of one segment file, allocated when the segment is made. Default 64 MiB. The disk holds up to one segment
    /// more than the log needs, made ahead.
    ///
    /// Holds at least one batch of `batch_bytes_max`. Too low: a stall of some milliseconds at each of many
    /// rotations. Too high: old records occupy the disk longer, as a segment is removed whole.
    pub segment_bytes: u64,

    /// Bytes of the longest record. Default 16 MiB.
    ///
    /// Too low: a caller's large write is refused. Too high: one record delays all others that wait for the
    /// disk, and recovery holds one such record in memory.
    pub record_bytes_max: u32,

    /// Bytes that may wait for the disk, record headers included. Default 64 MiB. The buffers that hold them take at
    /// most 2 MiB more.
    ///
    /// At least `batch_bytes_max`. Too low: callers hear Busy while the disk could follow. Too high: memory,
    /// and a longer wait for the last in the queue.
    pub pending_bytes_max: usize,

    /// Bytes that one sync writes, and so the largest atomic batch, record headers included. Default 32 MiB.
    ///
    /// Holds at least one record of `record_bytes_max`. Too low: more syncs under load. Too high: the first
    /// record of a batch waits for the last.
    pub batch_bytes_max: usize,
}

impl Config {
    /// Checks the relations between the limits.
    ///
    /// # Errors
    ///
    /// The first [`ConfigError`] found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let record = framed_bytes(self.record_bytes_max as usize);
        if self.record_bytes_max == 0 || self.record_bytes_max > RECORD_BYTES_LIMIT {
            return Err(ConfigError::RecordBytes { limit: RECORD_BYTES_LIMIT });
        }
        if self.batch_bytes_max < record {
            return Err(ConfigError::BatchBytes { least: record });
        }
        if self.pending_bytes_max < self.batch_bytes_max {
            return Err(ConfigError::PendingBytes { least: self.batch_bytes_max });
        }
        let least = self.segment_bytes_least();
        if self.segment_bytes < least || self.segment_bytes > SEGMENT_BYTES_LIMIT {
            return Err(ConfigError::SegmentBytes { least, limit: SEGMENT_BYTES_LIMIT });
        }
        Ok(())
    }

    /// One batch, the record that attests it and the seal, after the header.
    fn segment_bytes_least(&self) -> u64 {
        (SEGMENT_HEADER_BYTES + self.batch_bytes_max + 2 * HEADER_BYTES) as u64
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            record_bytes_max: 16 << 20,
            pending_bytes_max: 64 << 20,
            batch_bytes_max: 32 << 20,
        }
    }
}

/// Why a [`Config`] cannot be used.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// `record_bytes_max` is 0 or above `limit`.
    #[error("record_bytes_max must lie between 1 and {limit}")]
    RecordBytes {
        /// The most bytes a record can be given.
        limit: u32,
    },

    /// `batch_bytes_max` cannot hold one record.
    #[error("batch_bytes_max must be at least {least}, one record of record_bytes_max with its header")]
    BatchBytes {
        /// The smallest value that goes with the other limits.
        least: usize,
    },

    /// `pending_bytes_max` cannot hold one batch.
    #[error("pending_bytes_max must be at least {least}, the value of batch_bytes_max")]
    PendingBytes {
        /// The smallest value that goes with the other limits.
        least: usize,
    },

    /// `segment_bytes` cannot hold one batch, or is above `limit`.
    #[error("segment_bytes must lie between {least}, one batch with its overhead, and {limit}")]
    SegmentBytes {
        /// The smallest value that goes with the other limits.
        least: u64,
        /// The largest value of any configuration.
        limit: u64,
    },
}

/// The largest `record_bytes_max`: lengths fit 32 bits with room for the header and the padding.
pub(crate) const RECORD_BYTES_LIMIT: u32 = 1 << 30;

/// The largest `segment_bytes`, far below where offsets could overflow.
pub(crate) const SEGMENT_BYTES_LIMIT: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn each_limit_must_hold_the_one_below_it() {
        let record = Config { record_bytes_max: 0, ..Config::default() };
        assert_eq!(record.validate(), Err(ConfigError::RecordBytes { limit: RECORD_BYTES_LIMIT }));
        let batch = Config { batch_bytes_max: 16 << 20, ..Config::default() };
        assert_eq!(batch.validate(), Err(ConfigError::BatchBytes { least: (16 << 20) + HEADER_BYTES }));
        let pending = Config { pending_bytes_max: 1 << 20, ..Config::default() };
        assert_eq!(pending.validate(), Err(ConfigError::PendingBytes { least: 32 << 20 }));
        let segment = Config { segment_bytes: 32 << 20, ..Config::default() };
        let least = segment.segment_bytes_least();
        assert_eq!(segment.validate(), Err(ConfigError::SegmentBytes { least, limit: SEGMENT_BYTES_LIMIT }));
        assert_eq!(Config { segment_bytes: least, ..segment }.validate(), Ok(()));
    }
}
