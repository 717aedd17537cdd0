//! Limits of listeners and clients.

use std::time::Duration;

/// The limits of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The longest message that is taken, in bytes. Default 4 MiB for clients (a value has at most 1 MiB), 16 MiB
    /// for nodes (a chunk of a transfer ends with the entry that passes 1 MiB). Too low: a large value or entry can
    /// never pass; too high: each stream may make the node hold as much.
    pub message_bytes_max: usize,
    /// How long a connection may take to show its certificate. Default 5 s.
    pub handshake_timeout: Duration,
    /// Handshakes under way at the same time; further ones wait, and their time runs. Default 64. Each costs about
    /// 0.2 ms of CPU here.
    pub handshakes_max: usize,
    /// Connections at the same time; further ones wait to be accepted. Default 4096.
    pub connections_max: usize,
    /// Calls and streams of one connection at the same time; a client keeps further ones back. Default 1024.
    pub streams_max: u32,
    /// Unary calls of all connections under way at the same time; further ones are refused as OVERLOADED. Default
    /// 16384.
    pub calls_max: usize,
    /// How long a unary call may take where the caller asks for no less, but for one that has a snapshot taken: that takes
    /// as long as its caller waits. Default 30 s.
    pub call_timeout: Duration,
    /// After this long a connection is asked to end once its calls are answered, so that clients spread anew and
    /// renewed certificates are seen. Default 1 h for clients, none for nodes, whose streams last.
    pub connection_age_max: Option<Duration>,
    /// How long calls under way may last after a shutdown began. Default 10 s.
    pub drain_timeout: Duration,
}

impl ServerConfig {
    /// Returns the defaults for [`serve_clients`](crate::serve_clients).
    pub fn clients() -> Self {
        Self {
            message_bytes_max: 4 << 20,
            handshake_timeout: Duration::from_secs(5),
            handshakes_max: 64,
            connections_max: 4096,
            streams_max: 1024,
            calls_max: 16384,
            call_timeout: Duration::from_secs(30),
            connection_age_max: Some(Duration::from_secs(3600)),
            drain_timeout: Duration::from_secs(10),
        }
    }

    /// Returns the defaults for [`serve_peers`](crate::serve_peers).
    pub fn peers() -> Self {
        Self { message_bytes_max: 16 << 20, connection_age_max: None, ..Self::clients() }
    }
}

/// How a connection is made and what may come over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialConfig {
    /// How long name, connection and handshake may take together. Default 2 s.
    pub connect_timeout: Duration,
    /// The longest message that is taken, in bytes. Default 16 MiB.
    pub message_bytes_max: usize,
}

impl Default for DialConfig {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(2), message_bytes_max: 16 << 20 }
    }
}

/// How [`Client`](crate::Client) waits and tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Of each connection. The longest answer is 64 MiB here: many concurrent values of one register.
    pub dial: DialConfig,
    /// How long a call may take, all attempts together. Default 5 s.
    pub timeout: Duration,
    /// How often all endpoints are tried before a call fails. Default 4.
    pub rounds_max: u32,
    /// The longest pause before the second round; it doubles with each. Default 50 ms. The pause itself is random
    /// between nothing and that.
    pub backoff_min: Duration,
    /// The longest pause before any round. Default 1 s; at least `backoff_min`.
    pub backoff_max: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            dial: DialConfig { message_bytes_max: 64 << 20, ..DialConfig::default() },
            timeout: Duration::from_secs(5),
            rounds_max: 4,
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
        }
    }
}

/// What one stream may have on its way, and twice as much one connection: 64 KiB costs 14 % of throughput, 16 MiB
/// gains nothing, and windows that adapt cost 20 %.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1 << 20;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 2 * STREAM_WINDOW_BYTES;
/// Gains about 10 % on large batches.
pub(crate) const FRAME_BYTES_MAX: u32 = 1 << 20;
/// Messages that wait for the window of a stream to open.
pub(crate) const STREAM_QUEUE_MESSAGES: usize = 16;
