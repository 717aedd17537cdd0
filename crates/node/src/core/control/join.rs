//! How a node without state finds a donor, and how it takes the place of a lost one of its name.
//!
//! It asks each seed who holds its name. If another node does, it asks at that node's address: an answer of that node is a
//! conflict; a refusal, or the answer of another node, means that it is gone; with silence it waits until SWIM calls the
//! node dead.

use std::time::{Duration, Instant};

use trellis_replication::{Holder, NodeId, Ping, Pong};

use super::{Callee, Control, Host, Purpose};
use crate::core::effect::{CallFailure, Notice, Phase, Request};

/// A guest's search for donors.
#[derive(Debug)]
pub(crate) struct Join {
    seeds: Vec<String>,
    next: Instant,
    has_donor: bool,
}

impl Join {
    pub(crate) fn new(seeds: Vec<String>, now: Instant) -> Self {
        Self { seeds, next: now, has_donor: false }
    }

    pub(super) fn due(&self) -> Instant {
        self.next
    }
}

impl Control {
    pub(super) fn inquire_if_due(&mut self, host: &Host<'_>) {
        let Some(join) = self.join.as_mut().filter(|join| join.next <= host.now.instant) else { return };
        join.next = host.now.instant + INQUIRY_INTERVAL;
        let seeds = join.seeds.clone();
        let local = self.replicator.local();
        let joining = Some((local.name.clone(), local.node));
        for seed in seeds {
            let ping =
                Ping { joining: joining.clone(), wall_millis: host.now.wall_millis, ..Ping::default() };
            self.ask(host, Purpose::Inquiry { seed: seed.clone() }, seed, ping);
        }
    }

    /// A member is refused for a node that holds its name where it was not known when this one joined: asks the refusing
    /// peer about it, as a newcomer does.
    pub(super) fn ask_for_own_name(&mut self, host: &Host<'_>, peer: &str) {
        let local = self.replicator.local();
        let joining = Some((local.name.clone(), local.node));
        if let Some(address) = self.address_of(peer).filter(|_| !self.replicator.is_guest()) {
            let ping = Ping { joining, wall_millis: host.now.wall_millis, ..Ping::default() };
            self.ask(host, Purpose::Inquiry { seed: address.clone() }, address, ping);
        }
    }

    fn ask(&mut self, host: &Host<'_>, purpose: Purpose, address: String, ping: Ping) {
        let deadline = host.now.instant + INQUIRY_PATIENCE;
        self.call(host, purpose, Callee { name: None, address }, Request::Ping(ping), deadline);
    }

    pub(super) fn handle_inquiry(
        &mut self,
        host: &Host<'_>,
        seed: String,
        answer: Result<Pong, CallFailure>,
    ) {
        let waits = |detail: String| Notice::Waiting { detail };
        let pong = match answer {
            Ok(pong) => pong,
            Err(failure) => {
                let what = match failure {
                    CallFailure::Refused => "refuses connections",
                    CallFailure::TimedOut => "does not answer",
                    CallFailure::Closed => "broke off the connection",
                };
                return self.notice_waiting(waits(format!("seed {seed} {what}")));
            }
        };
        if pong.identity.name == self.replicator.local().name {
            return;
        }
        if pong.is_guest || pong.founding.is_none() {
            return self
                .notice_waiting(waits(format!("seed {seed} ({}) is a guest itself", pong.identity.name)));
        }
        let donor = pong.identity.name;
        // A seed may be an alias; what a node says of its own address counts more.
        if self.swim.member(&donor).is_none() {
            self.note_address(host, donor.clone(), seed);
        }
        match pong.holder {
            None => self.on_donor(host, &donor),
            Some(holder) if holder.is_dead => self.supersede(host, &donor, holder.node),
            Some(holder) => self.ask_holder(host, donor, holder),
        }
    }

    fn ask_holder(&mut self, host: &Host<'_>, donor: String, holder: Holder) {
        if holder.address.is_empty() {
            let detail = format!(
                "node {} holds this name and was not heard of; waiting until it is dead",
                holder.node
            );
            return self.notice_waiting(Notice::Waiting { detail });
        }
        let purpose = Purpose::Holder { donor, node: holder.node };
        let ping = Ping { wall_millis: host.now.wall_millis, ..Ping::default() };
        self.ask(host, purpose, holder.address, ping);
    }

    pub(super) fn handle_holder(
        &mut self,
        host: &Host<'_>,
        donor: &str,
        node: NodeId,
        answer: Result<Pong, CallFailure>,
    ) {
        match answer {
            Ok(pong) if pong.identity.node == node => {
                self.conflicts += 1;
                let name = self.replicator.local().name.clone();
                let boot = pong.identity.boot_nonce;
                let detail =
                    format!("node {node} (boot {boot:016x}) is alive under this name; stop one of the two");
                self.notice(Notice::Conflict { name, detail });
            }
            Ok(_) | Err(CallFailure::Refused) => self.supersede(host, donor, node),
            Err(CallFailure::TimedOut | CallFailure::Closed) => {
                let detail =
                    format!("node {node} holds this name and does not answer; waiting until it is dead");
                self.notice_waiting(Notice::Waiting { detail });
            }
        }
    }

    fn supersede(&mut self, host: &Host<'_>, donor: &str, node: NodeId) {
        self.notice(Notice::Supersedes { node });
        self.replicator.supersede(node, host.now.instant);
        self.on_donor(host, donor);
    }

    fn on_donor(&mut self, host: &Host<'_>, donor: &str) {
        let Some(join) = &mut self.join else { return };
        if !join.has_donor {
            join.has_donor = true;
            let seeds = join.seeds.clone();
            self.swim.join(seeds, host.now.instant);
        }
        join_interval_after_donor(&mut self.join, host.now.instant);
        self.replicator.add_donor(donor, host.now.instant);
    }

    /// The last slot's adoption is durable: the guest is a member.
    pub(super) fn on_joined(&mut self, host: &Host<'_>) {
        self.join = None;
        // Before its first transfer a guest has no roster to tell it which addresses to keep.
        for (name, address) in self.swim_addresses() {
            self.note_address(host, name, address);
        }
        self.set_phase(host, Phase::Serving);
        self.update_meta(host);
        let alive = self.alive_members();
        for name in alive {
            self.replicator.set_alive(&name, true, host.now.instant);
        }
    }

    fn notice_waiting(&mut self, notice: Notice) {
        if self.join.as_ref().is_some_and(|join| !join.has_donor) {
            self.notice(notice);
        }
    }
}

fn join_interval_after_donor(join: &mut Option<Join>, now: Instant) {
    if let Some(join) = join {
        join.next = now + DONOR_INTERVAL;
    }
}

/// Time between two rounds of inquiries.
const INQUIRY_INTERVAL: Duration = Duration::from_millis(500);
/// The deadline of one: three round trips of a second, which is what connecting and asking take on the slowest network
/// that membership has settings for.
const INQUIRY_PATIENCE: Duration = Duration::from_secs(3);
/// The same once somebody gives: only to find a second donor if the first falls away.
const DONOR_INTERVAL: Duration = Duration::from_secs(5);
