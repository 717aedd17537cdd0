//! What is known of one other node.

use std::time::{Duration, Instant};

use trellis_crdt::ReplicaId;

use crate::clock::NodeClock;
use crate::fault;
use crate::identity::Identity;
use crate::output::LinkId;

/// A peer, by certified name; it keeps its place over restarts and lost disks.
#[derive(Debug)]
pub(crate) struct Peer {
    /// From its newest hello.
    pub(crate) identity: Option<Identity>,
    pub(crate) is_guest: bool,
    /// What SWIM says.
    pub(crate) is_alive: bool,
    /// Answered an inquiry of this node while it is a guest.
    pub(crate) is_donor: bool,
    /// Its durable clock as last heard: at hello, and of this replica by acknowledgements.
    pub(crate) clock: NodeClock,
    pub(crate) push: Option<LinkId>,
    pub(crate) dial_at: Instant,
    backoff: Duration,
}

impl Peer {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            identity: None,
            is_guest: false,
            is_alive: false,
            is_donor: false,
            clock: NodeClock::new(),
            push: None,
            dial_at: now,
            backoff: DIAL_BACKOFF_MIN,
        }
    }

    /// Takes over what a hello says; a node or replica that differs from the known one starts afresh.
    ///
    /// A process that was met as a member is never a guest again: a hello that says so was overtaken on its way.
    pub(crate) fn meet(&mut self, identity: &Identity, is_guest: bool, clock: &NodeClock) {
        let is_same = self.identity.as_ref().is_some_and(|known| known.replica == identity.replica);
        let is_guest = is_guest && (self.is_guest || !is_same);
        if is_same && !is_guest {
            self.merge_clock(clock);
        } else {
            self.clock = clock.clone();
        }
        self.identity = Some(identity.clone());
        self.is_guest = is_guest;
    }

    /// Takes over what its durable clock is known to cover.
    pub(crate) fn merge_clock(&mut self, clock: &NodeClock) {
        for (slot, vector) in clock.slots() {
            self.clock.merge_slot(slot, vector);
        }
    }

    pub(crate) fn retry_at_once(&mut self, now: Instant) {
        self.dial_at = now;
        self.backoff = DIAL_BACKOFF_MIN;
    }

    pub(crate) fn back_off(&mut self, now: Instant, longest: Duration) {
        self.dial_at = now + self.backoff;
        self.backoff = (self.backoff * 2).min(longest);
    }

    /// Tells whether this node acknowledged the seq of `local` durably. A guest acknowledges nothing.
    pub(crate) fn counts_for(&self, local: ReplicaId, slot: u8, seq: u64) -> bool {
        let is_durable = self.clock.prefix(slot, local) >= seq
            || fault::is_off("R15 a node counts when it is durable there");
        !self.is_guest && self.identity.is_some() && is_durable
    }

    fn has_all_of(&self, ours: &NodeClock, local: ReplicaId) -> bool {
        ours.slots().all(|(slot, clock)| self.clock.prefix(slot, local) >= clock.get(local))
    }

    pub(crate) fn status(&self, ours: &NodeClock, local: ReplicaId) -> PeerStatus<'_> {
        PeerStatus {
            identity: self.identity.as_ref(),
            is_guest: self.is_guest,
            is_connected: self.push.is_some(),
            is_in_step: self.identity.is_some()
                && ours.dominates(&self.clock)
                && self.has_all_of(ours, local),
            unacknowledged: ours
                .slots()
                .map(|(slot, clock)| clock.get(local).saturating_sub(self.clock.prefix(slot, local)))
                .sum(),
        }
    }
}

/// What the host may show of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus<'a> {
    /// From its newest hello; `None` before the first.
    pub identity: Option<&'a Identity>,
    /// Whether it has not adopted every slot yet.
    pub is_guest: bool,
    /// Whether a push stream to it exists or is being opened.
    pub is_connected: bool,
    /// Whether it is known to hold what this process wrote, and this node what was last heard of its clock.
    pub is_in_step: bool,
    /// Operations of this process that it has not acknowledged as durable.
    pub unacknowledged: u64,
}

const DIAL_BACKOFF_MIN: Duration = Duration::from_millis(25);
