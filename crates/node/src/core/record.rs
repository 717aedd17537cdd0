//! What the log of a node holds, record by record.
//!
//! One byte of kind, then the fields in the primitives of trellis-crdt's codec. Deltas and entries are kept as
//! they travel: encoded once, by the node that made them.

use std::collections::BTreeMap;

use trellis_crdt::codec::{Decode, DecodeError, Encode, Reader, write_bytes, write_varint};
use trellis_crdt::{Hlc, ReplicaId, VersionVector};
use trellis_replication::{FoundingId, MemberRecord, NodeId, Owner, Roster};
use trellis_wal::Lsn;

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<'a> {
    /// A process started; synced before its first dot (design: a replica never outlives its process).
    ReplicaStart {
        /// The actor of its dots.
        replica: ReplicaId,
        /// Whose process it is.
        owner: Owner,
    },
    /// This data directory was made to join a cluster: a guest until every slot is adopted.
    GuestStart,
    /// Every slot was adopted: a member from here on.
    GuestEnd,
    /// News of members, removals and replicas.
    Roster(Roster),
    /// Where another node was last reached.
    PeerAddress {
        /// Its name.
        name: String,
        /// Host and port of its peer service; empty when it is sought no more.
        address: String,
    },
    /// One operation, of this replica or another.
    Delta {
        /// The slot of its key.
        slot: u8,
        /// The actor of its dot.
        origin: ReplicaId,
        /// The seq of its dot.
        seq: u64,
        /// The delta.
        payload: &'a [u8],
    },
    /// An atom that came in a transfer.
    Entry {
        /// The slot of its key.
        slot: u8,
        /// The entry.
        payload: &'a [u8],
    },
    /// A slot's clock moved to a donor's, after the entries of the transfer (R3).
    Adoption {
        /// The slot.
        slot: u8,
        /// The donor's clock.
        clock: VersionVector,
        /// The donor's greatest stamp (R11).
        hlc: Hlc,
    },
    /// Something of an atom was dropped that every member had heard of (R10).
    Collected {
        /// What is to be dropped again, in the codec of trellis-storage: it names its slot itself.
        payload: &'a [u8],
    },
    /// A snapshot was published.
    SnapshotTaken {
        /// Where it starts.
        start: Lsn,
    },
}

impl<'a> Record<'a> {
    /// Encodes the record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size_hint());
        match self {
            Self::ReplicaStart { replica, owner } => {
                out.push(REPLICA_START);
                replica.encode(&mut out);
                encode_owner(owner, &mut out);
            }
            Self::GuestStart => out.push(GUEST_START),
            Self::GuestEnd => out.push(GUEST_END),
            Self::Roster(roster) => {
                out.push(ROSTER);
                encode_roster(roster, &mut out);
            }
            Self::PeerAddress { name, address } => {
                out.push(PEER_ADDRESS);
                write_bytes(&mut out, name.as_bytes());
                write_bytes(&mut out, address.as_bytes());
            }
            Self::Delta { slot, origin, seq, payload } => {
                out.extend_from_slice(&[DELTA, *slot]);
                origin.encode(&mut out);
                write_varint(&mut out, *seq);
                out.extend_from_slice(payload);
            }
            Self::Entry { slot, payload } => {
                out.extend_from_slice(&[ENTRY, *slot]);
                out.extend_from_slice(payload);
            }
            Self::Adoption { slot, clock, hlc } => {
                out.extend_from_slice(&[ADOPTION, *slot]);
                write_varint(&mut out, hlc.as_u64());
                clock.encode(&mut out);
            }
            Self::Collected { payload } => {
                out.push(COLLECTED);
                out.extend_from_slice(payload);
            }
            Self::SnapshotTaken { start } => {
                out.push(SNAPSHOT_TAKEN);
                write_varint(&mut out, start.as_u64());
            }
        }
        out
    }

    /// Decodes a record, borrowing payloads.
    ///
    /// # Errors
    ///
    /// When the bytes are not what [`encode`](Self::encode) makes. Payloads are not looked into.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let mut input = Reader::new(bytes);
        let kind = input.u8()?;
        let record = match kind {
            REPLICA_START => Self::ReplicaStart {
                replica: ReplicaId::decode(&mut input)?,
                owner: decode_owner(&mut input)?,
            },
            GUEST_START => Self::GuestStart,
            GUEST_END => Self::GuestEnd,
            ROSTER => Self::Roster(decode_roster(&mut input)?),
            PEER_ADDRESS => {
                Self::PeerAddress { name: decode_text(&mut input)?, address: decode_text(&mut input)? }
            }
            DELTA => {
                let slot = input.u8()?;
                let origin = ReplicaId::decode(&mut input)?;
                let seq = input.varint()?;
                if seq == 0 {
                    return Err(DecodeError::ZeroSeq.into());
                }
                return Ok(Self::Delta { slot, origin, seq, payload: input.rest() });
            }
            ENTRY => {
                let slot = input.u8()?;
                return Ok(Self::Entry { slot, payload: input.rest() });
            }
            ADOPTION => {
                let slot = input.u8()?;
                let hlc = Hlc::from_u64(input.varint()?);
                Self::Adoption { slot, clock: VersionVector::decode(&mut input)?, hlc }
            }
            COLLECTED => return Ok(Self::Collected { payload: input.rest() }),
            SNAPSHOT_TAKEN => Self::SnapshotTaken { start: Lsn::from_u64(input.varint()?) },
            kind => return Err(RecordError::UnknownKind { kind }),
        };
        input.finish()?;
        Ok(record)
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Delta { payload, .. } | Self::Entry { payload, .. } | Self::Collected { payload } => {
                payload.len() + 24
            }
            _ => 64,
        }
    }
}

