//! Ranges of settings and relations between them.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Config;
use super::tuning::{GIB, KIB, MIB};

/// A setting whose value cannot stand, by itself or beside another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The setting, such as `wal.segment_bytes`.
    pub key: &'static str,
    /// What must hold.
    pub rule: String,
    /// What to write, where that can be said.
    pub hint: Option<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.key, self.rule)
    }
}

/// Finds everything in a configuration that cannot stand, in the order of its settings.
pub(super) fn violations(config: &Config) -> Vec<Violation> {
    let mut found = Findings(Vec::new());
    identity(config, &mut found);
    addresses(config, &mut found);
    wal(config, &mut found);
    swim(config, &mut found);
    replication(config, &mut found);
    limits(config, &mut found);
    found.0
}

fn identity(config: &Config, found: &mut Findings) {
    let is_name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if config.name.is_empty() {
        found.missing("name", "name = \"n1\"");
    } else if config.name.len() > NAME_BYTES_MAX || !config.name.chars().all(is_name_char) {
        found.push("name", format!("must be 1 to {NAME_BYTES_MAX} of a-z A-Z 0-9 . _ -"), None);
    }
    let paths = [
        ("data_dir", &config.data_dir, "data_dir = \"/var/lib/trellis\""),
        ("tls.ca", &config.tls.ca, "make one with: trellis certs init"),
        ("tls.cert", &config.tls.cert, "make one with: trellis certs node NAME"),
        ("tls.key", &config.tls.key, "make one with: trellis certs node NAME"),
    ];
    for (key, path, hint) in paths {
        if path.as_os_str().is_empty() {
            found.missing(key, hint);
        }
    }
    found.in_range("shards", config.shards, 1..=256);
}

fn addresses(config: &Config, found: &mut Findings) {
    for (keys, section) in [
        (["client.listen", "client.advertise"], &config.client),
        (["peer.listen", "peer.advertise"], &config.peer),
    ] {
        let [listen_key, advertise_key] = keys;
        let Some((host, _)) = host_and_port(&section.listen) else {
            found.push(listen_key, LISTEN_RULE.to_owned(), None);
            continue;
        };
        match section.advertise.as_deref().map(host_and_port) {
            None if is_wildcard(host) => {
                let rule =
                    format!("must be set, because {listen_key} = \"{}\" names no host", section.listen);
                let hint = format!("{advertise_key} = \"HOST:PORT\", where others reach this node");
                found.push(advertise_key, rule, Some(hint));
            }
            Some(None) => found.push(advertise_key, ADDRESS_RULE.to_owned(), None),
            Some(Some((host, _))) if is_wildcard(host) => {
                found.push(advertise_key, "must name a host that others can reach".to_owned(), None);
            }
            None | Some(Some(_)) => {}
        }
    }
    if host_and_port(&config.status.listen).is_none() {
        found.push("status.listen", LISTEN_RULE.to_owned(), None);
    }
    distinct_ports(config, found);
    seeds(config, found);
}

fn distinct_ports(config: &Config, found: &mut Findings) {
    let listeners = [
        ("client.listen", &config.client.listen),
        ("peer.listen", &config.peer.listen),
        ("status.listen", &config.status.listen),
    ];
    for (index, (key, address)) in listeners.iter().enumerate() {
        for (earlier_key, earlier) in &listeners[..index] {
            let (Some(ours), Some(theirs)) = (host_and_port(address), host_and_port(earlier)) else {
                continue;
            };
            let is_same_host = ours.0 == theirs.0 || is_wildcard(ours.0) || is_wildcard(theirs.0);
            if ours.1 == theirs.1 && is_same_host {
                found.push(key, format!("must not take the port of {earlier_key}"), None);
            }
        }
    }
}

fn seeds(config: &Config, found: &mut Findings) {
    if config.seeds.len() > SEEDS_MAX {
        found.push("seeds", format!("must be at most {SEEDS_MAX} addresses"), None);
    }
    for seed in &config.seeds {
        match host_and_port(seed) {
            Some((host, _)) if !is_wildcard(host) => {}
            _ => found.push("seeds", format!("must be host:port addresses; \"{seed}\" is none"), None),
        }
        if seed == config.peer.advertised() {
            let hint = Some("remove it; a node that founds a cluster is started without seeds".to_owned());
            found.push("seeds", format!("must not hold the node's own address \"{seed}\""), hint);
        }
    }
}

fn wal(config: &Config, found: &mut Findings) {
    let wal = &config.wal;
    found.bytes_in_range("wal.record_bytes_max", wal.record_bytes_max, 2 * MIB..=GIB);
    if wal.batch_bytes_max < wal.record_bytes_max.saturating_add(KIB) {
        found.push(
            "wal.batch_bytes_max",
            "must be at least 1KiB more than wal.record_bytes_max".to_owned(),
            None,
        );
    }
    if wal.pending_bytes_max < wal.batch_bytes_max {
        found.push("wal.pending_bytes_max", "must be at least wal.batch_bytes_max".to_owned(), None);
    }
    if wal.segment_bytes < wal.batch_bytes_max.saturating_add(64 * KIB) {
        found.push(
            "wal.segment_bytes",
            "must be at least 64KiB more than wal.batch_bytes_max".to_owned(),
            None,
        );
    }
    found.bytes_in_range("wal.segment_bytes", wal.segment_bytes, MIB..=4 * GIB);
    found.time_in_range("wal.snapshot_interval", Some(wal.snapshot_interval), SECOND..=DAY);
    found.bytes_in_range("wal.snapshot_log_bytes", wal.snapshot_log_bytes, MIB..=1024 * GIB);
    found.bytes_in_range("wal.snapshot_rate", wal.snapshot_rate, MIB..=1024 * GIB);
}

