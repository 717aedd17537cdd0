//! The file of a snapshot as bytes: its name, its header, and its chunks with the footer behind them.
//!
//! A header of 4096 bytes, chunks of opaque bytes, and a footer that ends the file. Numbers are little endian:
//!
//! | offset | field of the header |
//! |---|---|
//! | 0 | 8 bytes magic |
//! | 8 | u16 major, u16 minor version of the format |
//! | 12 | u32 bytes of this header |
//! | 16 | 16 bytes UUID of the log |
//! | 32 | u64 LSN at which the snapshot starts: it holds all that the records up to here did |
//! | 40 | u32 features that a reader must know; none exist |
//! | 4092 | u32 CRC32C of all bytes before |
//!
//! | offset | field of a chunk, zeroes up to the next multiple of 8 behind it |
//! |---|---|
//! | 0 | u32 CRC32C of bytes 4 to the end of the payload, seeded with the header's CRC |
//! | 4 | u32 bytes of payload |
//! | 8 | u64 position of the chunk, from 0 |
//! | 16 | u8 kind, 7 bytes zero |
//! | 24 | payload |
//!
//! The payload of the footer, which is the last chunk and has a kind of its own:
//!
//! | offset | field |
//! |---|---|
//! | 0 | u64 LSN at which the snapshot ends: the log was durable up to here before the snapshot was published |
//! | 8 | u64 bytes of payload of all chunks |
//! | 16 | u32 CRC32C of the CRCs of all chunks in their order, u32 zero |
//! | 24 | 8 bytes end magic |
//!
//! The seed binds a chunk to its snapshot: a chunk of another one fails the checksum.

mod reader;
mod store;
mod writer;

use std::fmt;

pub(crate) use self::reader::{Scan, Step};
pub use self::reader::{SnapshotInfo, SnapshotReader};
pub(crate) use self::store::{Known, newest_whole, usable_snapshot};
pub use self::store::{RejectedSnapshot, Retained, Snapshots, removable_segments};
pub use self::writer::{SnapshotProgress, SnapshotPublication, SnapshotWriter};
use crate::bytes::{u16_at, u32_at, u64_at};
use crate::error::SnapshotDamage;
use crate::fault;
use crate::lsn::Lsn;

/// What a snapshot says about itself before its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotHeader {
    pub(crate) log_uuid: [u8; 16],
    pub(crate) start: Lsn,
}

impl SnapshotHeader {
    /// Reads a header and returns it with the seed of the chunks' checksums.
    pub(crate) fn decode(bytes: &[u8; SNAPSHOT_HEADER_BYTES]) -> Result<(Self, u32), SnapshotDamage> {
        let (body, crc) = bytes.split_at(CRC_OFFSET);
        let seed = crc32c::crc32c(body);
        if body[..8] != MAGIC || seed.to_le_bytes() != *crc {
            return Err(SnapshotDamage::Header);
        }
        let (major, minor) = (u16_at(body, 8), u16_at(body, 10));
        if major != MAJOR || u32_at(body, 40) != 0 {
            return Err(SnapshotDamage::UnsupportedFormat { major, minor });
        }
        let mut log_uuid = [0; 16];
        log_uuid.copy_from_slice(&body[16..32]);
        let start = Lsn::from_u64(u64_at(body, 32));
        let is_consistent = u32_at(body, 12) as usize == SNAPSHOT_HEADER_BYTES && start <= Lsn::CREDIBLE_MAX;
        is_consistent.then_some((Self { log_uuid, start }, seed)).ok_or(SnapshotDamage::Header)
    }

    /// Returns the header's bytes and the seed of the chunks' checksums.
    pub(crate) fn encode(&self) -> (Vec<u8>, u32) {
        let mut out = Vec::with_capacity(SNAPSHOT_HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&MAJOR.to_le_bytes());
        out.extend_from_slice(&MINOR.to_le_bytes());
        out.extend_from_slice(&(SNAPSHOT_HEADER_BYTES as u32).to_le_bytes());
        out.extend_from_slice(&self.log_uuid);
        out.extend_from_slice(&self.start.as_u64().to_le_bytes());
        out.resize(CRC_OFFSET, 0);
        let seed = crc32c::crc32c(&out);
        out.extend_from_slice(&seed.to_le_bytes());
        (out, seed)
    }
}

