//! What snapshots cost: a node under load that takes one after the other, against the same node that takes none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tokio::runtime::Runtime;
use trellis_rpc::{Client, ClientConfig, Endpoint, NodeUsage, SnapshotTaken};
use trellis_tests::Cluster;

use crate::load::{Call, Lines, Sample};
use crate::look_at_machine;
use crate::report::{median, rates};

/// How much there is to be captured.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArguments {
    /// Counters that the node holds.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(64..=100_000_000))]
    keys: u32,
    /// The node's wal.snapshot_rate, such as 64MiB a second.
    #[arg(long, default_value = "64MiB")]
    rate: String,
}

/// Half of the measurements.
#[derive(Debug, Default)]
struct Half {
    samples: Vec<Sample>,
    /// The most that the process took of memory, by round.
    memory_bytes: Vec<u64>,
}

/// Prints a table of rates, latencies and memory with and without snapshots, in rounds in which both take turns.
pub(crate) fn bench(
    runtime: &Runtime,
    arguments: &SnapshotArguments,
    rounds: u32,
    duration: Duration,
) -> Result<()> {
    look_at_machine()?;
    let keys = arguments.keys as usize;
    let mut cluster = Cluster::prepare(1)?;
    let node = cluster.node_mut("n1");
    node.set("wal.snapshot_rate", arguments.rate.as_str());
    node.set("wal.snapshot_interval", "24h");
    node.set("wal.snapshot_log_bytes", "1024GiB");
    cluster.found()?;
    let boss = Arc::new(administrator(&cluster)?);
    let (mut without, mut with, mut taken) = (Half::default(), Half::default(), Vec::new());
    runtime.block_on(async {
        let lines = Lines::open([cluster.node("n1").ports().client], &cluster.tls_files("app")).await?;
        lines.fill(keys).await.context("the node cannot be filled")?;
        for round in 1..=rounds {
            // Every second round the other way round.
            for takes in [round % 2 == 0, round % 2 == 1] {
                let half = if takes { &mut with } else { &mut without };
                let is_over = Arc::new(AtomicBool::new(false));
                let watching = tokio::spawn(watch(Arc::clone(&boss), takes, Arc::clone(&is_over)));
                half.samples.push(lines.drive_over(keys, Call::Increment, duration).await?);
                is_over.store(true, Ordering::SeqCst);
                let (snapshots, memory) = watching.await??;
                taken.extend(snapshots);
                half.memory_bytes.push(memory);
            }
            eprintln!("round {round} of {rounds}");
        }
        Ok::<_, anyhow::Error>(())
    })?;
    print(keys, &without, &with, &taken);
    cluster.finish()
}

/// Takes snapshots, or none, and looks at the node's memory until it is over.
async fn watch(
    boss: Arc<Client>,
    takes: bool,
    is_over: Arc<AtomicBool>,
) -> Result<(Vec<SnapshotTaken>, u64)> {
    let taking = async {
        let mut taken = Vec::new();
        while takes && !is_over.load(Ordering::SeqCst) {
            taken.push(boss.take_snapshot().await?.body);
        }
        Ok::<_, anyhow::Error>(taken)
    };
    let looking = async {
        let mut most = 0;
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        while !is_over.load(Ordering::SeqCst) {
            looks.tick().await;
            most = most.max(usage(&boss).await?.memory_bytes);
        }
        Ok(most)
    };
    tokio::try_join!(taking, looking)
}

async fn usage(client: &Client) -> Result<NodeUsage> {
    let status = client.cluster_status().await?.body;
    status.members.first().and_then(|member| member.usage).context("a node knows what it uses")
}

fn administrator(cluster: &Cluster) -> Result<Client> {
    let endpoint = Endpoint { address: cluster.node("n1").client_address(), node: Some("n1".to_owned()) };
    let config = ClientConfig { timeout: Duration::from_secs(600), ..ClientConfig::default() };
    Ok(Client::new(vec![endpoint], Arc::new(cluster.tls("boss")?), config))
}

fn print(keys: usize, without: &Half, with: &Half, taken: &[SnapshotTaken]) {
    let of_taken = |of: fn(&SnapshotTaken) -> u64| median(taken.iter().map(|it| of(it) as f64).collect());
    println!(
        "{keys} counters; {} snapshots of {:.1} MB, {:.0} ms each",
        taken.len(),
        of_taken(|it| it.bytes) / 1e6,
        of_taken(|it| it.duration_millis)
    );
    println!(
        "{:20} {:>12} {:>10} {:>10} {:>10} {:>12}",
        "", "INCREMENTS/S", "P50 MS", "P99 MS", "MAX MS", "MEMORY MB"
    );
    for (name, half) in [("without snapshots", without), ("with snapshots", with)] {
        let millis = |quantile: f64| {
            let micros = half.samples.iter().map(|sample| sample.latency.value_at_quantile(quantile) as f64);
            median(micros.collect()) / 1000.0
        };
        let memory = half.memory_bytes.iter().map(|bytes| *bytes as f64).fold(0.0, f64::max) / 1e6;
        println!(
            "{name:20} {:>12.0} {:>10.2} {:>10.2} {:>10.2} {memory:>12.1}",
            median(rates(&half.samples)),
            millis(0.5),
            millis(0.99),
            millis(1.0),
        );
    }
    let ratio = |of: fn(&Sample) -> f64| {
        let pairs = with.samples.iter().zip(&without.samples);
        median(pairs.map(|(with, without)| of(with) / of(without)).collect())
    };
    println!(
        "with / without, medians of the rounds: rate {:.2}, p99 {:.2}, longest {:.2}",
        ratio(|sample| sample.per_second),
        ratio(|sample| sample.latency.value_at_quantile(0.99) as f64),
        ratio(|sample| sample.latency.max() as f64)
    );
}

const LOOK_INTERVAL: Duration = Duration::from_millis(50);
