//! A seeded cluster of real members over a network that loses, cuts and delays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trellis_swim::{
    Config, Event, Handled, Local, Output, RequestId, SendFailure, State, Swim, TransmitId, TransmitKind,
};

use crate::history::History;

/// Members by index; the member of index `i` has the address `a{i}` and, unless said otherwise, the name `n{i}`.
pub(crate) struct Cluster {
    pub(crate) config: Config,
    /// The probability that a request, or a reply, is lost.
    pub(crate) loss: f64,
    /// Whether a member whose process is down refuses at once or is silent.
    pub(crate) refuses: bool,
    pub(crate) history: History,
    pub(crate) sent: Vec<(Duration, usize, TransmitKind)>,
    nodes: Vec<Node>,
    cut: BTreeSet<(usize, usize)>,
    packets: BTreeMap<(Duration, u64), Packet>,
    packets_count: u64,
    start: Instant,
    elapsed: Duration,
    rng: SmallRng,
}

impl Cluster {
    /// `count` members that start within a second and join through the first, one second after the start.
    pub(crate) fn joined(count: usize, seed: u64) -> Self {
        let mut cluster = Self::new(seed);
        for index in 0..count {
            cluster.add(&format!("n{index}"), 1);
        }
        cluster.run_for(SECOND);
        for index in 1..count {
            cluster.join(index, &[0]);
        }
        cluster.run_for(9 * SECOND);
        assert!(cluster.agrees_all_alive(), "{count} members form a cluster within 9 s (seed {seed})");
        cluster
    }

