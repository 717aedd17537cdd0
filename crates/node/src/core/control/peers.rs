//! Replication's outputs performed: state merged, messages held until what they say is durable.

use bytes::Bytes;
use trellis_crdt::{Delta, Dot, Entry, ReplicaId, VersionVector};
use trellis_replication::{
    After, Event, LinkEvent, LinkId, LinkKind, MergedDelta, MergedPart, Output, PushedDelta, Refusal, SlotEnd,
};
use trellis_storage::{MergeError, ReceivedDelta, ReceivedEntry, ScanCursor};
use trellis_wal::Lsn;

use super::{Control, Host};
use crate::core::effect::{Effect, Notice, Phase};
use crate::core::fault;
use crate::core::record::Record;
use crate::core::shard::{MergeFailure, Pending};

impl Control {
    pub(crate) fn handle_link(&mut self, host: &Host<'_>, link: LinkId, event: LinkEvent) {
        if matches!(event, LinkEvent::Closed) {
            self.held.remove(&link);
        }
        self.hint_at_link(host, link, &event);
        self.report_facts(host);
        self.replicator.handle_link(link, event, host.now.instant);
    }

    pub(crate) fn accept(&mut self, host: &Host<'_>, peer: &str, kind: LinkKind) -> LinkId {
        let link = self.replicator.accept(peer, kind, host.now.instant);
        self.watch_link(link, peer, kind);
        link
    }

    /// Tells replication what has become durable, and lets go what waited for it.
    pub(crate) fn handle_durable(&mut self, host: &Host<'_>) {
        let durable = if host.shared.tells_early() { host.shared.log.last() } else { host.shared.durable() };
        for shard in host.shards {
            for pending in shard.lock().take_durable(durable) {
                match pending {
                    Pending::Written { slot, seq, payload } => {
                        self.replicator.handle_written(slot, seq, payload);
                    }
                    Pending::Clock { slot, origin, prefix } => {
                        self.replicator.handle_clock(slot, origin, prefix);
                    }
                    Pending::Adopted { slot, clock } => {
                        for (origin, prefix) in clock.iter() {
                            self.replicator.handle_clock(slot, origin, prefix);
                        }
                    }
                    Pending::Read { .. } => {}
                }
            }
        }
        if self.guest_end.is_some_and(|end| end <= durable) {
            self.guest_end = None;
            self.on_joined(host);
        }
        self.report_facts(host);
        self.replicator.flush(host.now.instant);
        self.release(host.shared.durable());
    }

    fn report_facts(&mut self, host: &Host<'_>) {
        self.replicator.handle_facts(host.shared.hlc(), host.shared.durable().as_u64());
    }

    /// Performs what replication asks for until it asks for nothing more.
    pub(super) fn perform_replication(&mut self, host: &Host<'_>) {
        while let Some(output) = self.replicator.poll_output() {
            self.perform(host, output);
        }
    }

    fn perform(&mut self, host: &Host<'_>, output: Output) {
        let now = host.now.instant;
        match output {
            Output::Dial { peer, link, kind } => match self.address_of(&peer) {
                Some(address) => {
                    self.watch_link(link, &peer, kind);
                    self.effects.push_back(Effect::Open { link, kind, peer, address });
                }
                None => self.replicator.handle_link(link, LinkEvent::Closed, now),
            },
            // Its content may be in memory only, as what the log has refused is.
            Output::Send { after: After::Everything, .. } if host.shared.has_failed_log() => {}
            Output::Send { link, message, after } => {
                let after = match after {
                    After::Nothing => Lsn::ZERO,
                    After::Everything if fault::is_off("R1 messages wait for the log") => Lsn::ZERO,
                    After::Everything => host.shared.log.last(),
                };
                self.hold(host, link, after, Effect::Send { link, message });
            }
            Output::Close { link } => {
                self.forget_link(link);
                self.hold(host, link, Lsn::ZERO, Effect::Close { link });
            }
            Output::Merge { link, origin, deltas } => self.merge_pushed(host, link, origin, &deltas),
            Output::Scan { link, slot, beyond, is_start, bytes_max } => {
                if is_start {
                    self.scans.remove(&link);
                }
                let cursor = self.scans.entry(link).or_insert_with(|| ScanCursor::new(slot, beyond));
                match host.shard(slot).scan(cursor, bytes_max) {
                    Some((entries, is_done)) => {
                        self.replicator.handle_scanned(link, slot, entries, is_done);
                    }
                    None => self.give_up_transfer(host, link),
                }
            }
            Output::ScanEnded { link } => {
                self.scans.remove(&link);
            }
            Output::MergePart { link, slot, entries, end } => {
                let merged = self.merge_part(host, slot, &entries, end.as_ref());
                self.replicator.handle_part_merged(link, merged, now);
            }
            Output::Observe(_) if fault::is_off("R11 hellos and transfers raise the clock") => {}
            Output::Observe(hlc) => host.shared.observe(hlc),
            Output::Persist(news) => self.log(host, &Record::Roster(news)),
            Output::Joined => {
                self.log(host, &Record::GuestEnd);
                self.guest_end = Some(host.shared.log.last());
            }
            Output::Replicated { ticket } => self.effects.push_back(Effect::Replicated { ticket }),
            Output::Event(event) => self.on_replication_event(host, event),
        }
    }

