//! What a cluster needs before its first start: the program, certificates, ports, configurations, a context.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::layout::{Cluster, Layout, Node};
use super::ports;
use crate::workspace::{cargo, output_of};

/// Which `trellis` to run.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) is_release: bool,
    /// One that is there already.
    pub(super) binary: Option<PathBuf>,
}

/// Makes what is missing and writes what depends on ports; whatever an earlier cluster left is kept.
pub(super) fn prepare(
    layout: &Layout,
    earlier: Option<Cluster>,
    count: usize,
    build: &Build,
) -> Result<Cluster> {
    layout.make()?;
    let binary = match &build.binary {
        Some(path) => path.canonicalize().with_context(|| format!("{} cannot be found", path.display()))?,
        None => build_trellis(build.is_release)?,
    };
    let mut cluster =
        earlier.unwrap_or(Cluster { binary: PathBuf::new(), is_founded: false, nodes: Vec::new() });
    cluster.binary = binary;
    // Where no node has data any more nobody is left to join: the first one founds again.
    cluster.is_founded &= cluster.nodes.iter().any(|node| layout.data(&node.name).exists());
    for number in cluster.nodes.len() + 1..=count {
        cluster.nodes.push(Node { name: format!("n{number}"), client: 0, peer: 0, status: 0 });
    }
    ports::assign(&mut cluster.nodes, ports::scan_start(std::process::id()), layout.is_default)?;
    make_certificates(layout, &cluster)?;
    for node in &cluster.nodes {
        write_config(layout, &cluster, node)?;
    }
    write_context(layout, &cluster)?;
    layout.save(&cluster)?;
    Ok(cluster)
}

/// Tells how to use a cluster that is ready.
pub(super) fn announce(layout: &Layout, cluster: &Cluster, is_detached: bool) {
    let context = layout.context();
    let programs = cluster.binary.parent().unwrap_or(Path::new("."));
    println!(
        "context \"{CONTEXT}\" selected ({}); every shell that runs this line uses it:",
        context.display()
    );
    println!("  export PATH={}:$PATH TRELLIS_CONFIG_DIR={}", quoted(programs), quoted(&context));
    let stop =
        if is_detached { "cargo xtask cluster stop" } else { "Ctrl-C   (or: cargo xtask cluster stop)" };
    println!("try:  trellis incr counter1 5               stop: {stop}");
}

/// The program of a cluster, told to use its context and nothing of the caller's.
pub(super) fn trellis(layout: &Layout, cluster: &Cluster) -> Command {
    let mut command = Command::new(&cluster.binary);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("TRELLIS_") {
            command.env_remove(name);
        }
    }
    command.env("TRELLIS_CONFIG_DIR", layout.context());
    command
}

fn build_trellis(is_release: bool) -> Result<PathBuf> {
    let profile = if is_release { "release" } else { "debug" };
    println!("building trellis ({profile}); the first build takes some minutes");
    let started = Instant::now();
    let format = "--message-format=json-render-diagnostics";
    let mut command = cargo(&["build", "--package", "trellis-cli", "--bin", "trellis", format]);
    if is_release {
        command.arg("--release");
    }
    let output = command.stderr(Stdio::inherit()).output().context("cargo cannot be started")?;
    ensure!(output.status.success(), "the build of trellis failed");
    println!("built in {:.1} s", started.elapsed().as_secs_f64());
    let binary = built_binary(&output.stdout).context("cargo did not say where it put trellis")?;
    binary.canonicalize().with_context(|| format!("{} cannot be found", binary.display()))
}

fn built_binary(messages: &[u8]) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let lines = messages.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok()?.executable).next_back()
}

/// An authority, a certificate for each node, and one for the client `dev` with the role admin.
fn make_certificates(layout: &Layout, cluster: &Cluster) -> Result<()> {
    let directory = layout.certs();
    let is_new = !directory.join("ca.crt").exists();
    let make = |arguments: &[&str]| {
        output_of(trellis(layout, cluster).arg("certs").args(arguments).arg("--dir").arg(&directory))
            .map(|_| ())
    };
    if is_new {
        make(&["init"])?;
    }
    for Node { name, .. } in &cluster.nodes {
        if !directory.join(format!("{name}.crt")).exists() {
            make(&["node", name])?;
        }
    }
    if !directory.join("dev.crt").exists() {
        make(&["client", "dev", "--role", "admin"])?;
    }
    let what = if is_new { "new authority" } else { "kept" };
    let count = cluster.nodes.len();
    println!("certificates  {}   {what}, {count} nodes, client \"dev\" (role: admin)", directory.display());
    Ok(())
}

