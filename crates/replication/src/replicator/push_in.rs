//! Incoming deltas: the hello of their origin, gaps, and cumulative acknowledgements.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use trellis_crdt::{Dot, Hlc, ReplicaId};

use super::{Link, MergedDelta, Replicator};
use crate::fault;
use crate::message::{Hello, PushReply, PushRequest, PushedDelta, Refusal, SlotEnd};
use crate::output::{After, LinkId, Message, Output};

/// One stream of a peer's deltas to this node.
#[derive(Debug)]
pub(crate) struct PushIn {
    peer: String,
    /// Known once the hello was accepted.
    pub(super) origin: Option<ReplicaId>,
    /// Slots whose durable prefix is to be acknowledged.
    changed: BTreeSet<u8>,
    /// Slot → the end of the range asked for, and when.
    wanted: BTreeMap<u8, (u64, Instant)>,
}

impl PushIn {
    pub(super) fn new(peer: &str) -> Self {
        Self { peer: peer.to_owned(), origin: None, changed: BTreeSet::new(), wanted: BTreeMap::new() }
    }

    pub(super) fn wanted_len(&self) -> usize {
        self.wanted.len()
    }
}

impl Replicator {
    pub(super) fn handle_push_request(&mut self, link: LinkId, request: PushRequest, now: Instant) {
        let Some(Link::PushIn(stream)) = self.links.get(&link) else { return };
        let peer = stream.peer.clone();
        match (stream.origin, request) {
            (None, PushRequest::Hello(hello)) => self.handle_push_hello(link, &peer, &hello, now),
            (Some(_), PushRequest::Roster(roster)) => {
                if let Err(refusal) = self.learn_from(&roster, now) {
                    self.refuse_push(link, &peer, refusal, now);
                }
            }
            (Some(_), PushRequest::Deltas(deltas)) if deltas.iter().any(|delta| delta.seq == 0) => {
                self.refuse_push(link, &peer, Refusal::Violation("seqs count from 1".to_owned()), now);
            }
            (Some(origin), PushRequest::Deltas(deltas)) => self.handle_deltas(link, origin, deltas),
            (Some(origin), PushRequest::Gone { slot }) if fault::is_off("R5 exactly the range") => {
                self.take_as_empty(link, origin, slot);
            }
            (Some(_), PushRequest::Gone { .. }) => self.reconcile_with(&peer, now),
            (None, _) => {
                let violation = Refusal::Violation("a push stream begins with a hello".to_owned());
                self.refuse_push(link, &peer, violation, now);
            }
            (Some(_), PushRequest::Hello(_)) => {
                let violation = Refusal::Violation("a push stream has one hello".to_owned());
                self.refuse_push(link, &peer, violation, now);
            }
        }
    }

    fn handle_push_hello(&mut self, link: LinkId, peer: &str, hello: &Hello, now: Instant) {
        if self.is_guest() || !self.is_serving || hello.is_guest {
            self.refuse_push(link, peer, Refusal::NotReady, now);
            return;
        }
        if let Err(refusal) = self.meet(peer, hello, now) {
            self.refuse_push(link, peer, refusal, now);
            return;
        }
        if let Some(Link::PushIn(stream)) = self.links.get_mut(&link) {
            stream.origin = Some(hello.identity.replica);
        }
        if let Some(known) = self.peers.get_mut(peer) {
            // Who greets is alive, whatever news of it is still on its way.
            known.is_alive = true;
            if known.push.is_none() {
                known.retry_at_once(now);
            }
        }
        let welcome = Message::PushReply(PushReply::Hello(self.hello()));
        self.send(link, welcome, After::Everything);
        self.dial_peers(now);
    }

    fn refuse_push(&mut self, link: LinkId, peer: &str, refusal: Refusal, now: Instant) {
        self.on_refusing(peer, &refusal);
        self.send(link, Message::PushReply(PushReply::Refused(refusal)), After::Nothing);
        self.close(link, now);
    }

    fn handle_deltas(&mut self, link: LinkId, origin: ReplicaId, deltas: Vec<PushedDelta>) {
        self.counters.deltas_received += deltas.len() as u64;
        self.outputs.push_back(Output::Merge { link, origin, deltas });
    }

    /// Passes over the range that was asked for, as if its origin had said that nothing is in it: the fault of R5.
    fn take_as_empty(&mut self, link: LinkId, origin: ReplicaId, slot: u8) {
        let Some(Link::PushIn(stream)) = self.links.get_mut(&link) else { return };
        if let Some((last, _)) = stream.wanted.remove(&slot) {
            let end = Some(SlotEnd { clock: Dot::new(origin, last).into(), hlc: Hlc::ZERO });
            self.outputs.push_back(Output::MergePart { link, slot, entries: Vec::new(), end });
        }
    }

    /// Takes what became of the deltas of an [`Output::Merge`]: asks for what is missing before them, and marks
    /// for acknowledgement what was there already.
    pub fn handle_merged(&mut self, link: LinkId, merged: &[MergedDelta], now: Instant) {
        let retry = self.config.retry_min * 4;
        let Some(Link::PushIn(stream)) = self.links.get_mut(&link) else { return };
        let Some(origin) = stream.origin else { return };
        for delta in merged {
            // What is not durable yet is acknowledged when it is; this one was offered again.
            if self.clock.prefix(delta.slot, origin) >= delta.seq {
                stream.changed.insert(delta.slot);
            }
            let last = if delta.is_kept { delta.seq.saturating_sub(1) } else { delta.seq };
            if delta.prefix >= last {
                stream.wanted.remove(&delta.slot);
                continue;
            }
            let is_asked = stream
                .wanted
                .get(&delta.slot)
                .is_some_and(|(end, at)| *end > delta.prefix && *at + retry > now);
            if !is_asked && stream.wanted.len() < self.config.wanted_max {
                stream.wanted.insert(delta.slot, (last, now));
                self.counters.ranges_wanted += 1;
                let wanted = PushReply::Wanted { slot: delta.slot, first: delta.prefix + 1, last };
                self.outputs.push_back(Output::Send {
                    link,
                    message: Message::PushReply(wanted),
                    after: After::Nothing,
                });
            }
        }
        if fault::is_off("5 acknowledgements are of the durable clock") {
            let prefixes = merged.iter().map(|delta| (delta.slot, delta.prefix)).collect();
            self.send(link, Message::PushReply(PushReply::Acked(prefixes)), After::Nothing);
        }
        self.send_acknowledgements(link);
    }

    pub(super) fn acknowledge(&mut self, slot: u8, origin: ReplicaId) {
        for link in self.links.values_mut() {
            if let Link::PushIn(stream) = link
                && stream.origin == Some(origin)
            {
                stream.changed.insert(slot);
            }
        }
    }

    /// R15 and invariant 5: what is acknowledged is the durable clock, never what was merged only.
    pub(super) fn send_acknowledgements(&mut self, link: LinkId) {
        let Some(Link::PushIn(stream)) = self.links.get_mut(&link) else { return };
        let Some(origin) = stream.origin else { return };
        let prefixes: Vec<(u8, u64)> = std::mem::take(&mut stream.changed)
            .into_iter()
            .map(|slot| (slot, self.clock.prefix(slot, origin)))
            .filter(|(_, prefix)| *prefix > 0)
            .collect();
        if !prefixes.is_empty() {
            self.send(link, Message::PushReply(PushReply::Acked(prefixes)), After::Nothing);
        }
    }
}
