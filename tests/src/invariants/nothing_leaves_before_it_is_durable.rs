//! 4 and 5: no reply, no delta, no clock, no digest leaves a node before it is durable there, and no read of what could
//! still be lost; an acknowledged clock covers nothing else.

use trellis_crdt::{Entry, ReplicaId};
use trellis_replication::{
    Gossip, Message, NodeClock, PushReply, PushRequest, SyncReply, SyncRequest, slot_clock_hash,
};
use trellis_wal::Lsn;

use super::{Held, Violation};
use crate::sim::directory::Durable;
use crate::sim::host::{Host, Process};

/// Holds a message of `from` against what `from` would still know after a crash at this moment.
pub(super) fn message(host: u8, from: &Host, to: Option<&Process>, message: &Message) -> Held {
    let (Some(process), durable) = (&from.process, &from.directory.durable) else { return Ok(()) };
    let to = to.map(|process| process.replica);
    match beyond(durable, process.replica, to, message) {
        None => Ok(()),
        Some(what) => Err(violation(host, what)),
    }
}

/// The first thing said that a crash would take back.
fn beyond(durable: &Durable, from: ReplicaId, to: Option<ReplicaId>, message: &Message) -> Option<String> {
    match message {
        Message::PushRequest(PushRequest::Deltas(deltas)) => deltas
            .iter()
            .find(|delta| durable.clock(delta.slot).get(from) < delta.seq)
            .map(|delta| format!("delta {} of slot {}", delta.seq, delta.slot)),
        Message::PushReply(PushReply::Acked(prefixes)) => prefixes
            .iter()
            .find(|(slot, prefix)| to.is_some_and(|to| durable.clock(*slot).get(to) < *prefix))
            .map(|(slot, prefix)| format!("the acknowledgement {prefix} of slot {slot}")),
        Message::PushRequest(PushRequest::Hello(hello))
        | Message::PushReply(PushReply::Hello(hello))
        | Message::SyncReply(SyncReply::Differs(hello)) => {
            let is_beyond = hello.durable_lsn > durable.upto.as_u64();
            let lsn = is_beyond.then(|| format!("durable LSN {} beyond {}", hello.durable_lsn, durable.upto));
            lsn.or_else(|| clock_beyond(durable, &hello.clock)).or_else(|| {
                let known = durable.recovery.roster();
                let is_known =
                    hello.roster.replicas.keys().all(|replica| known.replicas.contains_key(replica));
                (!is_known).then(|| "a roster that is not logged".to_owned())
            })
        }
        Message::SyncRequest(SyncRequest::Clock { clock, .. }) => clock_beyond(durable, clock),
        Message::SyncReply(SyncReply::Chunk(chunk)) => chunk.slots.iter().find_map(|part| {
            let clock = durable.clock(part.slot);
            let ends_beyond = part.end.as_ref().is_some_and(|end| !clock.dominates(&end.clock));
            let ceiling = durable.recovery.look_at_slot(part.slot).ceiling(part.slot);
            let is_beyond = |bytes: &bytes::Bytes| {
                Entry::<ReplicaId>::decode(bytes).is_ok_and(|entry| !ceiling.dominates(entry.value.context()))
            };
            let has_beyond = part.entries.iter().any(is_beyond);
            (ends_beyond || has_beyond).then(|| format!("a chunk of slot {}", part.slot))
        }),
        Message::PushRequest(_) | Message::PushReply(_) | Message::SyncRequest(_) | Message::SyncReply(_) => {
            None
        }
    }
}

fn clock_beyond(durable: &Durable, clock: &NodeClock) -> Option<String> {
    let beyond = clock.slots().find(|(slot, vector)| !durable.clock(*slot).dominates(vector));
    beyond.map(|(slot, vector)| format!("clock {vector:?} of slot {slot} beyond {:?}", durable.clock(slot)))
}

/// Holds the digests that gossip tells against those of what is durable.
pub(super) fn gossip(host: u8, from: &Host, gossip: &Gossip) -> Held {
    let durable = &from.directory.durable;
    for told in &gossip.digests {
        let replayed = durable.recovery.look_at_slot(told.slot);
        let clock = replayed.clock(told.slot);
        if clock.is_empty() && told.digest == 0 {
            continue;
        }
        if told.clock_hash != slot_clock_hash(told.slot, clock) || told.digest != replayed.digest(told.slot) {
            return Err(violation(host, format!("a digest of slot {}", told.slot)));
        }
    }
    Ok(())
}

/// The answer to a read of a key whose last change, at the moment of the read, ended at `last_change`.
pub(super) fn read(host: u8, from: &Host, last_change: Lsn) -> Held {
    if last_change <= from.directory.durable.upto {
        return Ok(());
    }
    Err(violation(host, format!("a read of what record {last_change} changed")))
}

/// The answer to a write.
pub(super) fn reply(host: u8, from: &Host, dots: &[(u8, u64)]) -> Held {
    let Some(process) = &from.process else { return Ok(()) };
    let durable = &from.directory.durable;
    let undurable = dots.iter().find(|(slot, seq)| durable.clock(*slot).get(process.replica) < *seq);
    undurable.map_or(Ok(()), |(slot, seq)| {
        Err(violation(host, format!("the answer to write {seq} of slot {slot}")))
    })
}

fn violation(host: u8, what: String) -> Violation {
    let detail = format!("n{} lets go what a crash would take back: {what}", host + 1);
    Violation { invariant: "nothing_leaves_before_it_is_durable", hosts: vec![host], detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::plan::Limits;

    #[test]
    fn a_delta_an_acknowledgement_and_a_clock_that_a_crash_would_take_back_are_seen() {
        let durable = Durable::new(&Limits::roomy());
        let (from, to) = (ReplicaId::from_u64(1), ReplicaId::from_u64(2));
        let said = |message| beyond(&durable, from, Some(to), &message);
        let delta = trellis_replication::PushedDelta { slot: 3, seq: 1, payload: bytes::Bytes::new() };
        assert!(said(Message::PushRequest(PushRequest::Deltas(vec![delta]))).is_some());
        assert!(said(Message::PushReply(PushReply::Acked(vec![(3, 1)]))).is_some());
        let clock = NodeClock::from_iter([(3, [(from, 1)].into_iter().collect())]);
        let asks = |clock| Message::SyncRequest(SyncRequest::Clock { clock, adopt: Vec::new() });
        assert!(said(asks(clock)).is_some());
        assert_eq!(said(asks(NodeClock::new())), None);
    }
}
