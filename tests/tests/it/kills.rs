//! kill -9 of one node after another, under load, while it starts, and while it drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use trellis_rpc::{Client, ClientConfig, Endpoint, SetRegister, WriteOptions};
use trellis_tests::{Cluster, Node, Readiness, await_until};

use crate::load::{Load, await_agreement, endpoint};

/// What lets a log rotate, and what stands behind it be removed, many times in one test.
const SETTINGS: &[(&str, &str)] = &[
    ("wal.record_bytes_max", "2MiB"),
    ("wal.batch_bytes_max", "2049KiB"),
    ("wal.pending_bytes_max", "2049KiB"),
    ("wal.segment_bytes", "2113KiB"),
    ("wal.snapshot_interval", "1s"),
    ("wal.snapshot_log_bytes", "1MiB"),
];

#[test]
fn nothing_acknowledged_is_lost_by_kills_of_one_node_after_another() -> Result<()> {
    let kills = if std::env::var_os("TRELLIS_LONG").is_some() { 200 } else { 20 };
    let mut cluster = Cluster::prepare(NODES.len())?;
    for node in cluster.nodes_mut() {
        SETTINGS.iter().for_each(|(key, value)| node.set(key, *value));
    }
    cluster.found()?;
    let options = WriteOptions::default();
    let counters = COUNTERS.map(|key| Load::start(&mut cluster, key, CLIENTS_OF_A_COUNTER, options));
    let counters = counters.into_iter().collect::<Result<Vec<_>>>()?;
    let registers = Registers::start(&mut cluster)?;

    for kill in 0..kills {
        let moment = MOMENTS[kill % MOMENTS.len()];
        let load = &counters[kill % counters.len()];
        load.await_acknowledged(load.acknowledged() + 10 + (kill as i64 * 7) % 40)?;
        let node = cluster.node_mut(NODES[kill % NODES.len()]);
        kill_at(moment, node).with_context(|| format!("kill {kill}, {moment:?}"))?;
        node.start(&[])?;
        node.await_ready().with_context(|| format!("after kill {kill}, {moment:?}"))?;
    }

    registers.await_acknowledged(REGISTER_WRITES)?;
    for name in NODES {
        let wal = cluster.node(name).data_dir().join("wal");
        let what = format!("{name} has a snapshot and has let go of its first segment");
        await_until(&what, Duration::from_secs(60), || {
            let names =
                std::fs::read_dir(&wal)?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
            let has_snapshot = names.iter().any(|name| name.to_string_lossy().ends_with(".snap"));
            Ok((has_snapshot && !names.iter().any(|name| name == FIRST_SEGMENT)).then_some(()))
        })?;
    }
    let counters = COUNTERS.into_iter().zip(counters).map(|(key, load)| Ok((key, load.finish()?)));
    let counters = counters.collect::<Result<Vec<_>>>()?;
    let registers = registers.finish()?;
    cluster.await_whole()?;
    for (key, tally) in counters {
        await_agreement(&cluster, key, &NODES, tally)?;
    }
    registers.iter().try_for_each(|register| register.check(&cluster))?;
    cluster.finish()
}

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// While clients write.
    UnderLoad,
    /// As soon as it was started, whatever it is at.
    Started,
    /// At its first sign of life: most often it replays its log.
    Starting,
    /// When it has only begun to serve.
    Ready,
    /// When it was told to stop and says that it does.
    Draining,
}

const MOMENTS: [Moment; 7] = [
    Moment::UnderLoad,
    Moment::Starting,
    Moment::UnderLoad,
    Moment::Draining,
    Moment::UnderLoad,
    Moment::Started,
    Moment::Ready,
];

/// Kills the process of a node that runs. At moments of its start it is killed under load first.
fn kill_at(moment: Moment, node: &mut Node) -> Result<()> {
    match moment {
        Moment::UnderLoad => return node.kill(),
        Moment::Draining => {
            node.terminate()?;
            // It may be gone by then, which is as good.
            let is_over = |it: &Readiness| !matches!(it, Readiness::Ready);
            node.await_readiness("drains", is_over).map(drop).or_else(|_| node.await_exit().map(drop))?;
        }
        Moment::Started | Moment::Starting | Moment::Ready => {
            node.kill()?;
            node.start(&[])?;
            match moment {
                Moment::Starting => {
                    node.await_readiness("answers", |it| !matches!(it, Readiness::Silent(_))).map(drop)?;
                }
                Moment::Ready => node.await_ready().map(drop)?,
                _ => {}
            }
        }
    }
    if node.is_running()? { node.kill() } else { Ok(()) }
}