/// A record that passed its checksum and still makes no sense: written by another version, or by a bug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The kind byte is of no known record.
    #[error("unknown record kind {kind}")]
    UnknownKind {
        /// The byte.
        kind: u8,
    },
    /// The fields cannot be read.
    #[error("malformed record")]
    Malformed(#[from] DecodeError),
    /// A name or an address is not UTF-8.
    #[error("a name in a record is not UTF-8")]
    NotText,
}

fn encode_owner(owner: &Owner, out: &mut Vec<u8>) {
    out.extend_from_slice(&owner.node.as_u64().to_le_bytes());
    write_varint(out, owner.epoch);
}

fn decode_owner(input: &mut Reader<'_>) -> Result<Owner, DecodeError> {
    Ok(Owner { node: NodeId::from_u64(input.u64()?), epoch: input.varint()? })
}

pub(super) fn encode_roster(roster: &Roster, out: &mut Vec<u8>) {
    write_varint(out, u64::from(roster.founding.is_some()));
    if let Some(founding) = roster.founding {
        out.extend_from_slice(&founding.as_u64().to_le_bytes());
    }
    write_varint(out, roster.members.len() as u64);
    for (node, member) in &roster.members {
        out.extend_from_slice(&node.as_u64().to_le_bytes());
        write_bytes(out, member.name.as_bytes());
        write_varint(out, member.donors.len() as u64);
        for (replica, lsn) in &member.donors {
            replica.encode(out);
            write_varint(out, *lsn);
        }
    }
    write_varint(out, roster.removed.len() as u64);
    for node in &roster.removed {
        out.extend_from_slice(&node.as_u64().to_le_bytes());
    }
    write_varint(out, roster.replicas.len() as u64);
    for (replica, owner) in &roster.replicas {
        replica.encode(out);
        encode_owner(owner, out);
    }
}

pub(super) fn decode_roster(input: &mut Reader<'_>) -> Result<Roster, RecordError> {
    let mut roster = Roster::default();
    if input.varint()? != 0 {
        roster.founding = Some(FoundingId::from_u64(input.u64()?));
    }
    for _ in 0..input.varint()? {
        let node = NodeId::from_u64(input.u64()?);
        let name = decode_text(input)?;
        let mut donors = BTreeMap::new();
        for _ in 0..input.varint()? {
            donors.insert(ReplicaId::decode(input)?, input.varint()?);
        }
        roster.members.insert(node, MemberRecord { name, donors });
    }
    for _ in 0..input.varint()? {
        roster.removed.insert(NodeId::from_u64(input.u64()?));
    }
    for _ in 0..input.varint()? {
        roster.replicas.insert(ReplicaId::decode(input)?, decode_owner(input)?);
    }
    Ok(roster)
}

pub(super) fn decode_text(input: &mut Reader<'_>) -> Result<String, RecordError> {
    let bytes = input.bytes()?;
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| RecordError::NotText)
}

const REPLICA_START: u8 = 1;
const GUEST_START: u8 = 2;
const GUEST_END: u8 = 3;
const ROSTER: u8 = 4;
const PEER_ADDRESS: u8 = 5;
const DELTA: u8 = 6;
const ENTRY: u8 = 7;
const ADOPTION: u8 = 8;
const COLLECTED: u8 = 9;
const SNAPSHOT_TAKEN: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_reads_back_as_it_was_written() {
        let replica = ReplicaId::from_u64(5);
        let owner = Owner { node: NodeId::from_u64(9), epoch: 1_700_000_000_000 };
        let mut roster = Roster { founding: Some(FoundingId::from_u64(3)), ..Roster::default() };
        let donors = [(replica, 12)].into_iter().collect();
        roster.members.insert(owner.node, MemberRecord { name: "n1".to_owned(), donors });
        roster.removed.insert(NodeId::from_u64(4));
        roster.replicas.insert(replica, owner);
        let clock: VersionVector = [(replica, 7)].into_iter().collect();
        let records = [
            Record::ReplicaStart { replica, owner },
            Record::GuestStart,
            Record::GuestEnd,
            Record::Roster(roster),
            Record::Roster(Roster::default()),
            Record::PeerAddress { name: "n2".to_owned(), address: "127.0.0.1:7502".to_owned() },
            Record::Delta { slot: 255, origin: replica, seq: 300, payload: b"delta" },
            Record::Entry { slot: 0, payload: b"" },
            Record::Adoption { slot: 3, clock, hlc: Hlc::from_u64(77) },
            Record::Collected { payload: b"collected" },
            Record::SnapshotTaken { start: Lsn::from_u64(300) },
        ];
        for record in records {
            let bytes = record.encode();
            assert_eq!(Record::decode(&bytes).unwrap(), record);
            for cut in 0..bytes.len() {
                let _ = Record::decode(&bytes[..cut]);
            }
        }
    }

    #[test]
    fn an_unknown_kind_is_named() {
        assert_eq!(Record::decode(&[200]), Err(RecordError::UnknownKind { kind: 200 }));
    }

    #[test]
    fn a_count_without_content_is_refused_without_being_believed() {
        let mut bytes = vec![ROSTER];
        write_varint(&mut bytes, 0);
        write_varint(&mut bytes, u64::MAX);
        assert!(Record::decode(&bytes).is_err());
    }
}
