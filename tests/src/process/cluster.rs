//! A cluster in a directory of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use trellis_rpc::{TlsFiles, TlsReloader};

use super::awaiting::await_until;
use super::binary::trellis_binary;
use super::command::Outcome;
use super::network::Network;
use super::node::{Node, path_text};
use super::place::Place;
use super::ports::Ports;
use super::status::Status;

/// Nodes with one authority, and a context for the commands that talk to them.
///
/// Its client certificate is that of `app` with the role client; `boss` (admin) and `guest` (reader) have theirs beside.
/// A cluster that is dropped before [`finish`](Self::finish) is one whose test failed: the logs of its nodes are shown.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    is_finished: bool,
    home: TempDir,
    /// Ends when the nodes in it have ended.
    network: Option<Network>,
}

impl Cluster {
    /// Makes certificates, configurations and a context for nodes `n1`, `n2` and so on, and starts none. Without nodes
    /// there is no context either.
    ///
    /// Every node has all others as its seeds, so that one without data always joins.
    ///
    /// # Errors
    ///
    /// When the binary cannot be built, or does not do its part.
    pub fn prepare(size: usize) -> Result<Self> {
        Self::prepare_at(&vec![Place::here(); size], None)
    }

    /// Prepares a cluster with one node in each namespace of a network, in its order. A command reaches such a node when
    /// it is run [`at`](Self::at) it.
    ///
    /// # Errors
    ///
    /// When the binary cannot be built, or does not do its part.
    pub fn prepare_on(network: Network) -> Result<Self> {
        let places = network.places().to_vec();
        Self::prepare_at(&places, Some(network))
    }

