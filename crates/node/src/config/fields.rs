//! The table of all settings: the path of each, its type, and its place in [`Config`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use figment::value::Value;
use humantime_serde::re::humantime;

use super::{
    Config, LimitsConfig, ListenConfig, ReplicationConfig, StatusConfig, SwimConfig, SwimPreset, TlsConfig,
    WalConfig,
};

/// The place of one setting. Its variant is the setting's type.
#[derive(Debug)]
pub(super) enum Field<'a> {
    Text(&'a mut String),
    OptionalText(&'a mut Option<String>),
    Path(&'a mut PathBuf),
    List(&'a mut Vec<String>),
    Count(&'a mut usize),
    Bytes(&'a mut u64),
    OptionalBytes(&'a mut Option<u64>),
    Time(&'a mut Duration),
    OptionalTime(&'a mut Option<Duration>),
    Preset(&'a mut SwimPreset),
}

impl Field<'_> {
    /// Puts a value in its place. `is_text` says that the value comes from a layer that knows strings only;
    /// relative paths start at `base`.
    ///
    /// # Errors
    ///
    /// What the value should have been; the place is unchanged.
    pub(super) fn set(self, value: &Value, is_text: bool, base: Option<&Path>) -> Result<(), &'static str> {
        let expected = self.expected();
        self.try_set(value, is_text, base).ok_or(expected)
    }

    fn try_set(self, value: &Value, is_text: bool, base: Option<&Path>) -> Option<()> {
        match self {
            Self::Text(place) => *place = value.as_str()?.to_owned(),
            Self::OptionalText(place) => *place = Some(value.as_str()?.to_owned()),
            Self::Path(place) => {
                let path = Path::new(value.as_str()?);
                *place = base.map_or_else(|| path.to_owned(), |base| base.join(path));
            }
            Self::List(place) => *place = list(value)?,
            Self::Count(place) if is_text => *place = value.as_str()?.parse().ok()?,
            Self::Count(place) => *place = value.deserialize().ok()?,
            Self::Bytes(place) => *place = bytes(value)?,
            Self::OptionalBytes(place) => *place = Some(bytes(value)?),
            Self::Time(place) => *place = time(value)?,
            Self::OptionalTime(place) => *place = Some(time(value)?),
            Self::Preset(place) => {
                *place = match value.as_str()? {
                    "default" => SwimPreset::Standard,
                    "fast" => SwimPreset::Fast,
                    "wan" => SwimPreset::Wan,
                    _ => return None,
                }
            }
        }
        Some(())
    }

    fn expected(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::OptionalText(_) => "a string",
            Self::Path(_) => "a path",
            Self::List(_) => "a list of strings, or one string with commas",
            Self::Count(_) => "a whole number",
            Self::Bytes(_) | Self::OptionalBytes(_) => "a size with its unit, such as \"64MiB\"",
            Self::Time(_) | Self::OptionalTime(_) => "a time with its unit, such as \"500ms\"",
            Self::Preset(_) => "\"default\", \"fast\" or \"wan\"",
        }
    }
}

/// All settings in the order of the documentation. Every field of every struct is taken apart by name here, so a
/// field that is missing from the table does not compile.
pub(super) fn fields(config: &mut Config) -> Vec<(&'static str, Field<'_>)> {
    let Config { name, data_dir, seeds, shards, client, peer, status, tls, wal, swim, replication, limits } =
        config;
    let mut fields = vec![
        ("name", Field::Text(name)),
        ("data_dir", Field::Path(data_dir)),
        ("seeds", Field::List(seeds)),
        ("shards", Field::Count(shards)),
    ];
    let ListenConfig { listen, advertise } = client;
    fields.extend([
        ("client.listen", Field::Text(listen)),
        ("client.advertise", Field::OptionalText(advertise)),
    ]);
    let ListenConfig { listen, advertise } = peer;
    fields.extend([("peer.listen", Field::Text(listen)), ("peer.advertise", Field::OptionalText(advertise))]);
    let StatusConfig { listen } = status;
    fields.push(("status.listen", Field::Text(listen)));
    let TlsConfig { ca, cert, key } = tls;
    fields.extend([
        ("tls.ca", Field::Path(ca)),
        ("tls.cert", Field::Path(cert)),
        ("tls.key", Field::Path(key)),
    ]);
    fields.extend(wal_fields(wal));
    fields.extend(swim_fields(swim));
    fields.extend(replication_fields(replication));
    fields.extend(limits_fields(limits));
    fields
}

fn wal_fields(wal: &mut WalConfig) -> [(&'static str, Field<'_>); 7] {
    let WalConfig {
        segment_bytes,
        record_bytes_max,
        batch_bytes_max,
        pending_bytes_max,
        snapshot_interval,
        snapshot_log_bytes,
        snapshot_rate,
    } = wal;
    [
        ("wal.segment_bytes", Field::Bytes(segment_bytes)),
        ("wal.record_bytes_max", Field::Bytes(record_bytes_max)),
        ("wal.batch_bytes_max", Field::Bytes(batch_bytes_max)),
        ("wal.pending_bytes_max", Field::Bytes(pending_bytes_max)),
        ("wal.snapshot_interval", Field::Time(snapshot_interval)),
        ("wal.snapshot_log_bytes", Field::Bytes(snapshot_log_bytes)),
        ("wal.snapshot_rate", Field::Bytes(snapshot_rate)),
    ]
}

fn swim_fields(swim: &mut SwimConfig) -> [(&'static str, Field<'_>); 4] {
    let SwimConfig { preset, probe_interval, probe_timeout, dead_after } = swim;
    [
        ("swim.preset", Field::Preset(preset)),
        ("swim.probe_interval", Field::OptionalTime(probe_interval)),
        ("swim.probe_timeout", Field::OptionalTime(probe_timeout)),
        ("swim.dead_after", Field::OptionalTime(dead_after)),
    ]
}

fn replication_fields(replication: &mut ReplicationConfig) -> [(&'static str, Field<'_>); 8] {
    let ReplicationConfig {
        ring_bytes,
        window_bytes,
        batch_bytes,
        coalesce,
        anti_entropy_interval,
        gossip_interval,
        gossip_fanout,
        donations_max,
    } = replication;
    [
        ("replication.ring_bytes", Field::Bytes(ring_bytes)),
        ("replication.window_bytes", Field::Bytes(window_bytes)),
        ("replication.batch_bytes", Field::Bytes(batch_bytes)),
        ("replication.coalesce", Field::Time(coalesce)),
        ("replication.anti_entropy_interval", Field::Time(anti_entropy_interval)),
        ("replication.gossip_interval", Field::Time(gossip_interval)),
        ("replication.gossip_fanout", Field::Count(gossip_fanout)),
        ("replication.donations_max", Field::Count(donations_max)),
    ]
}

fn limits_fields(limits: &mut LimitsConfig) -> [(&'static str, Field<'_>); 6] {
    let LimitsConfig {
        memory,
        connections,
        requests_per_connection,
        request_timeout,
        drain_timeout,
        clock_skew,
    } = limits;
    [
        ("limits.memory", Field::OptionalBytes(memory)),
        ("limits.connections", Field::Count(connections)),
        ("limits.requests_per_connection", Field::Count(requests_per_connection)),
        ("limits.request_timeout", Field::Time(request_timeout)),
        ("limits.drain_timeout", Field::Time(drain_timeout)),
        ("limits.clock_skew", Field::Time(clock_skew)),
    ]
}

fn list(value: &Value) -> Option<Vec<String>> {
    if let Some(items) = value.as_array() {
        return items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    }
    let items = value.as_str()?.split(',').map(str::trim).filter(|item| !item.is_empty());
    Some(items.map(str::to_owned).collect())
}

/// A bare number has no unit and is refused, in text as well.
fn bytes(value: &Value) -> Option<u64> {
    let text = value.as_str().filter(|text| text.ends_with(|c: char| c.is_ascii_alphabetic()))?;
    text.parse::<ByteSize>().ok().map(|size| size.as_u64())
}

fn time(value: &Value) -> Option<Duration> {
    humantime::parse_duration(value.as_str()?).ok()
}
