//! From the configuration to the settings of each part.

use trellis_replication::Config as ReplicationConfig;
use trellis_rpc::ServerConfig;
use trellis_swim::Config as SwimConfig;
use trellis_wal::Config as WalConfig;

use super::snapshots::Limits as SnapshotLimits;
use crate::Config;

pub(crate) fn wal(config: &Config) -> WalConfig {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let settings = &config.wal;
    WalConfig {
        segment_bytes: settings.segment_bytes,
        record_bytes_max: u32::try_from(settings.record_bytes_max).unwrap_or(u32::MAX),
        batch_bytes_max: size(settings.batch_bytes_max),
        pending_bytes_max: size(settings.pending_bytes_max),
    }
}

pub(crate) fn snapshots(config: &Config) -> SnapshotLimits {
    SnapshotLimits {
        interval: config.wal.snapshot_interval,
        log_bytes: config.wal.snapshot_log_bytes,
        bytes_per_second: config.wal.snapshot_rate,
    }
}

pub(crate) fn swim(config: &Config) -> SwimConfig {
    let preset = config.swim.preset.settings();
    let probe_interval = config.swim.probe_interval.unwrap_or(preset.probe_interval);
    let dead_after = config.swim.dead_after.unwrap_or(preset.dead_after);
    SwimConfig {
        probe_interval,
        probe_timeout: config.swim.probe_timeout.unwrap_or(preset.probe_timeout),
        // A live member has two probes' time to hear of its suspicion, and a single accuser waits for others.
        suspicion_min: preset.suspicion_min.max(2 * probe_interval).min(dead_after),
        dead_after,
        suspicion_max: preset.suspicion_max.max(dead_after * 12 / 5),
        // No node offers any, so whatever comes is not for nodes: it is not to take their memory and messages.
        broadcasts_max: 0,
        ..preset
    }
}

pub(crate) fn replication(config: &Config) -> ReplicationConfig {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let settings = &config.replication;
    ReplicationConfig {
        ring_bytes: size(settings.ring_bytes),
        window_bytes: size(settings.window_bytes),
        batch_bytes: size(settings.batch_bytes),
        coalesce: settings.coalesce,
        anti_entropy_interval: settings.anti_entropy_interval,
        donations_max: settings.donations_max,
        ..ReplicationConfig::default()
    }
}

pub(crate) fn client_server(config: &Config) -> ServerConfig {
    ServerConfig {
        connections_max: config.limits.connections,
        streams_max: u32::try_from(config.limits.requests_per_connection).unwrap_or(u32::MAX),
        call_timeout: config.limits.request_timeout,
        drain_timeout: config.limits.drain_timeout,
        ..ServerConfig::clients()
    }
}

pub(crate) fn peer_server(config: &Config) -> ServerConfig {
    ServerConfig {
        connections_max: config.limits.connections,
        drain_timeout: config.limits.drain_timeout,
        ..ServerConfig::peers()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use trellis_swim::{Local, Priority, Swim};

    use super::*;
    use crate::SwimPreset;

    #[test]
    fn broadcasts_of_other_hosts_are_neither_reported_nor_told_on() {
        let now = Instant::now();
        let member = |name: &str, settings| {
            let local = Local { id: name.to_owned(), epoch: 1, addr: format!("{name}:1"), meta: Vec::new() };
            Swim::new(settings, local, 1, 1, now).unwrap()
        };
        let mut offering = member("n1", SwimConfig::default());
        let mut node = member("n2", swim(&Config::default()));
        let third = member("n3", SwimConfig::default()).local().clone();
        offering.import([node.local().clone(), third.clone()], now);
        node.import([offering.local().clone(), third], now);
        while node.poll_output(&mut Vec::new()).is_some() {}
        offering.offer_broadcast(b"key", b"payload".to_vec(), Priority::High, now).unwrap();
        let (mut message, mut reply) = (Vec::new(), Vec::new());
        offering.gossip_payload(&"n2".to_owned(), now, &mut message).expect("there is news");
        let due = node.poll_timeout();
        node.handle_message(&"n1".to_owned(), &message, now, now, &mut reply).unwrap();
        assert_eq!(node.poll_output(&mut Vec::new()), None);
        let counters = node.counters();
        assert_eq!((counters.broadcasts_received, counters.broadcasts_refused), (0, 1));
        assert_eq!(node.poll_timeout(), due, "nothing is to be told on");
        assert!(node.offer_broadcast(b"key", Vec::new(), Priority::High, now).is_err());
    }

    /// What the file may say, at its ends and beyond those that were chosen together.
    #[test]
    fn every_membership_that_passes_here_is_one_that_the_crate_takes() {
        let millis = |value| Some(Duration::from_millis(value));
        for preset in [SwimPreset::Standard, SwimPreset::Fast, SwimPreset::Wan] {
            for (probe_interval, probe_timeout, dead_after) in [
                (None, None, None),
                (millis(200), millis(200), millis(4000)),
                (millis(200), millis(10), millis(600_000)),
                (millis(5000), millis(5000), millis(10_000)),
                (millis(2000), None, millis(4000)),
            ] {
                let swim_config = crate::SwimConfig { preset, probe_interval, probe_timeout, dead_after };
                let swim_config = swim(&Config { swim: swim_config, ..Config::default() });
                assert_eq!(swim_config.validate(), Ok(()), "{preset:?} {swim_config:?}");
            }
        }
    }
}
