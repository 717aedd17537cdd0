//! From a snapshot and the records of a log back to the state they describe, through the same merges as arrival (R16).

use std::collections::{BTreeMap, BTreeSet};

use trellis_crdt::{Dot, Hlc, ReplicaId};
use trellis_replication::{FoundingId, MemberRecord, NodeClock, NodeId, Owner, Roster};
use trellis_storage::{Collected, Config as StorageConfig, Keyspace, MergeError};
use trellis_wal::Lsn;

use super::address_book::AddressBook;
use super::fault;
use super::record::{Record, RecordError};
use super::snapshot::{Chunk, ChunkError};

/// Replays records in log order.
#[derive(Debug)]
pub struct Recovery {
    keyspaces: Vec<Keyspace>,
    roster: Roster,
    guest_of: Option<BTreeSet<u8>>,
    addresses: AddressBook,
    hlc: Hlc,
    records: u64,
    /// The start of the newest snapshot that the log tells of.
    snapshot_taken: Lsn,
    restoring: Restoring,
}

/// How far a snapshot is restored.
#[derive(Debug, PartialEq, Eq)]
enum Restoring {
    /// There is none.
    Nothing,
    /// Its last chunk is still to come; the beginning of an atom that is longer than a chunk.
    Chunks(Vec<u8>),
    /// All of it.
    Whole,
}

/// What a log says, ready to become a [`Core`](super::Core).
#[derive(Debug)]
pub struct Recovered {
    /// One a shard.
    pub keyspaces: Vec<Keyspace>,
    /// The clock of all slots: durable, since all of it was in the log.
    pub clock: NodeClock,
    /// Members, removals and replica table.
    pub roster: Roster,
    /// The slots that a guest has not adopted; `None` for a member.
    pub guest_of: Option<BTreeSet<u8>>,
    /// Where others were last reached.
    pub(crate) addresses: AddressBook,
    /// The greatest stamp (R11).
    pub hlc: Hlc,
}

/// A record that cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log record {lsn} cannot be replayed: {cause}")]
pub struct RecoveryError {
    /// Where it is.
    pub lsn: Lsn,
    /// What is wrong with it.
    #[source]
    pub cause: ReplayError,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The snapshot before it was not restored to its end.
    #[error("the snapshot was not restored to its end")]
    HalfRestored,
}

/// A chunk of a snapshot that cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It cannot be read.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// An atom in it cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// It does not follow the chunk before it, or comes after records were replayed.
    #[error("a chunk in a place where it makes no sense")]
    OutOfPlace,
}

impl Recovery {
    /// Begins with an empty state of `shards` shards. `cluster` keys the digests.
    pub fn new(shards: usize, cluster: &str, storage: &StorageConfig) -> Self {
        let key = digest_key(cluster);
        Self {
            keyspaces: (0..shards.max(1)).map(|_| Keyspace::new(key, storage.clone())).collect(),
            roster: Roster::default(),
            guest_of: None,
            addresses: AddressBook::default(),
            hlc: Hlc::ZERO,
            records: 0,
            snapshot_taken: Lsn::ZERO,
            restoring: Restoring::Nothing,
        }
    }

