//! The state machine: what one member knows of the cluster and owes it.

mod gossip;
mod leave;
mod message_in;
mod probe;
mod reach_out;
mod refute;
mod time;
mod update;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use self::leave::Phase;
use self::probe::Probe;
use self::reach_out::Seeds;
use crate::config::{Config, between};
use crate::counters::Counters;
use crate::dissemination::Dissemination;
use crate::error::ConfigError;
use crate::input::{RequestId, TransmitId};
use crate::member::{
    ADDR_BYTES_MAX, EPOCH_MAX, ID_BYTES_MAX, Local, META_BYTES_MAX, Member, MemberId, State,
};
use crate::member_list::MemberList;
use crate::output::{Event, Output, Transmit, TransmitKind};
use crate::timer::{Timer, Timers};

/// Membership as one member sees it, without a clock, sockets or randomness of its own.
///
/// The host calls a `handle_*` method for everything that happens and a verb for everything it wants. After every
/// call it drains [`poll_output`](Self::poll_output) and calls [`handle_timeout`](Self::handle_timeout) at the
/// moment that [`poll_timeout`](Self::poll_timeout) names. `now` never goes back from call to call. The same
/// calls with the same seed give the same outputs.
#[derive(Debug)]
pub struct Swim<I> {
    config: Config,
    cluster: u64,
    /// Tells this process from another under the same id.
    instance: u64,
    started: Instant,
    phase: Phase,
    members: MemberList<I>,
    news: Dissemination<I>,
    seeds: Seeds<I>,
    probes: BTreeMap<I, Probe>,
    in_flight: BTreeMap<TransmitId, InFlight<I>>,
    timers: Timers<I>,
    outputs: VecDeque<Output<I>>,
    rng: SmallRng,
    counters: Counters,
    conflict_reported: Option<Instant>,
    epoch_raised: Option<Instant>,
    transmits: u64,
    requests: u64,
}

impl<I: MemberId> Swim<I> {
    /// A member that knows nobody else; `cluster` is a hash of the cluster's id, the same at all members.
    ///
    /// # Errors
    ///
    /// A setting, or a part of `local`, is out of its range.
    pub fn new(
        config: Config,
        local: Local<I>,
        cluster: u64,
        seed: u64,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let Local { id, epoch, addr, meta } = local;
        let mut encoded = Vec::new();
        id.encode(&mut encoded);
        between("id", encoded.len(), 1, ID_BYTES_MAX)?;
        between("addr", addr.len(), 1, ADDR_BYTES_MAX)?;
        between("meta", meta.len(), 0, META_BYTES_MAX)?;
        if epoch > EPOCH_MAX {
            return Err(ConfigError::Number { setting: "epoch", value: epoch, min: 0, max: EPOCH_MAX });
        }
        let mut rng = SmallRng::seed_from_u64(seed);
        let local = Member { id, epoch, incarnation: 0, state: State::Alive, addr, meta };
        let mut timers = Timers::new();
        // Members that start together spread their probes over the interval.
        timers.arm(Timer::ProbeRound, now + config.probe_interval.mul_f64(rng.random_range(0.0..1.0)));
        timers.arm(Timer::ReachOut, now + config.reach_out_interval);
        Ok(Self {
            cluster,
            instance: rng.random(),
            started: now,
            phase: Phase::Running,
            members: MemberList::new(local, now),
            news: Dissemination::new(),
            seeds: Seeds::new(config.join_backoff),
            probes: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            timers,
            outputs: VecDeque::new(),
            rng,
            counters: Counters::default(),
            conflict_reported: None,
            epoch_raised: None,
            transmits: 0,
            requests: 0,
            config,
        })
    }

    /// Changes what all others are told of this member; an equal value is no change.
    ///
    /// # Errors
    ///
    /// The metadata is longer than [`META_BYTES_MAX`]; nothing is changed.
    pub fn update_meta(&mut self, meta: Vec<u8>, now: Instant) -> Result<(), ConfigError> {
        between("meta", meta.len(), 0, META_BYTES_MAX)?;
        if self.members.local().meta != meta {
            self.members.local_mut().meta = meta;
            self.raise_incarnation(self.members.local().incarnation, now);
        }
        Ok(())
    }

    /// Takes over records that the host kept from an earlier run, failed members included. They count as heard
    /// of at this moment, not as news.
    pub fn import(&mut self, members: impl IntoIterator<Item = Member<I>>, now: Instant) {
        for member in members {
            self.learn_from_book(member, now);
        }
    }

    /// The next thing to do; `None` when everything is done.
    pub fn poll_output(&mut self) -> Option<Output<I>> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` when nothing is awaited, as after a
    /// departure.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// All members, the local one included, ordered by id.
    pub fn members(&self) -> impl Iterator<Item = &Member<I>> {
        self.members.iter()
    }

    /// What is known of one member.
    #[must_use]
    pub fn member(&self, id: &I) -> Option<&Member<I>> {
        self.members.member(id)
    }

    /// The local member as the others are told.
    #[must_use]
    pub fn local(&self) -> &Member<I> {
        self.members.local()
    }

    /// When the member's current process was last heard, by a message of its own or through a helper.
    #[must_use]
    pub fn last_heard(&self, id: &I) -> Option<Instant> {
        self.members.entry(id)?.heard
    }

    /// When the member's state last changed here.
    #[must_use]
    pub fn since(&self, id: &I) -> Option<Instant> {
        Some(self.members.entry(id)?.since)
    }

    /// What has happened since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// All records, for the host to keep and [`import`](Self::import) after its next start.
    #[must_use]
    pub fn export(&self) -> Vec<Member<I>> {
        self.members.iter().cloned().collect()
    }

    fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    fn emit(&mut self, event: Event<I>) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Sends a request and remembers what its reply is for.
    fn transmit(
        &mut self,
        to: String,
        kind: TransmitKind,
        in_flight: InFlight<I>,
        payload: Vec<u8>,
        deadline: Instant,
    ) {
        let transmit = self.register(to, kind, in_flight, payload, deadline);
        self.outputs.push_back(Output::Transmit(transmit));
    }

    fn register(
        &mut self,
        to: String,
        kind: TransmitKind,
        in_flight: InFlight<I>,
        payload: Vec<u8>,
        deadline: Instant,
    ) -> Transmit<I> {
        self.transmits += 1;
        let id = TransmitId(self.transmits);
        let peer = in_flight.peer.clone();
        self.in_flight.insert(id, in_flight);
        self.timers.arm(Timer::Transmit(id), deadline);
        Transmit { id, to, peer, kind, payload, deadline }
    }

    fn forget_transmit(&mut self, id: TransmitId) -> Option<InFlight<I>> {
        self.timers.cancel(&Timer::Transmit(id));
        self.in_flight.remove(&id)
    }

    /// Whether there is room for a transmission that is not a probe.
    fn has_room(&self) -> bool {
        self.in_flight.len() < self.config.in_flight_max
    }
}

/// A transmission without a reply so far.
#[derive(Clone, Debug)]
struct InFlight<I> {
    peer: Option<I>,
    purpose: Purpose<I>,
}

/// What a reply is good for.
#[derive(Clone, Debug)]
enum Purpose<I> {
    /// The target of a probe answers.
    Probe,
    /// A helper answers for the target of a probe.
    IndirectProbe { target: I },
    /// The target answers a ping on behalf of the member that sent `request`.
    Relay { request: RequestId },
    /// News was taken.
    Gossip,
    /// The whole state comes back; `seed` is the address, when it was tried as one.
    Exchange { seed: Option<String> },
}

#[cfg(test)]
mod tests;