/// The fixed part of a chunk or of the footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkHeader {
    pub(crate) kind: ChunkKind,
    pub(crate) index: u64,
    pub(crate) payload_bytes: u32,
}

impl ChunkHeader {
    /// Reads a header without its checksum; `None` if no chunk starts with these bytes.
    pub(crate) fn decode(bytes: &[u8; CHUNK_HEADER_BYTES]) -> Option<Self> {
        let payload_bytes = u32_at(bytes, 4);
        let kind = [ChunkKind::Data, ChunkKind::Footer].into_iter().find(|&kind| kind as u8 == bytes[16])?;
        let is_credible = payload_bytes as usize <= CHUNK_BYTES_MAX && bytes[17..] == [0; 7];
        is_credible.then_some(Self { kind, index: u64_at(bytes, 8), payload_bytes })
    }

    /// Appends the whole chunk to `out` and returns its checksum.
    pub(crate) fn encode_into(&self, seed: u32, payload: &[u8], out: &mut Vec<u8>) -> u32 {
        assert_eq!(payload.len(), self.payload_bytes as usize, "a header tells its payload's length");
        let mut header = [0; CHUNK_HEADER_BYTES];
        header[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        header[8..16].copy_from_slice(&self.index.to_le_bytes());
        header[16] = self.kind as u8;
        let crc = checksum(seed, &header, payload);
        header[..4].copy_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(payload);
        out.resize(out.len() + payload.len().next_multiple_of(CHUNK_ALIGN) - payload.len(), 0);
        crc
    }

    /// Returns the bytes that the chunk occupies.
    pub(crate) fn framed_bytes(&self) -> usize {
        CHUNK_HEADER_BYTES + (self.payload_bytes as usize).next_multiple_of(CHUNK_ALIGN)
    }
}

/// Returns a whole chunk's checksum, if it is the one that its bytes have and its padding is zero.
pub(crate) fn intact_checksum(seed: u32, header: &[u8; CHUNK_HEADER_BYTES], rest: &[u8]) -> Option<u32> {
    let (payload, padding) = rest.split_at_checked(u32_at(header, 4) as usize)?;
    let crc = checksum(seed, header, payload);
    let is_whole = crc == u32_at(header, 0) && padding.iter().all(|&byte| byte == 0);
    (is_whole || fault::is_off("chunks have a checksum")).then_some(u32_at(header, 0))
}

/// What a chunk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ChunkKind {
    /// Bytes of the caller.
    Data = 1,
    /// The end of the snapshot.
    Footer = 2,
}

/// What the last chunk of a snapshot says of all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) end: Lsn,
    pub(crate) payload_bytes: u64,
    pub(crate) crcs: u32,
}

impl Footer {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let is_footer = bytes.len() == FOOTER_BYTES && bytes[24..] == END_MAGIC && u32_at(bytes, 20) == 0;
        is_footer.then(|| Self {
            end: Lsn::from_u64(u64_at(bytes, 0)),
            payload_bytes: u64_at(bytes, 8),
            crcs: u32_at(bytes, 16),
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        out.extend_from_slice(&self.end.as_u64().to_le_bytes());
        out.extend_from_slice(&self.payload_bytes.to_le_bytes());
        out.extend_from_slice(&self.crcs.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&END_MAGIC);
        out
    }
}

/// Returns the name of the snapshot that starts at `start`.
pub(crate) fn snapshot_name(start: Lsn) -> String {
    format!("snap-{:020}.snap", start.as_u64())
}

/// Returns the name that a snapshot has until it is published. It is never read, and removed by the next opening.
pub(crate) fn unfinished_name(start: Lsn) -> String {
    format!("snap-{:020}.tmp", start.as_u64())
}

/// Returns the LSN that a snapshot's name tells; `None` if the name is not one of a snapshot.
pub(crate) fn parse_snapshot_name(name: &str) -> Option<Lsn> {
    let digits = name.strip_prefix("snap-")?.strip_suffix(".snap")?;
    let start = Lsn::from_u64(digits.parse().ok()?);
    (snapshot_name(start) == name).then_some(start)
}

/// Prints a log's UUID in its usual spelling.
pub(crate) struct Uuid<'a>(pub(crate) &'a [u8; 16]);

