//! The catalogue of failures: for each one gRPC code, one reason, and what it means for a write.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tonic::Code;

mod status;

/// Why a call failed, as `ErrorInfo.reason` of the domain `trellis.dev` tells it.
///
/// Reasons are never renamed: programs compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The key is empty or longer than 1024 bytes.
    InvalidKey,
    /// Another argument is not what the method takes.
    InvalidArgument,
    /// The page token is none that this cluster gave out.
    InvalidPageToken,
    /// The value is longer than 1 MiB.
    ValueTooLarge,
    /// The message is longer than the listener takes.
    MessageTooLarge,
    /// The key holds another kind than the call is for.
    WrongType,
    /// The kind has its place in the protocol and no values yet.
    UnsupportedKind,
    /// A part of the counter would leave the range of 64 bits.
    CounterOverflow,
    /// The node holds as much as it is allowed to.
    MemoryLimit,
    /// More calls are under way than the node takes.
    Overloaded,
    /// The node starts, joins, or cannot serve this call in its state.
    NotReady,
    /// The node is about to stop.
    Draining,
    /// The node's log failed. A write that was under way may stand.
    StorageFailed,
    /// The node's disk is full.
    DiskFull,
    /// The node could not write a snapshot. Its log and its older snapshots are as they were.
    SnapshotFailed,
    /// The node's clock is too far from the others' to stamp a write.
    ClockSkew,
    /// The node was removed from the cluster.
    Removed,
    /// The node was removed from the cluster while a write waited: no other node takes the write from it any more, and
    /// some may have it.
    RemovedMeanwhile,
    /// Fewer nodes than asked for hold the write durably so far. It stands and spreads.
    ReplicaWaitTimeout,
    /// The call's time is over.
    DeadlineExceeded,
    /// The caller's role may not call this method.
    RoleNotAllowed,
    /// The caller's certificate names no role.
    NoRoleInCertificate,
    /// The caller's certificate is of another cluster.
    ForeignCluster,
    /// There is no such method.
    UnknownMethod,
    /// A defect of the program; the metadata names the incident in the node's log.
    Internal,
}

impl Reason {
    const ALL: [Self; 25] = [
        Self::InvalidKey,
        Self::InvalidArgument,
        Self::InvalidPageToken,
        Self::ValueTooLarge,
        Self::MessageTooLarge,
        Self::WrongType,
        Self::UnsupportedKind,
        Self::CounterOverflow,
        Self::MemoryLimit,
        Self::Overloaded,
        Self::NotReady,
        Self::Draining,
        Self::StorageFailed,
        Self::DiskFull,
        Self::SnapshotFailed,
        Self::ClockSkew,
        Self::Removed,
        Self::RemovedMeanwhile,
        Self::ReplicaWaitTimeout,
        Self::DeadlineExceeded,
        Self::RoleNotAllowed,
        Self::NoRoleInCertificate,
        Self::ForeignCluster,
        Self::UnknownMethod,
        Self::Internal,
    ];

    /// Returns the text on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidKey => "INVALID_KEY",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::InvalidPageToken => "INVALID_PAGE_TOKEN",
            Self::ValueTooLarge => "VALUE_TOO_LARGE",
            Self::MessageTooLarge => "MESSAGE_TOO_LARGE",
            Self::WrongType => "WRONG_TYPE",
            Self::UnsupportedKind => "UNSUPPORTED_KIND",
            Self::CounterOverflow => "COUNTER_OVERFLOW",
            Self::MemoryLimit => "MEMORY_LIMIT",
            Self::Overloaded => "OVERLOADED",
            Self::NotReady => "NOT_READY",
            Self::Draining => "DRAINING",
            Self::StorageFailed => "STORAGE_FAILED",
            Self::DiskFull => "DISK_FULL",
            Self::SnapshotFailed => "SNAPSHOT_FAILED",
            Self::ClockSkew => "CLOCK_SKEW",
            Self::Removed => "REMOVED",
            Self::RemovedMeanwhile => "REMOVED_MEANWHILE",
            Self::ReplicaWaitTimeout => "REPLICA_WAIT_TIMEOUT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::RoleNotAllowed => "ROLE_NOT_ALLOWED",
            Self::NoRoleInCertificate => "NO_ROLE_IN_CERTIFICATE",
            Self::ForeignCluster => "FOREIGN_CLUSTER",
            Self::UnknownMethod => "UNKNOWN_METHOD",
            Self::Internal => "INTERNAL",
        }
    }

    /// Returns the reason with this text.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Returns what a write that failed for this reason may have done.
    pub const fn write_outcome(self) -> WriteOutcome {
        match self {
            Self::ReplicaWaitTimeout => WriteOutcome::Stands,
            Self::StorageFailed | Self::RemovedMeanwhile | Self::DeadlineExceeded | Self::Internal => {
                WriteOutcome::Unknown
            }
            _ => WriteOutcome::NotDone,
        }
    }

    pub(crate) const fn code(self) -> Code {
        match self {
            Self::InvalidKey | Self::InvalidArgument | Self::InvalidPageToken | Self::ValueTooLarge => {
                Code::InvalidArgument
            }
            Self::MessageTooLarge | Self::MemoryLimit => Code::ResourceExhausted,
            Self::WrongType | Self::SnapshotFailed => Code::FailedPrecondition,
            Self::UnsupportedKind | Self::UnknownMethod => Code::Unimplemented,
            Self::CounterOverflow => Code::OutOfRange,
            Self::Overloaded
            | Self::NotReady
            | Self::Draining
            | Self::StorageFailed
            | Self::DiskFull
            | Self::ClockSkew
            | Self::Removed
            | Self::RemovedMeanwhile => Code::Unavailable,
            Self::ReplicaWaitTimeout | Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::RoleNotAllowed => Code::PermissionDenied,
            Self::NoRoleInCertificate | Self::ForeignCluster => Code::Unauthenticated,
            Self::Internal => Code::Internal,
        }
    }

    /// After how long the same call may go better, at any node; `None` where waiting does not help.
    const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::MemoryLimit => Some(Duration::from_secs(1)),
            Self::Overloaded => Some(Duration::from_millis(50)),
            Self::NotReady => Some(Duration::from_millis(200)),
            Self::Draining => Some(Duration::ZERO),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a failed write has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Nothing: it may be sent again.
    NotDone,
    /// It is done and stays, though not as widely as asked for.
    Stands,
    /// Nobody here knows: whoever sends it again may do it twice.
    Unknown,
}

/// A failed call, as a handler tells it and as a client hears it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// In a sentence, for people.
    pub message: String,
    /// Facts for programs: lower-case names, such as `key`, `actual`, `requested`, `limit`.
    pub metadata: BTreeMap<String, String>,
    /// The field of the request that is wrong, if one is.
    pub field: Option<String>,
}

impl Failure {
    /// Makes a failure with nothing but its message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), metadata: BTreeMap::new(), field: None }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.metadata.insert(name.to_owned(), value.to_string());
        self
    }

    /// Names the field of the request that is wrong.
    #[must_use]
    pub fn at(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// Makes the failure of a defect, writes `detail` to the log under a random incident id, and shows the caller
    /// nothing but that id.
    pub fn internal(detail: &str) -> Self {
        let incident = format!("{:016x}", rand::random::<u64>());
        tracing::error!(%incident, detail, "a call failed by a defect");
        Self::new(Reason::Internal, format!("internal error, incident {incident} in the log of the node"))
            .with("incident_id", incident)
    }
}
