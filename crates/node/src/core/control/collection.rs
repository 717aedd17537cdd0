//! Dropping what every member has heard of (R10).

use trellis_crdt::VersionVector;

use super::{Control, Host};
use crate::core::effect::Phase;
use crate::core::fault;

impl Control {
    /// Drops what is stable of a slot; see [`Core::collect`](crate::core::Core::collect).
    pub(crate) fn collect(
        &mut self,
        host: &Host<'_>,
        slot: u8,
        stable: &VersionVector,
        examine_max: usize,
    ) -> usize {
        let is_able = matches!(host.shared.phase(), Phase::Serving | Phase::Draining);
        if !is_able || host.shared.has_failed_log() || self.is_scanned(slot) {
            return 0;
        }
        let collected = host.shard(slot).collect(slot, stable, examine_max, host.shared);
        collected.unwrap_or_else(|_| {
            self.fail(host);
            0
        })
    }

    /// Whether a slot is being scanned for a peer: what was sent of it is followed by the clock of the scan's start.
    fn is_scanned(&self, slot: u8) -> bool {
        let is_scanned = self.scans.values().any(|cursor| cursor.slot() == slot);
        is_scanned && !fault::is_off("R10 nothing is dropped during a scan")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use trellis_replication::{
        Config as ReplicationConfig, LinkEvent, LinkKind, Message, NodeClock, SyncOpen, SyncReply,
        SyncRequest,
    };
    use trellis_storage::slot_of;

    use super::*;
    use crate::core::effect::Effect;
    use crate::core::solo::{Solo, hello, stranger};

    #[test]
    fn what_was_dropped_is_dropped_again_by_replay_and_nothing_else_differs() {
        let mut solo = Solo::founder(Instant::now());
        solo.increment("hits", 3);
        solo.delete("hits");
        solo.sync();
        let slot = slot_of("hits");
        let (clock, digest) =
            solo.core.look_at_slot(slot, |held| (held.clock(slot).clone(), held.digest(slot)));
        assert_eq!(solo.core.collect(slot, &VersionVector::new(), 8, solo.now), 0);
        assert_eq!(solo.core.collect(slot, &clock, 8, solo.now), 1);
        assert_eq!(solo.core.collect(slot, &clock, 8, solo.now), 0);
        solo.sync();
        let recovery = solo.replay();
        let replayed = recovery.look_at_slot(slot);
        assert_eq!((replayed.clock(slot), replayed.digest(slot)), (&clock, digest));
        assert_eq!((replayed.floor(slot), replayed.usage().atoms), (&clock, 0));
        assert_eq!(solo.value("hits"), 0);
    }

    #[test]
    fn a_guest_and_a_node_whose_log_failed_drop_nothing() {
        let mut solo = Solo::founder(Instant::now());
        solo.increment("hits", 3);
        solo.delete("hits");
        solo.sync();
        let slot = slot_of("hits");
        let clock = solo.core.look_at_slot(slot, |held| held.clock(slot).clone());
        solo.core.handle_log_failed(solo.now);
        assert_eq!(solo.core.collect(slot, &clock, 8, solo.now), 0);
        let guest = Solo::guest(Instant::now());
        assert_eq!(guest.core.collect(slot, &clock, 8, guest.now), 0);
    }

    #[test]
    fn a_transfer_of_a_slot_that_something_was_dropped_from_is_given_up_and_no_clock_follows() {
        let chunk_bytes = 1;
        let replication = ReplicationConfig { chunk_bytes, ..ReplicationConfig::default() };
        let mut solo = Solo::founder_with(Instant::now(), replication);
        let slot = slot_of("hits");
        let others: Vec<String> =
            (0..).map(|number| format!("k{number}")).filter(|key| slot_of(key) == slot).take(2).collect();
        solo.increment("hits", 3);
        solo.delete("hits");
        for key in &others {
            solo.increment(key, 1);
        }
        solo.sync();
        let link = solo.core.accept("n2", LinkKind::SyncIn, solo.now);
        let (node, replica) = (stranger().node, stranger().replica);
        let hello = Some(hello(stranger()));
        for request in [
            SyncRequest::Open(SyncOpen { node, replica, roster_hash: 0, clock_hash: 0, hello }),
            SyncRequest::Clock { clock: NodeClock::new(), adopt: Vec::new() },
        ] {
            solo.core.handle_link(link, LinkEvent::SyncRequest(request), solo.now);
        }
        solo.sync();
        assert_eq!(chunks(&solo), [false], "one chunk, and no clock in it");
        let clock = solo.core.look_at_slot(slot, |held| held.clock(slot).clone());
        assert_eq!(solo.core.collect(slot, &clock, 8, solo.now), 0, "the scan is under way");
        let shard = solo.core.shard(slot);
        assert_eq!(shard.lock().collect(slot, &clock, 8, &solo.core.shared).unwrap(), 1);
        solo.sync();
        solo.core.handle_link(link, LinkEvent::SyncRequest(SyncRequest::More), solo.now);
        solo.sync();
        let effects: Vec<Effect> = std::iter::from_fn(|| solo.core.poll_effect()).collect();
        assert!(effects.contains(&Effect::Close { link }), "{effects:?}");
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Send { .. })), "{effects:?}");
        assert_eq!(solo.core.backlog().scans, 0);
    }

    /// Of each chunk that leaves, whether it ends a slot.
    fn chunks(solo: &Solo) -> Vec<bool> {
        let effects = std::iter::from_fn(|| solo.core.poll_effect());
        let ends = effects.filter_map(|effect| match effect {
            Effect::Send { message: Message::SyncReply(SyncReply::Chunk(chunk)), .. } => {
                Some(chunk.slots.iter().any(|part| part.end.is_some()))
            }
            _ => None,
        });
        ends.collect()
    }
}
