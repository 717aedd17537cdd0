//! Why a node does not run.

use std::io;
use std::path::PathBuf;

use trellis_rpc::TlsError;
use trellis_wal::{OpenError, SnapshotDamage};

use super::data_dir::DataDirError;
use crate::core::{RecoveryError, RestoreError, SettingsError};

/// Why a node did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The certificates cannot be used.
    #[error("the certificates cannot be used")]
    Certificates(#[source] TlsError),
    /// The certificate is not one of a node of this name.
    #[error("the certificate is of {certificate}, this node is called {name}")]
    WrongCertificate {
        /// What it says.
        certificate: String,
        /// The name in the configuration.
        name: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {what}")]
    Listen {
        /// For whom.
        what: &'static str,
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error("the data directory cannot be used")]
    DataDir(#[from] DataDirError),
    /// The log cannot be opened.
    #[error("the log in {path} cannot be opened")]
    Log {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<OpenError>,
    },
    /// A snapshot that was whole a moment ago is not any more.
    #[error("the snapshot {path} cannot be read any more")]
    Snapshot {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SnapshotDamage,
    },
    /// A snapshot is whole and holds what makes no sense.
    #[error("the snapshot {path} cannot be restored")]
    Restore {
        /// Which file.
        path: PathBuf,
        /// What.
        #[source]
        source: RestoreError,
    },
    /// The log was opened and holds what makes no sense.
    #[error("the log in {path} cannot be replayed")]
    Replay {
        /// Where.
        path: PathBuf,
        /// What.
        #[source]
        source: RecoveryError,
    },
    /// The first records could not be written.
    #[error("the log in {path} cannot be written")]
    FirstWrite {
        /// Where.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// `--found` and a cluster that is there.
    #[error("refusing to found a cluster: the seed {seed} answered as {name}")]
    SeedAnswers {
        /// Which seed.
        seed: String,
        /// Its name.
        name: String,
    },
    /// The settings contradict each other.
    #[error("the settings contradict each other")]
    Settings(#[from] SettingsError),
    /// A step of the start panicked.
    #[error("the start ended with a defect: the panic is in the node's own log")]
    StartDefect,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    Random(#[source] io::Error),
    /// The signals of the process cannot be listened to.
    #[error("signals cannot be listened to")]
    Signals(#[source] io::Error),
    /// The thread of the log cannot be started.
    #[error("the thread of the log cannot be started")]
    Thread(#[source] io::Error),
    /// The log failed while the node ran.
    #[error("the log failed while the node ran: what was not acknowledged may be lost")]
    LogFailed,
    /// A panic ended a task that the node cannot do without.
    #[error("the node stopped itself after a defect: the panic is in its log")]
    Defect,
}

impl ServeError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Certificates(_) => {
                "make certificates with: trellis certs init, then trellis certs node NAME"
            }
            Self::WrongCertificate { name, .. } => {
                return Some(format!("make one with: trellis certs node {name}"));
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                "stop whoever listens there, or set another port"
            }
            Self::Listen { .. } => "set an address of this machine",
            Self::DataDir(_) => {
                "set data_dir to the directory of this node, or to an empty one to join afresh"
            }
            Self::Log { source, .. } => match **source {
                OpenError::Locked => {
                    "another process uses this data directory: stop it, or set another data_dir"
                }
                OpenError::Corrupt { .. } | OpenError::NoSnapshot { .. } | OpenError::EndMissing { .. } => {
                    "move the data directory aside and start: the node joins afresh and takes over what its peers have"
                }
                _ => "mend the disk and start again; nothing was changed",
            },
            Self::Snapshot { .. } => "start again: if it is damaged now, the snapshot before it is used",
            Self::Replay { .. } | Self::Restore { .. } => {
                "start the version that wrote this log, or move the data directory aside"
            }
            Self::FirstWrite { .. } => "make room on the disk of data_dir",
            Self::SeedAnswers { .. } => "start without --found to join that cluster",
            Self::LogFailed => {
                "see the log above, mend the disk, start again: what was acknowledged is there"
            }
            Self::StartDefect => "report the panic; nothing was changed",
            Self::Defect => "start it again: what was acknowledged is in its log; report the panic",
            Self::Settings(_) | Self::Random(_) | Self::Signals(_) | Self::Thread(_) => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use trellis_wal::Lsn;

    use super::*;

    #[test]
    fn what_no_mending_of_the_disk_brings_back_is_no_reason_to_start_again() {
        let lost = [
            OpenError::NoSnapshot { first: Lsn::from_u64(52), rejected: Vec::new() },
            OpenError::EndMissing { last: Lsn::from_u64(1), durable: Lsn::from_u64(2) },
        ];
        for source in lost {
            let error = ServeError::Log { path: "data/wal".into(), source: Box::new(source) };
            assert!(error.hint().is_some_and(|hint| hint.contains("joins afresh")), "{error:?}");
        }
    }
}
