//! The calls of clients, in the terms of the wire.

mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use trellis_crdt::Kind;
use trellis_rpc::{
    ClientHandler, ClusterStatus, Counter, DeleteKey, Deleted, Durability, Failure, GetCounter, GetKey,
    GetRegister, Increment, Incremented, KeyContent, KeyPage, KeySummary, KeyValue, ListKeys, Reason,
    Register, SetRegister, SnapshotTaken, WriteOptions,
};
use trellis_storage::{Cursor, ElementCursor, Operation, OperationError, Outcome, ReadError, ReadValue};

use self::status::millis;
use super::service::{Promise, Service, ServiceError};
use super::snapshots::{Snapshots, TakeError};
use crate::core::{Core, Phase, RequestError};

/// Answers clients from the core of this node.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) core: Arc<Core>,
    pub(crate) service: Service,
    pub(crate) snapshots: Snapshots,
    /// Told when an administrator wants the node to leave.
    pub(crate) leaving: Arc<Notify>,
    pub(crate) name: String,
    pub(crate) cluster: String,
    /// The folder of the log.
    pub(crate) wal: PathBuf,
}

impl ClientHandler for Clients {
    fn node_name(&self) -> &str {
        &self.name
    }

    async fn increment(&self, request: Increment) -> Result<Incremented, Failure> {
        let kind = request.kind.unwrap_or(Kind::PnCounter);
        let operation = Operation::Increment { key: &request.key, kind, amount: request.amount };
        match self.write(operation, request.options).await? {
            Outcome::Counter(total) => Ok(Incremented { value: total.value, is_exact: total.exact }),
            _ => Err(Failure::internal("an increment has a total as its outcome")),
        }
    }

    async fn get_counter(&self, request: GetCounter) -> Result<Counter, Failure> {
        let read = self.read(&request.key, request.kind, Kind::is_counter, "counter").await?;
        Ok(match read {
            Some((kind, ReadValue::Counter(total))) => {
                Counter { value: total.value, is_exact: total.exact, kind: Some(kind) }
            }
            _ => Counter { is_exact: true, ..Counter::default() },
        })
    }

    async fn set_register(&self, request: SetRegister) -> Result<(), Failure> {
        let kind = request.kind.unwrap_or(Kind::LwwRegister);
        let operation = Operation::Set { key: &request.key, kind, value: &request.value };
        self.write(operation, request.options).await.map(drop)
    }

    async fn get_register(&self, request: GetRegister) -> Result<Register, Failure> {
        let read = self.read(&request.key, request.kind, Kind::is_register, "register").await?;
        Ok(match read {
            Some((kind, ReadValue::Values(values))) => {
                Register { values: values.into_iter().map(Bytes::from).collect(), kind: Some(kind) }
            }
            _ => Register::default(),
        })
    }

    async fn get_key(&self, request: GetKey) -> Result<KeyContent, Failure> {
        let read = self
            .service
            .read(&request.key, request.kind)
            .await
            .map_err(|error| failure(&error, &request.key))?;
        let value = read.value.and_then(|value| match value {
            ReadValue::Counter(total) => {
                Some(KeyValue::Counter { value: total.value, is_exact: total.exact })
            }
            ReadValue::Values(values) => {
                Some(KeyValue::Register { values: values.into_iter().map(Bytes::from).collect() })
            }
            _ => None,
        });
        Ok(KeyContent { kinds: read.kinds, value })
    }

    async fn delete_key(&self, request: DeleteKey) -> Result<Deleted, Failure> {
        let DeleteKey { key, kind, options } = request;
        let (mut existed, mut from) = (false, ElementCursor::START);
        // A big set goes in several steps, each a write of its own: what a step did stands if a later one fails.
        loop {
            match self.write(Operation::Delete { key: &key, kind, from }, options).await? {
                Outcome::Deleted { existed: did, next } => {
                    existed |= did;
                    let Some(next) = next else { return Ok(Deleted { existed }) };
                    from = next;
                }
                _ => return Err(Failure::internal("a deletion tells whether there was something")),
            }
        }
    }

