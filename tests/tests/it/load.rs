//! Many clients at once, and what they were promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use trellis_rpc::{Client, ClientConfig, Endpoint, Increment, WriteOptions};
use trellis_tests::{Cluster, await_until};

/// Clients that increment one counter by 1, again and again, until they are told to stop.
///
/// Each speaks to one node only, with a connection of its own.
pub(crate) struct Load {
    runtime: Runtime,
    clients: JoinSet<()>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    attempted: AtomicI64,
    acknowledged: AtomicI64,
}

/// What a load came to: the counter holds at least what was acknowledged and at most what was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) attempted: i64,
    pub(crate) acknowledged: i64,
}

impl Load {
    /// Starts `count` clients, spread over all nodes.
    pub(crate) fn start(
        cluster: &mut Cluster,
        key: &'static str,
        count: usize,
        options: WriteOptions,
    ) -> Result<Self> {
        let tls = Arc::new(cluster.tls("app")?);
        let endpoints: Vec<Endpoint> = cluster.nodes_mut().iter().map(endpoint).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let shared = Arc::new(Shared::default());
        let mut clients = JoinSet::new();
        for endpoint in endpoints.iter().cycle().take(count) {
            let client = Client::new(vec![endpoint.clone()], Arc::clone(&tls), config());
            clients
                .spawn_on(increment_until_over(client, key, options, Arc::clone(&shared)), runtime.handle());
        }
        Ok(Self { runtime, clients, shared })
    }

    /// How many increments were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> i64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until this many increments were acknowledged.
    pub(crate) fn await_acknowledged(&self, count: i64) -> Result<()> {
        await_until(&format!("{count} increments are acknowledged"), Duration::from_secs(60), || {
            let acknowledged = self.acknowledged();
            ensure!(acknowledged >= count, "{acknowledged} are");
            Ok(Some(()))
        })?;
        Ok(())
    }

    /// Lets every client finish its last call, and counts.
    pub(crate) fn finish(mut self) -> Result<Tally> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.runtime.block_on(async {
            while let Some(ended) = self.clients.join_next().await {
                ended?;
            }
            Ok::<_, anyhow::Error>(())
        })?;
        let attempted = self.shared.attempted.load(Ordering::SeqCst);
        let acknowledged = self.shared.acknowledged.load(Ordering::SeqCst);
        Ok(Tally { attempted, acknowledged })
    }
}

/// Waits until every node shows the same total, and holds it against what the clients were promised.
pub(crate) fn await_agreement(cluster: &Cluster, key: &str, nodes: &[&str], tally: Tally) -> Result<i64> {
    let (total, elapsed) = await_until("all nodes show one total", Duration::from_secs(30), || {
        let totals = nodes.iter().map(|node| cluster.counter(node, key)).collect::<Result<Vec<_>>>()?;
        ensure!(totals.windows(2).all(|pair| pair[0] == pair[1]), "they show {totals:?}");
        ensure!(totals[0] >= tally.acknowledged, "{} of {tally:?}", totals[0]);
        for node in nodes {
            ensure!(cluster.status(node)?.converged, "{node} has not converged");
        }
        Ok(Some(totals[0]))
    })?;
    ensure!(total <= tally.attempted, "{total} of {tally:?}");
    println!("{tally:?}: every node shows {total} after {elapsed:.1?}");
    Ok(total)
}

/// An endpoint that is this node and no other.
pub(crate) fn endpoint(node: &trellis_tests::Node) -> Endpoint {
    Endpoint { address: node.client_address(), node: Some(node.name().to_owned()) }
}

async fn increment_until_over(client: Client, key: &'static str, options: WriteOptions, shared: Arc<Shared>) {
    while !shared.is_over.load(Ordering::SeqCst) {
        shared.attempted.fetch_add(1, Ordering::SeqCst);
        let increment = Increment { key: key.to_owned(), amount: 1, kind: None, options };
        if client.increment(increment).await.is_ok() {
            shared.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A client whose node is gone gives up soon and begins its next call.
fn config() -> ClientConfig {
    ClientConfig { timeout: Duration::from_secs(2), ..ClientConfig::default() }
}
