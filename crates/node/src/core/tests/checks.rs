//! Invariants that hold at every step, and the proof that each of them can fail.

use std::collections::BTreeMap;

use trellis_crdt::{Entry, ReplicaId, VersionVector};
use trellis_replication::{Message, NodeClock, PushReply, PushRequest, SyncReply, SyncRequest};
use trellis_storage::Config as StorageConfig;
use trellis_wal::OpenSeed;

use super::super::*;
use super::cluster::{Cluster, NAMES, Said, WAL};

/// What a process would find if `name` crashed at this moment and lost all that was not synced.
pub(super) fn after_crash(cluster: &Cluster, name: &str) -> Recovered {
    let disk = cluster.nodes[name].disk.crash(0, |_| false);
    let opened = trellis_wal::open(disk, WAL, OpenSeed { log_uuid: [0; 16], salt: 0 }).unwrap();
    let mut recovery = Recovery::new(cluster.shards, "garden", &StorageConfig::default());
    for record in opened.records {
        let (lsn, bytes) = record.unwrap();
        recovery.replay(lsn, &bytes).unwrap();
    }
    recovery.finish()
}

/// R1: what `from` says to `to` would still be true if `from` lost all that it has not synced.
pub(super) fn r1_nothing_leaves_before_it_is_durable(
    cluster: &Cluster,
    from: &'static str,
    to: &'static str,
    said: &Said<'_>,
) {
    let recovered = after_crash(cluster, from);
    let replica_of = |name: &str| cluster.nodes[name].replica;
    assert_eq!(beyond(&recovered, replica_of(from), replica_of(to), said), None, "{from} to {to}");
}

/// The first thing said that `recovered` does not hold.
fn beyond(recovered: &Recovered, from: ReplicaId, to: ReplicaId, said: &Said<'_>) -> Option<String> {
    let clock_of = |slot: u8| recovered.clock.slot(slot);
    let keyspace = |slot: u8| &recovered.keyspaces[usize::from(slot) % recovered.keyspaces.len()];
    let unknown = |clock: &NodeClock| {
        (!recovered.clock.dominates(clock)).then(|| format!("clock {clock:?} beyond {:?}", recovered.clock))
    };
    match said {
        Said::Message(Message::PushRequest(PushRequest::Deltas(deltas))) => deltas
            .iter()
            .find(|delta| clock_of(delta.slot).get(from) < delta.seq)
            .map(|delta| format!("delta {} of slot {}", delta.seq, delta.slot)),
        Said::Message(Message::PushReply(PushReply::Acked(prefixes))) => prefixes
            .iter()
            .find(|(slot, prefix)| clock_of(*slot).get(to) < *prefix)
            .map(|(slot, prefix)| format!("acknowledgement {prefix} of slot {slot}")),
        Said::Message(
            Message::PushRequest(PushRequest::Hello(hello))
            | Message::PushReply(PushReply::Hello(hello))
            | Message::SyncReply(SyncReply::Differs(hello)),
        ) => unknown(&hello.clock),
        Said::Message(Message::SyncRequest(SyncRequest::Clock { clock, .. })) => unknown(clock),
        Said::Message(Message::SyncReply(SyncReply::Chunk(chunk))) => chunk.slots.iter().find_map(|part| {
            let ends_beyond = part.end.as_ref().is_some_and(|end| !clock_of(part.slot).dominates(&end.clock));
            let ceiling = keyspace(part.slot).ceiling(part.slot);
            let is_beyond =
                |bytes: &[u8]| !ceiling.dominates(Entry::<ReplicaId>::decode(bytes).unwrap().value.context());
            let has_beyond = part.entries.iter().any(|bytes| is_beyond(bytes));
            (ends_beyond || has_beyond).then(|| format!("chunk of slot {}", part.slot))
        }),
        Said::Message(_) => None,
        Said::Gossip(gossip) => gossip
            .digests
            .iter()
            .find(|told| {
                let is_of_the_log = recovered.clock.slot_hash(told.slot) == told.clock_hash;
                !is_of_the_log || keyspace(told.slot).digest(told.slot) != told.digest
            })
            .map(|told| format!("digest of slot {}", told.slot)),
    }
}

/// A node's settled slots: number → (clock, digest).
type Slots = BTreeMap<u8, (VersionVector, u128)>;

