//! Where a node runs: on this machine, or in a network namespace of its own.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// An address, and the namespace in which it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: Ipv4Addr,
    /// None: that of the tests.
    pub(super) namespace: Option<Namespace>,
}

/// A network namespace with a name, as `ip netns` makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Namespace {
    pub(super) name: String,
    /// The program `ip`: the processes of the tests have no path to look for it.
    pub(super) ip: PathBuf,
}

impl Place {
    /// The loopback of this machine.
    pub(super) fn here() -> Self {
        Self { address: Ipv4Addr::LOCALHOST, namespace: None }
    }

    /// A command that runs `program` here. `ip` becomes the program, so its process id is that of the process spawned.
    pub(super) fn command(&self, program: &Path) -> Command {
        let Some(Namespace { name, ip }) = &self.namespace else {
            return Command::new(program);
        };
        let mut command = Command::new(ip);
        command.args(["netns", "exec", name]).arg(program);
        command
    }

    /// Does something that opens sockets, and gives it those of this place.
    ///
    /// # Errors
    ///
    /// When it fails, or the namespace cannot be entered.
    pub(super) fn within<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let Some(Namespace { name, .. }) = &self.namespace else {
            return act();
        };
        // A thread is in one namespace at a time, so another one goes there, and ends there.
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                let namespace = File::open(Path::new(NAMESPACES).join(name))?;
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                act()
            });
            there.join().unwrap_or_else(|_| Err(io::Error::other("what was done in a namespace panicked")))
        })
    }
}

/// Where `ip netns` keeps them.
const NAMESPACES: &str = "/run/netns";