impl fmt::Display for Uuid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

fn checksum(seed: u32, header: &[u8; CHUNK_HEADER_BYTES], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &header[4..]), payload)
}

/// Bytes of a snapshot before its first chunk.
pub(crate) const SNAPSHOT_HEADER_BYTES: usize = 4096;

/// Bytes of a chunk before its payload.
pub(crate) const CHUNK_HEADER_BYTES: usize = 24;

/// Bytes of the longest chunk. A reader holds one in memory and believes no larger claim.
pub(crate) const CHUNK_BYTES_MAX: usize = 32 << 20;

/// Chunks start at multiples of this.
const CHUNK_ALIGN: usize = 8;

const MAGIC: [u8; 8] = *b"TRLSSNP\0";
const END_MAGIC: [u8; 8] = *b"TRLSEND\0";
const MAJOR: u16 = 1;
const MINOR: u16 = 0;
const CRC_OFFSET: usize = SNAPSHOT_HEADER_BYTES - 4;
const FOOTER_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn a_chunk_reads_back_as_written_and_under_no_other_seed(payload: Vec<u8>, index: u64, seed: u32) -> bool {
            let header = ChunkHeader { kind: ChunkKind::Data, index, payload_bytes: payload.len() as u32 };
            let mut bytes = Vec::new();
            let crc = header.encode_into(seed, &payload, &mut bytes);
            let (head, rest) = bytes.split_first_chunk().unwrap();
            bytes.len() == header.framed_bytes()
                && ChunkHeader::decode(head) == Some(header)
                && intact_checksum(seed, head, rest) == Some(crc)
                && intact_checksum(seed.wrapping_add(1), head, rest).is_none()
        }
    }

    #[test]
    fn a_header_reads_back_as_written_and_with_no_other_byte() {
        let header = SnapshotHeader { log_uuid: [7; 16], start: Lsn::from_u64(42) };
        let (bytes, seed) = header.encode();
        let mut bytes: [u8; SNAPSHOT_HEADER_BYTES] = bytes.try_into().unwrap();
        assert_eq!(SnapshotHeader::decode(&bytes), Ok((header, seed)));
        for offset in 0..SNAPSHOT_HEADER_BYTES {
            bytes[offset] ^= 0x10;
            assert_eq!(SnapshotHeader::decode(&bytes), Err(SnapshotDamage::Header), "offset {offset}");
            bytes[offset] ^= 0x10;
        }
    }

    #[test]
    fn a_name_tells_its_lsn_in_one_spelling() {
        assert_eq!(snapshot_name(Lsn::from_u64(42)), "snap-00000000000000000042.snap");
        assert_eq!(parse_snapshot_name("snap-00000000000000000042.snap"), Some(Lsn::from_u64(42)));
        for other in ["snap-42.snap", "snap-00000000000000000042.tmp", "snap-.snap", "LOCK"] {
            assert_eq!(parse_snapshot_name(other), None, "{other}");
        }
    }

    #[test]
    fn a_footer_reads_back_as_written() {
        let footer = Footer { end: Lsn::from_u64(9), payload_bytes: 77, crcs: 5 };
        assert_eq!(Footer::decode(&footer.encode()), Some(footer));
        assert_eq!(Footer::decode(&footer.encode()[1..]), None);
    }

    #[test]
    fn a_uuid_is_printed_in_groups() {
        let uuid = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
        assert_eq!(Uuid(&uuid).to_string(), "00010203-0405-0607-0809-0a0b0c0d0eff");
    }
}
