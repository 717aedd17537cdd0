//! The directory of a cluster, and what it remembers of its nodes.

use std::fmt;
use std::fs;
use std::path::{self, Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workspace::root;

/// A directory with `cluster.json`, `certs/`, `context/` and one folder for each node.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    /// Whether it is the one that every `cargo xtask cluster` without `--dir` uses.
    pub(super) is_default: bool,
}

impl Layout {
    pub(super) fn new(directory: Option<&Path>) -> Result<Self> {
        let path = directory.map_or_else(|| root().join("target/cluster"), Path::to_owned);
        let root = path::absolute(&path).with_context(|| format!("{} is no path", path.display()))?;
        Ok(Self { root, is_default: directory.is_none() })
    }

    /// Makes the directory where it is missing.
    pub(super) fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.root).with_context(|| format!("{self} cannot be made"))
    }

    pub(super) fn certs(&self) -> PathBuf {
        self.root.join("certs")
    }

    /// The `TRELLIS_CONFIG_DIR` of this cluster.
    pub(super) fn context(&self) -> PathBuf {
        self.root.join("context")
    }

    pub(super) fn node(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn config(&self, name: &str) -> PathBuf {
        self.node(name).join("node.toml")
    }

    pub(super) fn data(&self, name: &str) -> PathBuf {
        self.node(name).join("data")
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.node(name).join("log")
    }

    pub(super) fn pid(&self, name: &str) -> PathBuf {
        self.node(name).join("pid")
    }

    /// Everything that a cluster put here, the record of it last.
    pub(super) fn made(&self, cluster: &Cluster) -> Vec<PathBuf> {
        let nodes = cluster.nodes.iter().map(|node| self.node(&node.name));
        nodes.chain([self.context(), self.certs(), self.record()]).collect()
    }

    /// Reads what was saved.
    pub(super) fn load(&self) -> Result<Cluster> {
        self.load_if_there()?
            .with_context(|| format!("there is no cluster in {self}; make one: cargo xtask cluster 3"))
    }

    pub(super) fn load_if_there(&self) -> Result<Option<Cluster>> {
        let path = self.record();
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("{} is damaged; remove it", path.display()))
    }

    /// Replaces what was saved, by rename, so that a reader never sees half of it.
    pub(super) fn save(&self, cluster: &Cluster) -> Result<()> {
        let temporary = self.root.join("cluster.json.tmp");
        let text = serde_json::to_vec_pretty(cluster)?;
        fs::write(&temporary, text)
            .and_then(|()| fs::rename(&temporary, self.record()))
            .with_context(|| format!("{} cannot be written", self.record().display()))
    }

    fn record(&self) -> PathBuf {
        self.root.join("cluster.json")
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.display().fmt(formatter)
    }
}

/// What is remembered of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cluster {
    /// The `trellis` that its nodes run.
    pub(super) binary: PathBuf,
    /// Whether the first node has founded it.
    pub(super) is_founded: bool,
    pub(super) nodes: Vec<Node>,
}

impl Cluster {
    /// The node of this name.
    pub(super) fn node(&self, name: &str) -> Result<&Node> {
        self.nodes.iter().find(|node| node.name == name).with_context(|| {
            let names: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
            format!("there is no node {name}; there are {}", names.join(", "))
        })
    }
}

/// A node and its three ports on 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) client: u16,
    pub(super) peer: u16,
    pub(super) status: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(directory.path())).unwrap();
        assert_eq!(layout.load_if_there().unwrap(), None);
        let node = Node { name: "n1".to_owned(), client: 1, peer: 2, status: 3 };
        let cluster = Cluster { binary: PathBuf::from("/bin/trellis"), is_founded: true, nodes: vec![node] };
        layout.save(&cluster).unwrap();
        assert_eq!(layout.load().unwrap(), cluster);
        assert!(cluster.node("n2").unwrap_err().to_string().contains("there are n1"));
    }
}
