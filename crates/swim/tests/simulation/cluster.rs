//! A seeded cluster of real members in virtual time: a discrete-event simulation, one thread, no sleep, no clock
//! but to measure what the members' own code takes.
//!
//! One seed decides everything, so one seed gives one trace.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trellis_swim::{Config, Handled, Link, Local, Output, Swim, TransmitId, TransmitKind};

use crate::agenda::Agenda;
use crate::name::{Name, addr_of, number_of};
use crate::network::Network;
use crate::node::{Content, Node, Packet, What, fold, name_of, of_a_later_version};
use crate::record::Record;
use crate::tap::{Call, Tap};

/// Members by index. Unless said otherwise the member of index `i` has the name and the address of number `i`.
pub(crate) struct Cluster {
    pub(crate) config: Config,
    pub(crate) network: Network,
    pub(crate) record: Record,
    /// By kind: requests sent, replies last.
    pub(crate) sent: BTreeMap<&'static str, u64>,
    /// By kind: the longest request.
    pub(crate) longest: BTreeMap<&'static str, usize>,
    /// So many members are of a later version, which says more than this one knows.
    pub(crate) later_versions: usize,
    /// Members from this one on start as members of another cluster.
    pub(crate) foreign_from: usize,
    /// Whether hosts tell their members when links open and break.
    pub(crate) reports_links: bool,
    pub(crate) load: Load,
    /// Whether the time that the members' code takes is measured.
    pub(crate) is_measured: bool,
    /// What so many members, the first ones, are handed from their start on is noted.
    pub(crate) tapped: usize,
    /// What distinguishes this history from every other.
    pub(crate) trace: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) by_addr: BTreeMap<u32, usize>,
    agenda: Agenda<What>,
    start: Instant,
    pub(crate) elapsed: u64,
    rng: SmallRng,
    pub(crate) buffer: Vec<u8>,
}

/// What all members together have sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// How long their code took, while that is measured.
    pub(crate) taken: Duration,
}