fn swim(config: &Config, found: &mut Findings) {
    let swim = &config.swim;
    let preset = swim.preset.settings();
    let interval = swim.probe_interval.unwrap_or(preset.probe_interval);
    found.time_in_range("swim.probe_interval", swim.probe_interval, 200 * MILLISECOND..=5 * SECOND);
    found.time_in_range("swim.probe_timeout", swim.probe_timeout, 10 * MILLISECOND..=5 * SECOND);
    if swim.probe_timeout.unwrap_or(preset.probe_timeout) > interval {
        found.push("swim.probe_timeout", "must be at most swim.probe_interval".to_owned(), None);
    }
    found.time_in_range("swim.dead_after", swim.dead_after, 4 * SECOND..=600 * SECOND);
    if swim.dead_after.unwrap_or(preset.dead_after) < 2 * interval {
        found.push("swim.dead_after", "must be at least twice swim.probe_interval".to_owned(), None);
    }
}

fn replication(config: &Config, found: &mut Findings) {
    let replication = &config.replication;
    found.bytes_in_range("replication.batch_bytes", replication.batch_bytes, 1..=8 * MIB);
    if replication.window_bytes < replication.batch_bytes {
        found.push("replication.window_bytes", "must be at least replication.batch_bytes".to_owned(), None);
    }
    if replication.ring_bytes < replication.window_bytes {
        found.push("replication.ring_bytes", "must be at least replication.window_bytes".to_owned(), None);
    }
    found.time_in_range(
        "replication.coalesce",
        Some(replication.coalesce),
        Duration::ZERO..=100 * MILLISECOND,
    );
    found.time_in_range(
        "replication.anti_entropy_interval",
        Some(replication.anti_entropy_interval),
        SECOND..=DAY,
    );
    found.time_in_range(
        "replication.gossip_interval",
        Some(replication.gossip_interval),
        100 * MILLISECOND..=HOUR,
    );
    found.in_range("replication.gossip_fanout", replication.gossip_fanout, 1..=16);
    found.in_range("replication.donations_max", replication.donations_max, 1..=64);
}

fn limits(config: &Config, found: &mut Findings) {
    let limits = &config.limits;
    if let Some(memory) = limits.memory {
        found.bytes_in_range("limits.memory", memory, 16 * MIB..=u64::MAX);
    }
    found.in_range("limits.connections", limits.connections, 1..=1 << 20);
    found.in_range("limits.requests_per_connection", limits.requests_per_connection, 1..=1 << 20);
    found.time_in_range("limits.request_timeout", Some(limits.request_timeout), SECOND..=HOUR);
    found.time_in_range("limits.drain_timeout", Some(limits.drain_timeout), Duration::ZERO..=HOUR);
    found.time_in_range("limits.clock_skew", Some(limits.clock_skew), 10 * MILLISECOND..=HOUR);
}

/// Splits `host:port`, where the host may be empty or an IPv6 address in brackets. `None` if it is no such thing, or
/// the port is 0.
fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let is_plain = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    (is_bracketed || is_plain).then_some((host, port))
}

fn is_wildcard(host: &str) -> bool {
    matches!(host, "" | "0.0.0.0" | "[::]")
}

struct Findings(Vec<Violation>);

impl Findings {
    fn push(&mut self, key: &'static str, rule: String, hint: Option<String>) {
        self.0.push(Violation { key, rule, hint });
    }

    fn missing(&mut self, key: &'static str, hint: &str) {
        self.push(key, "must be set".to_owned(), Some(hint.to_owned()));
    }

    fn in_range(&mut self, key: &'static str, value: usize, range: RangeInclusive<usize>) {
        if !range.contains(&value) {
            self.push(key, format!("must be {} to {}, not {value}", range.start(), range.end()), None);
        }
    }

    fn bytes_in_range(&mut self, key: &'static str, value: u64, range: RangeInclusive<u64>) {
        if !range.contains(&value) {
            let (low, high) = (display_bytes(*range.start()), display_bytes(*range.end()));
            let bound =
                if *range.end() == u64::MAX { format!("at least {low}") } else { format!("{low} to {high}") };
            self.push(key, format!("must be {bound}"), None);
        }
    }

    /// A time that is not set is right.
    fn time_in_range(&mut self, key: &'static str, value: Option<Duration>, range: RangeInclusive<Duration>) {
        if value.is_some_and(|value| !range.contains(&value)) {
            self.push(key, format!("must be {:?} to {:?}", range.start(), range.end()), None);
        }
    }
}

fn display_bytes(bytes: u64) -> String {
    match bytes {
        _ if bytes != 0 && bytes.is_multiple_of(GIB) => format!("{}GiB", bytes / GIB),
        _ if bytes != 0 && bytes.is_multiple_of(MIB) => format!("{}MiB", bytes / MIB),
        _ => format!("{bytes}B"),
    }
}

const ADDRESS_RULE: &str = "must be host:port with a port from 1 to 65535";
const LISTEN_RULE: &str = "must be host:port or :port with a port from 1 to 65535";
const NAME_BYTES_MAX: usize = 64;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const SEEDS_MAX: usize = 64;
