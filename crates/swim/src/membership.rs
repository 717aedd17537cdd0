//! The state machine: what one member knows of the cluster and owes it.

mod broadcast;
mod compose;
mod gossip;
mod leave;
mod message_in;
mod output;
mod probe;
mod reach_out;
mod refute;
mod suspect;
mod sync;
mod time;
mod update;
mod view;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use self::leave::Phase;
use self::output::{InFlight, Intent};
use self::probe::Probe;
use self::reach_out::Seeds;
use crate::awareness::Awareness;
use crate::broadcast::{Broadcasts, Rank};
use crate::config::{Config, between};
use crate::counters::Counters;
use crate::dissemination::{Dissemination, Item};
use crate::error::ConfigError;
use crate::member::{
    ADDR_BYTES_MAX, EPOCH_MAX, ID_BYTES_MAX, Local, META_BYTES_MAX, Member, MemberId, State,
};
use crate::member_list::{MemberList, Slot};
use crate::round_trip::RoundTrip;
use crate::timer::{Timer, Timers};

/// Membership as one member sees it, without a clock, sockets or randomness of its own.
///
/// The host calls a `handle_*` method for everything that happens and a verb for everything it wants. After every
/// call it drains [`poll_output`](Self::poll_output) and calls [`handle_timeout`](Self::handle_timeout) at the
/// moment that [`poll_timeout`](Self::poll_timeout) names. `now` never goes back from call to call. The same
/// calls with the same seed give the same outputs. While nothing changes, nothing is allocated but by ids.
#[derive(Debug)]
pub struct Swim<I> {
    config: Config,
    cluster: u64,
    /// Tells this process from another under the same id.
    instance: u64,
    started: Instant,
    /// Of the newest call.
    now: Instant,
    phase: Phase,
    members: MemberList<I>,
    news: Dissemination,
    /// Kept to be used again.
    sent_news: Vec<Item>,
    broadcasts: Broadcasts,
    /// Kept to be used again. With whether it is out of date.
    sent_broadcasts: Vec<(Rank, bool)>,
    seeds: Seeds<I>,
    probes: Vec<Probe>,
    /// Whose turn it was last: the successor's, or that of one that was drawn.
    asks_successor: bool,
    in_flight: Vec<InFlight<I>>,
    timers: Timers,
    intents: VecDeque<Intent<I>>,
    rng: SmallRng,
    awareness: Awareness,
    round_trip: RoundTrip,
    counters: Counters,
    /// When a digest of another was last the own one.
    agreed: Instant,
    /// When an exchange was last begun because a digest differed.
    synced: Option<Instant>,
    lag: Duration,
    lagged: Option<Instant>,
    is_isolated: bool,
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
        let (addr, meta) = (addr.into(), meta.into());
        let local = Member { id, epoch, incarnation: 0, state: State::Alive, addr, meta };
        let mut timers = Timers::new();
        // Members that start together spread their probes over the interval.
        timers.arm(Timer::ProbeRound, now + config.probe_interval.mul_f64(rng.random_range(0.0..1.0)));
        timers.arm(Timer::ReachOut, now + config.reach_out_interval);
        Ok(Self {
            cluster,
            instance: rng.random(),
            started: now,
            now,
            phase: Phase::Running,
            members: MemberList::new(local, now),
            news: Dissemination::new(),
            sent_news: Vec::new(),
            broadcasts: Broadcasts::new(),
            sent_broadcasts: Vec::new(),
            seeds: Seeds::new(config.join_backoff),
            probes: Vec::new(),
            asks_successor: false,
            in_flight: Vec::new(),
            timers,
            intents: VecDeque::new(),
            rng,
            awareness: Awareness::new(),
            round_trip: RoundTrip::new(),
            counters: Counters::default(),
            agreed: now,
            synced: None,
            lag: Duration::ZERO,
            lagged: None,
            is_isolated: false,
            conflict_reported: None,
            epoch_raised: None,
            transmits: 0,
            requests: 0,
            config,
        })
    }

    /// Changes rhythms and limits; what is under way ends by the earlier ones. Members that are up are kept beyond
    /// a lower `members_max` until they have gone. Where [`DeadPolicy::Manual`](crate::DeadPolicy::Manual) ends, those out of reach are
    /// dead at the next moment that [`poll_timeout`](Self::poll_timeout) names.
    ///
    /// # Errors
    ///
    /// A setting is out of its range; nothing is changed.
    pub fn set_config(&mut self, config: Config) -> Result<(), ConfigError> {
        config.validate()?;
        let policy = std::mem::replace(&mut self.config, config).dead_policy;
        if policy != self.config.dead_policy {
            self.judge_the_unreachable_anew();
        }
        self.shrink();
        Ok(())
    }

    /// Changes what all others are told of this member; an equal value is no change.
    ///
    /// # Errors
    ///
    /// The metadata is longer than [`META_BYTES_MAX`]; nothing is changed.
    pub fn update_meta(&mut self, meta: Vec<u8>, now: Instant) -> Result<(), ConfigError> {
        between("meta", meta.len(), 0, META_BYTES_MAX)?;
        self.observe(now);
        if *self.members.local().meta != *meta {
            self.members.change_local(|local| local.meta = meta.into());
            self.raise_incarnation(self.members.local().incarnation);
        }
        Ok(())
    }

    /// Moves the member: all others are told the address, under a new incarnation. An equal one is no change.
    ///
    /// # Errors
    ///
    /// The address is empty or longer than [`ADDR_BYTES_MAX`]; nothing is changed.
    pub fn update_addr(&mut self, addr: &str, now: Instant) -> Result<(), ConfigError> {
        between("addr", addr.len(), 1, ADDR_BYTES_MAX)?;
        self.observe(now);
        if *self.members.local().addr != *addr {
            self.members.change_local(|local| local.addr = addr.into());
            self.raise_incarnation(self.members.local().incarnation);
        }
        Ok(())
    }

    /// Forgets a member that is dead or has left, and returns whether it did; never the local one. Another member that
    /// remembers it brings it back: forget it at all of them.
    pub fn forget(&mut self, id: &I) -> bool {
        let is_gone = |slot: &Slot| *slot != Slot::LOCAL && !self.members.at(*slot).member.is_up();
        let Some(slot) = self.members.slot(id).filter(is_gone) else {
            return false;
        };
        self.forget_slot(slot);
        true
    }

    fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }
}

#[cfg(test)]
mod tests;
