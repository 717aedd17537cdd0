//! Cores on simulated disks, joined by messages in memory: no sockets, no threads, no sleeping.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use trellis_crdt::ReplicaId;
use trellis_replication::{FoundingId, Identity, LinkEvent, LinkId, LinkKind, Message, NodeId, Owner};
use trellis_storage::{Config as StorageConfig, Operation, Outcome, ReadValue};
use trellis_wal::{Config as WalConfig, MemoryDisk, OpenSeed, Syncer};

use super::super::*;
use super::mischief::{Fate, Mischief, as_event};

/// Some nodes and what is on its way between them.
pub(crate) struct Cluster {
    pub(crate) nodes: BTreeMap<&'static str, Node>,
    /// Dialled link ↔ accepted link.
    links: BTreeMap<(&'static str, LinkId), (&'static str, LinkId)>,
    pub(crate) start: Instant,
    pub(crate) elapsed: Duration,
    random: u64,
    /// Messages between these two are lost.
    pub(crate) cut: Option<(&'static str, &'static str)>,
    pub(crate) notices: Vec<(&'static str, Notice)>,
    /// Tickets of writes that reached as many nodes as they asked for.
    pub(crate) replicated: Vec<u64>,
    /// Limits of every node that boots.
    replication: ReplicationConfig,
    /// Shards of every node that boots.
    pub(crate) shards: usize,
    /// Nodes whose disk takes nothing for now.
    pub(crate) stalled: BTreeSet<&'static str>,
    /// Milliseconds that a node's wall clock is ahead.
    pub(crate) wall_ahead: BTreeMap<&'static str, i64>,
    /// What happens to messages between nodes.
    pub(crate) mischief: Option<Mischief>,
    /// Sees everything that leaves a node, before it is lost or arrives.
    pub(crate) watch: Option<Watch>,
}

/// Sees what the first node says to the second.
pub(crate) type Watch = fn(&Cluster, &'static str, &'static str, &Said<'_>);

/// What a node tells another about its state.
pub(crate) enum Said<'a> {
    Message(&'a Message),
    Gossip(&'a Gossip),
}

pub(crate) struct Node {
    pub(crate) core: Option<Core>,
    syncer: Option<Syncer<MemoryDisk>>,
    pub(crate) disk: MemoryDisk,
    pub(crate) node: NodeId,
    /// Of the process that runs or ran last.
    pub(crate) replica: ReplicaId,
}

pub(crate) const WAL: WalConfig = WalConfig {
    segment_bytes: 256 << 10,
    record_bytes_max: 32 << 10,
    pending_bytes_max: 64 << 10,
    batch_bytes_max: 64 << 10,
};

pub(crate) const NAMES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];

impl Cluster {
    pub(crate) fn new() -> Self {
        Self {
            nodes: BTreeMap::new(),
            links: BTreeMap::new(),
            start: Instant::now(),
            elapsed: Duration::ZERO,
            random: 1,
            cut: None,
            notices: Vec::new(),
            replicated: Vec::new(),
            replication: ReplicationConfig::default(),
            shards: 2,
            stalled: BTreeSet::new(),
            wall_ahead: BTreeMap::new(),
            mischief: None,
            watch: None,
        }
    }

    /// Founds at n1 and lets the others join.
    pub(crate) fn of(size: usize) -> Self {
        Self::new().grown_to(size)
    }

    pub(crate) fn sharded(self, shards: usize) -> Self {
        Self { shards, ..self }
    }

    pub(crate) fn limited(self, replication: ReplicationConfig) -> Self {
        Self { replication, ..self }
    }

    pub(crate) fn grown_to(self, size: usize) -> Self {
        let mut cluster = self;
        for name in &NAMES[..size] {
            cluster.start_node(name);
        }
        let all_serve =
            |cluster: &Self| cluster.nodes.values().all(|node| node.core().phase() == Phase::Serving);
        cluster.run_until("all serve", all_serve);
        cluster.run_until("all see each other", |cluster| {
            cluster.nodes.values().all(|node| node.core().status(cluster.now()).is_converged)
        });
        cluster
    }

    pub(crate) fn now(&self) -> Now {
        let wall_millis = 1_700_000_000_000 + self.elapsed.as_millis() as u64;
        Now { instant: self.start + self.elapsed, wall_millis }
    }

    fn now_at(&self, name: &str) -> Now {
        let now = self.now();
        let ahead = self.wall_ahead.get(name).copied().unwrap_or(0);
        Now { wall_millis: now.wall_millis.saturating_add_signed(ahead), ..now }
    }

    fn draw(&mut self) -> u64 {
        self.random += 1;
        self.random
    }

    /// Starts a node on its disk, or on an empty one.
    pub(crate) fn start_node(&mut self, name: &'static str) {
        let fresh = NodeId::from_u64(self.draw());
        let disk = self.nodes.get(name).map_or_else(MemoryDisk::new, |node| node.disk.clone());
        let node = self.nodes.get(name).map_or(fresh, |node| node.node);
        self.boot(name, disk, node);
    }

    /// Kills a node; what was not synced is gone.
    pub(crate) fn kill(&mut self, name: &'static str) {
        let node = self.nodes.get_mut(name).unwrap();
        node.core = None;
        node.syncer = None;
        node.disk = node.disk.crash(0, |_| false);
        let gone: Vec<_> = self.links.keys().filter(|from| from.0 == name).copied().collect();
        let gone: Vec<_> = gone
            .into_iter()
            .chain(self.links.iter().filter(|(_, to)| to.0 == name).map(|(from, _)| *from))
            .collect();
        for dialled in gone {
            self.break_link(dialled);
        }
    }

    /// Breaks every stream there is, as if all connections were reset.
    pub(crate) fn break_all(&mut self) {
        for dialled in self.links.keys().copied().collect::<Vec<_>>() {
            self.break_link(dialled);
        }
    }

    fn break_link(&mut self, dialled: (&'static str, LinkId)) {
        let Some(accepted) = self.links.remove(&dialled) else { return };
        for (at, link) in [dialled, accepted] {
            if let Some(core) = self.core(at) {
                core.handle_link(link, LinkEvent::Closed, self.now_at(at));
            }
        }
    }

    /// Wipes the disk of a killed node: it comes back under its name as another node.
    pub(crate) fn wipe(&mut self, name: &'static str) {
        let node = NodeId::from_u64(self.draw());
        let known = self.nodes.get_mut(name).unwrap();
        known.disk = MemoryDisk::new();
        known.node = node;
    }

    fn boot(&mut self, name: &'static str, disk: MemoryDisk, node: NodeId) {
        let seed = OpenSeed { log_uuid: [self.draw() as u8; 16], salt: self.draw() };
        let opened = trellis_wal::open(disk.clone(), WAL, seed).expect("a disk that was synced opens");
        let mut recovery = Recovery::new(self.shards, "garden", &StorageConfig::default());
        for record in opened.records {
            let (lsn, bytes) = record.unwrap();
            recovery.replay(lsn, &bytes).unwrap();
        }
        let now = self.now_at(name);
        let replica = ReplicaId::from_u64(0xa000 + self.draw());
        let epoch = (recovery.epoch(node) + 1).max(now.wall_millis);
        let founds = name == "n1" && self.nodes.is_empty();
        let founding = founds.then(|| FoundingId::from_u64(self.draw()));
        let mut syncer = opened.syncer;
        for record in recovery.start(name, replica, Owner { node, epoch }, founding) {
            opened.log.enqueue(&record.encode()).unwrap();
        }
        syncer.sync_once().unwrap();
        let settings = Settings {
            cluster: "garden".to_owned(),
            local: Identity { name: name.to_owned(), node, replica, epoch, boot_nonce: self.draw() },
            peer_address: name.to_owned(),
            client_address: format!("{name}-client"),
            seeds: NAMES.iter().filter(|seed| **seed != name).map(|seed| (*seed).to_owned()).collect(),
            replication: self.replication.clone(),
            swim: SwimConfig::default(),
            gossip_interval: Duration::from_secs(2),
            gossip_fanout: 3,
            clock_skew_max: Duration::from_millis(500),
            seed: self.draw(),
        };
        let core = Core::new(settings, recovery.finish(), opened.log, now).unwrap();
        self.nodes.insert(name, Node { core: Some(core), syncer: Some(syncer), disk, node, replica });
    }

    /// Runs until `is_true`, at most a minute of virtual time.
    pub(crate) fn run_until(&mut self, what: &str, is_true: impl Fn(&Self) -> bool) {
        let deadline = self.elapsed + Duration::from_secs(60);
        while !is_true(self) {
            assert!(self.elapsed < deadline, "not within a minute: {what}; {:#?}", self.notices);
            self.step();
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.elapsed + time;
        while self.elapsed < end {
            self.step();
        }
    }

    /// Delivers everything that is on its way, syncs every log, and moves on by a millisecond.
    pub(crate) fn step(&mut self) {
        self.tick();
        let mut rounds = 0;
        while self.deliver() {
            rounds += 1;
            assert!(rounds < 10_000, "messages without end");
        }
    }

    /// Moves on by a millisecond and does what is due, but delivers nothing.
    pub(crate) fn tick(&mut self) {
        self.elapsed += Duration::from_millis(1);
        for name in NAMES {
            let now = self.now_at(name);
            if let Some(core) = self.core(name)
                && core.poll_timeout().is_some_and(|due| due <= now.instant)
            {
                core.handle_timeout(now);
            }
        }
    }

    pub(crate) fn core(&self, name: &str) -> Option<&Core> {
        self.nodes.get(name)?.core.as_ref()
    }

    /// Syncs every log and performs what that gives rise to, but not what comes of it. Returns whether there was any.
    pub(crate) fn deliver(&mut self) -> bool {
        let mut any = false;
        for name in NAMES {
            let now = self.now_at(name);
            let Some(node) = self.nodes.get_mut(name) else { continue };
            let (Some(core), Some(syncer)) = (&node.core, &mut node.syncer) else { continue };
            if !self.stalled.contains(name) {
                syncer.sync_once().unwrap();
                core.handle_durable(now);
            }
            let effects: VecDeque<Effect> = std::iter::from_fn(|| core.poll_effect()).collect();
            any |= !effects.is_empty();
            for effect in effects {
                self.perform(name, effect);
            }
        }
        any
    }

    fn perform(&mut self, name: &'static str, effect: Effect) {
        let now = self.now_at(name);
        match effect {
            Effect::Open { link, kind, address, .. } => {
                let accepted = self.reach(name, &address).map(|(at, core)| {
                    let kind = if kind == LinkKind::PushOut { LinkKind::PushIn } else { LinkKind::SyncIn };
                    (at, core.accept(name, kind, self.now_at(at)))
                });
                let event = if accepted.is_some() { LinkEvent::Opened } else { LinkEvent::Closed };
                if let Some(accepted) = accepted {
                    self.links.insert((name, link), accepted);
                }
                self.core(name).unwrap().handle_link(link, event, now);
            }
            Effect::Send { link, message } => self.carry(name, link, message),
            Effect::Close { link } => {
                if let Some((at, other)) = self.other_end(name, link) {
                    self.links.retain(|a, b| {
                        (*a, *b) != ((name, link), (at, other)) && (*b, *a) != ((name, link), (at, other))
                    });
                    if let Some(core) = self.core(at) {
                        core.handle_link(other, LinkEvent::Closed, now);
                    }
                }
            }
            Effect::Call { id, address, request, .. } => {
                if let Some(answer) = self.call(name, &address, request) {
                    self.core(name).unwrap().handle_answer(id, answer, now);
                }
            }
            Effect::Notice(notice) => self.notices.push((name, notice)),
            Effect::Replicated { ticket } => self.replicated.push(ticket),
            Effect::Answer { .. } | Effect::LeaveDrained | Effect::Phase(_) => {}
        }
    }

    fn carry(&mut self, name: &'static str, link: LinkId, message: Message) {
        let Some((at, other)) = self.other_end(name, link) else { return };
        if let Some(watch) = self.watch {
            watch(self, name, at, &Said::Message(&message));
        }
        let fate = self
            .mischief
            .as_mut()
            .map_or(Fate::Arrives(vec![message.clone()]), |mischief| mischief.of(message));
        match fate {
            Fate::Arrives(messages) => {
                for message in messages {
                    if let Some((_, core)) = self.reach(name, at) {
                        core.handle_link(other, as_event(message), self.now_at(at));
                    }
                }
            }
            Fate::BreaksLink => {
                let is_dialled = self.links.contains_key(&(name, link));
                self.break_link(if is_dialled { (name, link) } else { (at, other) });
            }
        }
    }

    fn call(
        &self,
        name: &'static str,
        address: &str,
        request: Request,
    ) -> Option<Result<Answer, CallFailure>> {
        let Some((at, core)) = self.reach(name, address) else { return Some(Err(CallFailure::Refused)) };
        let now = self.now_at(at);
        match request {
            Request::Ping(ping) => match core.answer_ping(name, &ping, now) {
                PingAnswer::Now(pong) => Some(Ok(Answer::Pong(pong))),
                PingAnswer::Later(_) => None,
            },
            Request::Gossip(gossip) => {
                if let Some(watch) = self.watch {
                    watch(self, name, at, &Said::Gossip(&gossip));
                }
                let answer = core.answer_gossip(name, &gossip, now);
                if let (Some(watch), Ok(answer)) = (self.watch, &answer) {
                    watch(self, at, name, &Said::Gossip(answer));
                }
                Some(answer.map(|gossip| Answer::Gossip(Box::new(gossip))).map_err(|_| CallFailure::Closed))
            }
        }
    }

    fn other_end(&self, name: &'static str, link: LinkId) -> Option<(&'static str, LinkId)> {
        let forth = self.links.get(&(name, link)).copied();
        forth.or_else(|| self.links.iter().find(|(_, b)| **b == (name, link)).map(|(a, _)| *a))
    }

    fn reach(&self, from: &str, to: &str) -> Option<(&'static str, &Core)> {
        let is_cut = self.cut.is_some_and(|(a, b)| (from, to) == (a, b) || (from, to) == (b, a));
        let name = NAMES.into_iter().find(|name| *name == to)?;
        self.core(name).filter(|_| !is_cut).map(|core| (name, core))
    }

    pub(crate) fn write(&self, name: &str, operation: &Operation<'_>) -> Outcome {
        self.core(name).unwrap().write(operation, self.now_at(name)).unwrap().outcome
    }

    pub(crate) fn increment(&self, name: &str, key: &str, amount: i64) {
        self.write(name, &Operation::Increment { key, kind: Kind::PnCounter, amount });
    }

    pub(crate) fn value(&self, name: &str, key: &str) -> i64 {
        match self.core(name).unwrap().read(key, None).unwrap().0.value {
            Some(ReadValue::Counter(total)) => total.value,
            _ => 0,
        }
    }
}

impl Node {
    pub(crate) fn core(&self) -> &Core {
        self.core.as_ref().expect("the node runs")
    }
}
