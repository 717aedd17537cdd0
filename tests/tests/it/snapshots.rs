//! Nodes that take snapshots of what they hold, and start from them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use trellis_tests::{Cluster, Outcome, await_until};

#[test]
fn a_node_starts_from_its_snapshot_although_the_log_before_it_is_gone() -> Result<()> {
    let mut cluster = small_segments(1)?;
    let first = log_files(&cluster, "n1")?.remove(0);
    let mut takes = 0;
    while log_files(&cluster, "n1")?.contains(&first) {
        ensure!(takes < 10, "the first segment is still there");
        for number in 0..6 {
            let key = format!("key{}", takes * 6 + number);
            cluster.trellis(&["set", &key, &"x".repeat(100 << 10)])?.answer()?;
            cluster.trellis(&["set", "filler", &"x".repeat(100 << 10)])?.answer()?;
        }
        cluster.trellis(&["incr", "counter1", "7"])?.answer()?;
        takes += 1;
        let taken: Value = as_boss(&cluster, &["snapshot", "take", "-o", "json"])?.json()?;
        assert_eq!(taken["node"], "n1");
        assert!(taken["startLsn"].as_u64().context("a snapshot starts somewhere")? > 0);
    }
    cluster.trellis(&["incr", "counter1", "100"])?.answer()?;
    let usage = status(&cluster)?["members"][0]["usage"].clone();
    assert!(usage["snapshot"]["ageMillis"].is_u64(), "{usage}");
    assert!(usage["logBytesBehindSnapshot"].as_u64().is_some_and(|bytes| bytes < 1000), "{usage}");

    cluster.node_mut("n1").kill()?;
    let data = cluster.node("n1").data_dir();
    let verified = cluster.trellis(&["snapshot", "verify", data.to_str().context("a path is UTF-8")?])?;
    assert_eq!(verified.answer()?.lines().count(), 2, "two are kept: {verified}");
    cluster.node_mut("n1").start(&[])?;
    cluster.await_whole()?;
    let log = cluster.node("n1").log();
    assert!(log.contains("snap-") && log.contains("the log is replayed"), "{log}");
    let usage = status(&cluster)?["members"][0]["usage"].clone();
    assert!(usage["snapshot"]["ageMillis"].is_u64(), "a start knows how old its snapshot is: {usage}");
    assert_eq!(cluster.counter("n1", "counter1")?, takes * 7 + 100);
    for number in 0..takes * 6 {
        assert_eq!(cluster.trellis(&["get", &format!("key{number}")])?.answer()?.len(), 100 << 10);
    }
    assert_eq!(cluster.trellis(&["incr", "counter1"])?.answer()?, (takes * 7 + 101).to_string());
    cluster.finish()
}

#[test]
fn a_node_takes_snapshots_by_itself_while_its_log_grows_and_when_it_stops() -> Result<()> {
    let mut cluster = small_segments(3)?;
    let first = log_files(&cluster, "n2")?.remove(0);
    let value = "x".repeat(100 << 10);
    let mut written = 0;
    await_until("n2 lets go of its first segment", Duration::from_secs(60), || {
        cluster.at("n1", &["set", &format!("key{}", written % 10), &value])?.answer()?;
        written += 1;
        Ok((!log_files(&cluster, "n2")?.contains(&first)).then_some(()))
    })?;
    let metrics = cluster.node("n2").page("/metrics")?;
    assert!(!metrics.contains("\ntrellis_snapshots_taken_total 0\n"), "{metrics}");
    assert!(metrics.contains("\ntrellis_snapshots_failed_total 0\n"), "{metrics}");

    assert_eq!(cluster.at("n2", &["incr", "late", "5"])?.answer()?, "5");
    let before = snapshots(&cluster, "n2")?;
    cluster.node_mut("n2").stop()?;
    let after = snapshots(&cluster, "n2")?;
    assert_ne!(before.last(), after.last(), "the last write is in a snapshot");
    cluster.node_mut("n2").start(&[])?;
    cluster.await_whole()?;
    assert!(cluster.node("n2").log().contains("\"snap-"), "{}", cluster.node("n2").log());
    assert_eq!(cluster.counter("n2", "late")?, 5);
    for number in 0..written.min(10) {
        assert_eq!(cluster.at("n2", &["get", &format!("key{number}")])?.answer()?.len(), value.len());
    }
    cluster.finish()
}