    fn prepare_at(places: &[Place], network: Option<Network>) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("trellis-test-").tempdir()?;
        let mut cluster = Self { nodes: Vec::new(), is_finished: false, home, network };
        let certs = path_text(&cluster.certs());
        for words in [
            &["init"][..],
            &["client", "app"],
            &["client", "boss", "--role", "admin"],
            &["client", "guest", "--role", "reader"],
        ] {
            let words = [&["certs"], words, &["--dir", &certs]].concat();
            cluster.trellis(&words)?.answer().context("certificates cannot be made")?;
        }
        for (place, number) in places.iter().zip(1..) {
            cluster.add_node_at(&format!("n{number}"), place.clone(), Ports::find()?)?;
        }
        let addresses: Vec<String> = cluster.nodes.iter().map(Node::peer_address).collect();
        for node in &mut cluster.nodes {
            let own = node.peer_address();
            let others: Vec<String> = addresses.iter().filter(|address| **address != own).cloned().collect();
            node.set("seeds", others);
        }
        if !places.is_empty() {
            cluster.write_context()?;
        }
        Ok(cluster)
    }

    /// Prepares and starts a cluster; returns when every node is ready and sees all others alive.
    ///
    /// # Errors
    ///
    /// When that does not happen.
    pub fn start(size: usize) -> Result<Self> {
        let mut cluster = Self::prepare(size)?;
        cluster.found()?;
        Ok(cluster)
    }

    /// Starts every node for the first time, `n1` as the founder; returns when each sees all others alive.
    ///
    /// # Errors
    ///
    /// When that does not happen.
    pub fn found(&mut self) -> Result<()> {
        let (founder, others) = self.nodes.split_first_mut().context("a cluster has a node")?;
        founder.start(&["--found"])?;
        founder.await_ready()?;
        for node in others {
            node.start(&[])?;
        }
        self.await_whole()
    }

    /// Waits until every node is ready and sees all others alive, and none of them a guest.
    ///
    /// # Errors
    ///
    /// When that does not happen within a minute.
    pub fn await_whole(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.await_ready()?;
        }
        for node in &self.nodes {
            let what = format!("{} sees every member alive", node.name());
            self.await_status(node.name(), &what, |status| status.is_whole(self.nodes.len()))?;
        }
        Ok(())
    }

    /// Adds a node with a certificate of its own and without seeds.
    ///
    /// # Errors
    ///
    /// When its certificate cannot be made.
    pub fn add_node(&mut self, name: &str, ports: Ports) -> Result<&mut Node> {
        self.add_node_at(name, Place::here(), ports)
    }

    fn add_node_at(&mut self, name: &str, place: Place, ports: Ports) -> Result<&mut Node> {
        let certs = path_text(&self.certs());
        self.trellis(&["certs", "node", name, "--dir", &certs])?.answer()?;
        let mut node = Node::new(name, place, ports, self.home.path().join(name));
        let TlsFiles { ca, cert, key } = self.tls_files(name);
        for (setting, path) in [("tls.ca", ca), ("tls.cert", cert), ("tls.key", key)] {
            node.set(setting, path_text(&path));
        }
        self.nodes.push(node);
        self.nodes.last_mut().context("a node was added")
    }

    /// Runs `trellis` with these arguments, the context of this cluster, and nothing else of the environment.
    ///
    /// # Errors
    ///
    /// When it cannot be started. That it fails is no error here.
    pub fn trellis(&self, arguments: &[&str]) -> Result<Outcome> {
        Outcome::of(self.command()?.args(arguments))
    }

    /// `trellis`, without arguments and with the context of this cluster.
    ///
    /// # Errors
    ///
    /// When it cannot be built.
    pub fn command(&self) -> Result<Command> {
        self.command_at(&Place::here())
    }

    fn command_at(&self, place: &Place) -> Result<Command> {
        let mut command = place.command(trellis_binary()?);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("TRELLIS_CONFIG_DIR", self.home.path().join("context"));
        Ok(command)
    }

    /// Runs `trellis --node NAME` with these arguments, where the node is.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn at(&self, node: &str, arguments: &[&str]) -> Result<Outcome> {
        let known = self.nodes.iter().find(|known| known.name() == node);
        let place = known.map_or_else(Place::here, |known| known.place().clone());
        Outcome::of(self.command_at(&place)?.args(["--node", node]).args(arguments))
    }

    /// What a counter shows at a node.
    ///
    /// # Errors
    ///
    /// When the node does not answer, or not with a number.
    pub fn counter(&self, node: &str, key: &str) -> Result<i64> {
        Ok(self.at(node, &["get", key])?.answer()?.parse()?)
    }

    /// Waits until a counter shows `value` at a node, and returns how long that took.
    ///
    /// # Errors
    ///
    /// When it shows something else after half a minute.
    pub fn await_counter(&self, node: &str, key: &str, value: i64) -> Result<Duration> {
        let what = format!("{node} shows {value} in {key}");
        let (_, elapsed) = await_until(&what, EVENT_PATIENCE, || {
            let shown = self.counter(node, key)?;
            ensure!(shown == value, "it shows {shown}");
            Ok(Some(()))
        })?;
        Ok(elapsed)
    }

    /// The cluster as a node sees it.
    ///
    /// # Errors
    ///
    /// When the node does not answer.
    pub fn status(&self, node: &str) -> Result<Status> {
        self.at(node, &["status", "-o", "json"])?.json()
    }

    /// Waits until a node sees what is wanted, and returns that and how long it took.
    ///
    /// # Errors
    ///
    /// When it does not see it after half a minute.
    pub fn await_status(
        &self,
        node: &str,
        what: &str,
        is_wanted: impl Fn(&Status) -> bool,
    ) -> Result<(Status, Duration)> {
        await_until(what, EVENT_PATIENCE, || {
            let status = self.status(node)?;
            ensure!(is_wanted(&status), "it sees {status:?}");
            Ok(Some(status))
        })
    }

    /// A node of this cluster.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    pub fn node(&self, name: &str) -> &Node {
        let node = self.nodes.iter().find(|node| node.name() == name);
        node.unwrap_or_else(|| panic!("a test speaks of nodes that exist, unlike {name}"))
    }

    /// A node of this cluster, to be started or hurt.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    pub fn node_mut(&mut self, name: &str) -> &mut Node {
        let node = self.nodes.iter_mut().find(|node| node.name() == name);
        node.unwrap_or_else(|| panic!("a test speaks of nodes that exist, unlike {name}"))
    }

    /// All nodes, in the order in which they were added.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// The network of a cluster that has one of its own, to be cut and healed.
    ///
    /// # Panics
    ///
    /// When it has none.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("only a cluster on a network of its own can be cut")
    }

    /// The directory of the certificates and of the authority.
    pub fn certs(&self) -> PathBuf {
        self.home.path().join("certs")
    }

    /// A directory that ends with this cluster.
    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    /// The files of whoever has this name: a node, `app`, `boss` or `guest`.
    pub fn tls_files(&self, name: &str) -> TlsFiles {
        let certs = self.certs();
        TlsFiles {
            ca: certs.join("ca.crt"),
            cert: certs.join(format!("{name}.crt")),
            key: certs.join(format!("{name}.key")),
        }
    }

    /// The certificate of whoever has this name, loaded.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub fn tls(&self, name: &str) -> Result<TlsReloader> {
        Ok(TlsReloader::load(self.tls_files(name))?)
    }

    /// Stops all nodes that run, all at once, and holds each to its promise: exit code 0, and no panic on the way.
    ///
    /// # Errors
    ///
    /// When a node ends otherwise.
    pub fn finish(mut self) -> Result<()> {
        let mut stopping = Vec::new();
        for node in &mut self.nodes {
            if node.is_running()? {
                node.terminate()?;
                stopping.push(node);
            }
        }
        for node in stopping {
            node.confirm_stop()?;
        }
        self.is_finished = true;
        Ok(())
    }

    fn write_context(&self) -> Result<()> {
        let TlsFiles { ca, cert, key } = self.tls_files("app");
        let mut command = self.command()?;
        command.args(["context", "add", "test", "--use", "--replace"]);
        command.arg("--ca").arg(ca).arg("--cert").arg(cert).arg("--key").arg(key);
        for node in &self.nodes {
            command.arg("--member").arg(format!("{}={}", node.name(), node.client_address()));
        }
        Outcome::of(&mut command)?.answer().context("the context cannot be written")?;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        for node in &self.nodes {
            let log = node.whole_log();
            let lines: Vec<&str> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("---- the end of the log of {} ----\n{}", node.name(), end.join("\n"));
        }
    }
}

/// What a busy machine may need for what takes milliseconds on an idle one, and SWIM's 10 s beside.
const EVENT_PATIENCE: Duration = Duration::from_secs(30);
const LOG_LINES_SHOWN: usize = 60;
