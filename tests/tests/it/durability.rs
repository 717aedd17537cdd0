//! What a write is promised, and when.

use std::time::Duration;

use anyhow::Result;
use trellis_rpc::{Durability, WriteOptions};
use trellis_tests::{Cluster, await_until};

use crate::load::{Load, await_agreement};

#[test]
fn a_write_for_three_replicas_times_out_while_one_is_away_and_stands() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    assert_eq!(cluster.trellis(&["incr", "k", "--replicas", "3"])?.answer()?, "1");
    cluster.node_mut("n3").kill()?;
    assert_eq!(cluster.at("n1", &["incr", "k", "--replicas", "2"])?.answer()?, "2");

    let outcome = cluster.at("n1", &["incr", "k", "--replicas", "3"])?;
    let message = outcome.failure(6)?;
    assert!(message.contains("2 of 3 nodes hold the write"), "{message}");
    assert!(message.contains("stands"), "{message}");
    assert!(message.contains("hint:"), "{message}");
    for node in ["n1", "n2"] {
        cluster.await_counter(node, "k", 3)?;
    }

    let outcome = cluster.at("n1", &["-o", "json", "incr", "k", "--replicas", "3"])?;
    let error = outcome.failure_json(6)?;
    assert_eq!(error["error"]["reason"], "REPLICA_WAIT_TIMEOUT");

    cluster.node_mut("n3").start(&[])?;
    cluster.node_mut("n3").await_ready()?;
    cluster.await_counter("n3", "k", 4)?;
    assert_eq!(cluster.at("n1", &["incr", "k", "--replicas", "3", "--timeout", "30s"])?.answer()?, "5");
    cluster.finish()
}

#[test]
fn a_write_for_more_replicas_than_there_are_nodes_says_how_many_hold_it() -> Result<()> {
    let cluster = Cluster::start(1)?;
    let outcome = cluster.trellis(&["incr", "k", "--replicas", "2"])?;
    assert!(outcome.failure(6)?.contains("1 of 2 nodes hold the write"), "{outcome}");
    assert_eq!(cluster.counter("n1", "k")?, 1);
    cluster.finish()
}

#[test]
fn writes_answered_from_memory_are_logged_and_survive_a_graceful_stop() -> Result<()> {
    let mut cluster = Cluster::start(1)?;
    let options = WriteOptions { durability: Durability::Memory, ..WriteOptions::default() };
    let load = Load::start(&mut cluster, "total", 8, options)?;
    load.await_acknowledged(500)?;
    let tally = load.finish()?;
    assert_eq!(tally.acknowledged, tally.attempted);
    assert_eq!(
        cluster.trellis(&["incr", "total", "--durability", "memory"])?.answer()?,
        format!("{}", tally.attempted + 1)
    );
    let node = cluster.node_mut("n1");
    node.stop()?;
    node.start(&[])?;
    node.await_ready()?;
    assert_eq!(cluster.counter("n1", "total")?, tally.attempted + 1);
    cluster.finish()
}

#[test]
fn what_was_read_is_durable_even_if_it_was_written_to_memory() -> Result<()> {
    let mut cluster = Cluster::start(1)?;
    cluster.trellis(&["incr", "k", "7", "--durability", "memory"])?.answer()?;
    assert_eq!(cluster.counter("n1", "k")?, 7);
    let node = cluster.node_mut("n1");
    node.kill()?;
    node.start(&[])?;
    node.await_ready()?;
    assert_eq!(cluster.counter("n1", "k")?, 7);
    cluster.finish()
}

#[test]
fn a_load_written_to_memory_agrees_on_every_node() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    let options = WriteOptions { durability: Durability::Memory, ..WriteOptions::default() };
    let load = Load::start(&mut cluster, "total", 32, options)?;
    load.await_acknowledged(1000)?;
    let tally = load.finish()?;
    let total = await_agreement(&cluster, "total", &["n1", "n2", "n3"], tally)?;
    assert_eq!(total, tally.acknowledged);
    await_until("every node has converged", Duration::from_secs(30), || {
        Ok(cluster.status("n1")?.converged.then_some(()))
    })?;
    cluster.finish()
}
