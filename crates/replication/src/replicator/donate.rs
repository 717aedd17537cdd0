//! Giving state to a peer: one slot after the other, each closed by the durable clock as of its start (R3).

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use trellis_crdt::{ReplicaId, VersionVector};

use super::{Link, Replicator};
use crate::clock::NodeClock;
use crate::fault;
use crate::message::{Refusal, SlotEnd, SlotPart, SyncChunk, SyncOpen, SyncReply, SyncRequest};
use crate::output::{After, LinkId, Message, Output};
use crate::roster::Roster;

/// One transfer as the giving side.
#[derive(Debug)]
pub(crate) struct Donation {
    peer: String,
    /// Known once it was met.
    pub(super) puller: Option<ReplicaId>,
    pub(crate) deadline: Instant,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    AwaitOpen,
    /// With the roster that the peer was told.
    AwaitClock(Roster),
    Sending(Box<Sending>),
}

#[derive(Debug)]
struct Sending {
    theirs: NodeClock,
    /// Slots not begun.
    plan: VecDeque<u8>,
    /// The slot in hand and the clock to close it with.
    current: Option<(u8, VersionVector)>,
    chunk: SyncChunk,
    chunk_bytes: usize,
    /// The roster as the peer has been told of it.
    roster: Roster,
}

impl Donation {
    pub(super) fn new(peer: &str, now: Instant) -> Self {
        Self { peer: peer.to_owned(), puller: None, deadline: now + OPEN_TIMEOUT, phase: Phase::AwaitOpen }
    }
}

impl Replicator {
    pub(super) fn handle_sync_request(&mut self, link: LinkId, request: SyncRequest, now: Instant) {
        let timeout = self.config.transfer_timeout;
        let Some(Link::SyncIn(donation)) = self.links.get_mut(&link) else { return };
        donation.deadline = now + timeout;
        let peer = donation.peer.clone();
        match (&mut donation.phase, request) {
            (Phase::AwaitOpen, SyncRequest::Open(open)) => self.handle_open(link, &peer, &open, now),
            (Phase::AwaitClock(told), SyncRequest::Clock { clock, adopt }) => {
                let told = std::mem::take(told);
                self.learn_clock(&peer, link, &clock);
                if !self.clock.dominates(&clock) {
                    self.reconcile_with(&peer, now);
                }
                self.begin_donation(link, clock, &adopt, told);
            }
            (Phase::Sending(_), SyncRequest::More) => self.fill_chunk(link),
            _ => {
                let violation = Refusal::Violation("a sync stream goes open, clock, more".to_owned());
                self.refuse_sync(link, &peer, violation, now);
            }
        }
    }

    fn handle_open(&mut self, link: LinkId, peer: &str, open: &SyncOpen, now: Instant) {
        let donations = self.links.values().filter(|link| matches!(link, Link::SyncIn(_))).count();
        let is_guest = self.is_guest() && !fault::is_off("R12 a guest gives nothing");
        if is_guest || !self.is_serving || donations > self.config.donations_max {
            self.refuse_sync(link, peer, Refusal::NotReady, now);
            return;
        }
        if let Some(hello) = &open.hello {
            if hello.identity.node != open.node || hello.identity.replica != open.replica {
                let violation = Refusal::Violation("the hello is of another replica".to_owned());
                return self.refuse_sync(link, peer, violation, now);
            }
            if let Err(refusal) = self.meet(peer, hello, now) {
                return self.refuse_sync(link, peer, refusal, now);
            }
        }
        let known = self.peers.get(peer).and_then(|known| known.identity.as_ref());
        if known.is_none_or(|known| known.replica != open.replica || known.node != open.node) {
            self.send(link, Message::SyncReply(SyncReply::Unknown), After::Nothing);
            return;
        }
        let is_guest = open.hello.as_ref().is_some_and(|hello| hello.is_guest);
        if !is_guest && open.clock_hash == self.clock.hash() && open.roster_hash == self.roster.hash() {
            self.handle_equal_clock(peer, open.replica);
            self.send(link, Message::SyncReply(SyncReply::InSync), After::Nothing);
            self.close(link, now);
            return;
        }
        let hello = self.hello();
        self.send(link, Message::SyncReply(SyncReply::Differs(hello)), After::Everything);
        if let Some(Link::SyncIn(donation)) = self.links.get_mut(&link) {
            donation.puller = Some(open.replica);
            donation.phase = Phase::AwaitClock(self.roster.clone());
        }
    }

    fn begin_donation(&mut self, link: LinkId, theirs: NodeClock, adopt: &[u8], told: Roster) {
        let plan = (0..=u8::MAX)
            .filter(|slot| adopt.contains(slot) || !theirs.slot(*slot).dominates(self.clock.slot(*slot)))
            .collect();
        let sending = Sending {
            theirs,
            plan,
            current: None,
            chunk: SyncChunk::default(),
            chunk_bytes: 0,
            roster: told,
        };
        if let Some(Link::SyncIn(donation)) = self.links.get_mut(&link) {
            donation.phase = Phase::Sending(Box::new(sending));
        }
        self.fill_chunk(link);
    }

