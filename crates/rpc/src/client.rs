//! The client for users of a cluster: typed calls, several endpoints, retries that never do a write twice.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Request, Response, Status};

use crate::calls::{
    ClusterStatus, Counter, DeleteKey, Deleted, GetCounter, GetKey, GetRegister, Increment, Incremented,
    KeyContent, KeyPage, ListKeys, Register, SetRegister, SnapshotTaken,
};
use crate::config::{ClientConfig, DialConfig};
use crate::convert::{HasHeader, InvalidMessage};
use crate::pb::v1 as pb;
use crate::pb::v1::admin_service_client::AdminServiceClient;
use crate::pb::v1::client_service_client::ClientServiceClient;
use crate::tls::TlsReloader;

mod connection;
mod error;

pub use self::connection::DialError;
pub(crate) use self::connection::{Connection, TransportError};
use self::error::Failed;
pub use self::error::{Attempt, ClientError, ErrorKind};

/// Where a node is, and which it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port of its client listener.
    pub address: String,
    /// The name that its certificate must show; `None` for any node of the cluster.
    pub node: Option<String>,
}

/// Calls any node of a cluster.
///
/// It connects at the first call and stays with an endpoint for as long as that serves. A call whose endpoint cannot
/// be reached or does not serve goes to the next; after each round through all of them it waits, longer each time
/// and at random. A read is tried again whatever became of it; a write only when it was surely not done. One
/// connection for each endpoint carries all calls: clone the [`Arc`] around a client rather than making several.
#[derive(Debug)]
pub struct Client {
    lines: Vec<Line>,
    preferred: AtomicUsize,
    tls: Arc<TlsReloader>,
    config: ClientConfig,
}

impl Client {
    /// Makes a client of `endpoints`, which are tried in this order. Nothing is dialled yet.
    ///
    /// Without any endpoint every call fails as [`ErrorKind::Unreachable`].
    pub fn new(endpoints: Vec<Endpoint>, tls: Arc<TlsReloader>, config: ClientConfig) -> Self {
        let lines = endpoints.into_iter().map(Line::new).collect();
        Self { lines, preferred: AtomicUsize::new(0), tls, config }
    }

    /// Adds to a counter.
    ///
    /// # Errors
    ///
    /// Whether the counter has changed nevertheless is said by [`ClientError::outcome`].
    pub async fn increment(&self, request: Increment) -> Result<Answer<Incremented>, ClientError> {
        let request: pb::IncrementRequest = request.into();
        self.call(true, request, |node, request| async move { node.client().increment(request).await }).await
    }

    /// Reads a counter.
    ///
    /// # Errors
    ///
    /// Nothing has changed.
    pub async fn get_counter(&self, request: GetCounter) -> Result<Answer<Counter>, ClientError> {
        let request: pb::GetCounterRequest = request.into();
        self.call(false, request, |node, request| async move { node.client().get_counter(request).await })
            .await
    }

    /// Writes a register.
    ///
    /// # Errors
    ///
    /// Whether the register has changed nevertheless is said by [`ClientError::outcome`].
    pub async fn set_register(&self, request: SetRegister) -> Result<Answer<()>, ClientError> {
        let request: pb::SetRegisterRequest = request.into();
        self.call(true, request, |node, request| async move { node.client().set_register(request).await })
            .await
    }

    /// Reads a register.
    ///
    /// # Errors
    ///
    /// Nothing has changed.
    pub async fn get_register(&self, request: GetRegister) -> Result<Answer<Register>, ClientError> {
        let request: pb::GetRegisterRequest = request.into();
        self.call(false, request, |node, request| async move { node.client().get_register(request).await })
            .await
    }

    /// Reads a key of whatever kind.
    ///
    /// # Errors
    ///
    /// Nothing has changed.
    pub async fn get_key(&self, request: GetKey) -> Result<Answer<KeyContent>, ClientError> {
        let request: pb::GetKeyRequest = request.into();
        self.call(false, request, |node, request| async move { node.client().get_key(request).await }).await
    }

