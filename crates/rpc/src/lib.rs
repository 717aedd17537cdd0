//! gRPC over mutual TLS for TrellisDB: services, typed client, certificates.

mod calls;
mod handler;

mod role;
mod certs;
mod tls;

mod server;
mod client;
mod link;
mod peer_client;

mod config;
mod convert;
mod error;
mod pb;

pub use crate::calls::{
    ClusterStatus, Counter, DeleteKey, Deleted, Durability, GetCounter, GetKey, GetRegister, Increment, Incremented,
    KeyContent, KeyPage, KeySummary, KeyValue, ListKeys, MemberState, MemberStatus, NodeUsage, Register, SetRegister,
    WriteOptions,
};
pub use crate::certs::{CertificateAuthority, CertsError, Issued};
pub use crate::client::{Answer, Attempt, Client, ClientError, DialError, Endpoint, ErrorKind};
pub use crate::config::{ClientConfig, DialConfig, ServerConfig};
pub use crate::convert::InvalidMessage;
pub use crate::error::{Failure, Reason, WriteOutcome};
pub use crate::handler::{ClientHandler, PeerHandler};
pub use crate::link::{Inbound, LinkError};
pub use crate::peer_client::PeerClient;
pub use crate::role::{PeerCertificate, Role, RoleError};
pub use crate::server::{Drained, Health, serve_clients, serve_peers};
pub use crate::tls::{TlsError, TlsFiles, TlsReloader, WrongPeer};