    /// Ends a transfer that is given as if its stream had broken: what was sent stays, and no clock follows it (R3).
    fn give_up_transfer(&mut self, host: &Host<'_>, link: LinkId) {
        self.hold(host, link, Lsn::ZERO, Effect::Close { link });
        self.replicator.handle_link(link, LinkEvent::Closed, host.now.instant);
    }

    fn on_replication_event(&mut self, host: &Host<'_>, event: Event) {
        if event == Event::SelfRemoved {
            self.set_phase(host, Phase::Removed);
        }
        if let Event::RefusedBy { peer, refusal: Refusal::NameTaken { name, holder } } = &event {
            let local = self.replicator.local();
            if *name == local.name && *holder != local.node && *peer != local.name {
                let peer = peer.clone();
                self.ask_for_own_name(host, &peer);
            }
        }
        self.notice(Notice::Replication(event));
    }

    fn merge_pushed(&mut self, host: &Host<'_>, link: LinkId, origin: ReplicaId, deltas: &[PushedDelta]) {
        let mut merged = Vec::with_capacity(deltas.len());
        for delta in deltas {
            // Its origin offers again what is not acknowledged; by then the disk may have caught up.
            if !host.shared.has_room() {
                break;
            }
            match self.merge_one(host, origin, delta) {
                Ok(outcome) => merged.push(outcome),
                Err(failure) => self.on_failed(host, delta.slot, failure),
            }
        }
        self.replicator.handle_merged(link, &merged, host.now.instant);
    }

    fn merge_one(
        &self,
        host: &Host<'_>,
        origin: ReplicaId,
        delta: &PushedDelta,
    ) -> Result<MergedDelta, MergeFailure> {
        let PushedDelta { slot, seq, payload } = delta;
        let dot = Dot::new(origin, *seq);
        let received = ReceivedDelta::decode(*slot, dot, payload)?;
        self.check_owners(received.origins())?;
        if received.origins().any(|replica| replica == self.replicator.local().replica) {
            let list =
                Delta::<ReplicaId>::decode(payload).map_err(MergeError::from)?.entry.value.context().clone();
            self.check_own(host, *slot, &list)?;
        }
        host.shard(*slot).merge_delta(*slot, dot, &received, payload, host.shared)
    }

    /// Merges a part of a transfer as far as nothing in it is refused.
    fn merge_part(
        &mut self,
        host: &Host<'_>,
        slot: u8,
        entries: &[Bytes],
        end: Option<&SlotEnd>,
    ) -> MergedPart {
        let merged = entries
            .iter()
            .try_for_each(|payload| self.merge_entry(host, slot, payload))
            .and_then(|()| end.map_or(Ok(()), |end| self.adopt(host, slot, end)));
        match merged {
            Err(failure) => {
                self.on_failed(host, slot, failure);
                MergedPart::Refused
            }
            Ok(()) if end.is_some() => MergedPart::Adopted { slot, entries: entries.len() },
            Ok(()) => MergedPart::Entries { entries: entries.len() },
        }
    }

    fn merge_entry(&self, host: &Host<'_>, slot: u8, payload: &Bytes) -> Result<(), MergeFailure> {
        let received = ReceivedEntry::decode(slot, payload)?;
        self.check_owners(received.origins())?;
        if received.origins().any(|replica| replica == self.replicator.local().replica) {
            let list = Entry::<ReplicaId>::decode(payload).map_err(MergeError::from)?.value.context().clone();
            self.check_own(host, slot, &list)?;
        }
        host.shard(slot).merge_entry(slot, &received, payload, host.shared)
    }

    fn adopt(&self, host: &Host<'_>, slot: u8, end: &SlotEnd) -> Result<(), MergeFailure> {
        self.check_owners(end.clock.iter().map(|(replica, _)| replica))?;
        self.check_own(host, slot, &end.clock)?;
        host.shard(slot).adopt(slot, &end.clock, end.hlc, host.shared)
    }

    /// R9: whatever carries a list names the nodes of its origins. What nobody could ever seal is not merged.
    fn check_owners(&self, mut origins: impl Iterator<Item = ReplicaId>) -> Result<(), MergeFailure> {
        let replicas = &self.replicator.roster().replicas;
        match origins.find(|replica| !replicas.contains_key(replica)) {
            Some(replica) => Err(MergeFailure::UnknownReplica(replica)),
            None => Ok(()),
        }
    }

