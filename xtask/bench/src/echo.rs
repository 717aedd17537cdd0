//! The bound of the transport: tonic's own server, and an answer that costs nothing.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use trellis_rpc::TlsFiles;
use trellis_tests::{await_until, free_port};

use crate::wire::{CounterResponse, IncrementRequest, ResponseHeader};

/// An echo in a process of its own, which ends with it.
#[derive(Debug)]
pub(crate) struct Echo {
    process: Child,
    port: u16,
}

impl Echo {
    /// Starts it with a node's certificate, and waits until it listens.
    pub(crate) fn start(files: &TlsFiles) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("echo").arg(port.to_string()).arg(&files.ca).arg(&files.cert).arg(&files.key);
        let process = command.stdin(Stdio::null()).spawn().context("the echo cannot be started")?;
        let echo = Self { process, port };
        await_until("the echo listens", Duration::from_secs(10), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            Ok(Some(()))
        })?;
        Ok(echo)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where to listen, and with which certificate.
#[derive(Debug, Args)]
pub(crate) struct EchoArguments {
    port: u16,
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

/// Serves until the process is killed.
pub(crate) async fn serve(arguments: EchoArguments) -> Result<()> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(read(&arguments.cert)?, read(&arguments.key)?))
        .client_ca_root(Certificate::from_pem(read(&arguments.ca)?));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    Server::builder().tls_config(tls)?.tcp_nodelay(true).add_service(EchoService).serve(address).await?;
    Ok(())
}

/// Answers every increment with its amount.
#[derive(Clone, Copy, Debug)]
struct EchoService;

impl NamedService for EchoService {
    const NAME: &'static str = "trellis.v1.ClientService";
}

impl Service<http::Request<Body>> for EchoService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(Increment, request).await) })
    }
}

struct Increment;

impl UnaryService<IncrementRequest> for Increment {
    type Response = CounterResponse;
    type Future = Ready<Result<Response<CounterResponse>, Status>>;

    fn call(&mut self, request: Request<IncrementRequest>) -> Self::Future {
        let header = Some(ResponseHeader { node: "n1".to_owned() });
        ready(Ok(Response::new(CounterResponse { header, value: request.into_inner().amount, exact: true })))
    }
}
