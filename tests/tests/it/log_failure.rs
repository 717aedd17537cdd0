//! A node whose log cannot be written any more.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use trellis_tests::{Cluster, Readiness, await_until};

/// The folder of the log is moved away under the running node: what is open stays open, the next segment cannot be made.
#[test]
fn a_node_whose_log_fails_says_so_and_refuses_writes_while_durable_keys_can_be_read() -> Result<()> {
    let mut cluster = Cluster::prepare(2)?;
    cluster.node_mut("n1").set("wal.record_bytes_max", "2MiB");
    cluster.node_mut("n1").set("wal.batch_bytes_max", "3MiB");
    cluster.node_mut("n1").set("wal.segment_bytes", "4MiB");
    cluster.found()?;
    cluster.at("n1", &["incr", "k", "5"])?.answer()?;
    cluster.await_counter("n2", "k", 5)?;

    let wal = cluster.node("n1").data_dir().join("wal");
    let aside = wal.with_extension("aside");
    fs::rename(&wal, &aside)?;
    let value = "x".repeat(100 << 10);
    let (refused, _) = await_until("a write is refused", Duration::from_secs(60), || {
        let outcome = cluster.at("n1", &["set", "filler", &value])?;
        Ok((outcome.code != Some(0)).then_some(outcome))
    })?;
    assert!(refused.stderr.contains("log") && refused.stderr.contains("failed"), "{refused}");

    let is_failed =
        |it: &Readiness| matches!(it, Readiness::NotReady(reason) if reason.contains("log failed"));
    cluster.node_mut("n1").await_readiness("says that its log failed", is_failed)?;
    let refused = cluster.at("n1", &["incr", "k"])?;
    assert!(refused.failure(3)?.contains("log of this node failed"), "{refused}");
    assert_eq!(cluster.counter("n1", "k")?, 5);
    assert!(cluster.node("n1").log().contains("the log failed"));
    assert_eq!(cluster.at("n2", &["incr", "k"])?.answer()?, "6");

    cluster.node_mut("n1").terminate()?;
    let status = cluster.node_mut("n1").await_exit()?;
    assert!(!status.success(), "a node whose log failed does not claim success");
    fs::rename(&aside, &wal)?;
    cluster.node_mut("n1").start(&[])?;
    cluster.await_whole()?;
    cluster.await_counter("n1", "k", 6)?;
    cluster.finish()
}