    pub(crate) fn new(seed: u64) -> Self {
        Self {
            config: Config::default(),
            loss: 0.0,
            refuses: false,
            history: History::default(),
            sent: Vec::new(),
            nodes: Vec::new(),
            cut: BTreeSet::new(),
            packets: BTreeMap::new(),
            packets_count: 0,
            start: Instant::now(),
            elapsed: Duration::ZERO,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// Starts a further member.
    pub(crate) fn add(&mut self, name: &str, epoch: u64) -> usize {
        self.nodes.push(Node { name: name.to_owned(), ..Node::default() });
        self.start_member(self.nodes.len() - 1, epoch);
        self.nodes.len() - 1
    }

    /// Starts a process at the member's address, without memory of any before.
    pub(crate) fn start_member(&mut self, index: usize, epoch: u64) {
        let boot = self.rng.random::<u64>();
        let name = self.nodes[index].name.clone();
        let local = Local { id: name, epoch, addr: addr(index), meta: boot.to_le_bytes().to_vec() };
        let swim = Swim::new(self.config.clone(), local, CLUSTER, boot, self.now());
        let swim = swim.expect("the configuration is valid");
        let node = &mut self.nodes[index];
        (node.swim, node.boot) = (Some(swim), boot);
        self.history.on_start(index);
    }

    pub(crate) fn join(&mut self, index: usize, seeds: &[usize]) {
        let now = self.now();
        let seeds: Vec<_> = seeds.iter().copied().map(addr).collect();
        self.member_mut(index).join(seeds, now);
        self.drain(index);
    }

    pub(crate) fn leave(&mut self, index: usize) {
        let now = self.now();
        self.member_mut(index).leave(now);
        self.drain(index);
    }

    pub(crate) fn crash(&mut self, index: usize) {
        self.nodes[index].swim = None;
        self.nodes[index].deferred.clear();
    }

    /// The process does nothing until then; what arrives waits.
    pub(crate) fn pause(&mut self, index: usize, span: Duration) {
        self.nodes[index].paused_until = self.elapsed + span;
    }

    /// From here on nothing goes from one to the other.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// Cuts the members below `index` from the others.
    pub(crate) fn split_at(&mut self, index: usize) {
        for (low, high) in (0..index).flat_map(|low| (index..self.nodes.len()).map(move |high| (low, high))) {
            self.cut.extend([(low, high), (high, low)]);
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.elapsed + span;
        self.run_until(end, |_| false);
    }

    /// Runs until the condition holds or `span` has passed; says how long it took, if it came to hold.
    pub(crate) fn await_for(
        &mut self,
        span: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let begin = self.elapsed;
        self.run_until(begin + span, &condition);
        condition(self).then(|| self.elapsed - begin)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    pub(crate) fn member(&self, index: usize) -> &Swim<String> {
        self.nodes[index].swim.as_ref().expect("the member runs")
    }

    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|index| self.nodes[*index].swim.is_some()).collect()
    }

    pub(crate) fn state_at(&self, observer: usize, subject: usize) -> Option<State> {
        self.member(observer).member(&self.nodes[subject].name).map(|member| member.state)
    }

    /// Whether each running member says of each member that it is alive when it runs, and only then that it is up.
    pub(crate) fn agrees_on_who_runs(&self) -> bool {
        self.running().into_iter().all(|observer| {
            (0..self.nodes.len()).all(|subject| {
                let said = self.state_at(observer, subject);
                match self.nodes[subject].swim {
                    Some(_) => said == Some(State::Alive),
                    None => matches!(said, None | Some(State::Dead)),
                }
            })
        })
    }

    /// Whether all run and all say so.
    pub(crate) fn agrees_all_alive(&self) -> bool {
        self.running().len() == self.nodes.len() && self.agrees_on_who_runs()
    }

    pub(crate) fn random_index(&mut self) -> usize {
        self.rng.random_range(0..self.nodes.len())
    }

    pub(crate) fn random_millis(&mut self, max: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(0..max))
    }

    fn run_until(&mut self, end: Duration, stop: impl Fn(&Self) -> bool) {
        while !stop(self) {
            let packet = self.packets.keys().next().map(|(at, _)| *at);
            let timer = self.next_timer();
            let Some(next) = packet.into_iter().chain(timer.map(|(at, _)| at)).min().filter(|at| *at <= end)
            else {
                self.elapsed = end;
                return;
            };
            self.elapsed = self.elapsed.max(next);
            match timer {
                Some((at, index)) if at == next => self.fire(index),
                _ => self.deliver_next(),
            }
        }
    }

    fn next_timer(&self) -> Option<(Duration, usize)> {
        let due = |(index, node): (usize, &Node)| {
            let at = node.swim.as_ref()?.poll_timeout()? - self.start;
            Some((at.max(node.paused_until).max(self.elapsed), index))
        };
        self.nodes.iter().enumerate().filter_map(due).min()
    }

    fn fire(&mut self, index: usize) {
        let now = self.now();
        let swim = self.member_mut(index);
        swim.handle_timeout(now);
        assert!(swim.poll_timeout().is_none_or(|next| next > now), "what was due is done");
        self.drain(index);
    }

    fn deliver_next(&mut self) {
        let Some((_, packet)) = self.packets.pop_first() else {
            return;
        };
        let to = packet.to;
        if self.nodes[to].paused_until > self.elapsed {
            self.enqueue(self.nodes[to].paused_until, packet);
            return;
        }
        let now = self.now();
        let sender = self.nodes[packet.from].name.clone();
        let is_down = self.nodes[to].swim.is_none();
        match packet.content {
            Content::Request { .. } if is_down && self.refuses => {
                self.answer_failure(&packet, SendFailure::Refused);
            }
            _ if is_down => {}
            Content::Request { ref payload, .. } => {
                self.history.on_spoken(packet.from, to, self.elapsed);
                match self.member_mut(to).handle_message(&sender, payload, now) {
                    Ok(Handled::Reply(reply)) => self.answer(&packet, reply),
                    Ok(Handled::Deferred(request)) => {
                        drop(self.nodes[to].deferred.insert(request, packet.clone()));
                    }
                    Err(_) => self.answer_failure(&packet, SendFailure::Refused),
                }
            }
            Content::Reply { boot, id, payload } if boot == self.nodes[to].boot => {
                self.history.on_spoken(packet.from, to, self.elapsed);
                // A reply to what has expired is refused.
                let _ = self.member_mut(to).handle_reply(id, &payload, now);
            }
            Content::Failure { boot, id, why } if boot == self.nodes[to].boot => {
                self.member_mut(to).handle_send_failure(id, why, now);
            }
            Content::Reply { .. } | Content::Failure { .. } => {}
        }
        if !is_down {
            self.drain(to);
        }
    }

    fn answer(&mut self, request: &Packet, payload: Vec<u8>) {
        if let Content::Request { boot, id, .. } = request.content {
            self.send(request.to, request.from, Content::Reply { boot, id, payload });
        }
    }

    fn answer_failure(&mut self, request: &Packet, why: SendFailure) {
        if let Content::Request { boot, id, .. } = request.content {
            self.send(request.to, request.from, Content::Failure { boot, id, why });
        }
    }

    fn drain(&mut self, index: usize) {
        while let Some(output) = self.member_mut(index).poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    self.sent.push((self.elapsed, index, transmit.kind));
                    let to = transmit.to[1..].parse().expect("an address is a letter and an index");
                    let boot = self.nodes[index].boot;
                    self.send(
                        index,
                        to,
                        Content::Request { boot, id: transmit.id, payload: transmit.payload },
                    );
                }
                Output::Reply { request, payload } => {
                    if let Some(packet) = self.nodes[index].deferred.remove(&request) {
                        self.answer(&packet, payload);
                    }
                }
                Output::Event(event) => self.on_event(index, event),
            }
        }
    }

    fn on_event(&mut self, index: usize, event: Event<String>) {
        self.history.on_event(index, self.elapsed, event);
    }

    fn send(&mut self, from: usize, to: usize, content: Content) {
        let is_lost = self.rng.random_bool(self.loss) || self.cut.contains(&(from, to));
        let delay = Duration::from_micros(self.rng.random_range(500..1500));
        if !is_lost {
            self.enqueue(self.elapsed + delay, Packet { from, to, content });
        }
    }

    fn enqueue(&mut self, at: Duration, packet: Packet) {
        self.packets_count += 1;
        self.packets.insert((at, self.packets_count), packet);
    }

    fn member_mut(&mut self, index: usize) -> &mut Swim<String> {
        self.nodes[index].swim.as_mut().expect("the member runs")
    }

    fn now(&self) -> Instant {
        self.start + self.elapsed
    }
}

#[derive(Default)]
struct Node {
    name: String,
    swim: Option<Swim<String>>,
    boot: u64,
    paused_until: Duration,
    deferred: BTreeMap<RequestId, Packet>,
}

#[derive(Clone, Debug)]
struct Packet {
    from: usize,
    to: usize,
    content: Content,
}

/// What a packet carries; `boot` is the process that waits for the answer.
#[derive(Clone, Debug)]
enum Content {
    Request { boot: u64, id: TransmitId, payload: Vec<u8> },
    Reply { boot: u64, id: TransmitId, payload: Vec<u8> },
    Failure { boot: u64, id: TransmitId, why: SendFailure },
}

fn addr(index: usize) -> String {
    format!("a{index}")
}

const CLUSTER: u64 = 0x7e11;
pub(crate) const SECOND: Duration = Duration::from_secs(1);
