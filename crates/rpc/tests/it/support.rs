//! A cluster's certificates, listeners with toy handlers, and a client that is not ours.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig as RustlsConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, RwLock, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use trellis_crdt::Kind;
use trellis_rpc::{
    Answer, CertificateAuthority, Client, ClientConfig, ClientHandler, ClusterStatus, Counter, DeleteKey,
    Deleted, Drained, Endpoint, Failure, GetCounter, GetKey, GetRegister, Health, Increment, Incremented,
    KeyContent, KeyPage, KeySummary, KeyValue, ListKeys, MemberState, MemberStatus, PeerHandler, Reason,
    Register, Role, ServerConfig, SetRegister, SnapshotTaken, TlsFiles, TlsReloader, serve_clients,
    serve_peers,
};

/// The certificates of one cluster in a directory of their own.
pub(crate) struct Garden {
    pub(crate) authority: CertificateAuthority,
    directory: TempDir,
}

impl Garden {
    pub(crate) fn new(cluster: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::create(Some(cluster)).unwrap();
        authority.save(directory.path()).unwrap();
        Self { authority, directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn files(&self, name: &str) -> TlsFiles {
        let file = |name: String| -> PathBuf { self.path().join(name) };
        TlsFiles {
            ca: file("ca.crt".into()),
            cert: file(format!("{name}.crt")),
            key: file(format!("{name}.key")),
        }
    }

    /// Issues a node's certificate, once.
    pub(crate) fn node(&self, name: &str) -> Arc<TlsReloader> {
        let files = self.files(name);
        if !files.cert.exists() {
            self.authority.issue_node(name, &[]).unwrap().save(self.path()).unwrap();
        }
        Arc::new(TlsReloader::load(files).unwrap())
    }

    /// Issues a client's certificate, once.
    pub(crate) fn client(&self, role: Role) -> Arc<TlsReloader> {
        let files = self.files(role.word());
        if !files.cert.exists() {
            self.authority.issue_client(role.word(), role).unwrap().save(self.path()).unwrap();
        }
        Arc::new(TlsReloader::load(files).unwrap())
    }
}

/// A listener that runs until it is told to stop.
pub(crate) struct Running {
    pub(crate) address: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Drained>,
}

impl Running {
    pub(crate) async fn clients(tls: Arc<TlsReloader>, handler: Arc<Toy>, config: ServerConfig) -> Self {
        Self::clients_with_health(tls, handler, Health::default(), config).await
    }

    pub(crate) async fn clients_with_health(
        tls: Arc<TlsReloader>,
        handler: Arc<Toy>,
        health: Health,
        config: ServerConfig,
    ) -> Self {
        let (listener, address) = bind().await;
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve_clients(listener, tls, handler, health, config, shutdown));
        Self { address, stop, task }
    }

    pub(crate) async fn peers(
        tls: Arc<TlsReloader>,
        handler: Arc<impl PeerHandler>,
        config: ServerConfig,
    ) -> Self {
        let (listener, address) = bind().await;
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve_peers(listener, tls, handler, config, shutdown));
        Self { address, stop, task }
    }

    pub(crate) async fn stop(self) -> Drained {
        self.stop.send(()).unwrap();
        self.task.await.unwrap()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint { address: self.address.clone(), node: None }
    }

    pub(crate) fn client(&self, tls: Arc<TlsReloader>) -> Client {
        Client::new(vec![self.endpoint()], tls, patient())
    }
}

/// A client's configuration under which no test fails because its machine is slow.
pub(crate) fn patient() -> ClientConfig {
    let mut config = ClientConfig { timeout: Duration::from_secs(60), ..ClientConfig::default() };
    config.dial.connect_timeout = Duration::from_secs(30);
    config.backoff_min = Duration::from_millis(1);
    config.backoff_max = Duration::from_millis(5);
    config
}

async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// An address at which nobody listens.
pub(crate) async fn nowhere() -> String {
    bind().await.1
}

/// Keys in memory, and keys that misbehave: `panic` panics, `stuck` never answers.
#[derive(Default)]
pub(crate) struct Toy {
    name: String,
    counters: Mutex<BTreeMap<String, i64>>,
    registers: Mutex<BTreeMap<String, bytes::Bytes>>,
    /// What every call answers, if set.
    pub(crate) failure: Mutex<Option<Failure>>,
    /// Calls that came.
    pub(crate) calls: AtomicUsize,
    /// Told when a call of `stuck` or for a snapshot begins, and when one of `stuck` is dropped.
    pub(crate) begun: Notify,
    pub(crate) dropped: Notify,
    /// A snapshot is under way for as long as someone holds this.
    pub(crate) is_busy: RwLock<()>,
}

impl Toy {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), ..Self::default() })
    }

    pub(crate) fn failing(name: &str, reason: Reason) -> Arc<Self> {
        let toy = Self::new(name);
        *toy.failure.lock().unwrap() = Some(Failure::new(reason, "as it was told").with("phase", "test"));
        toy
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn enter(&self, key: &str) -> Result<(), Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(failure) = &*self.failure.lock().unwrap() {
            return Err(failure.clone());
        }
        match key {
            "" => Err(Failure::new(Reason::InvalidKey, "the key is empty").at("key")),
            "panic" => panic!("a defect of the toy"),
            "stuck" => {
                let _told = TellOnDrop(&self.dropped);
                self.begun.notify_one();
                pending().await
            }
            _ => Ok(()),
        }
    }
}

