//! One HTTP/2 connection to a node, from dialling to its end.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::http::uri::Authority;
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::{Code, Status};

use crate::config::{CONNECTION_WINDOW_BYTES, DialConfig, FRAME_BYTES_MAX, STREAM_WINDOW_BYTES};
use crate::role::PeerCertificate;
use crate::tls::{TlsReloader, WrongPeer};

/// A connection to a node that was checked to be one. Clones share it; it closes when the last is dropped.
#[derive(Clone)]
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    peer: Arc<PeerCertificate>,
    origin: Uri,
    fate: Arc<OnceLock<Fate>>,
}

impl Connection {
    /// Connects to `address` (host and port) and checks that a node of this cluster answers, the one named
    /// `expected` if that is given.
    pub(crate) async fn dial(
        address: &str,
        expected: Option<&str>,
        tls: &TlsReloader,
        config: &DialConfig,
    ) -> Result<Self, DialError> {
        match timeout(config.connect_timeout, Self::connect(address, expected, tls)).await {
            Ok(connected) => connected,
            Err(_) => Err(DialError::TimedOut),
        }
    }

    async fn connect(address: &str, expected: Option<&str>, tls: &TlsReloader) -> Result<Self, DialError> {
        let invalid = || DialError::InvalidAddress { address: address.to_owned() };
        let authority: Authority = address.parse().map_err(|_| invalid())?;
        if authority.port().is_none() || address.contains('@') {
            return Err(invalid());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let origin = format!("https://{authority}").parse().map_err(|_| invalid())?;
        let server_name = ServerName::try_from(host).map_err(|_| invalid())?;

        let stream = TcpStream::connect(address).await.map_err(|error| DialError::of_connect(&error))?;
        stream.set_nodelay(true).map_err(|error| DialError::of_connect(&error))?;
        let stream = TlsConnector::from(tls.client_config(expected))
            .connect(server_name, stream)
            .await
            .map_err(|error| DialError::of_handshake(&error))?;
        let peer = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let peer = peer.and_then(|leaf| PeerCertificate::from_der(leaf).ok());
        let peer = Arc::new(peer.expect("the verifier lets no server pass without a role"));

        let fate = Arc::new(OnceLock::new());
        let stream = Watched { stream, fate: Arc::clone(&fate) };
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| DialError::Failed { detail: with_causes(&error) })?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(error = %with_causes(&error), "a connection to a node broke");
            }
        });
        Ok(Self { sender, peer, origin, fate })
    }

    /// Returns who is at the other end.
    pub(crate) fn peer(&self) -> &PeerCertificate {
        &self.peer
    }

    /// Returns the address as requests name it.
    pub(crate) fn origin(&self) -> Uri {
        self.origin.clone()
    }

    /// Tells whether no further call can go out.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = Status;
    type Future = BoxFuture<Response<Incoming>, Status>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let sent = self.sender.try_send_request(request);
        let fate = Arc::clone(&self.fate);
        Box::pin(async move {
            sent.await.map_err(|error| {
                let is_sent = error.message().is_none();
                let (is_denied, detail) = match fate.get() {
                    Some(Fate::Denied(detail)) => (true, detail.clone()),
                    Some(Fate::Lost(detail)) => (false, detail.clone()),
                    None => (false, with_causes(error.error())),
                };
                TransportError { is_sent, is_denied, detail }.into()
            })
        })
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Why there is no connection to a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address is not a host and a port.
    #[error("{address:?} is not a host and a port")]
    InvalidAddress {
        /// What was given.
        address: String,
    },
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No connection in time.
    #[error("no connection in time")]
    TimedOut,
    /// The server's certificate is valid, and not that of the node to talk to.
    #[error(transparent)]
    WrongPeer(#[from] WrongPeer),
    /// The server's certificate is not valid here: of another authority, expired, or not meant for a server.
    #[error("the server's certificate is not valid here: {detail}")]
    InvalidCertificate {
        /// In words.
        detail: String,
    },
    /// The server takes no certificate of ours.
    #[error("the server refuses this certificate: {detail}")]
    Denied {
        /// In words.
        detail: String,
    },
    /// Anything else: no route, no such name, no TLS there.
    #[error("{detail}")]
    Failed {
        /// In words.
        detail: String,
    },
}

impl DialError {
    fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Failed { detail: error.to_string() },
        }
    }

    fn of_handshake(error: &io::Error) -> Self {
        let Some(tls) = tls_error(error) else {
            return Self::of_connect(error);
        };
        match tls {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
                match other.0.downcast_ref::<WrongPeer>() {
                    Some(wrong) => Self::WrongPeer(wrong.clone()),
                    None => Self::InvalidCertificate { detail: other.to_string() },
                }
            }
            rustls::Error::InvalidCertificate(invalid) => {
                Self::InvalidCertificate { detail: invalid.to_string() }
            }
            rustls::Error::AlertReceived(_) => Self::Denied { detail: tls.to_string() },
            _ => Self::Failed { detail: tls.to_string() },
        }
    }
}

/// Why a call on a connection has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransportError {
    /// False when the request surely never left.
    pub(crate) is_sent: bool,
    /// True when the server refused the certificate.
    pub(crate) is_denied: bool,
    pub(crate) detail: String,
}

impl TransportError {
    /// Returns the error behind a status that no server sent.
    pub(crate) fn of(status: &Status) -> Option<Self> {
        let mut source = status.source();
        while let Some(error) = source {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found.clone());
            }
            if error.is::<hyper::Error>() {
                return Some(Self { is_sent: true, is_denied: false, detail: with_causes(error) });
            }
            source = error.source();
        }
        None
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for TransportError {}

impl From<TransportError> for Status {
    fn from(error: TransportError) -> Self {
        let mut status = Self::new(Code::Unavailable, error.detail.clone());
        status.set_source(Arc::new(error));
        status
    }
}

/// How a connection ended, as its bytes told it. HTTP/2 tells the calls under way less than that: with TLS 1.3 a
/// server refuses a certificate after the client has begun to speak.
enum Fate {
    Denied(String),
    Lost(String),
}

impl Fate {
    fn of(error: &io::Error) -> Self {
        match tls_error(error) {
            Some(alert @ rustls::Error::AlertReceived(_)) => Self::Denied(alert.to_string()),
            _ => Self::Lost(error.to_string()),
        }
    }
}

/// A stream that remembers why it ended.
struct Watched {
    stream: TlsStream<TcpStream>,
    fate: Arc<OnceLock<Fate>>,
}

impl Watched {
    /// The first error counts; those that follow from it do not.
    fn watch<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            self.fate.get_or_init(|| Fate::of(error));
        }
        polled
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.watch(polled)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Joins what an error says with what its causes say.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A node that is gone without a word is noticed within the two together, while a call or stream is open.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
