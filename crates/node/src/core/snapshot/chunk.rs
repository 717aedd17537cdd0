//! The chunks of a node's snapshot as bytes: one byte of kind, then the fields in the primitives of trellis-crdt's codec.
//!
//! docs/formats.md has the tables.

use std::collections::{BTreeMap, BTreeSet};

use trellis_crdt::codec::{Decode, DecodeError, Encode, Reader, write_bytes, write_varint};
use trellis_crdt::{Dot, Hlc, ReplicaId, VersionVector};
use trellis_replication::Roster;
use trellis_storage::SlotHeader;

use crate::core::record::{RecordError, decode_roster, decode_text, encode_roster};

/// One chunk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Chunk<'a> {
    /// What there is besides the slots; the first chunk, and only the first.
    Node(Box<NodeState>),
    /// Atoms of a slot, as in catch-up.
    Entries { slot: u8, entries: Vec<&'a [u8]> },
    /// A piece of an atom that is too long for one chunk. The pieces of an atom follow each other.
    Part { slot: u8, is_last: bool, bytes: &'a [u8] },
    /// What is known of the dots of a slot, behind all of its atoms.
    Header { slot: u8, header: SlotHeader },
    /// The atoms of this slot so far are void; they follow once more.
    Again { slot: u8 },
    /// The last chunk.
    End,
}

/// What a snapshot holds besides the slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeState {
    /// The greatest stamp (R11).
    pub(crate) hlc: Hlc,
    /// The slots that a guest has not adopted; `None` for a member.
    pub(crate) guest_of: Option<BTreeSet<u8>>,
    /// Where members were last reached.
    pub(crate) addresses: BTreeMap<String, String>,
    /// Members, removals and replica table.
    pub(crate) roster: Roster,
}

impl<'a> Chunk<'a> {
    /// Encodes atoms that are in no slice of slices yet.
    pub(crate) fn entries(slot: u8, entries: &[Vec<u8>]) -> Vec<u8> {
        let bytes: usize = entries.iter().map(|entry| entry.len() + LENGTH_BYTES_MAX).sum();
        let mut out = Vec::with_capacity(bytes + 2);
        out.extend_from_slice(&[ENTRIES, slot]);
        entries.iter().for_each(|entry| write_bytes(&mut out, entry));
        out
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Node(state) => {
                out.extend_from_slice(&[NODE, VERSION]);
                state.encode(&mut out);
            }
            Self::Entries { slot, entries } => {
                out.extend_from_slice(&[ENTRIES, *slot]);
                entries.iter().for_each(|entry| write_bytes(&mut out, entry));
            }
            Self::Part { slot, is_last, bytes } => {
                out.extend_from_slice(&[PART, *slot, u8::from(*is_last)]);
                out.extend_from_slice(bytes);
            }
            Self::Header { slot, header } => {
                out.extend_from_slice(&[HEADER, *slot]);
                encode_header(header, &mut out);
            }
            Self::Again { slot } => out.extend_from_slice(&[AGAIN, *slot]),
            Self::End => out.push(END),
        }
        out
    }

    /// Decodes a chunk, borrowing atoms, which are not looked into.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        let mut input = Reader::new(bytes);
        let chunk = match input.u8()? {
            NODE => match input.u8()? {
                VERSION => Self::Node(Box::new(NodeState::decode(&mut input)?)),
                version => return Err(ChunkError::UnknownVersion { version }),
            },
            ENTRIES => return decode_entries(input),
            PART => {
                let (slot, is_last) = (input.u8()?, input.u8()? != 0);
                return Ok(Self::Part { slot, is_last, bytes: input.rest() });
            }
            HEADER => Self::Header { slot: input.u8()?, header: decode_header(&mut input)? },
            AGAIN => Self::Again { slot: input.u8()? },
            END => Self::End,
            kind => return Err(ChunkError::UnknownKind { kind }),
        };
        input.finish()?;
        Ok(chunk)
    }
}

fn decode_entries<'a>(mut input: Reader<'a>) -> Result<Chunk<'a>, ChunkError> {
    let slot = input.u8()?;
    let mut rest = Reader::new(input.rest());
    let mut entries = Vec::new();
    while !rest.is_empty() {
        entries.push(rest.bytes()?);
    }
    Ok(Chunk::Entries { slot, entries })
}

impl NodeState {
    fn encode(&self, out: &mut Vec<u8>) {
        write_varint(out, self.hlc.as_u64());
        write_varint(out, u64::from(self.guest_of.is_some()));
        if let Some(slots) = &self.guest_of {
            write_varint(out, slots.len() as u64);
            out.extend(slots);
        }
        write_varint(out, self.addresses.len() as u64);
        for (name, address) in &self.addresses {
            write_bytes(out, name.as_bytes());
            write_bytes(out, address.as_bytes());
        }
        encode_roster(&self.roster, out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, ChunkError> {
        let hlc = Hlc::from_u64(input.varint()?);
        let mut guest_of = (input.varint()? != 0).then(BTreeSet::new);
        if let Some(slots) = &mut guest_of {
            for _ in 0..input.varint()? {
                slots.insert(input.u8()?);
            }
        }
        let mut addresses = BTreeMap::new();
        for _ in 0..input.varint()? {
            addresses.insert(decode_text(input)?, decode_text(input)?);
        }
        Ok(Self { hlc, guest_of, addresses, roster: decode_roster(input)? })
    }
}

fn encode_header(header: &SlotHeader, out: &mut Vec<u8>) {
    header.clock.encode(out);
    header.ceiling.encode(out);
    header.floor.encode(out);
    write_varint(out, header.early.len() as u64);
    for dot in &header.early {
        dot.actor.encode(out);
        write_varint(out, dot.seq);
    }
    // Completed seals (R14), of which there are none yet.
    VersionVector::<ReplicaId>::new().encode(out);
}

fn decode_header(input: &mut Reader<'_>) -> Result<SlotHeader, ChunkError> {
    let clock = VersionVector::decode(input)?;
    let ceiling = VersionVector::decode(input)?;
    let floor = VersionVector::decode(input)?;
    let mut early = Vec::new();
    for _ in 0..input.varint()? {
        let (actor, seq) = (ReplicaId::decode(input)?, input.varint()?);
        if seq == 0 {
            return Err(DecodeError::ZeroSeq.into());
        }
        early.push(Dot::new(actor, seq));
    }
    match VersionVector::<ReplicaId>::decode(input)?.is_empty() {
        true => Ok(SlotHeader { clock, early, ceiling, floor }),
        false => Err(ChunkError::Sealed),
    }
}

/// A chunk that passed its checksum and still makes no sense: written by another version, or by a bug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// A later release wrote it.
    #[error("version {version} of the node's snapshot is not known")]
    UnknownVersion {
        /// The byte.
        version: u8,
    },
    /// The kind byte is of no known chunk.
    #[error("unknown kind {kind} of chunk")]
    UnknownKind {
        /// The byte.
        kind: u8,
    },
    /// The fields cannot be read.
    #[error(transparent)]
    Malformed(#[from] RecordError),
    /// A replica is sealed, which this release does not know to keep.
    #[error("a slot with sealed replicas")]
    Sealed,
}

impl From<DecodeError> for ChunkError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.into())
    }
}

const VERSION: u8 = 1;
const NODE: u8 = 1;
const ENTRIES: u8 = 2;
const PART: u8 = 3;
const HEADER: u8 = 4;
const AGAIN: u8 = 5;
const END: u8 = 6;
/// Of a length before an atom.
const LENGTH_BYTES_MAX: usize = 5;