/// Invariant 7: equal clocks of settled slots, equal digests, between all nodes that run.
pub(super) fn equal_clocks_have_equal_digests(cluster: &Cluster, slots: &[u8]) {
    let views: Vec<(&str, Slots)> =
        NAMES.into_iter().filter_map(|name| Some((name, settled(cluster.core(name)?, slots)))).collect();
    for (index, (one, ours)) in views.iter().enumerate() {
        for (other, theirs) in &views[..index] {
            assert_eq!(differing(ours, theirs), None, "{one} and {other}");
        }
    }
}

pub(super) fn settled(core: &Core, slots: &[u8]) -> Slots {
    let view = |slot: u8| {
        let shard = core.shard(slot).lock();
        let keyspace = shard.keyspace();
        keyspace.is_settled(slot).then(|| (slot, (keyspace.clock(slot).clone(), keyspace.digest(slot))))
    };
    slots.iter().filter_map(|slot| view(*slot)).collect()
}

fn differing(ours: &Slots, theirs: &Slots) -> Option<u8> {
    let differs = |(slot, (clock, digest)): &(&u8, &(VersionVector, u128))| {
        theirs
            .get(*slot)
            .is_some_and(|(their_clock, their_digest)| clock == their_clock && digest != their_digest)
    };
    ours.iter().find(differs).map(|(slot, _)| *slot)
}

/// Every delta that was ever seen, by its dot.
#[derive(Default)]
pub(super) struct Contents {
    by_dot: BTreeMap<(ReplicaId, u8, u64), Vec<u8>>,
}

impl Contents {
    /// Takes the deltas of a log; returns a dot that has two contents.
    pub(super) fn take(&mut self, records: impl Iterator<Item = Vec<u8>>) -> Option<(ReplicaId, u8, u64)> {
        for record in records {
            let Ok(Record::Delta { slot, origin, seq, payload }) = Record::decode(&record) else { continue };
            let held = self.by_dot.entry((origin, slot, seq)).or_insert_with(|| payload.to_vec());
            if held != payload {
                return Some((origin, slot, seq));
            }
        }
        None
    }
}

#[test]
fn the_checker_of_r1_sees_a_clock_and_a_delta_that_a_crash_would_lose() {
    let mut cluster = Cluster::of(1);
    cluster.stalled.insert("n1");
    cluster.increment("n1", "hits", 1);
    let (recovered, from) = (after_crash(&cluster, "n1"), cluster.nodes["n1"].replica);
    let slot = slot_of("hits");
    let delta = trellis_replication::PushedDelta { slot, seq: 1, payload: bytes::Bytes::new() };
    let deltas = Message::PushRequest(PushRequest::Deltas(vec![delta]));
    assert!(beyond(&recovered, from, from, &Said::Message(&deltas)).is_some());
    let acked = Message::PushReply(PushReply::Acked(vec![(slot, 1)]));
    assert!(beyond(&recovered, from, from, &Said::Message(&acked)).is_some());
    let clock = NodeClock::from_iter([(slot, [(from, 1)].into_iter().collect())]);
    let asks = Message::SyncRequest(SyncRequest::Clock { clock, adopt: Vec::new() });
    assert!(beyond(&recovered, from, from, &Said::Message(&asks)).is_some());
    cluster.stalled.clear();
    cluster.run_for(Duration::from_millis(1));
    let recovered = after_crash(&cluster, "n1");
    assert_eq!(beyond(&recovered, from, from, &Said::Message(&deltas)), None);
    assert_eq!(beyond(&recovered, from, from, &Said::Message(&asks)), None);
}

#[test]
fn the_checker_of_digests_sees_two_that_differ_at_one_clock() {
    let clock: VersionVector = [(ReplicaId::from_u64(1), 4)].into_iter().collect();
    let one = Slots::from([(3, (clock.clone(), 1))]);
    assert_eq!(differing(&one, &Slots::from([(3, (clock, 2))])), Some(3));
    assert_eq!(differing(&one, &Slots::from([(3, (VersionVector::new(), 2))])), None);
}

#[test]
fn the_checker_of_dots_sees_two_contents_of_one() {
    let origin = ReplicaId::from_u64(1);
    let record = |payload| Record::Delta { slot: 3, origin, seq: 4, payload }.encode();
    let mut contents = Contents::default();
    assert_eq!(contents.take([record(b"one"), record(b"one")].into_iter()), None);
    assert_eq!(contents.take([record(b"two")].into_iter()), Some((origin, 3, 4)));
}
