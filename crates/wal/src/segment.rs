//! The name and the header of one segment file.
//!
//! A header occupies the first 4096 bytes and says where the segment before it ends, so that a segment which
//! is missing, shortened or of another log cannot be overlooked. Numbers are little endian:
//!
//! | offset | field |
//! |---|---|
//! | 0 | 8 bytes magic |
//! | 8 | u16 major, u16 minor version of the format |
//! | 12 | u32 bytes of this header |
//! | 16 | 16 bytes UUID of the log |
//! | 32 | u64 number of the segment, from 1 |
//! | 40 | u64 LSN of its first record |
//! | 48 | u64 bytes that the file was made with |
//! | 56 | u64 number, u64 last LSN, u64 end offset of the predecessor; all 0 if there is none |
//! | 80 | u32 salt of the records' checksums |
//! | 84 | u32 features that a reader must know; none exist |
//! | 4092 | u32 CRC32C of all bytes before |

use crate::bytes::{u16_at, u32_at, u64_at};
use crate::config::SEGMENT_BYTES_LIMIT;
use crate::lsn::Lsn;

/// What a segment says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log_uuid: [u8; 16],
    pub(crate) number: u64,
    pub(crate) first_lsn: Lsn,
    /// Bytes that the file was made with.
    pub(crate) segment_bytes: u64,
    pub(crate) predecessor: Predecessor,
    pub(crate) salt: u32,
}

impl SegmentHeader {
    /// Reads a header that was written by [`SegmentHeader::encode`] or is anything else.
    pub(crate) fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Result<Self, HeaderError> {
        let (body, crc) = bytes.split_at(CRC_OFFSET);
        if body[..8] != MAGIC || crc32c::crc32c(body).to_le_bytes() != *crc {
            return Err(HeaderError::Invalid);
        }
        let (major, minor) = (u16_at(body, 8), u16_at(body, 10));
        if major != MAJOR || u32_at(body, 84) != 0 {
            return Err(HeaderError::Unsupported { major, minor });
        }
        let mut log_uuid = [0; 16];
        log_uuid.copy_from_slice(&body[16..32]);
        let header = Self {
            log_uuid,
            number: u64_at(body, 32),
            first_lsn: Lsn::from_u64(u64_at(body, 40)),
            segment_bytes: u64_at(body, 48),
            predecessor: Predecessor {
                number: u64_at(body, 56),
                last_lsn: Lsn::from_u64(u64_at(body, 64)),
                end_offset: u64_at(body, 72),
            },
            salt: u32_at(body, 80),
        };
        let is_whole = u32_at(body, 12) as usize == SEGMENT_HEADER_BYTES;
        (is_whole && header.is_consistent()).then_some(header).ok_or(HeaderError::Invalid)
    }

    /// Returns the header's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&MAJOR.to_le_bytes());
        out.extend_from_slice(&MINOR.to_le_bytes());
        out.extend_from_slice(&(SEGMENT_HEADER_BYTES as u32).to_le_bytes());
        out.extend_from_slice(&self.log_uuid);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.first_lsn.as_u64().to_le_bytes());
        out.extend_from_slice(&self.segment_bytes.to_le_bytes());
        out.extend_from_slice(&self.predecessor.number.to_le_bytes());
        out.extend_from_slice(&self.predecessor.last_lsn.as_u64().to_le_bytes());
        out.extend_from_slice(&self.predecessor.end_offset.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.resize(CRC_OFFSET, 0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Returns the name of the segment's file.
    pub(crate) fn file_name(&self) -> String {
        file_name(self.first_lsn)
    }

    /// Whether this segment is the one that directly follows `previous`.
    pub(crate) fn continues(&self, previous: &Self) -> bool {
        self.log_uuid == previous.log_uuid
            && self.predecessor.number == previous.number
            && self.predecessor.last_lsn >= previous.first_lsn
            && self.predecessor.end_offset <= previous.segment_bytes
    }

    fn is_consistent(&self) -> bool {
        self.number >= 1
            && self.first_lsn <= Lsn::CREDIBLE_MAX
            && self.predecessor.number == self.number - 1
            && self.predecessor.last_lsn.as_u64().checked_add(1) == Some(self.first_lsn.as_u64())
            && (SEGMENT_HEADER_BYTES as u64..=SEGMENT_BYTES_LIMIT).contains(&self.segment_bytes)
    }
}

/// Where the segment before this one ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Predecessor {
    /// Its number; 0 if there is none.
    pub(crate) number: u64,
    /// The last record of it that counts.
    pub(crate) last_lsn: Lsn,
    /// The byte after that record, and after any attestation that follows it.
    pub(crate) end_offset: u64,
}

