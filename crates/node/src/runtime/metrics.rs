//! The node's numbers in the text format that Prometheus reads, taken afresh at every scrape.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use trellis_crdt::Kind;
use trellis_storage::KindUsage;
use trellis_swim::State;

use super::snapshots::{Snapshots, Told};
use crate::core::{Core, Now, Phase, Status};

/// Writes all metrics of a node. Names follow the conventions: a prefix, base units, `_total` on counts.
///
/// # Errors
///
/// When a number cannot be formatted, which does not happen to integers.
pub(crate) fn encode(core: &Core, snapshots: &Snapshots, now: Now) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("trellis");
    registry.register_collector(Box::new(Numbers {
        status: core.status(now),
        log_durable: core.log().durable().as_u64(),
        log_last: core.log().last().as_u64(),
        log_behind: snapshots.log_bytes(),
        snapshots: snapshots.told(),
    }));
    let mut text = String::new();
    encode_text(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Numbers {
    status: Status,
    log_durable: u64,
    log_last: u64,
    /// Bytes of the log behind the newest snapshot.
    log_behind: u64,
    snapshots: Told,
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = &self.status;
        let mut gauge = |name: &str, help: &str, value: i64| {
            let metric = ConstGauge::new(value);
            let family = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            metric.encode(family)
        };
        let count = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let is_ready = status.phase == Phase::Serving && !status.is_disk_full;
        gauge("ready", "Whether the node serves.", i64::from(is_ready))?;
        gauge("keys", "Entries that exist: pairs of key and kind.", count(status.usage.keys))?;
        gauge("atoms", "Atoms held, those without content included.", count(status.usage.atoms))?;
        gauge("early_dots", "Dots remembered beyond the prefixes.", count(status.usage.early))?;
        gauge(
            "index_bytes",
            "Bytes of the tables and logs that lead to atoms.",
            count(status.usage.index_bytes),
        )?;
        gauge("replication_ring_bytes", "Bytes of deltas kept for peers.", count(status.ring_bytes))?;
        gauge("slots_to_adopt", "Slots that a guest has not adopted.", count(status.slots_remaining))?;
        gauge(
            "clock_ahead_milliseconds",
            "Wall clock against the median of all.",
            status.clock_ahead_millis,
        )?;
        gauge("log_durable_lsn", "Position up to which the log is synced.", self.log_durable.cast_signed())?;
        gauge("log_last_lsn", "Position of the last record enqueued.", self.log_last.cast_signed())?;
        for (state, name) in [
            (State::Alive, "cluster_members_alive"),
            (State::Suspect, "cluster_members_suspect"),
            (State::Dead, "cluster_members_dead"),
            (State::Left, "cluster_members_left"),
        ] {
            let members = status.members.iter().filter(|member| member.state == state).count();
            gauge(name, "Members in this state as this node sees them.", count(members))?;
        }
        let unacknowledged: u64 = status.members.iter().map(|member| member.unacknowledged).sum();
        gauge(
            "replication_lag_operations",
            "Own operations not acknowledged, all peers.",
            unacknowledged.cast_signed(),
        )?;
        gauge(
            "swim_awareness",
            "How unwell this node is: 0 is healthy.",
            i64::from(status.health.awareness),
        )?;
        self.encode_snapshots(&mut encoder)?;
        self.encode_kinds(&mut encoder)?;
        self.encode_counters(&mut encoder)?;
        let uptime = ConstGauge::new(status.uptime.as_secs_f64());
        let family = encoder.encode_descriptor(
            "uptime",
            "Time since start.",
            Some(&Unit::Seconds),
            uptime.metric_type(),
        )?;
        uptime.encode(family)
    }
}

