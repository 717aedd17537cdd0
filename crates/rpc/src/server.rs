//! The two listeners of a node: for clients, and for other nodes.

use std::future::Future;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::ServerConfig;
use crate::handler::{ClientHandler, PeerHandler};
use crate::pb;
use crate::role::{Audience, Service};
use crate::tls::TlsReloader;

mod admin_service;
mod client_service;
mod gate;
mod health;
mod listener;
mod node_service;
mod routes;

pub use self::health::Health;
pub use self::listener::Drained;

use self::gate::Gate;
use self::routes::{Routes, route};

/// Serves ClientService, AdminService, health and reflection on `listener`, until `shutdown` completes and the calls under way are
/// answered.
///
/// The handler's calls have their caller's role checked and their deadline kept; a handler that panics answers
/// INTERNAL, and the connection goes on.
pub async fn serve_clients<H: ClientHandler>(
    listener: TcpListener,
    tls: Arc<TlsReloader>,
    handler: Arc<H>,
    health: Health,
    config: ServerConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> Drained {
    let admin = admin_service::AdminService::new(Arc::clone(&handler));
    let admin = pb::v1::admin_service_server::AdminServiceServer::new(admin)
        .max_decoding_message_size(config.message_bytes_max);
    let service = client_service::ClientService::new(handler);
    let service = pb::v1::client_service_server::ClientServiceServer::new(service)
        .max_decoding_message_size(config.message_bytes_max);
    let (reflection, reflection_alpha) = routes::reflection();
    let routes = Routes::default()
        .with(Service::Client, route(service))
        .with(Service::Admin, route(admin))
        .with(Service::Health, route(health.service()))
        .with(Service::ReflectionV1, reflection)
        .with(Service::ReflectionV1Alpha, reflection_alpha);
    let gate = Gate::new(routes, tls.own().cluster, Audience::Readers, &config);
    listener::serve(listener, tls, Arc::new(gate), config, CancellationToken::new(), shutdown).await
}

/// Serves NodeService on `listener`, until `shutdown` completes and the calls under way are answered.
///
/// At the shutdown every [`Inbound`](crate::Inbound) of a handler ends with
/// [`LinkError::Draining`](crate::LinkError::Draining); what the handler still sends goes out.
pub async fn serve_peers<H: PeerHandler>(
    listener: TcpListener,
    tls: Arc<TlsReloader>,
    handler: Arc<H>,
    config: ServerConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> Drained {
    let draining = CancellationToken::new();
    let service = node_service::NodeService::new(handler, draining.clone());
    let service = pb::peer::node_service_server::NodeServiceServer::new(service)
        .max_decoding_message_size(config.message_bytes_max);
    let routes = Routes::default().with(Service::Node, route(service));
    let gate = Gate::new(routes, tls.own().cluster, Audience::Nodes, &config);
    listener::serve(listener, tls, Arc::new(gate), config, draining, shutdown).await
}