/// Clients that write one register each, again and again, until they are told to stop: each at a node of its own.
struct Registers {
    runtime: Runtime,
    clients: JoinSet<()>,
    is_over: Arc<AtomicBool>,
    written: Vec<Arc<Register>>,
}

/// What a client has written into its register: the count of its writes.
struct Register {
    key: String,
    attempted: AtomicU64,
    acknowledged: AtomicU64,
}

impl Registers {
    fn start(cluster: &mut Cluster) -> Result<Self> {
        let tls = Arc::new(cluster.tls("app")?);
        let endpoints: Vec<Endpoint> = cluster.nodes_mut().iter().map(endpoint).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (mut clients, mut written) = (JoinSet::new(), Vec::new());
        let is_over = Arc::new(AtomicBool::new(false));
        for (index, endpoint) in endpoints.into_iter().enumerate() {
            let config = ClientConfig { timeout: Duration::from_secs(2), ..ClientConfig::default() };
            let client = Client::new(vec![endpoint], Arc::clone(&tls), config);
            let (attempted, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
            let register = Arc::new(Register { key: format!("register{index}"), attempted, acknowledged });
            written.push(Arc::clone(&register));
            clients.spawn_on(write_until_over(client, register, Arc::clone(&is_over)), runtime.handle());
        }
        Ok(Self { runtime, clients, is_over, written })
    }

    /// Waits until each client has had so many writes acknowledged.
    fn await_acknowledged(&self, count: u64) -> Result<()> {
        await_until(&format!("{count} writes are acknowledged"), Duration::from_secs(60), || {
            let counts = self.written.iter().map(|register| register.acknowledged.load(Ordering::SeqCst));
            Ok(counts.min().is_some_and(|least| least >= count).then_some(()))
        })?;
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Arc<Register>>> {
        self.is_over.store(true, Ordering::SeqCst);
        self.runtime.block_on(async {
            while let Some(ended) = self.clients.join_next().await {
                ended?;
            }
            Ok::<_, anyhow::Error>(())
        })?;
        Ok(self.written)
    }
}

impl Register {
    /// Every node shows the last write that was acknowledged, or one that was attempted after it, and all the same.
    fn check(&self, cluster: &Cluster) -> Result<()> {
        let shown = NODES.map(|node| {
            let outcome = cluster.at(node, &["get", &self.key])?;
            let value = outcome.answer()?;
            Ok(value.split(':').next().context("a value begins with a number")?.parse::<u64>()?)
        });
        let shown = shown.into_iter().collect::<Result<Vec<u64>>>()?;
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        let attempted = self.attempted.load(Ordering::SeqCst);
        println!("{}: {shown:?}, acknowledged {acknowledged}, attempted {attempted}", self.key);
        ensure!(shown.windows(2).all(|pair| pair[0] == pair[1]), "{} shows {shown:?}", self.key);
        ensure!((acknowledged..=attempted).contains(&shown[0]), "{} shows {}", self.key, shown[0]);
        Ok(())
    }
}

async fn write_until_over(client: Client, register: Arc<Register>, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::SeqCst) {
        let count = register.attempted.fetch_add(1, Ordering::SeqCst) + 1;
        let mut value = format!("{count}:").into_bytes();
        value.resize(REGISTER_BYTES, b'.');
        let options = WriteOptions::default();
        let request =
            SetRegister { key: register.key.clone(), value: Bytes::from(value), kind: None, options };
        if client.set_register(request).await.is_ok() {
            register.acknowledged.store(count, Ordering::SeqCst);
        }
    }
}

const NODES: [&str; 3] = ["n1", "n2", "n3"];
const FIRST_SEGMENT: &str = "wal-00000000000000000001.log";
const COUNTERS: [&str; 3] = ["visits", "orders", "stock"];
/// Two at each node.
const CLIENTS_OF_A_COUNTER: usize = 6;
/// Some 260 of them fill a segment.
const REGISTER_BYTES: usize = 8 << 10;
/// By each client: the three of them fill more than a segment at every node.
const REGISTER_WRITES: u64 = 180;
