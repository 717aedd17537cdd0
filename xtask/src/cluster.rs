//! A cluster on this machine: made once, started, stopped, looked at, hurt.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use self::layout::{Cluster, Layout, Node};

mod health;
mod layout;
mod ports;
mod process;
mod setup;

/// What to do with which cluster.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    /// How many nodes.
    #[arg(required = true, value_parser = clap::value_parser!(u16).range(1..=32))]
    nodes: Option<u16>,
    /// Leave the nodes running and return.
    #[arg(long)]
    detach: bool,
    /// Build with optimizations.
    #[arg(long)]
    release: bool,
    /// Use this `trellis`; build nothing.
    #[arg(long, value_name = "PATH", conflicts_with = "release")]
    bin: Option<PathBuf>,
    /// Where the cluster lives, with ports of its own [default: target/cluster].
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Stop every node: SIGTERM, in order.
    Stop,
    /// Show which nodes run.
    Status,
    /// Start a node that does not run.
    Start {
        /// Such as n2.
        name: String,
    },
    /// Kill a node with SIGKILL.
    Kill {
        /// Such as n2.
        name: String,
    },
    /// Remove the data of a stopped node, or everything of a stopped cluster.
    Wipe {
        /// Such as n2; without it, the whole directory.
        name: Option<String>,
    },
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let layout = Layout::new(arguments.dir.as_deref())?;
    match (arguments.verb, arguments.nodes) {
        (None, Some(count)) => {
            let build = setup::Build { is_release: arguments.release, binary: arguments.bin };
            up(&layout, usize::from(count), &build, arguments.detach)
        }
        (None, None) => bail!("a cluster needs its number of nodes, such as: cargo xtask cluster 3"),
        (Some(Verb::Stop), _) => stop(&layout, &layout.load()?),
        (Some(Verb::Status), _) => status(&layout, &layout.load()?),
        (Some(Verb::Start { name }), _) => start(&layout, &layout.load()?, &name),
        (Some(Verb::Kill { name }), _) => kill(&layout, &layout.load()?, &name),
        (Some(Verb::Wipe { name: Some(name) }), _) => wipe_node(&layout, &layout.load()?, &name),
        (Some(Verb::Wipe { name: None }), _) => wipe_all(&layout, &layout.load()?),
    }
}

/// Makes what is missing, starts every node, and waits until all see each other. Without `is_detached` it stays
/// until it is interrupted, and then stops all.
fn up(layout: &Layout, count: usize, build: &setup::Build, is_detached: bool) -> Result<()> {
    let earlier = layout.load_if_there()?;
    let is_live = |cluster: &&Cluster| cluster.nodes.iter().any(|node| is_up(layout, cluster, node));
    if let Some(cluster) = earlier.as_ref().filter(is_live) {
        println!("this cluster is running already:");
        return status(layout, cluster);
    }
    if let Some(cluster) = earlier.as_ref().filter(|cluster| cluster.nodes.len() > count) {
        let size = cluster.nodes.len();
        bail!(
            "{layout} holds a cluster of {size}; start it with `cluster {size}`, or remove it with `cluster wipe`"
        );
    }
    let interrupted = Interrupt::watch()?;
    let mut cluster = setup::prepare(layout, earlier, count, build)?;
    let started = Instant::now();
    let outcome = bring_up(layout, &mut cluster, &interrupted);
    if interrupted.is_requested() {
        return stop(layout, &cluster);
    }
    if let Err(error) = outcome {
        stop(layout, &cluster)?;
        return Err(error);
    }
    println!("ready: {count}/{count} members alive, mTLS on, {:.1} s", started.elapsed().as_secs_f64());
    setup::announce(layout, &cluster, is_detached);
    if is_detached {
        return Ok(());
    }
    interrupted.wait();
    stop(layout, &cluster)
}

/// The first node founds the cluster on its first start and is ready before the others, which join it.
fn bring_up(layout: &Layout, cluster: &mut Cluster, interrupted: &Interrupt) -> Result<()> {
    let deadline = Instant::now() + READY_MAX;
    let mut waiting = Vec::new();
    for node in cluster.nodes.clone() {
        let is_founder = waiting.is_empty() && !cluster.is_founded;
        let pid = process::spawn(layout, cluster, &node, is_founder)?;
        println!("{}   pid {pid}", describe(&node));
        if is_founder {
            wait_ready(layout, cluster, &node, deadline, interrupted)?;
            cluster.is_founded = true;
            layout.save(cluster)?;
        }
        waiting.push(node);
    }
    for node in &waiting {
        wait_ready(layout, cluster, node, deadline, interrupted)?;
    }
    for node in &waiting {
        wait_members(layout, cluster, node, deadline, interrupted)?;
    }
    Ok(())
}