    async fn list_keys(&self, request: ListKeys) -> Result<KeyPage, Failure> {
        let cursor = parse_token(&request.page_token)?;
        let page_size = match request.page_size {
            0 => PAGE_DEFAULT,
            size => usize::try_from(size).unwrap_or(PAGE_MAX).min(PAGE_MAX),
        };
        let page = self.service.list(cursor, &request.prefix, request.kind, page_size).await;
        let page = page.map_err(|error| failure(&error, &request.prefix))?;
        let keys = page.keys.into_iter().map(|(key, kind)| KeySummary { key, kind }).collect();
        Ok(KeyPage { keys, next_page_token: page.next.map(format_token).unwrap_or_default() })
    }

    async fn cluster_status(&self) -> Result<ClusterStatus, Failure> {
        Ok(self.describe())
    }

    async fn take_snapshot(&self) -> Result<SnapshotTaken, Failure> {
        let taken = self.snapshots.take().await.map_err(|error| no_snapshot(&error))?;
        Ok(SnapshotTaken {
            start_lsn: taken.info.start.as_u64(),
            bytes: taken.info.file_bytes,
            duration_millis: millis(taken.duration),
        })
    }

    async fn leave(&self) -> Result<(), Failure> {
        self.leaving.notify_one();
        Ok(())
    }
}

impl Clients {
    async fn write(&self, operation: Operation<'_>, options: WriteOptions) -> Result<Outcome, Failure> {
        let key = operation.key();
        let promise = Promise {
            is_synced: options.durability == Durability::Synced,
            replicas: options.replicas,
            patience: REPLICAS_PATIENCE,
        };
        self.service.write(operation, promise).await.map_err(|error| failure(&error, key))
    }

    /// Reads a key under the kind asked for, or the only one of those that `fits`; `None` when it is absent.
    async fn read(
        &self,
        key: &str,
        kind: Option<Kind>,
        fits: impl Fn(Kind) -> bool,
        what: &str,
    ) -> Result<Option<(Kind, ReadValue)>, Failure> {
        let only = self.service.read(key, None).await.map_err(|error| failure(&error, key))?;
        let is_asked = |held: Kind| fits(held) && kind.is_none_or(|kind| kind == held);
        if let (Some(held), Some(value)) = (only.kind.filter(|held| is_asked(*held)), only.value) {
            return Ok(Some((held, value)));
        }
        let fitting: Vec<Kind> = only.kinds.iter().copied().filter(|held| is_asked(*held)).collect();
        let held = match fitting.as_slice() {
            [] if only.kinds.is_empty() => return Ok(None),
            [] => {
                return Err(wrong_type(
                    key,
                    &only.kinds,
                    kind.map_or(what.to_owned(), |kind| kind.to_string()),
                ));
            }
            [held] => *held,
            _ => return Err(wrong_type(key, &only.kinds, format!("single {what}: name its kind"))),
        };
        let read = self.service.read(key, Some(held)).await.map_err(|error| failure(&error, key))?;
        Ok(read.value.map(|value| (held, value)))
    }
}

fn wrong_type(key: &str, actual: &[Kind], requested: String) -> Failure {
    let actual = actual.iter().map(Kind::to_string).collect::<Vec<_>>().join(", ");
    Failure::new(Reason::WrongType, format!("the key {key:?} holds {actual}, not a {requested}"))
        .with("key", key)
        .with("actual", actual)
        .with("requested", requested)
        .at("kind")
}

fn failure(error: &ServiceError, key: &str) -> Failure {
    match error {
        ServiceError::Refused(RequestError::Operation(error)) => refused_operation(error, key),
        ServiceError::Refused(RequestError::Read(error @ ReadError::InvalidKey { .. })) => {
            Failure::new(Reason::InvalidKey, error.to_string()).at("key")
        }
        ServiceError::Refused(RequestError::NotServing(phase)) => not_serving(*phase),
        ServiceError::Refused(error @ RequestError::Busy) => {
            Failure::new(Reason::Overloaded, error.to_string())
        }
        ServiceError::Refused(error @ RequestError::ClockSkew) => {
            Failure::new(Reason::ClockSkew, error.to_string())
        }
        ServiceError::Refused(RequestError::LogFailed) | ServiceError::LogFailed => Failure::new(
            Reason::StorageFailed,
            "the log of this node failed; whether the write survives is unknown: read it back at another node",
        ),
        ServiceError::MemoryLimit => Failure::new(
            Reason::MemoryLimit,
            "this node takes more memory than limits.memory allows: delete keys",
        ),
        ServiceError::TooFewReplicas { reached, wanted } => Failure::new(
            Reason::ReplicaWaitTimeout,
            format!("{reached} of {wanted} nodes hold the write; it stands here and will spread"),
        )
        .with("acked", reached)
        .with("wanted", wanted),
        ServiceError::RemovedMeanwhile => Failure::new(
            Reason::RemovedMeanwhile,
            "the cluster removed this node while the write waited; whether the write survives is unknown: read it back \
             at another node",
        ),
        ServiceError::Refused(error) => Failure::internal(&error.to_string()),
    }
}

