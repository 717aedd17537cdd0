//! Pulling state from a donor: in-sync checks, catch-up of slots, and the bootstrap of a guest.

use std::collections::BTreeMap;
use std::time::Instant;

use rand::Rng;
use trellis_crdt::ReplicaId;

use super::{Link, MergedPart, Replicator};
use crate::fault;
use crate::message::{Hello, SlotPart, SyncChunk, SyncOpen, SyncReply, SyncRequest};
use crate::output::{After, Event, LinkId, LinkKind, Message, Output};
use crate::roster::{MemberRecord, Roster};

/// One transfer as the receiving side. Chunks of two transfers are never joined (R3): what it counts dies with
/// its link.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) peer: String,
    pub(crate) deadline: Instant,
    /// Who said that the clocks differ; nothing is merged before.
    pub(super) donor: Option<ReplicaId>,
    slots: usize,
    entries: usize,
    is_done: bool,
}

/// Whom to pull from and when. One transfer is under way at a time.
#[derive(Debug)]
pub(crate) struct Pulls {
    /// Peer → not before.
    wishes: BTreeMap<String, Instant>,
    current: Option<LinkId>,
    next_round: Instant,
}

impl Pulls {
    pub(super) fn new(next_round: Instant) -> Self {
        Self { wishes: BTreeMap::new(), current: None, next_round }
    }

    pub(super) fn timeout(&self, has_rounds: bool) -> Option<Instant> {
        let wishes = self.wishes.values().copied().filter(|_| self.current.is_none());
        wishes.chain(has_rounds.then_some(self.next_round)).min()
    }
}

impl Replicator {
    pub(super) fn want_pull(&mut self, peer: &str, at: Instant) {
        self.pulls.wishes.entry(peer.to_owned()).and_modify(|due| *due = at.min(*due)).or_insert(at);
    }

