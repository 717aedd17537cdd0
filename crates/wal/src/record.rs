//! One record as bytes: a header of 24 bytes, the payload, and zeroes up to the next multiple of 8.
//!
//! | offset | field |
//! |---|---|
//! | 0 | u32 CRC32C of bytes 4 to the end of the payload, seeded with the segment's salt |
//! | 4 | u32 bytes of payload |
//! | 8 | u64 LSN |
//! | 16 | u32 LSN minus the durable LSN when this record was written; `u32::MAX` attests nothing |
//! | 20 | u8 kind, u8 flags, u16 zero |
//!
//! Numbers are little endian. A kind is never 0, so that zeroed space is never a record. The salt makes the
//! bytes of another segment, or of a payload that quotes a log, fail the checksum.

use crate::bytes::{u32_at, u64_at};
use crate::fault;
use crate::lsn::Lsn;

/// The fixed part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: Kind,
    /// Whether the record is the last of its atomic batch; always true outside of batches.
    pub(crate) is_unit_end: bool,
    pub(crate) payload_bytes: u32,
    /// The record's position, or for a control record that of the last record before it.
    pub(crate) lsn: Lsn,
    /// All records up to here were durable before this one was written.
    pub(crate) attested: Lsn,
}

impl RecordHeader {
    /// Makes the header of a control record: the log is durable up to `durable`, and nothing follows it.
    pub(crate) fn control(kind: Kind, durable: Lsn) -> Self {
        Self { kind, is_unit_end: true, payload_bytes: 0, lsn: durable, attested: durable }
    }

    /// Reads a header without its checksum; `None` if no record starts with these bytes.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let payload_bytes = u32_at(bytes, 4);
        let lsn = u64_at(bytes, 8);
        let lag = u32_at(bytes, 16);
        let kind = Kind::from_u8(bytes[20])?;
        let flags = bytes[21];
        let is_credible = lsn <= Lsn::CREDIBLE_MAX.as_u64()
            && (lag == LAG_UNKNOWN || u64::from(lag) <= lsn)
            && flags & !FLAG_BATCH_END == 0
            && (flags == 0 || kind == Kind::BatchPart)
            && (payload_bytes == 0 || !kind.is_control())
            && bytes[22..24] == [0, 0];
        let attested = if lag == LAG_UNKNOWN { 0 } else { lsn.checked_sub(u64::from(lag))? };
        is_credible.then_some(Self {
            kind,
            is_unit_end: kind != Kind::BatchPart
                || flags & FLAG_BATCH_END != 0
                || fault::is_off("a torn batch is dropped"),
            payload_bytes,
            lsn: Lsn::from_u64(lsn),
            attested: Lsn::from_u64(attested),
        })
    }

    /// Appends the whole record to `out`.
    pub(crate) fn encode_into(&self, salt: u32, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        self.frame_into(payload, out);
        complete(&mut out[start..], salt, self.attested);
    }

    /// Appends the record to `out` without its checksum and its attestation, which [`complete`] adds.
    pub(crate) fn frame_into(&self, payload: &[u8], out: &mut Vec<u8>) {
        assert_eq!(payload.len(), self.payload_bytes as usize, "a header tells its payload's length");
        let is_batch_end = self.kind == Kind::BatchPart && self.is_unit_end;
        let mut header = [0; HEADER_BYTES];
        header[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        header[8..16].copy_from_slice(&self.lsn.as_u64().to_le_bytes());
        header[20] = self.kind as u8;
        header[21] = if is_batch_end { FLAG_BATCH_END } else { 0 };
        out.extend_from_slice(&header);
        out.extend_from_slice(payload);
        out.resize(out.len() + framed_bytes(payload.len()) - HEADER_BYTES - payload.len(), 0);
    }

    /// Returns the bytes that the record occupies.
    pub(crate) fn framed_bytes(&self) -> usize {
        framed_bytes(self.payload_bytes as usize)
    }
}

/// A record as [`RecordHeader::frame_into`] leaves it in memory. Not for bytes of a disk: nothing is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framed<'a> {
    pub(crate) lsn: Lsn,
    /// Whether the record is the last of its atomic batch; always true outside of batches.
    pub(crate) is_unit_end: bool,
    pub(crate) payload: &'a [u8],
}

impl<'a> Framed<'a> {
    /// Returns the record that `bytes` start with; `None` if there are none.
    pub(crate) fn first_of(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        Some(Self {
            lsn: Lsn::from_u64(u64_at(header, 8)),
            is_unit_end: header[20] != Kind::BatchPart as u8 || header[21] & FLAG_BATCH_END != 0,
            payload: &rest[..u32_at(header, 4) as usize],
        })
    }
}