fn refused_operation(error: &OperationError, key: &str) -> Failure {
    match error {
        OperationError::InvalidKey { .. } => Failure::new(Reason::InvalidKey, error.to_string()).at("key"),
        OperationError::ValueTooLarge { bytes } => Failure::new(Reason::ValueTooLarge, error.to_string())
            .with("actual", bytes)
            .with("limit", trellis_crdt::VALUE_BYTES_MAX)
            .at("value"),
        OperationError::WrongKind { actual, requested } => wrong_type(key, actual, requested.to_string()),
        OperationError::NotApplicable { kind } => {
            Failure::new(Reason::UnsupportedKind, error.to_string()).with("kind", kind).at("kind")
        }
        OperationError::NegativeAmount { .. } => {
            Failure::new(Reason::InvalidArgument, error.to_string()).at("amount")
        }
        OperationError::CounterOverflow { amount } => {
            Failure::new(Reason::CounterOverflow, error.to_string()).with("amount", amount).at("amount")
        }
        error => Failure::internal(&error.to_string()),
    }
}

fn not_serving(phase: Phase) -> Failure {
    let (reason, message) = match phase {
        Phase::Guest => {
            (Reason::NotReady, "this node joins the cluster and has not taken over every slot yet")
        }
        Phase::Draining => (Reason::Draining, "this node is about to stop"),
        Phase::Failed => {
            (Reason::NotReady, "the log of this node failed: it takes no writes until it is restarted")
        }
        Phase::Removed => (Reason::Removed, "this node was removed from the cluster"),
        Phase::Serving => (Reason::NotReady, "this node has only begun to serve"),
    };
    Failure::new(reason, message).with("phase", format!("{phase:?}").to_lowercase())
}

fn parse_token(token: &str) -> Result<Cursor, Failure> {
    if token.is_empty() {
        return Ok(Cursor::START);
    }
    let refused =
        || Failure::new(Reason::InvalidPageToken, "not a page token of this cluster").at("page_token");
    let digits = token.as_bytes().chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
        u8::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))
    });
    let bytes: Vec<u8> = digits.collect::<Option<_>>().ok_or_else(refused)?;
    Cursor::from_bytes(&bytes).map_err(|_| refused())
}

fn format_token(cursor: Cursor) -> String {
    cursor.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn no_snapshot(error: &TakeError) -> Failure {
    let reason = match error {
        TakeError::TooMany => Reason::Overloaded,
        TakeError::Stopping => Reason::Draining,
        TakeError::LogFailed(_) | TakeError::DiskFull | TakeError::Snapshot(_) => Reason::SnapshotFailed,
        TakeError::Defect => return Failure::internal("a step of a snapshot panicked"),
    };
    Failure::new(reason, format!("no snapshot was taken: {error}"))
}

/// How long a write waits for other nodes; well within the 5 s that clients wait by default, so that they hear how many
/// nodes hold it.
const REPLICAS_PATIENCE: Duration = Duration::from_secs(3);
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_leads_back_to_its_place_and_nothing_else_is_one() {
        assert_eq!(parse_token(""), Ok(Cursor::START));
        let cursor = Cursor::at_slot(77);
        assert_eq!(parse_token(&format_token(cursor)), Ok(cursor));
        for token in ["7", "zz", "00", "é", "+1+1+1+1+1", "0102030405060708"] {
            assert_eq!(parse_token(token).unwrap_err().reason, Reason::InvalidPageToken, "{token}");
        }
    }
}
