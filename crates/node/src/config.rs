//! What a node is told: its name, its addresses, its certificates, its limits.
//!
//! The structs are plain data with defaults and no dependency; reading them from a file, the environment and flags
//! is the runtime's business ([`Config::load`]).

use std::path::PathBuf;

#[cfg(feature = "runtime")]
mod fields;
#[cfg(feature = "runtime")]
mod layer;
#[cfg(feature = "runtime")]
mod load;
#[cfg(feature = "runtime")]
mod problem;
mod tuning;
mod validate;

#[cfg(feature = "runtime")]
pub use self::load::Sources;
#[cfg(feature = "runtime")]
pub use self::problem::{ConfigErrors, Origin, Problem};
pub use self::tuning::{LimitsConfig, ReplicationConfig, SwimConfig, SwimPreset, WalConfig};
pub use self::validate::Violation;

/// Everything that a node is told before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name of this member: 1 to 64 of `a-z A-Z 0-9 . _ -`. No default. It must be the name in the node's
    /// certificate, and no other live node may bear it; both are refused at the first contact.
    pub name: String,
    /// The directory of the identity and the log. No default. One node at a time: it is locked. In a file, a relative
    /// path starts at the file's directory. On a slow disk every durable write is slow.
    pub data_dir: PathBuf,
    /// Peer addresses (`host:port`) of members to join through, at most 64. Default none: an empty data directory
    /// then founds a cluster. Not the node's own address. Two or three that rarely go away together are sensible;
    /// with one, a join waits while that member is down.
    pub seeds: Vec<String>,
    /// Parts of the keyspace, each behind its own lock: 1 to 256. Default 8. Sensible: two to four for each core. Too
    /// low: writers wait for each other; too high: memory for empty parts.
    pub shards: usize,
    /// Where clients come in.
    pub client: ListenConfig,
    /// Where the other members come in.
    pub peer: ListenConfig,
    /// Where probes and metrics come in.
    pub status: StatusConfig,
    /// The certificates of this node.
    pub tls: TlsConfig,
    /// The write-ahead log.
    pub wal: WalConfig,
    /// Who is alive.
    pub swim: SwimConfig,
    /// How deltas reach the other members.
    pub replication: ReplicationConfig,
    /// What clients and peers may ask for at most.
    pub limits: LimitsConfig,
}

impl Config {
    /// Checks what one value cannot show by itself: ranges, and the relations between settings.
    ///
    /// # Errors
    ///
    /// All that does not hold, in the order of the settings.
    pub fn validate(&self) -> Result<(), Vec<Violation>> {
        let violations = validate::violations(self);
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }
}

impl Default for Config {
    /// A node without name, directory and certificates: [`Config::validate`] asks for them.
    fn default() -> Self {
        Self {
            name: String::new(),
            data_dir: PathBuf::new(),
            seeds: Vec::new(),
            shards: 8,
            client: ListenConfig { listen: ":7400".to_owned(), advertise: None },
            peer: ListenConfig { listen: ":7500".to_owned(), advertise: None },
            status: StatusConfig::default(),
            tls: TlsConfig::default(),
            wal: WalConfig::default(),
            swim: SwimConfig::default(),
            replication: ReplicationConfig::default(),
            limits: LimitsConfig::default(),
        }
    }
}

/// A listener, and the address by which others reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// `host:port`, or `:port` for every IPv4 interface. Default `:7400` for clients, `:7500` for peers. The port is
    /// not 0, and a port that is taken is an error. A narrower host than all interfaces keeps others out.
    pub listen: String,
    /// The `host:port` that others are told. Default: `listen`, which must then name a host that they can reach.
    /// A wrong one shows as a member that can call others and cannot be called.
    pub advertise: Option<String>,
}

impl ListenConfig {
    /// The address to bind: `host:port`, with `0.0.0.0` where `listen` names no host.
    pub fn bind_address(&self) -> String {
        bind_address(&self.listen)
    }

    /// The address to tell others: `advertise`, or else `listen`.
    pub fn advertised(&self) -> &str {
        self.advertise.as_deref().unwrap_or(&self.listen)
    }
}

/// The listener of probes, metrics and the status page: plain HTTP, no keys, no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusConfig {
    /// `host:port`. Default `127.0.0.1:7600`. There is no authentication: keep it off public interfaces.
    pub listen: String,
}

impl StatusConfig {
    /// The address to bind: `host:port`, with `0.0.0.0` where `listen` names no host.
    pub fn bind_address(&self) -> String {
        bind_address(&self.listen)
    }
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self { listen: "127.0.0.1:7600".to_owned() }
    }
}

/// Files in PEM form. None has a default; all three are read at the start and again on SIGHUP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate of the authority that signed every certificate of the cluster.
    pub ca: PathBuf,
    /// This node's certificate, with the URI `trellis://CLUSTER/node/NAME`. It decides which cluster this is.
    pub cert: PathBuf,
    /// The private key of `cert`. Only the node's user should be able to read it.
    pub key: PathBuf,
}

fn bind_address(listen: &str) -> String {
    if listen.starts_with(':') { format!("0.0.0.0{listen}") } else { listen.to_owned() }
}
