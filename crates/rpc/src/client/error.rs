//! How a call fails for a user of [`Client`](crate::Client).

use std::collections::BTreeMap;
use std::fmt;

use tonic::{Code, Status};

use super::connection::{DialError, TransportError};
use crate::convert::InvalidMessage;
use crate::error::{Failure, Reason, WriteOutcome};

/// A call that failed, after all attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// What to do about it.
    pub kind: ErrorKind,
    /// Why, when a node said so.
    pub reason: Option<Reason>,
    /// In a sentence.
    pub message: String,
    /// Facts that the node added.
    pub metadata: BTreeMap<String, String>,
    /// What a write has done. Reads have [`WriteOutcome::NotDone`].
    pub outcome: WriteOutcome,
    /// What was tried in vain, in order; the last says the same as the error.
    pub attempts: Vec<Attempt>,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.outcome {
            WriteOutcome::NotDone => Ok(()),
            WriteOutcome::Stands => f.write_str(" (the write stands)"),
            WriteOutcome::Unknown => f.write_str(" (the write may or may not have happened)"),
        }
    }
}

impl std::error::Error for ClientError {}

/// What a failed call means for the caller's next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No endpoint can be reached, or none serves at the moment: later, or elsewhere.
    Unreachable,
    /// The certificate of one side is not accepted, or the role may not do this.
    Denied,
    /// The request cannot be done as it is.
    Rejected,
    /// No answer in time.
    TimedOut,
    /// The node is at a limit: later.
    Overloaded,
    /// A defect of the program.
    Internal,
}

/// One attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Host and port.
    pub endpoint: String,
    /// What went wrong.
    pub message: String,
}

/// How one attempt failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) kind: ErrorKind,
    pub(super) failure: Option<Failure>,
    pub(super) message: String,
    pub(super) outcome: WriteOutcome,
}

impl Failed {
    pub(super) fn timed_out() -> Self {
        Self::without_reason(ErrorKind::TimedOut, "no answer in time".to_owned(), WriteOutcome::Unknown)
    }

    pub(super) fn without_endpoints() -> Self {
        let message = "there is no endpoint to call".to_owned();
        Self::without_reason(ErrorKind::Unreachable, message, WriteOutcome::NotDone)
    }

    /// Tells whether the same call may go better elsewhere or later: it was surely not done, and the cause passes.
    pub(super) fn may_be_retried(&self, is_write: bool) -> bool {
        let is_passing = matches!(self.kind, ErrorKind::Unreachable | ErrorKind::Overloaded);
        is_passing && (!is_write || self.outcome == WriteOutcome::NotDone)
    }

    pub(super) fn into_error(self, is_write: bool, attempts: Vec<Attempt>) -> ClientError {
        let (reason, metadata) = match self.failure {
            Some(failure) => (Some(failure.reason), failure.metadata),
            None => (None, BTreeMap::new()),
        };
        let outcome = if is_write { self.outcome } else { WriteOutcome::NotDone };
        ClientError { kind: self.kind, reason, message: self.message, metadata, outcome, attempts }
    }

    fn without_reason(kind: ErrorKind, message: String, outcome: WriteOutcome) -> Self {
        Self { kind, failure: None, message, outcome }
    }
}

impl From<DialError> for Failed {
    fn from(error: DialError) -> Self {
        let kind = match error {
            DialError::WrongPeer(_) | DialError::InvalidCertificate { .. } | DialError::Denied { .. } => {
                ErrorKind::Denied
            }
            DialError::InvalidAddress { .. } => ErrorKind::Rejected,
            DialError::Refused | DialError::TimedOut | DialError::Failed { .. } => ErrorKind::Unreachable,
        };
        Self::without_reason(kind, error.to_string(), WriteOutcome::NotDone)
    }
}

impl From<InvalidMessage> for Failed {
    fn from(error: InvalidMessage) -> Self {
        let message = format!("the answer cannot be read: {error}");
        Self::without_reason(ErrorKind::Internal, message, WriteOutcome::Unknown)
    }
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        if let Some(failure) = Failure::from_status(&status) {
            let kind = kind_of(failure.reason);
            let outcome = failure.reason.write_outcome();
            return Self { kind, message: failure.message.clone(), failure: Some(failure), outcome };
        }
        if let Some(error) = TransportError::of(&status) {
            let kind = if error.is_denied { ErrorKind::Denied } else { ErrorKind::Unreachable };
            // A server that refuses the certificate has read nothing of the call.
            let is_unknown = error.is_sent && !error.is_denied;
            let outcome = if is_unknown { WriteOutcome::Unknown } else { WriteOutcome::NotDone };
            return Self::without_reason(kind, error.detail, outcome);
        }
        let kind = match status.code() {
            Code::DeadlineExceeded | Code::Cancelled => ErrorKind::TimedOut,
            Code::Unavailable => ErrorKind::Unreachable,
            Code::PermissionDenied | Code::Unauthenticated => ErrorKind::Denied,
            Code::ResourceExhausted => ErrorKind::Overloaded,
            Code::Internal | Code::Unknown | Code::DataLoss => ErrorKind::Internal,
            _ => ErrorKind::Rejected,
        };
        let message = format!("{}: {}", status.code(), status.message());
        Self::without_reason(kind, message, WriteOutcome::Unknown)
    }
}

fn kind_of(reason: Reason) -> ErrorKind {
    match reason {
        Reason::Overloaded | Reason::MemoryLimit => ErrorKind::Overloaded,
        Reason::MessageTooLarge => ErrorKind::Rejected,
        Reason::NotReady
        | Reason::Draining
        | Reason::StorageFailed
        | Reason::DiskFull
        | Reason::ClockSkew
        | Reason::Removed
        | Reason::RemovedMeanwhile => ErrorKind::Unreachable,
        Reason::ReplicaWaitTimeout | Reason::DeadlineExceeded => ErrorKind::TimedOut,
        Reason::RoleNotAllowed | Reason::NoRoleInCertificate | Reason::ForeignCluster => ErrorKind::Denied,
        Reason::Internal => ErrorKind::Internal,
        Reason::InvalidKey
        | Reason::InvalidArgument
        | Reason::InvalidPageToken
        | Reason::ValueTooLarge
        | Reason::WrongType
        | Reason::SnapshotFailed
        | Reason::UnsupportedKind
        | Reason::CounterOverflow
        | Reason::UnknownMethod => ErrorKind::Rejected,
    }
}
