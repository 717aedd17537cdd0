//! A network of its own for a cluster, of which one half can be cut from the other.

use std::env;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, anyhow};
use rustix::process::geteuid;

use super::place::{Namespace, Place};

/// One namespace for each node, all plugged into two bridges that one link joins; the bridges have a namespace too.
///
/// ```text
/// n1 ─┐                           ┌─ n3
///     left ═══ the link ═══ right
/// n2 ─┘                           └─ n4
/// ```
///
/// The network of the machine gets no interface and no address. When the link is down, packets to the other side
/// vanish: nobody is told, connections neither end nor answer. All of it ends with this value.
#[derive(Debug)]
pub struct Network {
    hub: Namespace,
    nodes: Vec<Place>,
}

impl Network {
    /// Makes a network for as many nodes as these are together, so many on the left and so many on the right.
    ///
    /// # Errors
    ///
    /// Why this machine cannot: it takes root, the program `ip`, and a kernel with bridges.
    pub fn lay(left: u8, right: u8) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !geteuid().is_root() {
            return Err("it takes root".to_owned());
        }
        let ip = find("ip").ok_or("there is no program ip")?;
        let network = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = |role: &str| Namespace {
            name: format!("trellis-test-{}-{network}-{role}", std::process::id()),
            ip: ip.clone(),
        };
        let mut network = Self { hub: namespace("hub"), nodes: Vec::new() };
        network.hub.add()?;
        network.hub.configure(&hub_lines())?;
        for number in 1..=left + right {
            let side = if number <= left { LEFT } else { RIGHT };
            let place = Place { address: address(number), namespace: Some(namespace(&format!("n{number}"))) };
            network.nodes.push(place);
            network.plug(number, side, left + right)?;
        }
        Ok(network)
    }

    /// Takes the link down, and returns when it is: from here on nothing passes.
    ///
    /// # Errors
    ///
    /// When `ip` fails.
    pub fn cut(&self) -> Result<()> {
        self.set_link("down")
    }

    /// Sets the link up again.
    ///
    /// # Errors
    ///
    /// When `ip` fails.
    pub fn heal(&self) -> Result<()> {
        self.set_link("up")
    }

    /// Where the nodes run, first those on the left.
    pub(super) fn places(&self) -> &[Place] {
        &self.nodes
    }

    fn set_link(&self, state: &str) -> Result<()> {
        self.hub.configure(&[format!("link set dev {LINK} {state}")]).map_err(|reason| anyhow!(reason))
    }

    /// Makes the namespace of a node, with an interface that the bridge of its side has at its other end.
    fn plug(&self, number: u8, side: &str, size: u8) -> Result<(), String> {
        let Some(Place { namespace: Some(namespace), .. }) = self.nodes.last() else {
            return Ok(());
        };
        namespace.add()?;
        let card = format!("n{number}");
        self.hub.configure(&[
            format!("link add name {card} type veth peer name {CARD} netns {}", namespace.name),
            format!("link set dev {card} master {side}"),
            format!("link set dev {card} up"),
        ])?;
        let mut lines = vec![
            "link set dev lo up".to_owned(),
            format!("link set dev {CARD} address {}", hardware_address(number)),
            format!("address add {}/24 dev {CARD}", address(number)),
            format!("link set dev {CARD} up"),
        ];
        // Who must ask for the hardware address of another and is not answered would tell its connections so.
        lines.extend((1..=size).filter(|other| *other != number).map(|other| {
            let (address, hardware) = (address(other), hardware_address(other));
            format!("neighbour replace {address} lladdr {hardware} dev {CARD} nud permanent")
        }));
        namespace.configure(&lines)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let namespaces = self.nodes.iter().filter_map(|place| place.namespace.as_ref());
        for namespace in namespaces.chain([&self.hub]) {
            namespace.remove();
        }
    }
}

impl Namespace {
    fn add(&self) -> Result<(), String> {
        // One of this name is left of a process that had the same id and was killed.
        self.remove();
        run(Command::new(&self.ip).args(["netns", "add", &self.name]), "")
    }

    /// Gives these lines to an `ip` that sees this namespace.
    fn configure(&self, lines: &[String]) -> Result<(), String> {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        run(Command::new(&self.ip).args(["-n", &self.name, "-batch", "-"]), &lines)
    }

    fn remove(&self) {
        let _ = run(Command::new(&self.ip).args(["netns", "delete", &self.name]), "");
    }
}

fn hub_lines() -> Vec<String> {
    let mut lines = vec![format!("link add name {LINK} type veth peer name {LINK_END}")];
    for (side, end) in [(LEFT, LINK), (RIGHT, LINK_END)] {
        lines.push(format!("link add name {side} type bridge"));
        lines.push(format!("link set dev {end} master {side}"));
        lines.extend([side, end].map(|device| format!("link set dev {device} up")));
    }
    lines
}

/// From the range that is set aside for examples.
fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

/// One that nobody has sold.
fn hardware_address(number: u8) -> String {
    format!("02:00:00:00:00:{number:02x}")
}

/// Looks for a program where those for administrators are, too.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.iter().map(|folder| folder.join(program)).find(|path| Path::is_file(path))
}

/// Runs a program to its end, with this input.
fn run(command: &mut Command, input: &str) -> Result<(), String> {
    let told = format!("{command:?}");
    let fail = |error: std::io::Error| format!("{told}: {error}");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(fail)?;
    if let Some(mut stdin) = process.stdin.take() {
        // One that ends before it has read all says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = process.wait_with_output().map_err(fail)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{told}: {}", said.trim())) }
}

const LEFT: &str = "left";
const RIGHT: &str = "right";
const LINK: &str = "link";
const LINK_END: &str = "link-end";
/// What the only interface of a node is called.
const CARD: &str = "card";