    /// Deletes a key.
    ///
    /// # Errors
    ///
    /// Whether the key is gone nevertheless is said by [`ClientError::outcome`].
    pub async fn delete_key(&self, request: DeleteKey) -> Result<Answer<Deleted>, ClientError> {
        let request: pb::DeleteKeyRequest = request.into();
        self.call(true, request, |node, request| async move { node.client().delete_key(request).await }).await
    }

    /// Lists some keys. The token of a page is good at any node.
    ///
    /// # Errors
    ///
    /// Nothing has changed.
    pub async fn list_keys(&self, request: ListKeys) -> Result<Answer<KeyPage>, ClientError> {
        let request: pb::ListKeysRequest = request.into();
        self.call(false, request, |node, request| async move { node.client().list_keys(request).await }).await
    }

    /// Tells how the cluster looks to a node.
    ///
    /// # Errors
    ///
    /// Nothing has changed.
    pub async fn cluster_status(&self) -> Result<Answer<ClusterStatus>, ClientError> {
        let request = pb::GetClusterStatusRequest {};
        self.call(
            false,
            request,
            |node, request| async move { node.client().get_cluster_status(request).await },
        )
        .await
    }

    /// Has the node that answers take a snapshot, and waits until it is published. The caller must be an administrator.
    ///
    /// # Errors
    ///
    /// Whether a snapshot was taken nevertheless is said by [`ClientError::outcome`].
    pub async fn take_snapshot(&self) -> Result<Answer<SnapshotTaken>, ClientError> {
        let request = pb::TakeSnapshotRequest {};
        self.call(true, request, |node, request| async move { node.admin().take_snapshot(request).await })
            .await
    }

    /// Has the node that answers leave the cluster for now: it drains, says goodbye and stops. The caller must be an
    /// administrator.
    ///
    /// # Errors
    ///
    /// Whether it leaves nevertheless is said by [`ClientError::outcome`].
    pub async fn leave(&self) -> Result<Answer<()>, ClientError> {
        let request = pb::LeaveRequest {};
        self.call(true, request, |node, request| async move { node.admin().leave(request).await }).await
    }