impl Numbers {
    /// What is told of snapshots, as far as it is known.
    fn encode_snapshots(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let newest = self.snapshots.newest;
        let start = newest.map_or(0, |newest| newest.start.as_u64());
        let bytes = newest.map_or(0, |newest| newest.bytes);
        for (name, help, value) in [
            ("log_behind_snapshot_bytes", "Bytes of records that a start would replay.", self.log_behind),
            ("snapshot_start_lsn", "Where the newest snapshot starts; 0 for none.", start),
            ("snapshot_bytes", "Bytes of the newest snapshot; 0 for none.", bytes),
        ] {
            let metric = ConstGauge::new(value.cast_signed());
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        for (name, help, value) in [
            ("snapshot_duration", "How long the newest snapshot took.", newest.and_then(|it| it.duration)),
            ("snapshot_age", "Time since the newest snapshot.", newest.and_then(|it| it.age())),
        ] {
            if let Some(value) = value {
                let metric = ConstGauge::new(value.as_secs_f64());
                let unit = Some(&Unit::Seconds);
                metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)?;
            }
        }
        for (name, help, value) in [
            ("snapshots_taken", "Snapshots taken by this process.", self.snapshots.taken),
            ("snapshots_failed", "Snapshots that failed.", self.snapshots.failed),
        ] {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }

    /// What is held, by kind.
    fn encode_kinds(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let numbers: [(&str, &str, Number); 5] = [
            ("kind_keys", "Keys that hold content of the kind.", |usage| usage.keys),
            ("kind_atoms", "Atoms of the kind; of sets their elements.", |usage| usage.atoms),
            ("kind_bytes", "Bytes of the atoms of the kind, names included.", |usage| usage.bytes),
            ("kind_deletions", "Records of removals of the kind.", |usage| usage.deletions),
            ("kind_counter_slots", "Slots of counters, one a replica that wrote.", |usage| {
                usage.counter_slots
            }),
        ];
        for (name, help, of) in numbers {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for kind in Kind::ALL {
                let value = i64::try_from(of(self.status.usage.of(kind))).unwrap_or(i64::MAX);
                ConstGauge::new(value).encode(family.encode_family(&[("kind", kind.name())])?)?;
            }
        }
        Ok(())
    }

    fn encode_counters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (replication, storage, swim) =
            (&self.status.replication, &self.status.usage.counters, &self.status.swim);
        let counters = [
            ("operations", "Operations of clients that changed something.", storage.operations),
            ("operations_refused", "Operations of clients that were refused.", storage.operations_refused),
            ("deltas_merged", "Deltas of peers merged in order.", storage.deltas_in_order),
            ("deltas_early", "Deltas of peers merged beyond a gap.", storage.deltas_early),
            ("deltas_duplicate", "Deltas of peers that were held already.", storage.deltas_duplicate),
            ("deltas_dropped", "Deltas of peers without room beyond a gap.", storage.deltas_dropped),
            ("merges_refused", "Deltas and entries that made no sense.", storage.refused),
            ("replication_deltas_sent", "Deltas sent, repeats included.", replication.deltas_sent),
            ("replication_deltas_offered_again", "Deltas sent again.", replication.deltas_offered_again),
            ("replication_ranges_wanted", "Ranges asked for.", replication.ranges_wanted),
            ("replication_ranges_gone", "Ranges no longer in the ring.", replication.ranges_gone),
            ("antientropy_rounds", "Transfers and in-sync checks completed.", replication.pulls_done),
            ("antientropy_rounds_in_sync", "Rounds in which both had the same.", replication.pulls_in_sync),
            ("antientropy_rounds_failed", "Transfers given up.", replication.pulls_failed),
            ("antientropy_entries_received", "Entries received in transfers.", replication.entries_received),
            ("hellos_refused", "Peers turned away.", replication.hellos_refused),
            ("digest_mismatches", "Equal clocks with different digests.", self.status.diverged),
            ("identity_conflicts", "Two live processes under one name.", self.status.conflicts),
            ("swim_probes", "Probes begun.", swim.probes),
            ("swim_probes_failed", "Probes that nobody answered.", swim.probes_failed),
            ("swim_suspicions", "Suspicions raised by own probes.", swim.suspicions),
            ("swim_refutations", "Words of own death refuted.", swim.refutations),
            ("swim_deaths", "Members called dead by the own clock.", swim.deaths),
            ("swim_lags", "Times at which this process was late.", swim.lags),
            ("swim_syncs", "Exchanges of state begun.", swim.syncs),
            ("swim_messages_refused", "Messages and replies refused.", swim.messages_refused),
        ];
        for (name, help, value) in counters {
            let metric = ConstCounter::new(value);
            let family = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            metric.encode(family)?;
        }
        Ok(())
    }
}

/// One number of what is held of a kind.
type Number = fn(&KindUsage) -> usize;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::core::solo::Solo;
    use crate::runtime::clock;

    use super::*;

    #[test]
    fn names_follow_the_conventions_and_every_metric_has_help() {
        let solo = Solo::founder(clock::now().instant);
        solo.increment("hits", 5);
        let core = Arc::new(solo.core);
        let text = encode(&core, &Snapshots::idle(Arc::clone(&core)), solo.now).unwrap();
        assert!(text.contains("\ntrellis_kind_keys{kind=\"pn-counter\"} 1\n"), "{text}");
        assert!(text.ends_with("# EOF\n"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split([' ', '{']).next().unwrap();
            assert!(name.starts_with("trellis_"), "{line}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        }
        for kind in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
            if kind == "counter" {
                assert!(text.contains(&format!("\n{name}_total ")), "{name}");
            }
        }
    }
}
