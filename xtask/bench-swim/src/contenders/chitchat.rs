//! chitchat: heartbeats that are gossiped, in tasks of tokio whose clock is the simulation's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use chitchat::transport::{ChannelTransport, RecvOutcome, SendOutcome, Socket, Transport};
use chitchat::{
    Chitchat, ChitchatConfig, ChitchatEnvelope, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState,
    ProtocolVersion, spawn_chitchat,
};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::contender::{Contender, Kind, Load, Renewals, Seen, Sight, Start};
use crate::network::Network;

pub(super) const SECOND: Kind = Kind {
    name: "chitchat 0.13.0",
    settings: "an interval of 1 s, FailureDetectorConfig::default(), the compressed digest (V1); it draws from the \
               system, so its figures vary, delays are whole milliseconds, and CPU is that of the whole simulation",
    size_max: 256,
    fewer_from: 64,
    suspects: false,
    start: ChitchatCluster::start,
};

struct ChitchatCluster {
    /// Before the runtime: tasks end with their handles.
    nodes: Vec<Option<Process>>,
    air: Air,
    began: Instant,
    seen: Vec<Seen>,
    runtime: Runtime,
}

struct Process {
    handle: ChitchatHandle,
    chitchat: Arc<tokio::sync::Mutex<Chitchat>>,
    changes: watch::Receiver<BTreeMap<ChitchatId, NodeState>>,
    live: BTreeSet<usize>,
}

impl ChitchatCluster {
    /// Members cannot be told of each other from outside, so a warm cluster is one whose members joined long ago.
    fn start(start: &Start) -> Box<dyn Contender> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without IO can be built");
        let weather = Weather { network: start.network(), rng: SmallRng::seed_from_u64(start.seed) };
        let began = runtime.block_on(async { Instant::now() });
        let channels = ChannelTransport::with_mtu(DATAGRAM_BYTES_MAX);
        let air = Air { channels, weather: Arc::new(Mutex::new(weather)) };
        let mut cluster = Self { nodes: Vec::new(), air, began, seen: Vec::new(), runtime };
        for index in 0..start.count {
            cluster.spawn(index);
            cluster.run_for(Duration::from_secs(1) / start.count as u32);
        }
        Box::new(cluster)
    }

    fn spawn(&mut self, index: usize) {
        let addr = addr_of(index);
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(index.to_string(), 1, addr),
            cluster_id: "bench".to_owned(),
            gossip_interval: Duration::from_secs(1),
            listen_addr: addr,
            seed_nodes: vec![addr_of(0).to_string()],
            failure_detector_config: FailureDetectorConfig::default(),
            marked_for_deletion_grace_period: Duration::from_secs(3600),
            catchup_callback: None,
            extra_liveness_predicate: None,
            protocol_version: ProtocolVersion::V1,
        };
        let handle = self.runtime.block_on(spawn_chitchat(config, Vec::new(), &self.air));
        let handle = handle.expect("its address is free");
        let chitchat = handle.chitchat();
        let changes = self.runtime.block_on(chitchat.lock()).live_nodes_watcher();
        self.nodes.push(Some(Process { handle, chitchat, changes, live: BTreeSet::from([index]) }));
    }

    /// Reads who changed its mind.
    fn look(&mut self) {
        let at = self.elapsed();
        for (observer, process) in self.nodes.iter_mut().enumerate() {
            let Some(process) = process.as_mut().filter(|it| it.changes.has_changed().unwrap_or(false))
            else {
                continue;
            };
            process.changes.mark_unchanged();
            let live: BTreeSet<usize> = {
                let chitchat = self.runtime.block_on(process.chitchat.lock());
                chitchat.live_nodes().map(|id| index_of(id.gossip_advertise_addr)).collect()
            };
            let mut see = |subject, what| self.seen.push(Seen { at, observer, subject, what });
            live.difference(&process.live).for_each(|subject| see(*subject, Sight::Up));
            process.live.difference(&live).for_each(|subject| see(*subject, Sight::Down));
            process.live = live;
        }
    }
}

