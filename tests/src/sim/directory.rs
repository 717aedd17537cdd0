//! A data directory: a disk, the identity on it, and beside it what a crash cannot take from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trellis_crdt::{Delta, Entry, ReplicaId, Slot, Value, VersionVector};
use trellis_node::core::{Record, Recovery};
use trellis_replication::NodeId;
use trellis_storage::Collected;
use trellis_wal::{Lsn, MemoryDisk};

use super::plan::Limits;
use crate::model::{Atom, List, raise};

/// The id of the cluster in all histories.
pub(crate) const CLUSTER: &str = "garden";

/// What belongs to one data directory.
#[derive(Debug)]
pub(crate) struct Directory {
    /// The identity that is kept in it.
    pub(crate) node: NodeId,
    pub(crate) disk: MemoryDisk,
    /// What it would give back after a crash at this moment.
    pub(crate) durable: Durable,
    /// Grows when contents that were durable are lost: to rot, to an older copy, with the disk.
    pub(crate) lineage: u32,
    /// Slot → what all members had heard of when something was dropped, before this one joined them.
    pub(crate) forgotten: BTreeMap<u8, VersionVector>,
}

impl Directory {
    pub(crate) fn new(node: NodeId, limits: &Limits, lineage: u32) -> Self {
        Self {
            node,
            disk: MemoryDisk::new(),
            durable: Durable::new(limits),
            lineage,
            forgotten: BTreeMap::new(),
        }
    }
}

/// A copy of what is durable, kept by replaying each record as soon as it is.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) recovery: Recovery,
    pub(crate) upto: Lsn,
    /// Where the newest snapshot starts that was published; zero for none.
    pub(crate) published: Lsn,
    /// Every record, in the order of LSNs, those that a snapshot has made needless included.
    pub(crate) records: Archive,
    pub(crate) lists: Lists,
    /// Slots whose clock was adopted from a donor.
    pub(crate) adopted: BTreeSet<u8>,
    /// Those that wrote into this log, all of which is here.
    pub(crate) own_replicas: BTreeSet<ReplicaId>,
}

/// Records as they were made durable, from LSN 1 on.
pub(crate) type Archive = Vec<Arc<[u8]>>;

/// Slot and atom → what was merged of it, as the records say.
pub(crate) type Lists = BTreeMap<(u8, Atom), Known>;

/// What is known of an atom.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Origin → greatest seq merged.
    pub(crate) list: List,
    /// Origin → up to which seq its increments are known to be reset.
    pub(crate) resets: List,
}

impl Durable {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            recovery: Recovery::new(limits.shards, CLUSTER, &limits.storage),
            upto: Lsn::ZERO,
            published: Lsn::ZERO,
            records: Archive::new(),
            lists: Lists::new(),
            adopted: BTreeSet::new(),
            own_replicas: BTreeSet::new(),
        }
    }

    /// Takes the next record; an error if it cannot be replayed.
    pub(crate) fn take(&mut self, record: &Noted) -> Result<(), String> {
        self.recovery
            .replay(record.lsn, &record.bytes)
            .map_err(|error| format!("{error}: {}", error.cause))?;
        self.upto = record.lsn;
        self.records.push(record.bytes.as_slice().into());
        if let Seen::Adoption { slot } = record.what {
            self.adopted.insert(slot);
        }
        if let Some(change) = &record.change {
            change.note(&mut self.lists);
        }
        Ok(())
    }

    /// Whether this is the record that was durable at `lsn`; `None` beyond what was.
    pub(crate) fn held(&self, lsn: Lsn, bytes: &[u8]) -> Option<bool> {
        let index = usize::try_from(lsn.as_u64()).ok()?.checked_sub(1)?;
        self.records.get(index).map(|record| **record == *bytes)
    }

    /// The clock of a slot.
    pub(crate) fn clock(&self, slot: u8) -> &VersionVector {
        self.recovery.look_at_slot(slot).clock(slot)
    }
}

/// A record as it was seen on its way into a log.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) lsn: Lsn,
    pub(crate) bytes: Vec<u8>,
    pub(crate) change: Option<Change>,
    pub(crate) what: Seen,
}

/// What kind of record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Delta {
        slot: u8,
        origin: u64,
        seq: u64,
    },
    Entry {
        slot: u8,
    },
    Adoption {
        slot: u8,
    },
    /// Something was dropped that every member had heard of: of no list here, which go on to say what was merged.
    Collected {
        slot: u8,
    },
    Other,
}

/// The atom that a record changes and the list that it brings.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) slot: u8,
    pub(crate) atom: Atom,
    pub(crate) list: Vec<(u64, u64)>,
    /// The counter slots in it, to tell what was reset.
    pub(crate) slots: Vec<(u64, Slot)>,
    /// What its operation says to be reset, or its slots do.
    pub(crate) resets: List,
}

impl Change {
    pub(crate) fn note(&self, lists: &mut Lists) {
        let held = lists.entry((self.slot, self.atom)).or_default();
        self.list.iter().for_each(|(origin, seq)| raise(&mut held.list, *origin, *seq));
        self.resets.iter().for_each(|(origin, seq)| raise(&mut held.resets, *origin, *seq));
    }
}

impl Noted {
    /// Reads a record; an error if it is none.
    pub(crate) fn read(lsn: Lsn, bytes: Vec<u8>) -> Result<Self, String> {
        let (what, change) = match Record::decode(&bytes).map_err(|error| error.to_string())? {
            Record::Delta { slot, origin, seq, payload } => {
                let delta = Delta::<ReplicaId>::decode(payload).map_err(|error| error.to_string())?;
                (Seen::Delta { slot, origin: origin.as_u64(), seq }, Some(change_of(slot, &delta.entry)?))
            }
            Record::Entry { slot, payload } => {
                let entry = Entry::<ReplicaId>::decode(payload).map_err(|error| error.to_string())?;
                (Seen::Entry { slot }, Some(change_of(slot, &entry)?))
            }
            Record::Adoption { slot, .. } => (Seen::Adoption { slot }, None),
            Record::Collected { payload } => {
                let collected = Collected::decode(payload).map_err(|error| error.to_string())?;
                (Seen::Collected { slot: collected.slot() }, None)
            }
            _ => (Seen::Other, None),
        };
        Ok(Self { lsn, bytes, change, what })
    }
}

fn change_of(slot: u8, entry: &Entry<ReplicaId>) -> Result<Change, String> {
    let element = entry.atom.element.as_deref().map(std::str::from_utf8).transpose();
    let element = element.map_err(|error| error.to_string())?.map(super::plan::intern);
    let atom = Atom { key: super::plan::intern(&entry.atom.key), kind: entry.atom.kind, element };
    let list = entry.value.context().iter().map(|(origin, seq)| (origin.as_u64(), seq)).collect();
    let slots = match &entry.value {
        Value::GCounter(counter) => counter.slots().map(|(origin, slot)| (origin.as_u64(), *slot)).collect(),
        Value::PnCounter(counter) => counter.slots().map(|(origin, slot)| (origin.as_u64(), *slot)).collect(),
        _ => Vec::new(),
    };
    Ok(Change { slot, atom, list, slots, resets: List::new() })
}

/// A hash of some bytes.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}
