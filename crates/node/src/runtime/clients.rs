//! The calls of clients, in the terms of the wire.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trellis_crdt::Kind;
use trellis_replication::NodeId;
use trellis_rpc::{
    ClientHandler, ClusterStatus, Counter, DeleteKey, Deleted, Durability, Failure, GetCounter, GetKey,
    GetRegister, Increment, Incremented, KeyContent, KeyPage, KeySummary, KeyValue, ListKeys, MemberState,
    MemberStatus, NodeUsage, Reason, Register, SetRegister, WriteOptions,
};
use trellis_storage::{Cursor, ElementCursor, Operation, OperationError, Outcome, ReadError, ReadValue};
use trellis_swim::State;

use super::clock;
use super::memory::resident_bytes;
use super::service::{Promise, Service, ServiceError};
use crate::core::{Core, Phase, RequestError, Status};

/// Answers clients from the core of this node.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) core: Arc<Core>,
    pub(crate) service: Service,
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
        let status = self.core.status(clock::now());
        let absent = self.core.absent_members();
        Ok(cluster_status(&self.cluster, &self.wal, &status, &absent))
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

fn cluster_status(cluster: &str, wal: &Path, status: &Status, absent: &[(NodeId, String)]) -> ClusterStatus {
    let mut members: Vec<MemberStatus> = status
        .members
        .iter()
        .map(|member| MemberStatus {
            name: member.name.clone(),
            node: (member.meta.boot_nonce != 0).then_some(member.meta.node),
            replica: (member.meta.boot_nonce != 0).then_some(member.meta.replica),
            state: match member.state {
                State::Alive => MemberState::Alive,
                State::Suspect => MemberState::Suspect,
                State::Dead => MemberState::Dead,
                State::Left => MemberState::Left,
            },
            is_guest: member.meta.is_guest,
            client_address: member.meta.client_address.clone(),
            peer_address: member.peer_address.clone(),
            incarnation: member.incarnation,
            since_millis: millis(member.since),
            last_heard_millis: member.last_heard.map(millis),
            lag: member.unacknowledged,
            usage: (member.name == status.local.name).then(|| NodeUsage {
                keys: status.usage.keys as u64,
                log_bytes: folder_bytes(wal).unwrap_or(0),
                memory_bytes: resident_bytes().unwrap_or(0),
                uptime_millis: millis(status.uptime),
            }),
        })
        .collect();
    members.extend(absent.iter().map(|(node, name)| MemberStatus {
        name: name.clone(),
        node: Some(*node),
        ..MemberStatus::default()
    }));
    members.sort_by(|a, b| a.name.cmp(&b.name));
    ClusterStatus {
        cluster: cluster.to_owned(),
        founding: status.founding,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        members,
        is_converged: status.is_converged && absent.is_empty(),
        warnings: warnings(status),
    }
}

fn warnings(status: &Status) -> Vec<String> {
    let mut warnings = Vec::new();
    if status.phase != Phase::Serving {
        warnings.push(not_serving(status.phase).message);
    }
    if status.slots_remaining > 0 {
        warnings.push(format!("{} of 256 slots are still to be taken over", status.slots_remaining));
    }
    if status.conflicts > 0 {
        warnings.push("two live processes showed one name: see the node's log, stop one of them".to_owned());
    }
    if status.diverged > 0 {
        warnings.push(format!(
            "equal clocks had different digests {} times: see the node's log",
            status.diverged
        ));
    }
    if status.is_disk_full {
        warnings.push("the disk is full: writes wait until there is room in data_dir".to_owned());
    }
    if status.is_skewed {
        warnings.push(format!(
            "the wall clock is {} ms ahead of the others': register writes are refused",
            status.clock_ahead_millis
        ));
    }
    warnings
}

fn folder_bytes(folder: &Path) -> Option<u64> {
    let files = std::fs::read_dir(folder).ok()?;
    Some(files.filter_map(|file| file.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