fn wait_ready(
    layout: &Layout,
    cluster: &Cluster,
    node: &Node,
    deadline: Instant,
    interrupted: &Interrupt,
) -> Result<()> {
    let failed = |why: &str| {
        let log = layout.log(&node.name);
        anyhow!("{} {why}; the end of {}:\n{}", node.name, log.display(), tail(&log))
    };
    while !interrupted.is_requested() {
        let readiness = health::readiness(node.status);
        if readiness.is_ready() {
            return Ok(());
        }
        if !is_up(layout, cluster, node) {
            return Err(failed("ended before it was ready"));
        }
        if Instant::now() >= deadline {
            return Err(failed(&format!("is not ready: {readiness}")));
        }
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

fn wait_members(
    layout: &Layout,
    cluster: &Cluster,
    node: &Node,
    deadline: Instant,
    interrupted: &Interrupt,
) -> Result<()> {
    while !interrupted.is_requested() {
        match health::members_alive(layout, cluster, node) {
            Err(_) if Instant::now() < deadline => thread::sleep(POLL_INTERVAL),
            outcome => {
                return outcome.with_context(|| format!("{} does not see every member alive", node.name));
            }
        }
    }
    Ok(())
}

fn start(layout: &Layout, cluster: &Cluster, name: &str) -> Result<()> {
    let node = cluster.node(name)?;
    if let Some(pid) = process::running(layout, cluster, node) {
        bail!("{name} is running already (pid {pid})");
    }
    let pid = process::spawn(layout, cluster, node, false)?;
    println!("{}   pid {pid}", describe(node));
    let interrupted = Interrupt::watch()?;
    wait_ready(layout, cluster, node, Instant::now() + READY_MAX, &interrupted)?;
    println!("{name} is ready");
    Ok(())
}

fn stop(layout: &Layout, cluster: &Cluster) -> Result<()> {
    for node in &cluster.nodes {
        match process::stop(layout, cluster, node)? {
            process::Stopped::Gracefully => println!("{} stopped", node.name),
            process::Stopped::ByForce => println!("{} did not stop in time and was killed", node.name),
            process::Stopped::Before => println!("{} was not running", node.name),
        }
    }
    Ok(())
}

fn kill(layout: &Layout, cluster: &Cluster, name: &str) -> Result<()> {
    let node = cluster.node(name)?;
    ensure!(process::kill(layout, cluster, node)?, "{name} is not running");
    println!("{name} killed");
    Ok(())
}

fn status(layout: &Layout, cluster: &Cluster) -> Result<()> {
    for node in &cluster.nodes {
        let state = match process::running(layout, cluster, node) {
            Some(pid) => format!("pid {pid}   {}", health::readiness(node.status)),
            None => "not running".to_owned(),
        };
        println!("{}   {state}", describe(node));
    }
    Ok(())
}

fn wipe_node(layout: &Layout, cluster: &Cluster, name: &str) -> Result<()> {
    let node = cluster.node(name)?;
    if let Some(pid) = process::running(layout, cluster, node) {
        bail!("{name} is running (pid {pid}); stop or kill it first");
    }
    remove(&layout.data(name))?;
    println!("{name} has no data any more");
    Ok(())
}

fn wipe_all(layout: &Layout, cluster: &Cluster) -> Result<()> {
    if let Some(node) = cluster.nodes.iter().find(|node| is_up(layout, cluster, node)) {
        bail!("{} is running; stop the cluster first: cargo xtask cluster stop", node.name);
    }
    for directory in layout.made(cluster) {
        remove(&directory)?;
    }
    println!("{layout} is empty");
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    let removed = if directory.is_dir() { fs::remove_dir_all(directory) } else { fs::remove_file(directory) };
    removed.with_context(|| format!("{} cannot be removed", directory.display()))
}

fn is_up(layout: &Layout, cluster: &Cluster, node: &Node) -> bool {
    process::running(layout, cluster, node).is_some()
}

fn describe(node: &Node) -> String {
    let Node { name, client, peer, status } = node;
    format!("{name}  client 127.0.0.1:{client}  peer 127.0.0.1:{peer}  status http://127.0.0.1:{status}")
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Whether someone asked this process to end.
struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    fn watch() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("signals cannot be watched")?;
        }
        Ok(Self(flag))
    }

    fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn wait(&self) {
        while !self.is_requested() {
            thread::sleep(POLL_INTERVAL);
        }
    }
}

/// Enough for a first start on a busy machine.
const READY_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(25);
const TAIL_LINES: usize = 8;