    pub(super) fn start_anti_entropy(&mut self, now: Instant) {
        if self.pulls.next_round > now || self.is_guest() || !self.is_serving {
            return;
        }
        let interval = self.config.anti_entropy_interval.mul_f64(self.rng.random_range(0.75..1.25));
        self.pulls.next_round = now + interval;
        let partners: Vec<&String> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.is_alive && !peer.is_guest && peer.identity.is_some())
            .map(|(name, _)| name)
            .collect();
        if !partners.is_empty() {
            let partner = partners[self.rng.random_range(0..partners.len())].clone();
            self.want_pull(&partner, now);
        }
    }

    /// Begins the transfer that is due first, if none is under way.
    pub(super) fn start_pull(&mut self, now: Instant) {
        if self.pulls.current.is_some() || !self.is_serving {
            return;
        }
        let is_guest = self.is_guest();
        let peers = &self.peers;
        self.pulls.wishes.retain(|name, _| {
            peers
                .get(name)
                .is_some_and(|peer| if is_guest { peer.is_donor } else { peer.is_alive && !peer.is_guest })
        });
        let due = self.pulls.wishes.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at);
        let Some(peer) = due.map(|(name, _)| name.clone()) else { return };
        self.pulls.wishes.remove(&peer);
        let pull = Pull {
            peer: peer.clone(),
            deadline: now + self.config.transfer_timeout,
            donor: None,
            slots: 0,
            entries: 0,
            is_done: false,
        };
        self.pulls.current = Some(self.dial(&peer, LinkKind::SyncOut, Link::SyncOut(pull)));
    }

    pub(super) fn handle_sync_opened(&mut self, link: LinkId, now: Instant) {
        let Some(Link::SyncOut(pull)) = self.links.get_mut(&link) else { return };
        pull.deadline = now + self.config.transfer_timeout;
        let is_met = self.peers.get(&pull.peer).is_some_and(|peer| peer.push.is_some());
        self.open_sync(link, !is_met);
    }

    fn open_sync(&mut self, link: LinkId, with_hello: bool) {
        let with_hello = with_hello || self.is_guest();
        let open = SyncOpen {
            node: self.local.node,
            replica: self.local.replica,
            roster_hash: self.roster.hash(),
            clock_hash: self.clock.hash(),
            hello: with_hello.then(|| self.hello()),
        };
        self.send(link, Message::SyncRequest(SyncRequest::Open(open)), After::Everything);
    }

    pub(super) fn handle_sync_reply(&mut self, link: LinkId, reply: SyncReply, now: Instant) {
        let Some(Link::SyncOut(pull)) = self.links.get_mut(&link) else { return };
        pull.deadline = now + self.config.transfer_timeout;
        let (peer, is_begun) = (pull.peer.clone(), pull.donor.is_some());
        match (reply, is_begun) {
            (SyncReply::InSync, false) => {
                self.counters.pulls_in_sync += 1;
                self.finish_pull(link, now);
            }
            (SyncReply::Unknown, false) => self.open_sync(link, true),
            (SyncReply::Differs(hello), false) => self.handle_differs(link, &peer, &hello, now),
            (SyncReply::Chunk(chunk), true) => self.handle_chunk(link, chunk, now),
            (SyncReply::Done, true) => self.finish_pull(link, now),
            (SyncReply::Refused(refusal), _) => self.handle_refused(link, refusal, now),
            _ => self.close(link, now),
        }
    }

    fn handle_differs(&mut self, link: LinkId, peer: &str, hello: &Hello, now: Instant) {
        let founding = hello.roster.founding.filter(|_| self.roster.founding.is_none());
        if hello.is_guest {
            return self.close(link, now);
        }
        if let Err(refusal) = self.meet(peer, hello, now) {
            self.on_refusing(peer, &refusal);
            return self.close(link, now);
        }
        if let Some(founding) = founding {
            self.event(Event::Joining { founding, donor: peer.to_owned() });
        }
        if self.is_guest() {
            self.remember_donor(hello, now);
        }
        if let Some(Link::SyncOut(pull)) = self.links.get_mut(&link) {
            pull.donor = Some(hello.identity.replica);
        }
        let adopt =
            self.bootstrap.as_ref().map_or_else(Vec::new, |guest| guest.remaining.iter().copied().collect());
        let clock = Message::SyncRequest(SyncRequest::Clock { clock: self.clock.clone(), adopt });
        self.send(link, clock, After::Everything);
    }

    /// R12: a node remembers from whom it took anything as a guest.
    fn remember_donor(&mut self, hello: &Hello, now: Instant) {
        let mut record = MemberRecord { name: self.local.name.clone(), ..MemberRecord::default() };
        record.donors.insert(hello.identity.replica, hello.durable_lsn);
        let mut learned = Roster::default();
        learned.members.insert(self.local.node, record);
        self.learn(&learned, now);
    }

    fn handle_chunk(&mut self, link: LinkId, chunk: SyncChunk, now: Instant) {
        if let Err(refusal) = self.learn_from(&chunk.roster, now) {
            if let Some(Link::SyncOut(pull)) = self.links.get(&link) {
                let peer = pull.peer.clone();
                self.on_refusing(&peer, &refusal);
            }
            return self.close(link, now);
        }
        for SlotPart { slot, entries, end } in chunk.slots {
            self.counters.entries_received += entries.len() as u64;
            self.outputs.push_back(Output::MergePart { link, slot, entries, end });
        }
        self.send(link, Message::SyncRequest(SyncRequest::More), After::Everything);
    }

    /// Takes what became of an [`Output::MergePart`].
    ///
    /// A part that was not merged whole ends its transfer, and what came after it is not merged either: a clock
    /// adopted over a missing entry would hide it for ever (R3).
    pub fn handle_part_merged(&mut self, link: LinkId, part: MergedPart, now: Instant) {
        let Some(Link::SyncOut(pull)) = self.links.get_mut(&link) else { return };
        match part {
            MergedPart::Refused if fault::is_off("R3 a refused part ends the transfer") => {}
            MergedPart::Refused => self.close(link, now),
            MergedPart::Entries { entries } => pull.entries += entries,
            MergedPart::Adopted { slot, entries } => {
                pull.entries += entries;
                pull.slots += 1;
                if let Some(guest) = &mut self.bootstrap {
                    guest.remaining.remove(&slot);
                    if fault::is_off("R12 a guest waits for every slot") {
                        self.join();
                    }
                }
            }
        }
    }

    fn finish_pull(&mut self, link: LinkId, now: Instant) {
        let Some(Link::SyncOut(pull)) = self.links.get_mut(&link) else { return };
        pull.is_done = true;
        let (peer, slots, entries) = (pull.peer.clone(), pull.slots, pull.entries);
        self.counters.pulls_done += 1;
        if slots > 0 {
            self.event(Event::Pulled { peer, slots, entries });
        }
        self.close(link, now);
        if self.bootstrap.as_ref().is_some_and(|guest| guest.remaining.is_empty()) {
            self.join();
        }
        self.start_pull(now);
    }

    /// Ends being a guest.
    fn join(&mut self) {
        self.bootstrap = None;
        self.pulls.wishes.clear();
        self.outputs.push_back(Output::Joined);
    }

    /// Drops a transfer and, unless it was complete, wishes for another from the same peer a little later.
    pub(super) fn on_pull_lost(&mut self, pull: Pull, now: Instant) {
        self.pulls.current = None;
        if !pull.is_done {
            self.counters.pulls_failed += 1;
            self.want_pull(&pull.peer, now + self.config.retry_max);
            self.event(Event::PullFailed { peer: pull.peer });
            self.start_pull(now);
        }
    }

    pub(super) fn expire_transfers(&mut self, now: Instant) {
        let expired: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| match link {
                Link::SyncOut(pull) => pull.deadline <= now,
                Link::SyncIn(donation) => donation.deadline <= now,
                _ => false,
            })
            .map(|(link, _)| *link)
            .collect();
        for link in expired {
            self.close(link, now);
        }
    }
}
