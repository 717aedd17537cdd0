//! Connections from the first byte to the last: handshake, HTTP/2, and the end at a shutdown.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use crate::config::{CONNECTION_WINDOW_BYTES, FRAME_BYTES_MAX, STREAM_WINDOW_BYTES, ServerConfig};
use crate::tls::TlsReloader;

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut with calls under way, because `drain_timeout` was over.
    pub connections_cut: usize,
}

/// Accepts connections until `shutdown` completes, then cancels `draining` and waits for those that are open.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Arc<TlsReloader>,
    gate: Arc<Gate>,
    config: ServerConfig,
    draining: CancellationToken,
    shutdown: impl Future<Output = ()> + Send,
) -> Drained {
    let drain_timeout = config.drain_timeout;
    let connections_max = config.connections_max;
    let door =
        Arc::new(Door { tls, gate, handshakes: Semaphore::new(config.handshakes_max), config, draining });
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => log_panic(ended),
            (stream, address) = accept(&listener), if connections.len() < connections_max => {
                connections.spawn(Arc::clone(&door).serve(stream, address));
            }
        }
    }
    drop(listener);
    door.draining.cancel();
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    };
    let is_drained = timeout(drain_timeout, all_ended).await.is_ok();
    let connections_cut = if is_drained { 0 } else { connections.len() };
    connections.shutdown().await;
    Drained { connections_cut }
}

/// Waits for the next connection. Failures to accept pass (too many open files, a caller that went away), so they
/// end nothing.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a defect");
    }
}

/// What every connection of a listener shares.
struct Door {
    tls: Arc<TlsReloader>,
    gate: Arc<Gate>,
    handshakes: Semaphore,
    config: ServerConfig,
    draining: CancellationToken,
}

impl Door {
    async fn serve(self: Arc<Self>, stream: TcpStream, address: SocketAddr) {
        let handshake = timeout(self.config.handshake_timeout, self.handshake(stream));
        let stream = tokio::select! {
            () = self.draining.cancelled() => return,
            shaken = handshake => match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::warn!(%address, %error, "a TLS handshake failed");
                    return;
                }
                Err(_) => {
                    tracing::warn!(%address, "a TLS handshake took too long");
                    return;
                }
            },
        };
        self.serve_http(stream, address).await;
    }

    async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let _permit = self.handshakes.acquire().await.expect("the semaphore is never closed");
        stream.set_nodelay(true)?;
        TlsAcceptor::from(self.tls.server_config()).accept(stream).await
    }

    async fn serve_http(&self, stream: TlsStream<TcpStream>, address: SocketAddr) {
        let caller = Arc::new(self.gate.admit(stream.get_ref().1.peer_certificates()));
        let gate = Arc::clone(&self.gate);
        let service = service_fn(move |request| Arc::clone(&gate).answer(Arc::clone(&caller), request));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .max_concurrent_streams(self.config.streams_max)
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let aged = async {
            match self.config.connection_age_max {
                Some(age) => sleep(age).await,
                None => pending().await,
            }
        };
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%address, %error, "a connection broke");
                }
                return;
            }
            () = self.draining.cancelled() => {}
            () = aged => {}
        }
        connection.as_mut().graceful_shutdown();
        // An old connection may keep its calls for as long as one may take; a shutdown sets its own limit.
        let rest = self.config.call_timeout.max(self.config.drain_timeout);
        if timeout(rest, connection).await.is_err() {
            tracing::debug!(%address, "a connection was cut with calls under way");
        }
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A peer that is gone without a word is noticed within the two together.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