    /// Nobody knows an operation of this replica before it is durable here; merging one that was never made would
    /// take its dot from the next write.
    fn check_own(&self, host: &Host<'_>, slot: u8, list: &VersionVector) -> Result<(), MergeFailure> {
        let local = self.replicator.local().replica;
        let (claimed, written) = (list.get(local), host.shard(slot).keyspace().clock(slot).get(local));
        if claimed > written { Err(MergeFailure::NeverWritten { claimed, written }) } else { Ok(()) }
    }

    fn on_failed(&mut self, host: &Host<'_>, slot: u8, failure: MergeFailure) {
        match failure {
            MergeFailure::Log(_) => self.fail(host),
            refused => self.notice(Notice::Unmergeable { slot, detail: refused.to_string() }),
        }
    }

    pub(super) fn log(&mut self, host: &Host<'_>, record: &Record<'_>) {
        if host.shared.append(&[&record.encode()]).is_err() {
            self.fail(host);
        }
    }

    /// Lets an effect of a link go once the log is durable up to `after` and everything before it is gone.
    fn hold(&mut self, host: &Host<'_>, link: LinkId, after: Lsn, effect: Effect) {
        match self.held.get_mut(&link) {
            Some(queue) => queue.push_back((after, effect)),
            None if after <= host.shared.durable() => self.effects.push_back(effect),
            None => {
                self.held.entry(link).or_default().push_back((after, effect));
            }
        }
    }

    fn release(&mut self, durable: Lsn) {
        self.held.retain(|_, queue| {
            while queue.front().is_some_and(|(after, _)| *after <= durable) {
                let Some((_, effect)) = queue.pop_front() else { break };
                self.effects.push_back(effect);
            }
            !queue.is_empty()
        });
    }

    pub(super) fn address_of(&self, peer: &str) -> Option<String> {
        let member = self.swim.member(&peer.to_owned()).map(|member| member.addr.to_string());
        member.filter(|address| !address.is_empty()).or_else(|| self.addresses.get(peer).map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use trellis_crdt::Kind;
    use trellis_replication::PushRequest;
    use trellis_storage::{Config as StorageConfig, ElementCursor, Keyspace, Operation, slot_of};
    use trellis_wal::{Fault, Operation as DiskOperation};

    use super::*;
    use crate::core::solo::{Solo, hello, stranger};

    #[test]
    fn a_delta_that_names_an_operation_this_node_never_made_is_refused_and_writes_go_on() {
        let solo = Solo::founder(Instant::now());
        let own = solo.core.look_at_peers(|replicator, _| replicator.local().replica);
        let liar = stranger();
        let forged = reset_of_an_increment_by(own, liar.replica);
        let link = solo.core.accept("n2", LinkKind::PushIn, solo.now);
        for request in [PushRequest::Hello(hello(liar)), PushRequest::Deltas(vec![forged])] {
            solo.core.handle_link(link, LinkEvent::PushRequest(request), solo.now);
        }
        let is_refusal = |effect| matches!(effect, Effect::Notice(Notice::Unmergeable { .. }));
        assert!(std::iter::from_fn(|| solo.core.poll_effect()).any(is_refusal));
        solo.increment("hits", 2);
        assert_eq!(solo.value("hits"), 2);
        let slot = slot_of("hits");
        assert!(solo.core.look_at_slot(slot, |keyspace| keyspace.is_settled(slot)));
    }

    #[test]
    fn between_a_failed_sync_and_the_news_of_it_nothing_leaves_that_is_not_logged() {
        let mut solo = Solo::founder(Instant::now());
        solo.increment("hits", 1);
        solo.sync();
        while solo.core.poll_effect().is_some() {}
        let failure = Fault { operation: DiskOperation::Sync, after: 0, kind: std::io::ErrorKind::Other };
        solo.disk.inject(failure);
        assert!(solo.syncer.attest().is_err());
        let newcomer = stranger();
        let link = solo.core.accept("n2", LinkKind::PushIn, solo.now);
        let greeting = LinkEvent::PushRequest(PushRequest::Hello(hello(newcomer)));
        solo.core.handle_link(link, greeting, solo.now);
        let effects: Vec<Effect> = std::iter::from_fn(|| solo.core.poll_effect()).collect();
        assert!(effects.contains(&Effect::Phase(Phase::Failed)), "{effects:?}");
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Send { .. })), "{effects:?}");
    }

    /// A delta of `liar` whose list has an operation of `author` in it.
    fn reset_of_an_increment_by(author: ReplicaId, liar: ReplicaId) -> PushedDelta {
        let mut forged = Keyspace::new([0; 16], StorageConfig::default());
        let increment = Operation::Increment { key: "hits", kind: Kind::PnCounter, amount: 1 };
        forged.apply(&increment, author, || unreachable!("no stamp is asked for")).unwrap();
        let delete = Operation::Delete { key: "hits", kind: None, from: ElementCursor::START };
        let mut applied = forged.apply(&delete, liar, || unreachable!("no stamp is asked for")).unwrap();
        let change = applied.changes.remove(0);
        PushedDelta { slot: applied.slot, seq: change.seq, payload: change.delta.into() }
    }
}