    /// Takes the next chunk of a snapshot; all of them come before the first record.
    ///
    /// # Errors
    ///
    /// When the chunk makes no sense; recovery must stop then.
    pub fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        let chunk = Chunk::decode(chunk)?;
        let parts = match (&mut self.restoring, &chunk) {
            (Restoring::Nothing, Chunk::Node(_)) if self.records == 0 => Vec::new(),
            (Restoring::Chunks(parts), Chunk::Part { .. }) => std::mem::take(parts),
            (Restoring::Chunks(parts), other) if parts.is_empty() && !matches!(other, Chunk::Node(_)) => {
                Vec::new()
            }
            _ => return Err(RestoreError::OutOfPlace),
        };
        self.restoring = Restoring::Chunks(Vec::new());
        match chunk {
            Chunk::Node(state) => {
                if !fault::is_off("R11 a snapshot holds the clock") {
                    self.hlc = state.hlc;
                }
                self.addresses = AddressBook::new(state.addresses, &state.roster);
                if !fault::is_off("R16 a snapshot holds what a guest lacks") {
                    self.guest_of = state.guest_of;
                }
                if !fault::is_off("R16 a snapshot holds the roster") {
                    self.roster = state.roster;
                }
            }
            Chunk::Entries { slot, entries } => {
                for entry in entries {
                    self.restore_entry(slot, entry)?;
                }
            }
            Chunk::Part { slot, is_last, bytes } => {
                let mut entry = parts;
                entry.extend_from_slice(bytes);
                match is_last {
                    true => self.restore_entry(slot, &entry)?,
                    false => self.restoring = Restoring::Chunks(entry),
                }
            }
            Chunk::Header { slot, header } => self.keyspace(slot).restore_header(slot, &header),
            Chunk::Again { slot } => self.keyspace(slot).forget(slot),
            Chunk::End => self.restoring = Restoring::Whole,
        }
        Ok(())
    }

    fn restore_entry(&mut self, slot: u8, entry: &[u8]) -> Result<(), RestoreError> {
        let merged = self.keyspace(slot).merge_entry(slot, entry)?;
        self.observe(merged.stamp);
        Ok(())
    }

    /// Replays one record.
    ///
    /// # Errors
    ///
    /// When the record makes no sense; recovery must stop then.
    pub fn replay(&mut self, lsn: Lsn, bytes: &[u8]) -> Result<(), RecoveryError> {
        self.records += 1;
        if matches!(self.restoring, Restoring::Chunks(_)) {
            return Err(RecoveryError { lsn, cause: ReplayError::HalfRestored });
        }
        self.apply(bytes).map_err(|cause| RecoveryError { lsn, cause })
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<(), ReplayError> {
        match Record::decode(bytes)? {
            Record::ReplicaStart { replica, owner } => {
                self.roster.replicas.insert(replica, owner);
            }
            Record::GuestStart if fault::is_off("R12 a guest stays one over a restart") => {}
            Record::GuestStart => self.guest_of = Some((0..=u8::MAX).collect()),
            Record::GuestEnd => self.guest_of = None,
            Record::Roster(news) => {
                self.roster.merge(&news);
            }
            Record::PeerAddress { name, address } => {
                self.addresses.tell(&name, &address, &self.roster);
            }
            Record::Delta { slot, origin, seq, payload } => {
                let merged = self.keyspace(slot).merge_delta(slot, Dot::new(origin, seq), payload)?;
                self.observe(merged.stamp);
            }
            Record::Entry { slot, payload } => {
                let merged = self.keyspace(slot).merge_entry(slot, payload)?;
                self.observe(merged.stamp);
            }
            Record::Adoption { slot, clock, hlc } => {
                if !fault::is_off("R16 replay keeps adoptions") {
                    self.keyspace(slot).adopt(slot, &clock);
                }
                self.observe(Some(hlc).filter(|_| !fault::is_off("R11 an adoption keeps the donor's clock")));
                if let Some(remaining) = &mut self.guest_of {
                    remaining.remove(&slot);
                }
            }
            Record::Collected { payload } => {
                let collected = Collected::decode(payload)?;
                if !fault::is_off("R16 replay drops what was dropped") {
                    self.keyspace(collected.slot()).replay_collected(&collected);
                }
            }
            Record::SnapshotTaken { start } => self.snapshot_taken = self.snapshot_taken.max(start),
        }
        Ok(())
    }

    fn keyspace(&mut self, slot: u8) -> &mut Keyspace {
        let shards = self.keyspaces.len();
        &mut self.keyspaces[usize::from(slot) % shards]
    }

    fn observe(&mut self, stamp: Option<Hlc>) {
        if !fault::is_off("R11 the clock is raised by replay") {
            self.hlc = self.hlc.max(stamp.unwrap_or(Hlc::ZERO));
        }
    }

    /// Shows the keyspace that holds `slot`, as far as the log was replayed.
    pub fn look_at_slot(&self, slot: u8) -> &Keyspace {
        &self.keyspaces[usize::from(slot) % self.keyspaces.len()]
    }

    /// Returns members, removals and replica table, as far as the log was replayed.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Returns the slots that a guest has not adopted, as far as the log was replayed; `None` for a member.
    pub fn guest_of(&self) -> Option<&BTreeSet<u8>> {
        self.guest_of.as_ref()
    }

    /// Returns where others were last reached, by name, as far as the log was replayed: members of the roster, and at most
    /// 256 others.
    pub fn addresses(&self) -> &BTreeMap<String, String> {
        self.addresses.addresses()
    }

    /// Returns the greatest stamp, as far as the log was replayed.
    pub fn hlc(&self) -> Hlc {
        self.hlc
    }

    /// Returns where the newest snapshot starts that the log behind the one restored tells of; [`Lsn::ZERO`] for none.
    pub fn snapshot_taken(&self) -> Lsn {
        self.snapshot_taken
    }

    /// Tells whether there was neither a snapshot nor a record: a data directory that was just made.
    pub fn is_fresh(&self) -> bool {
        self.records == 0 && self.restoring == Restoring::Nothing
    }

    /// The greatest epoch that any process of `node` had, 0 for none.
    pub fn epoch(&self, node: NodeId) -> u64 {
        self.roster.newest_replica(node).map_or(0, |(_, epoch)| epoch)
    }

    /// Enters this process, which the caller logs as the returned records and syncs before anything else.
    ///
    /// A fresh directory founds the cluster if `founding` is given and joins as a guest otherwise.
    pub fn start(
        &mut self,
        name: &str,
        replica: ReplicaId,
        owner: Owner,
        founding: Option<FoundingId>,
    ) -> Vec<Record<'static>> {
        let mut records = Vec::new();
        if self.is_fresh() {
            match founding {
                Some(founding) => {
                    let mut roster = Roster { founding: Some(founding), ..Roster::default() };
                    let record = MemberRecord { name: name.to_owned(), donors: BTreeMap::new() };
                    roster.members.insert(owner.node, record);
                    self.roster.merge(&roster);
                    records.push(Record::Roster(roster));
                }
                None => {
                    self.guest_of = Some((0..=u8::MAX).collect());
                    records.push(Record::GuestStart);
                }
            }
        }
        self.roster.replicas.insert(replica, owner);
        records.push(Record::ReplicaStart { replica, owner });
        records
    }

    /// Ends recovery.
    pub fn finish(self) -> Recovered {
        let shards = self.keyspaces.len();
        let clock = (0..=u8::MAX)
            .map(|slot| (slot, self.keyspaces[usize::from(slot) % shards].clock(slot).clone()))
            .collect();
        Recovered {
            keyspaces: self.keyspaces,
            clock,
            roster: self.roster,
            guest_of: self.guest_of,
            addresses: self.addresses,
            hlc: self.hlc,
        }
    }
}

/// A number that SWIM compares before anything else in a message.
pub(crate) fn cluster_hash(cluster: &str) -> u64 {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(0, 0);
    hasher.write(cluster.as_bytes());
    hasher.finish()
}

/// The key of the digests: all nodes of a cluster derive the same, and two clusters different ones.
fn digest_key(cluster: &str) -> [u8; 16] {
    use siphasher::sip128::{Hasher128, SipHasher13};
    let mut hasher = SipHasher13::new_with_keys(1, 1);
    std::hash::Hasher::write(&mut hasher, cluster.as_bytes());
    hasher.finish128().as_u128().to_le_bytes()
}