/// Why bytes are not the header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    Invalid,
    Unsupported { major: u16, minor: u16 },
}

/// Returns the name of the segment whose first record is `first`.
pub(crate) fn file_name(first: Lsn) -> String {
    format!("wal-{:020}.log", first.as_u64())
}

/// Changes the bytes that a segment says it was made with, and nothing else that its header says.
///
/// # Panics
///
/// If `segment` is shorter than a header.
pub(crate) fn set_made_bytes(segment: &mut [u8], made: u64) {
    segment[48..56].copy_from_slice(&made.to_le_bytes());
    let crc = crc32c::crc32c(&segment[..CRC_OFFSET]);
    segment[CRC_OFFSET..SEGMENT_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// Returns the first LSN that a segment's name tells; `None` if the name is not one of a segment.
pub(crate) fn parse_file_name(name: &str) -> Option<Lsn> {
    let digits = name.strip_prefix("wal-")?.strip_suffix(".log")?;
    let first = Lsn::from_u64(digits.parse().ok()?);
    (file_name(first) == name).then_some(first)
}

/// Bytes of a segment before its first record: a page, so that no append ever rewrites header bytes.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 4096;

/// The name that a segment has until it is complete. It is never read.
pub(crate) const UNFINISHED_NAME: &str = "next.tmp";

/// The name of a segment's file that is made ahead. It is never read either.
pub(crate) const SPARE_NAME: &str = "spare.tmp";

const MAGIC: [u8; 8] = *b"TRLSWAL\0";
const MAJOR: u16 = 1;
const MINOR: u16 = 0;
const CRC_OFFSET: usize = SEGMENT_HEADER_BYTES - 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_as_written_and_with_no_other_byte() {
        let header = sample();
        let mut bytes: [u8; SEGMENT_HEADER_BYTES] = header.encode().try_into().unwrap();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for offset in 0..SEGMENT_HEADER_BYTES {
            bytes[offset] ^= 0x10;
            assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderError::Invalid), "offset {offset}");
            bytes[offset] ^= 0x10;
        }
    }

    #[test]
    fn a_later_format_is_told_from_damage() {
        for (offset, error) in [
            (8, HeaderError::Unsupported { major: 9, minor: 0 }),
            (84, HeaderError::Unsupported { major: 1, minor: 0 }),
        ] {
            let mut bytes: [u8; SEGMENT_HEADER_BYTES] = sample().encode().try_into().unwrap();
            bytes[offset] = 9;
            let crc = crc32c::crc32c(&bytes[..CRC_OFFSET]);
            bytes[CRC_OFFSET..].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(SegmentHeader::decode(&bytes), Err(error));
        }
    }

    #[test]
    fn a_name_tells_its_first_lsn_in_one_spelling() {
        assert_eq!(file_name(Lsn::from_u64(42)), "wal-00000000000000000042.log");
        assert_eq!(parse_file_name("wal-00000000000000000042.log"), Some(Lsn::from_u64(42)));
        for other in ["wal-42.log", "wal-+0000000000000000042.log", "wal-.log", "LOCK", "next.tmp"] {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }

    fn sample() -> SegmentHeader {
        SegmentHeader {
            log_uuid: [7; 16],
            number: 3,
            first_lsn: Lsn::from_u64(43),
            segment_bytes: 8192,
            predecessor: Predecessor { number: 2, last_lsn: Lsn::from_u64(42), end_offset: 6000 },
            salt: 0xDEAD_BEEF,
        }
    }
}