    /// Makes a call until it has an answer, a failure that will not pass, or no more time.
    async fn call<Wire, Reply, Body, Sending>(
        &self,
        is_write: bool,
        message: Wire,
        send: impl Fn(Called, Request<Wire>) -> Sending,
    ) -> Result<Answer<Body>, ClientError>
    where
        Wire: Clone,
        Reply: HasHeader,
        Body: TryFrom<Reply, Error = InvalidMessage>,
        Sending: Future<Output = Result<Response<Reply>, Status>>,
    {
        let deadline = Instant::now() + self.config.timeout;
        let mut attempts = Vec::new();
        let mut last = None;
        for round in 0..self.config.rounds_max {
            if round > 0 && !self.pause(round, deadline).await {
                break;
            }
            let first = self.preferred.load(Ordering::Relaxed);
            for offset in 0..self.lines.len() {
                let index = (first + offset) % self.lines.len();
                let line = &self.lines[index];
                let failed = match self.attempt(line, &message, &send, deadline).await {
                    Ok(answer) => {
                        self.preferred.store(index, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Err(failed) => failed,
                };
                attempts.push(Attempt {
                    endpoint: line.endpoint.address.clone(),
                    message: failed.message.clone(),
                });
                if !failed.may_be_retried(is_write) {
                    return Err(failed.into_error(is_write, attempts));
                }
                last = Some(failed);
            }
        }
        let last = last.unwrap_or_else(Failed::without_endpoints);
        Err(last.into_error(is_write, attempts))
    }

    async fn attempt<Wire, Reply, Body, Sending>(
        &self,
        line: &Line,
        message: &Wire,
        send: &impl Fn(Called, Request<Wire>) -> Sending,
        deadline: Instant,
    ) -> Result<Answer<Body>, Failed>
    where
        Wire: Clone,
        Reply: HasHeader,
        Body: TryFrom<Reply, Error = InvalidMessage>,
        Sending: Future<Output = Result<Response<Reply>, Status>>,
    {
        let connection = match timeout_at(deadline, line.connection(&self.tls, &self.config.dial)).await {
            Ok(connected) => connected?,
            Err(_) => return Err(DialError::TimedOut.into()),
        };
        let node = Called { connection, message_bytes_max: self.config.dial.message_bytes_max };
        let mut request = Request::new(message.clone());
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        match timeout_at(deadline, send(node, request)).await {
            Ok(answered) => Answer::read(answered?.into_inner()),
            Err(_) => Err(Failed::timed_out()),
        }
    }

    /// Waits before a round, and returns false when there is no time left for it.
    ///
    /// The pause is random between nothing and a bound that doubles ("full jitter"), so that clients that failed
    /// together do not come back together.
    async fn pause(&self, round: u32, deadline: Instant) -> bool {
        let bound = self.config.backoff_min.saturating_mul(2_u32.saturating_pow(round - 1));
        let bound = bound.min(self.config.backoff_max);
        let end = Instant::now() + bound.mul_f64(rand::random::<f64>());
        if end >= deadline {
            return false;
        }
        sleep_until(end).await;
        true
    }
}

/// The node that a call goes to, as either of its services.
struct Called {
    connection: Connection,
    message_bytes_max: usize,
}

impl Called {
    fn client(self) -> ClientServiceClient<Connection> {
        let origin = self.connection.origin();
        ClientServiceClient::with_origin(self.connection, origin)
            .max_decoding_message_size(self.message_bytes_max)
    }

    fn admin(self) -> AdminServiceClient<Connection> {
        let origin = self.connection.origin();
        AdminServiceClient::with_origin(self.connection, origin)
            .max_decoding_message_size(self.message_bytes_max)
    }
}

/// What was asked for, and who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The name of the node that answered.
    pub node: String,
    /// What it said.
    pub body: T,
}

impl<T> Answer<T> {
    fn read<Reply>(mut reply: Reply) -> Result<Self, Failed>
    where
        Reply: HasHeader,
        T: TryFrom<Reply, Error = InvalidMessage>,
    {
        let header =
            reply.header_mut().take().ok_or(InvalidMessage { field: "header", problem: "is missing" })?;
        Ok(Self { node: header.node, body: reply.try_into()? })
    }
}

/// An endpoint and the connection to it, if there is one.
#[derive(Debug)]
struct Line {
    endpoint: Endpoint,
    connection: ArcSwapOption<Connection>,
    /// Held while one dials; holds when and how the last dial failed.
    dialling: Mutex<Option<(Instant, DialError)>>,
}

impl Line {
    fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, connection: ArcSwapOption::empty(), dialling: Mutex::new(None) }
    }

    async fn connection(&self, tls: &TlsReloader, config: &DialConfig) -> Result<Connection, DialError> {
        if let Some(connection) = self.open_connection() {
            return Ok(connection);
        }
        // One dials; whoever comes meanwhile waits, and shares the outcome.
        let arrived = Instant::now();
        let mut failure = self.dialling.lock().await;
        if let Some(connection) = self.open_connection() {
            return Ok(connection);
        }
        if let Some((ended, error)) = &*failure
            && *ended >= arrived
        {
            return Err(error.clone());
        }
        let Endpoint { address, node } = &self.endpoint;
        match Connection::dial(address, node.as_deref(), tls, config).await {
            Ok(connection) => {
                self.connection.store(Some(Arc::new(connection.clone())));
                Ok(connection)
            }
            Err(error) => {
                *failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn open_connection(&self) -> Option<Connection> {
        let connection = self.connection.load();
        connection.as_deref().filter(|connection| !connection.is_closed()).cloned()
    }
}