    /// What a puller has durably it need not acknowledge once more.
    fn learn_clock(&mut self, peer: &str, link: LinkId, clock: &NodeClock) {
        let Some(Link::SyncIn(Donation { puller, .. })) = self.links.get(&link) else { return };
        let puller = *puller;
        let Some(known) = self.peers.get_mut(peer).filter(|known| !known.is_guest) else { return };
        if known.identity.as_ref().map(|identity| identity.replica) == puller {
            known.merge_clock(&clock.without_beyond(self.local.replica, &self.clock));
            self.settle_all_concerns();
        }
    }

    fn refuse_sync(&mut self, link: LinkId, peer: &str, refusal: Refusal, now: Instant) {
        self.on_refusing(peer, &refusal);
        self.send(link, Message::SyncReply(SyncReply::Refused(refusal)), After::Nothing);
        self.close(link, now);
    }

    /// Asks for the next step of the scan, or sends what there is.
    fn fill_chunk(&mut self, link: LinkId) {
        let chunk_bytes_max = self.config.chunk_bytes;
        let Some(Link::SyncIn(Donation { phase: Phase::Sending(sending), .. })) = self.links.get_mut(&link)
        else {
            return;
        };
        if sending.chunk_bytes >= chunk_bytes_max {
            self.send_chunk(link);
            return;
        }
        let is_start = sending.current.is_none();
        if is_start {
            let Some(slot) = sending.plan.pop_front() else { return self.finish_donation(link) };
            sending.current = Some((slot, self.clock.slot(slot).clone()));
        }
        if let Some((slot, _)) = &sending.current {
            self.outputs.push_back(Output::Scan {
                link,
                slot: *slot,
                beyond: sending.theirs.slot(*slot).clone(),
                is_start,
                bytes_max: chunk_bytes_max - sending.chunk_bytes,
            });
        }
    }

    /// Takes a step of the scan of [`Output::Scan`]; `is_done` once the slot has no further atom to send.
    pub fn handle_scanned(&mut self, link: LinkId, slot: u8, entries: Vec<Bytes>, is_done: bool) {
        let hlc = self.hlc;
        let Some(Link::SyncIn(Donation { phase: Phase::Sending(sending), .. })) = self.links.get_mut(&link)
        else {
            return;
        };
        self.counters.entries_sent += entries.len() as u64;
        sending.chunk_bytes += entries.iter().map(|entry| entry.len() + ENTRY_OVERHEAD_BYTES).sum::<usize>();
        let end = match &sending.current {
            _ if is_done => sending.current.take(),
            current if fault::is_off("R3 the clock comes last") => current.clone(),
            _ => None,
        };
        let end = end.map(|(_, mut clock)| {
            if fault::is_off("R3 the clock is of the start of the scan") {
                clock.clone_from(self.clock.slot(slot));
            }
            sending.chunk_bytes += clock.len() * CLOCK_ENTRY_BYTES;
            SlotEnd { clock, hlc }
        });
        sending.chunk.slots.push(SlotPart { slot, entries, end });
        if is_done {
            self.fill_chunk(link);
        } else {
            self.send_chunk(link);
        }
    }

    /// R1: a chunk leaves only when all that was applied up to its encoding is durable.
    fn send_chunk(&mut self, link: LinkId) {
        let Some(Link::SyncIn(Donation { phase: Phase::Sending(sending), .. })) = self.links.get_mut(&link)
        else {
            return;
        };
        let mut chunk = std::mem::take(&mut sending.chunk);
        sending.chunk_bytes = 0;
        chunk.roster = sending.roster.merge(&self.roster);
        self.send(link, Message::SyncReply(SyncReply::Chunk(chunk)), After::Everything);
    }

    fn finish_donation(&mut self, link: LinkId) {
        let Some(Link::SyncIn(Donation { phase: Phase::Sending(sending), .. })) = self.links.get(&link)
        else {
            return;
        };
        if !sending.chunk.slots.is_empty() {
            self.send_chunk(link);
        }
        self.send(link, Message::SyncReply(SyncReply::Done), After::Everything);
        self.links.remove(&link);
        self.outputs.push_back(Output::ScanEnded { link });
        self.outputs.push_back(Output::Close { link });
    }
}

/// The fields of an entry in its message.
const ENTRY_OVERHEAD_BYTES: usize = 8;
/// A replica and its seq in a clock.
const CLOCK_ENTRY_BYTES: usize = 18;
/// How long a stream may stay silent before it says what it wants.
const OPEN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