/// Adds to the record that starts `framed` what is known when it is written: what it attests, and its checksum.
pub(crate) fn complete(framed: &mut [u8], salt: u32, attested: Lsn) -> Framed<'_> {
    let end = HEADER_BYTES + u32_at(framed, 4) as usize;
    let lag = match u32::try_from(Lsn::from_u64(u64_at(framed, 8)).since(attested)) {
        Ok(lag) if !fault::is_off("records attest") => lag,
        _ => LAG_UNKNOWN,
    };
    framed[16..20].copy_from_slice(&lag.to_le_bytes());
    let crc = crc32c::crc32c_append(salt, &framed[4..end]);
    framed[..4].copy_from_slice(&crc.to_le_bytes());
    Framed::first_of(framed).expect("a record was framed here")
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A record of its own.
    Data = 1,
    /// A record of an atomic batch.
    BatchPart = 2,
    /// Nothing but the attestation.
    Attest = 3,
    /// The log was closed here.
    SealClosed = 4,
    /// The segment is full, and its successor was durable before this was written.
    SealRotated = 5,
}

impl Kind {
    fn from_u8(byte: u8) -> Option<Self> {
        [Self::Data, Self::BatchPart, Self::Attest, Self::SealClosed, Self::SealRotated]
            .into_iter()
            .find(|&kind| kind as u8 == byte)
    }

    /// Whether the record is of the log itself and has no payload and no position of its own.
    pub(crate) fn is_control(self) -> bool {
        !matches!(self, Self::Data | Self::BatchPart)
    }

    /// Whether nothing follows in the segment.
    pub(crate) fn is_seal(self) -> bool {
        matches!(self, Self::SealClosed | Self::SealRotated)
    }
}

/// Whether `framed`, all bytes of a record whose header tells so many of payload, is as it was written.
pub(crate) fn is_intact(salt: u32, framed: &[u8], payload_bytes: u32) -> bool {
    let end = HEADER_BYTES + payload_bytes as usize;
    let (Some(covered), Some(padding)) = (framed.get(4..end), framed.get(end..)) else { return false };
    // In one go: most records are so short that a second call shows.
    let is_whole =
        u32_at(framed, 0) == crc32c::crc32c_append(salt, covered) && padding.iter().all(|&byte| byte == 0);
    is_whole || fault::is_off("records have a checksum")
}

/// Returns the bytes that a record with this much payload occupies.
pub(crate) const fn framed_bytes(payload_bytes: usize) -> usize {
    HEADER_BYTES + payload_bytes.next_multiple_of(RECORD_ALIGN)
}

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 24;

/// Records start at multiples of this.
pub(crate) const RECORD_ALIGN: usize = 8;

/// A distance to the durable LSN that does not fit. It must not be cut to fit, as a shorter distance would
/// attest records that were not durable.
const LAG_UNKNOWN: u32 = u32::MAX;

const FLAG_BATCH_END: u8 = 1;

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn a_record_reads_back_as_written(payload: Vec<u8>, lsn: u32, lag: u32, salt: u32, end: bool) -> bool {
            let lsn = Lsn::from_u64(u64::from(lsn) + 1);
            let header = RecordHeader {
                kind: Kind::BatchPart,
                is_unit_end: end,
                payload_bytes: payload.len() as u32,
                lsn,
                // A distance that the field cannot hold is written as unknown.
                attested: Lsn::from_u64(lsn.as_u64().saturating_sub(u64::from(lag.min(LAG_UNKNOWN - 1)))),
            };
            let mut bytes = Vec::new();
            header.encode_into(salt, &payload, &mut bytes);
            let payload_bytes = payload.len() as u32;
            bytes.len() == header.framed_bytes()
                && RecordHeader::decode(bytes.first_chunk().unwrap()) == Some(header)
                && is_intact(salt, &bytes, payload_bytes)
                && !is_intact(salt.wrapping_add(1), &bytes, payload_bytes)
        }

        fn any_bytes_are_a_header_or_not_one(bytes: Vec<u8>) -> bool {
            let mut header = [0; HEADER_BYTES];
            header.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            RecordHeader::decode(&header).is_none_or(|found| found.attested <= found.lsn)
        }
    }

    #[test]
    fn zeroed_space_is_no_record() {
        assert_eq!(RecordHeader::decode(&[0; HEADER_BYTES]), None);
    }

    #[test]
    fn a_distance_that_does_not_fit_attests_nothing() {
        let header = RecordHeader {
            kind: Kind::Data,
            is_unit_end: true,
            payload_bytes: 0,
            lsn: Lsn::from_u64(1 << 40),
            attested: Lsn::from_u64(7),
        };
        let mut bytes = Vec::new();
        header.encode_into(0, &[], &mut bytes);
        let decoded = RecordHeader::decode(bytes.first_chunk().unwrap()).unwrap();
        assert_eq!(decoded.attested, Lsn::ZERO);
    }
}