impl Cluster {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            config: Config::default(),
            network: Network::calm(),
            record: Record::default(),
            sent: BTreeMap::new(),
            longest: BTreeMap::new(),
            later_versions: 0,
            foreign_from: usize::MAX,
            reports_links: false,
            load: Load::default(),
            is_measured: false,
            tapped: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            nodes: Vec::new(),
            by_addr: BTreeMap::new(),
            agenda: Agenda::new(),
            start: Instant::now(),
            elapsed: 0,
            rng: SmallRng::seed_from_u64(seed),
            buffer: Vec::new(),
        }
    }

    /// `count` members that all know each other from the start, within the first second.
    pub(crate) fn warm(count: usize, seed: u64, config: Config) -> Self {
        let mut cluster = Self::new(seed);
        cluster.config = config;
        cluster.start_warm(count);
        cluster
    }

    pub(crate) fn start_warm(&mut self, count: usize) {
        for index in 0..count {
            self.add(index as u32);
        }
        let book: Vec<_> = (0..count).map(|index| self.member(index).local().clone()).collect();
        for index in 0..count {
            self.hand(index, Call::Import(book.clone()));
            self.drain(index);
        }
    }

    /// `count` members that join through the first, one second after their start.
    pub(crate) fn joined(count: usize, seed: u64) -> Self {
        let mut cluster = Self::new(seed);
        for index in 0..count {
            cluster.add(index as u32);
        }
        cluster.run_for(SECOND);
        for index in 1..count {
            cluster.join(index, &[0]);
        }
        cluster.run_for(9 * SECOND);
        assert!(cluster.agrees_all_alive(), "{count} members form a cluster within 9 s (seed {seed})");
        cluster
    }

    /// Starts a further member of this name.
    pub(crate) fn add(&mut self, name: u32) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node::new(Name(name), index as u32));
        self.by_addr.insert(index as u32, index);
        let epoch = self.epoch();
        self.start_member(index, epoch, false);
        index
    }

    /// Starts a process, with or without the peers that an earlier one knew when it ended.
    pub(crate) fn start_member(&mut self, index: usize, epoch: u64, remembers: bool) {
        let boot = self.rng.random::<u64>();
        let now = self.now(index);
        let node = &mut self.nodes[index];
        let addr = addr_of(node.addr);
        let id = if index < self.foreign_from { CLUSTER } else { CLUSTER + 1 };
        let local = Local { id: node.name, epoch, addr, meta: boot.to_le_bytes().to_vec() };
        let config = self.config.clone();
        let tap = Tap { config, local, cluster: id, seed: boot, started: now, calls: Vec::new() };
        (node.swim, node.boot) = (Some(tap.start()), boot);
        node.tap = (index < self.tapped).then_some(tap);
        (node.paused_until, node.wake_at) = (0, None);
        node.backlog.clear();
        node.deferred.clear();
        node.links.clear();
        if remembers {
            let book = std::mem::take(&mut node.book);
            self.hand(index, Call::Import(book));
        }
        self.record.on_start(index);
        self.drain(index);
    }

    /// What a process that starts at this moment takes for its epoch.
    pub(crate) fn epoch(&self) -> u64 {
        EPOCH_BASE + self.elapsed / 1000
    }

    pub(crate) fn join(&mut self, index: usize, seeds: &[usize]) {
        let now = self.now(index);
        let seeds: Vec<_> = seeds.iter().map(|seed| addr_of(self.nodes[*seed].addr)).collect();
        self.member_mut(index).join(seeds, now);
        self.drain(index);
    }

    /// Lets the host of a member do something else with it.
    pub(crate) fn with(&mut self, index: usize, act: impl FnOnce(&mut Swim<Name>, Instant)) {
        let now = self.now(index);
        act(self.member_mut(index), now);
        self.drain(index);
    }

    pub(crate) fn leave(&mut self, index: usize) {
        self.with(index, Swim::leave);
    }

    pub(crate) fn crash(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if let Some(swim) = node.swim.take() {
            node.book = swim.export();
        }
        node.wake_generation += 1;
        node.backlog.clear();
        for other in 0..self.nodes.len() {
            if self.reports_links && self.nodes[other].links.contains(&index) {
                self.send(index, other, true, Content::Closed);
            }
        }
    }

    /// The process does nothing until then; what arrives waits.
    pub(crate) fn pause(&mut self, index: usize, span: Duration) {
        let until = self.elapsed + micros(span);
        self.nodes[index].paused_until = self.nodes[index].paused_until.max(until);
        self.nodes[index].wake_at = None;
        self.agenda.enter(until, What::Resume(index));
        self.reschedule(index);
    }

    /// Whatever arrives from here on waits for up to this time before the process looks at it.
    pub(crate) fn slow(&mut self, index: usize, max: Duration) {
        self.nodes[index].slow_by = micros(max);
    }

    /// The member's clock leaps ahead, as after a suspension.
    pub(crate) fn jump(&mut self, index: usize, span: Duration) {
        self.nodes[index].offset += micros(span);
        self.nodes[index].wake_at = None;
        self.reschedule(index);
    }

    /// The member answers at a new address from here on, and no more at the old one.
    pub(crate) fn move_member(&mut self, index: usize) {
        let number = 1000 * (index as u32 + 1) + self.nodes[index].addr % 1000;
        self.by_addr.remove(&self.nodes[index].addr);
        let free = (number + 1..).find(|number| !self.by_addr.contains_key(number)).expect("one is free");
        self.by_addr.insert(free, index);
        self.nodes[index].addr = free;
    }

    pub(crate) fn addr(&self, index: usize) -> String {
        addr_of(self.nodes[index].addr)
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.elapsed + micros(span);
        while self.step(end) {}
    }

    /// Runs until the condition holds or `span` has passed; says how long it took, if it came to hold. The condition
    /// is asked every `every`.
    pub(crate) fn await_for(
        &mut self,
        span: Duration,
        every: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let begin = self.elapsed;
        while !condition(self) {
            if self.elapsed >= begin + micros(span) {
                return None;
            }
            self.run_for(every);
        }
        Some(Duration::from_micros(self.elapsed - begin))
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed)
    }

    /// What clocks without an offset show.
    pub(crate) fn moment(&self) -> Instant {
        self.start + self.elapsed()
    }

    pub(crate) fn random_index(&mut self) -> usize {
        self.rng.random_range(0..self.nodes.len())
    }

    pub(crate) fn random_millis(&mut self, max: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(0..max))
    }

    pub(crate) fn rng(&mut self) -> &mut SmallRng {
        &mut self.rng
    }

    fn step(&mut self, end: u64) -> bool {
        let Some((at, what)) = self.agenda.next_until(end) else {
            self.elapsed = end;
            return false;
        };
        self.elapsed = self.elapsed.max(at);
        match what {
            What::Wake { index, generation } if generation == self.nodes[index].wake_generation => {
                self.fire(index);
            }
            What::Wake { .. } => {}
            What::Resume(index) => self.resume(index),
            What::Arrive(packet) => self.arrive(packet),
            What::Handle(packet) => self.deliver(packet),
        }
        true
    }

    fn fire(&mut self, index: usize) {
        self.nodes[index].wake_at = None;
        if self.is_paused(index) || !self.is_running(index) {
            return;
        }
        self.hand(index, Call::Timeout);
        self.drain(index);
    }

    /// After a pause timers and what has arrived come in either order.
    fn resume(&mut self, index: usize) {
        if self.is_paused(index) || !self.is_running(index) {
            return;
        }
        if self.rng.random() {
            self.fire(index);
        }
        while let Some(packet) = self.nodes[index].backlog.pop_front() {
            self.deliver(packet);
        }
        self.reschedule(index);
    }

    fn arrive(&mut self, packet: Packet) {
        let node = &mut self.nodes[packet.to];
        if node.slow_by > 0 {
            let at = self.elapsed + self.rng.random_range(0..node.slow_by);
            self.agenda.enter(at, What::Handle(packet));
        } else {
            self.deliver(packet);
        }
    }

    fn deliver(&mut self, packet: Packet) {
        let (from, to) = (packet.from, packet.to);
        if self.is_paused(to) {
            if self.nodes[to].backlog.len() < BACKLOG_MAX {
                self.nodes[to].backlog.push_back(packet);
            }
            return;
        }
        if !self.is_running(to) {
            if let (Content::Request { boot, id, .. }, true) = (&packet.content, self.network.refuses) {
                self.send(to, from, true, Content::Failure { boot: *boot, id: *id });
            }
            return;
        }
        let sender = self.nodes[from].name;
        self.note(&packet);
        match packet.content {
            Content::Request { boot, id, payload } => {
                match self.hand(to, Call::Request { from: sender, payload }) {
                    Some(Handled::Replied) => {
                        let reply = std::mem::take(&mut self.buffer);
                        self.reply(to, from, (boot, id), &reply);
                        self.buffer = reply;
                    }
                    Some(Handled::Deferred(request)) => {
                        self.nodes[to].deferred.push_back((request, from, boot, id));
                        if self.nodes[to].deferred.len() > BACKLOG_MAX {
                            self.nodes[to].deferred.pop_front();
                        }
                    }
                    None => self.send(to, from, true, Content::Failure { boot, id }),
                }
            }
            Content::Reply { boot, id, payload } if boot == self.nodes[to].boot => {
                self.hand(to, Call::Reply { id, from: sender, payload });
                self.link(from, to, Link::Up);
            }
            Content::Failure { boot, id } if boot == self.nodes[to].boot => {
                self.hand(to, Call::Failure { id });
                self.link(from, to, Link::Down);
            }
            Content::Closed => self.link(from, to, Link::Down),
            Content::Reply { .. } | Content::Failure { .. } => {}
        }
        self.drain(to);
    }

    /// The first answer of a peer opens a link, a refusal or its end breaks one.
    fn link(&mut self, from: usize, to: usize, link: Link) {
        let links = &mut self.nodes[to].links;
        let is_change = if link == Link::Up { links.insert(from) } else { links.remove(&from) };
        if is_change && self.reports_links {
            let peer = self.nodes[from].name;
            self.hand(to, Call::Link { peer, link });
        }
    }

    /// Does what the member asks for, and awaits its next moment.
    fn drain(&mut self, index: usize) {
        let mut payload = std::mem::take(&mut self.buffer);
        while let Some(output) = self.next_output(index, &mut payload) {
            match output {
                Output::Transmit(transmit) => {
                    let boot = self.nodes[index].boot;
                    let content =
                        Content::Request { boot, id: transmit.id, payload: payload.as_slice().into() };
                    let kind = transmit.kind;
                    *self.sent.entry(name_of(kind)).or_default() += 1;
                    let longest = self.longest.entry(name_of(kind)).or_default();
                    *longest = payload.len().max(*longest);
                    match self.by_addr.get(&number_of(&transmit.to)).copied() {
                        Some(to) => self.send(index, to, kind == TransmitKind::Sync, content),
                        None => self.load.messages += 1,
                    }
                }
                Output::Reply { request } => {
                    let deferred = &mut self.nodes[index].deferred;
                    let place = deferred.iter().position(|(waiting, ..)| *waiting == request);
                    if let Some((_, from, boot, id)) = place.and_then(|place| deferred.remove(place)) {
                        self.reply(index, from, (boot, id), &payload);
                    }
                }
                Output::Event(event) => {
                    let (at, name) = (self.elapsed(), self.nodes[index].name);
                    let happened = self.record.on_event(index, name, at, &event);
                    self.trace = fold(self.trace, happened.facts().map(u64::to_le_bytes).as_flattened());
                }
            }
        }
        self.buffer = payload;
        self.reschedule(index);
    }

    fn reply(&mut self, from: usize, to: usize, (boot, id): (u64, TransmitId), payload: &[u8]) {
        *self.sent.entry("reply").or_default() += 1;
        // The answer to a long message may be long, and goes back over the same stream.
        let is_reliable = payload.len() > self.config.gossip_bytes_max;
        self.send(from, to, is_reliable, Content::Reply { boot, id, payload: payload.into() });
    }

    fn send(&mut self, from: usize, to: usize, is_reliable: bool, mut content: Content) {
        if let Content::Request { payload, .. } | Content::Reply { payload, .. } = &mut content {
            if from < self.later_versions {
                *payload = of_a_later_version(payload);
            }
            self.load.messages += 1;
            self.load.bytes += payload.len() as u64;
        }
        for delay in self.network.carry(from, to, is_reliable, &mut self.rng).into_iter().flatten() {
            let packet = Packet { from, to, content: content.clone() };
            self.agenda.enter(self.elapsed + delay, What::Arrive(packet));
        }
    }

    /// Awaits the moment that the member wants to be woken at.
    fn reschedule(&mut self, index: usize) {
        let (start, elapsed) = (self.start, self.elapsed);
        let node = &mut self.nodes[index];
        let Some(due) = node.swim.as_ref().and_then(Swim::poll_timeout) else {
            return;
        };
        // Rounded up: woken before the moment, the member would ask for the same again.
        let due = (due - start).as_nanos().div_ceil(1000) as u64;
        let at = due.saturating_sub(node.offset).max(node.paused_until).max(elapsed);
        if node.wake_at != Some(at) {
            node.wake_at = Some(at);
            node.wake_generation += 1;
            let generation = node.wake_generation;
            self.agenda.enter(at, What::Wake { index, generation });
        }
    }

    fn note(&mut self, packet: &Packet) {
        let (Content::Request { payload, .. } | Content::Reply { payload, .. }) = &packet.content else {
            return;
        };
        self.record.on_heard(packet.from, self.elapsed);
        let head = [self.elapsed, packet.from as u64, packet.to as u64].map(u64::to_le_bytes);
        self.trace = fold(fold(self.trace, head.as_flattened()), payload);
    }

    fn member_mut(&mut self, index: usize) -> &mut Swim<Name> {
        self.nodes[index].swim.as_mut().expect("the member runs")
    }

    pub(crate) fn now(&self, index: usize) -> Instant {
        self.start + Duration::from_micros(self.elapsed + self.nodes[index].offset)
    }
}

fn micros(span: Duration) -> u64 {
    span.as_micros() as u64
}

const CLUSTER: u64 = 0x7e11;
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Some milliseconds of the wall clock, so that epochs are as long on the wire as real ones.
pub(crate) const EPOCH_BASE: u64 = 1_750_000_000_000;
/// What waits for a process that is paused; more is lost, as in a socket's buffer.
const BACKLOG_MAX: usize = 4096;