#[test]
fn a_damaged_snapshot_is_passed_over_for_the_one_before_it() -> Result<()> {
    let mut cluster = small_segments(1)?;
    for total in ["1", "2", "3"] {
        assert_eq!(cluster.trellis(&["incr", "k"])?.answer()?, total);
        as_boss(&cluster, &["snapshot", "take"])?.answer()?;
    }
    cluster.node_mut("n1").kill()?;
    let newest = snapshots(&cluster, "n1")?.pop().context("there are two")?;
    let path = wal(&cluster, "n1").join(&newest);
    let mut bytes = fs::read(&path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes)?;

    cluster.node_mut("n1").start(&[])?;
    cluster.await_whole()?;
    let log = cluster.node("n1").log();
    assert!(log.contains("a snapshot was not used") && log.contains(&newest), "{log}");
    assert_eq!(cluster.counter("n1", "k")?, 3);
    let status = cluster.trellis(&["status"])?;
    assert!(status.stderr.contains("warning: a snapshot was not used at the start: "), "{status}");
    cluster.finish()
}

#[test]
fn only_an_administrator_has_a_snapshot_taken() -> Result<()> {
    let cluster = Cluster::start(1)?;
    let refused = cluster.trellis(&["snapshot", "take"])?;
    assert!(refused.failure(4)?.contains("hint: use a certificate of another role"), "{refused}");
    assert_eq!(snapshots(&cluster, "n1")?, Vec::<String>::new());
    cluster.finish()
}

#[test]
fn a_snapshot_that_takes_longer_than_requests_may_is_awaited_by_who_asks() -> Result<()> {
    let mut cluster = Cluster::prepare(1)?;
    let node = cluster.node_mut("n1");
    node.set("wal.snapshot_rate", "1MiB");
    node.set("limits.request_timeout", "1s");
    cluster.found()?;
    for number in 0..30 {
        cluster.trellis(&["set", &format!("key{number}"), &"x".repeat(100 << 10)])?.answer()?;
    }
    let taken: Value = as_boss(&cluster, &["snapshot", "take", "-o", "json"])?.json()?;
    assert!(taken["durationMillis"].as_u64().is_some_and(|millis| millis > 1000), "{taken}");

    cluster.trellis(&["incr", "counter1"])?.answer()?;
    let before = snapshots(&cluster, "n1")?;
    let unanswered = as_boss_within(&cluster, "1s", &["snapshot", "take"])?;
    let told = unanswered.failure(6)?;
    assert!(told.contains("the node may go on with the snapshot") && !told.contains("write"), "{told}");
    assert!(told.contains("hint: wait for it with --timeout 10m"), "{told}");
    await_until("it is taken although nobody waits", Duration::from_secs(60), || {
        Ok((snapshots(&cluster, "n1")?.last() > before.last()).then_some(()))
    })?;
    cluster.finish()
}

/// A cluster whose logs have segments of 2 MiB and a snapshot for every 2 MiB.
fn small_segments(size: usize) -> Result<Cluster> {
    let mut cluster = Cluster::prepare(size)?;
    for node in cluster.nodes_mut() {
        node.set("wal.record_bytes_max", "2MiB");
        node.set("wal.batch_bytes_max", "2049KiB");
        node.set("wal.segment_bytes", "2113KiB");
        node.set("wal.snapshot_log_bytes", "2MiB");
    }
    cluster.found()?;
    Ok(cluster)
}

fn as_boss(cluster: &Cluster, arguments: &[&str]) -> Result<Outcome> {
    as_boss_within(cluster, "30s", arguments)
}

fn as_boss_within(cluster: &Cluster, time: &str, arguments: &[&str]) -> Result<Outcome> {
    let files = cluster.tls_files("boss");
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let (cert, key) = (path(&files.cert), path(&files.key));
    cluster.trellis(&[arguments, &["--cert", &cert, "--key", &key, "--timeout", time]].concat())
}

fn status(cluster: &Cluster) -> Result<Value> {
    cluster.trellis(&["status", "-o", "json"])?.json()
}

fn wal(cluster: &Cluster, node: &str) -> std::path::PathBuf {
    cluster.node(node).data_dir().join("wal")
}

/// The names of the segments of a node, oldest first.
fn log_files(cluster: &Cluster, node: &str) -> Result<Vec<String>> {
    files(cluster, node, ".log")
}

/// The names of the snapshots of a node, oldest first.
fn snapshots(cluster: &Cluster, node: &str) -> Result<Vec<String>> {
    files(cluster, node, ".snap")
}

fn files(cluster: &Cluster, node: &str, ending: &str) -> Result<Vec<String>> {
    let entries = fs::read_dir(wal(cluster, node))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<String>>>()?;
    names.retain(|name| name.ends_with(ending));
    names.sort_unstable();
    Ok(names)
}
