//! gRPC over mutual TLS for TrellisDB: services, typed client, certificates.
//!
//! The only crate that knows the wire. A node hands a listener to [`serve_clients`] or [`serve_peers`] with a handler
//! that speaks plain types; users call by [`Client`], nodes call each other by [`PeerClient`]. Both sides show a
//! certificate of the cluster's authority, whose URI `trellis://CLUSTER/ROLE/NAME` says who they are: every call is
//! checked against the caller's role, and a server that is not a node of the cluster is not talked to. Deadlines,
//! panics, overload and messages over the limit come back as one gRPC code and one [`Reason`] each.
//!
//! What it does not do: it knows no rule of replication and no state of a node, keeps no membership, and checks
//! nothing of a request but its form (keys and values are the handler's business). There is no listener without
//! TLS. A [`Client`] does not balance load: it stays with an endpoint while that serves.
//!
//! The two types to know are [`Client`] and [`TlsReloader`], the certificates of a process.
//!
//! ```
//! use std::sync::Arc;
//! use trellis_rpc::{
//!     CertificateAuthority, Client, ClientConfig, Endpoint, ErrorKind, Increment, Role, TlsFiles, TlsReloader,
//! };
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let directory = tempfile::tempdir()?;
//! let authority = CertificateAuthority::create(Some("garden"))?;
//! authority.save(directory.path())?;
//! authority.issue_client("dev", Role::Client)?.save(directory.path())?;
//!
//! let file = |name| directory.path().join(name);
//! let files = TlsFiles { ca: file("ca.crt"), cert: file("dev.crt"), key: file("dev.key") };
//! let tls = Arc::new(TlsReloader::load(files)?);
//! assert_eq!(tls.own().to_string(), "trellis://garden/client/dev");
//!
//! // Port 1 is reserved, and nobody listens there.
//! let endpoint = Endpoint { address: "127.0.0.1:1".to_owned(), node: Some("n1".to_owned()) };
//! let client = Client::new(vec![endpoint], tls, ClientConfig::default());
//! let request = Increment { key: "counter1".to_owned(), amount: 5, ..Increment::default() };
//! let error = client.increment(request).await.unwrap_err();
//! assert_eq!(error.kind, ErrorKind::Unreachable);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calls;
mod handler;

mod certs;
mod role;
mod tls;

mod client;
mod link;
mod peer_client;
mod server;

mod config;
mod convert;
mod error;
mod pb;

pub use crate::calls::{
    ClusterStatus, Counter, DeleteKey, Deleted, Durability, GetCounter, GetKey, GetRegister, Increment,
    Incremented, KeyContent, KeyPage, KeySummary, KeyValue, ListKeys, MemberState, MemberStatus,
    NodeSnapshot, NodeUsage, Register, SetRegister, SnapshotTaken, WriteOptions,
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