struct TellOnDrop<'a>(&'a Notify);

impl Drop for TellOnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl ClientHandler for Toy {
    fn node_name(&self) -> &str {
        &self.name
    }

    async fn increment(&self, request: Increment) -> Result<Incremented, Failure> {
        self.enter(&request.key).await?;
        let mut counters = self.counters.lock().unwrap();
        let value = counters.entry(request.key).or_default();
        *value = value.saturating_add(request.amount);
        Ok(Incremented { value: *value, is_exact: true })
    }

    async fn get_counter(&self, request: GetCounter) -> Result<Counter, Failure> {
        self.enter(&request.key).await?;
        let value = self.counters.lock().unwrap().get(&request.key).copied();
        let kind = value.map(|_| Kind::PnCounter);
        Ok(Counter { value: value.unwrap_or_default(), is_exact: true, kind })
    }

    async fn set_register(&self, request: SetRegister) -> Result<(), Failure> {
        self.enter(&request.key).await?;
        self.registers.lock().unwrap().insert(request.key, request.value);
        Ok(())
    }

    async fn get_register(&self, request: GetRegister) -> Result<Register, Failure> {
        self.enter(&request.key).await?;
        let value = self.registers.lock().unwrap().get(&request.key).cloned();
        let kind = value.as_ref().map(|_| Kind::LwwRegister);
        Ok(Register { values: value.into_iter().collect(), kind })
    }

    async fn get_key(&self, request: GetKey) -> Result<KeyContent, Failure> {
        self.enter(&request.key).await?;
        let counter = self.counters.lock().unwrap().get(&request.key).copied();
        let kinds = counter.map(|_| Kind::PnCounter).into_iter().collect();
        Ok(KeyContent { kinds, value: counter.map(|value| KeyValue::Counter { value, is_exact: true }) })
    }

    async fn delete_key(&self, request: DeleteKey) -> Result<Deleted, Failure> {
        self.enter(&request.key).await?;
        let counter = self.counters.lock().unwrap().remove(&request.key).is_some();
        let register = self.registers.lock().unwrap().remove(&request.key).is_some();
        Ok(Deleted { existed: counter || register })
    }

    async fn list_keys(&self, request: ListKeys) -> Result<KeyPage, Failure> {
        self.enter("list").await?;
        let counters = self.counters.lock().unwrap();
        let keys = counters.keys().filter(|key| key.starts_with(&request.prefix));
        let keys = keys.map(|key| KeySummary { key: key.clone(), kind: Kind::PnCounter }).collect();
        Ok(KeyPage { keys, next_page_token: request.page_token })
    }

    async fn cluster_status(&self) -> Result<ClusterStatus, Failure> {
        self.enter("status").await?;
        let member =
            MemberStatus { name: self.name.clone(), state: MemberState::Alive, ..MemberStatus::default() };
        Ok(ClusterStatus { cluster: "garden".into(), members: vec![member], ..ClusterStatus::default() })
    }

    async fn take_snapshot(&self) -> Result<SnapshotTaken, Failure> {
        self.enter("snapshot").await?;
        self.begun.notify_one();
        let _free = self.is_busy.read().await;
        Ok(SnapshotTaken { start_lsn: 7, bytes: 4096, duration_millis: 3 })
    }

    async fn leave(&self) -> Result<(), Failure> {
        self.enter("leave").await
    }
}

pub(crate) fn increment(key: &str, amount: i64) -> Increment {
    Increment { key: key.to_owned(), amount, ..Increment::default() }
}

pub(crate) fn read(key: &str) -> GetCounter {
    GetCounter { key: key.to_owned(), kind: None }
}

pub(crate) fn answer<T>(node: &str, body: T) -> Answer<T> {
    Answer { node: node.to_owned(), body }
}

/// A client as others write it: it trusts an authority, checks the host name, and shows what it is given.
#[derive(Clone)]
pub(crate) struct Raw {
    sender: SendRequest<Body>,
}

impl Raw {
    /// Connects with the certificate and key at `identity` (PEM), or with none.
    pub(crate) async fn connect(
        address: &str,
        ca_pem: &str,
        identity: Option<(&str, &str)>,
    ) -> std::io::Result<Self> {
        let stream = tls_stream(address, ca_pem, identity).await?;
        let (sender, driver) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        tokio::spawn(driver);
        Ok(Self { sender })
    }

    pub(crate) fn origin() -> Uri {
        Uri::from_static("https://localhost")
    }
}

pub(crate) async fn tls_stream(
    address: &str,
    ca_pem: &str,
    identity: Option<(&str, &str)>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = RustlsConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let mut config = match identity {
        Some((certificate, key)) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

impl Service<Request<Body>> for Raw {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<Response<Incoming>, hyper::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}

/// Calls a method by its path, with a message as given and nothing of the answer but its status.
pub(crate) async fn call_raw(
    raw: Raw,
    path: &'static str,
    message: impl prost::Message + 'static,
) -> tonic::Status {
    let mut grpc = tonic::client::Grpc::with_origin(raw, Raw::origin());
    let codec = tonic_prost::ProstCodec::<_, Nothing>::default();
    let answer = grpc.unary(tonic::Request::new(message), path.parse().unwrap(), codec).await;
    answer.err().unwrap_or_else(|| tonic::Status::ok("answered"))
}

/// A message of which no field is known.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Nothing {}