impl Contender for ChitchatCluster {
    /// What members think is looked at every tenth of a second.
    fn run_for(&mut self, span: Duration) {
        let mut left = span;
        while !left.is_zero() {
            let slice = left.min(Duration::from_millis(100));
            self.runtime.block_on(async { sleep(slice).await });
            left -= slice;
            self.look();
        }
    }

    fn elapsed(&self) -> Duration {
        self.runtime.block_on(async { self.began.elapsed() })
    }

    fn crash(&mut self, index: usize) {
        if let Some(process) = self.nodes[index].take() {
            process.handle.abort();
        }
    }

    fn split_at(&mut self, index: usize) {
        self.air.weather().network.split_at(index);
    }

    fn heal(&mut self) {
        self.air.weather().network.heal();
    }

    fn seen_since(&self, since: Duration) -> Vec<Seen> {
        self.seen.iter().filter(|it| it.at >= since).copied().collect()
    }

    fn is_whole(&self) -> bool {
        self.nodes.iter().flatten().all(|process| process.live.len() == self.nodes.len())
    }

    fn load(&self) -> Load {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        let taken = Duration::new(used.tv_sec as u64, used.tv_nsec as u32);
        let sent = self.air.channels.statistics();
        Load { messages: sent.num_messages_total, bytes: sent.num_bytes_total, taken }
    }

    fn renewals(&self) -> Renewals {
        Renewals::default()
    }
}

/// What the members' sockets share.
#[derive(Clone)]
struct Air {
    /// Only this one knows the bytes of a message, so it counts and carries them; the weather comes after it.
    channels: ChannelTransport,
    weather: Arc<Mutex<Weather>>,
}

struct Weather {
    network: Network,
    rng: SmallRng,
}

impl Air {
    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Air {
    async fn open(&self, addr: SocketAddr) -> Result<Box<dyn Socket>> {
        let mut receiver = self.channels.open(addr).await?;
        let sender = self.channels.open(SocketAddr::new(addr.ip(), SENDER_PORT)).await?;
        let (inbox, arrivals) = mpsc::channel(INBOX_MAX);
        let air = self.clone();
        let carrier = tokio::spawn(async move {
            while let Ok(outcome) = receiver.recv().await {
                air.carry(outcome, addr, &inbox);
            }
        });
        Ok(Box::new(Antenna { addr, sender, arrivals, carrier }))
    }
}

impl Air {
    fn carry(&self, mut outcome: RecvOutcome, to: SocketAddr, inbox: &mpsc::Sender<RecvOutcome>) {
        outcome.from_addr.set_port(PORT);
        let Weather { network, rng } = &mut *self.weather();
        let [delay, _] = network.carry(index_of(outcome.from_addr), index_of(to), false, rng);
        if let Some(delay) = delay {
            let inbox = inbox.clone();
            tokio::spawn(async move {
                sleep(Duration::from_micros(delay)).await;
                // What finds no room is lost, and so is what comes to who is gone.
                let _ = inbox.try_send(outcome);
            });
        }
    }
}

struct Antenna {
    addr: SocketAddr,
    sender: Box<dyn Socket>,
    arrivals: mpsc::Receiver<RecvOutcome>,
    carrier: JoinHandle<()>,
}

#[async_trait]
impl Socket for Antenna {
    fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.addr)
    }

    async fn send(&mut self, to: SocketAddr, envelope: ChitchatEnvelope) -> Result<SendOutcome> {
        self.sender.send(to, envelope).await
    }

    async fn recv(&mut self) -> Result<RecvOutcome> {
        self.arrivals.recv().await.context("the socket is closed")
    }
}

impl Drop for Antenna {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

fn addr_of(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (index >> 8) as u8, index as u8], PORT))
}

fn index_of(addr: SocketAddr) -> usize {
    match addr {
        SocketAddr::V4(addr) => (addr.ip().to_bits() & 0xffff) as usize,
        SocketAddr::V6(_) => unreachable!("made by addr_of"),
    }
}

const PORT: u16 = 7500;
const SENDER_PORT: u16 = 7501;
const INBOX_MAX: usize = 1000;
const DATAGRAM_BYTES_MAX: usize = 65_507;