fn write_config(layout: &Layout, cluster: &Cluster, node: &Node) -> Result<()> {
    let others = cluster.nodes.iter().filter(|other| other.name != node.name);
    let certs = layout.certs();
    let config = NodeConfig {
        name: node.name.clone(),
        data_dir: layout.data(&node.name),
        seeds: others.map(|other| local(other.peer)).collect(),
        client: Listen { listen: local(node.client) },
        peer: Listen { listen: local(node.peer) },
        status: Listen { listen: local(node.status) },
        tls: Tls {
            ca: certs.join("ca.crt"),
            cert: certs.join(format!("{}.crt", node.name)),
            key: certs.join(format!("{}.key", node.name)),
        },
    };
    let path = layout.config(&node.name);
    let text = toml::to_string(&config).context("a configuration cannot be written as TOML")?;
    fs::create_dir_all(layout.node(&node.name))
        .and_then(|()| fs::write(&path, text))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The program itself writes its contexts; their format is its own business.
fn write_context(layout: &Layout, cluster: &Cluster) -> Result<()> {
    let certs = layout.certs();
    let mut command = trellis(layout, cluster);
    command.args(["context", "add", CONTEXT, "--use", "--replace"]);
    command.arg("--ca").arg(certs.join("ca.crt"));
    command.arg("--cert").arg(certs.join("dev.crt"));
    command.arg("--key").arg(certs.join("dev.key"));
    for node in &cluster.nodes {
        command.arg("--member").arg(format!("{}={}", node.name, local(node.client)));
    }
    output_of(&mut command).map(|_| ())
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// A path as a POSIX shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+');
    if text.chars().all(is_plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The part of a node's settings that differs from the defaults.
#[derive(Serialize)]
struct NodeConfig {
    name: String,
    data_dir: PathBuf,
    seeds: Vec<String>,
    client: Listen,
    peer: Listen,
    status: Listen,
    tls: Tls,
}

#[derive(Serialize)]
struct Listen {
    listen: String,
}

#[derive(Serialize)]
struct Tls {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

const CONTEXT: &str = "xtask";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_where_cargo_says_last() {
        let messages = b"{\"reason\":\"compiler-artifact\",\"executable\":null}\n{\"reason\":\"compiler-artifact\",\"executable\":\"/t/trellis\"}\n{\"reason\":\"build-finished\"}\n";
        assert_eq!(built_binary(messages), Some(PathBuf::from("/t/trellis")));
        assert_eq!(built_binary(b""), None);
    }

    #[test]
    fn a_node_is_told_of_all_others_and_never_of_itself() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(directory.path())).unwrap();
        let node = |number: u16| Node {
            name: format!("n{number}"),
            client: number,
            peer: 10 + number,
            status: 20 + number,
        };
        let nodes = (1..=3).map(node).collect();
        let cluster = Cluster { binary: PathBuf::new(), is_founded: false, nodes };
        write_config(&layout, &cluster, &cluster.nodes[1]).unwrap();
        let config: toml::Table = fs::read_to_string(layout.config("n2")).unwrap().parse().unwrap();
        assert_eq!(config["seeds"].to_string(), "[\"127.0.0.1:11\", \"127.0.0.1:13\"]");
        assert_eq!(config["name"].as_str(), Some("n2"));
        assert_eq!(config["status"]["listen"].as_str(), Some("127.0.0.1:22"));
    }

    #[test]
    fn a_path_with_blanks_and_quotes_survives_the_shell() {
        assert_eq!(quoted(Path::new("/t/a-b/c")), "/t/a-b/c");
        assert_eq!(quoted(Path::new("/my dir/it's")), r"'/my dir/it'\''s'");
    }
}
