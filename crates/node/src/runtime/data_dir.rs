//! The data directory: who it belongs to, and where its parts are.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trellis_replication::NodeId;

/// A data directory that belongs to this node.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// The identity that was made with it.
    pub(crate) node: NodeId,
}

/// The file `identity`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    cluster: String,
    name: String,
    node: String,
}

/// Why a data directory cannot be used; nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// It cannot be made, read or written.
    #[error("cannot use the data directory {path}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file `identity` cannot be read as one.
    #[error("{path} is not an identity file: {detail}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// It belongs to another cluster.
    #[error("{path} belongs to cluster {theirs}, the certificate to {ours}")]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// Of the certificate.
        ours: String,
        /// Of the directory.
        theirs: String,
    },
    /// It belongs to a node of another name.
    #[error("{path} belongs to node {theirs}, this one is {ours}")]
    OtherName {
        /// The directory.
        path: PathBuf,
        /// Of the configuration.
        ours: String,
        /// Of the directory.
        theirs: String,
    },
    /// It has a log and no identity.
    #[error("{path} holds a log and no identity file")]
    NoIdentity {
        /// The directory.
        path: PathBuf,
    },
}

impl DataDir {
    /// Opens the directory of a node, or makes it with `fresh` as its identity.
    pub(crate) fn open(path: &Path, cluster: &str, name: &str, fresh: NodeId) -> Result<Self, DataDirError> {
        make_directories(path).map_err(|source| io_error(path, source))?;
        let file = path.join(IDENTITY);
        let node = match fs::read_to_string(&file) {
            Ok(text) => check_identity(path, &file, &text, cluster, name)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if path.join(WAL).exists() {
                    return Err(DataDirError::NoIdentity { path: path.to_owned() });
                }
                let identity = IdentityFile {
                    cluster: cluster.to_owned(),
                    name: name.to_owned(),
                    node: fresh.to_string(),
                };
                // An earlier process may have made the directory and been killed before its name was durable.
                sync_parent(path).map_err(|source| io_error(path, source))?;
                write_identity(path, &identity).map_err(|source| io_error(&file, source))?;
                fresh
            }
            Err(source) => return Err(io_error(&file, source)),
        };
        let wal = path.join(WAL);
        make_directories(&wal).map_err(|source| io_error(&wal, source))?;
        Ok(Self { path: path.to_owned(), node })
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.path.join(WAL)
    }
}

fn check_identity(
    path: &Path,
    file: &Path,
    text: &str,
    cluster: &str,
    name: &str,
) -> Result<NodeId, DataDirError> {
    let malformed = |detail: String| DataDirError::Malformed { path: file.to_owned(), detail };
    let identity: IdentityFile =
        toml::from_str(text).map_err(|error| malformed(error.message().to_owned()))?;
    if identity.cluster != cluster {
        return Err(DataDirError::OtherCluster {
            path: path.to_owned(),
            ours: cluster.to_owned(),
            theirs: identity.cluster,
        });
    }
    if identity.name != name {
        return Err(DataDirError::OtherName {
            path: path.to_owned(),
            ours: name.to_owned(),
            theirs: identity.name,
        });
    }
    identity.node.parse().map_err(|_| malformed(format!("{:?} is not a node id", identity.node)))
}

/// Makes a directory and those above it that are missing, and makes their names durable.
fn make_directories(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.exists()).collect();
    fs::create_dir_all(path)?;
    missing.into_iter().try_for_each(sync_parent)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Whole or not at all: written aside, synced, renamed, and the rename synced.
fn write_identity(path: &Path, identity: &IdentityFile) -> io::Result<()> {
    let text = toml::to_string(identity).map_err(io::Error::other)?;
    let aside = path.join("identity.tmp");
    let mut file = File::create(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, path.join(IDENTITY))?;
    File::open(path)?.sync_all()
}

fn io_error(path: &Path, source: io::Error) -> DataDirError {
    DataDirError::Io { path: path.to_owned(), source }
}

const IDENTITY: &str = "identity";
const WAL: &str = "wal";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_outlives_the_process_and_belongs_to_one_node() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let node = NodeId::from_u64(7);
        assert_eq!(DataDir::open(&path, "garden", "n1", node).unwrap().node, node);
        let again = DataDir::open(&path, "garden", "n1", NodeId::from_u64(8)).unwrap();
        assert_eq!(again.node, node);
        let error = DataDir::open(&path, "garden", "n2", node).unwrap_err();
        assert!(matches!(error, DataDirError::OtherName { .. }));
        let error = DataDir::open(&path, "park", "n1", node).unwrap_err();
        assert!(matches!(error, DataDirError::OtherCluster { .. }));
    }

    #[test]
    fn a_log_without_an_identity_is_not_taken_for_a_fresh_directory() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(WAL)).unwrap();
        let error = DataDir::open(folder.path(), "garden", "n1", NodeId::from_u64(1)).unwrap_err();
        assert!(matches!(error, DataDirError::NoIdentity { .. }));
    }

    #[test]
    fn a_damaged_identity_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(IDENTITY), "cluster = 3").unwrap();
        let error = DataDir::open(folder.path(), "garden", "n1", NodeId::from_u64(1)).unwrap_err();
        assert!(matches!(error, DataDirError::Malformed { .. }));
    }
}
