//! Nodes that look for their cluster.

use anyhow::Result;
use trellis_tests::{Cluster, Readiness, await_until, free_port};

#[test]
fn a_node_whose_seed_does_not_answer_says_whom_it_waits_for() -> Result<()> {
    let mut cluster = Cluster::prepare(1)?;
    let seed = format!("127.0.0.1:{}", free_port()?);
    let node = cluster.node_mut("n1");
    node.set("seeds", vec![seed.clone()]);
    node.start(&[])?;
    let is_guest = |it: &Readiness| matches!(it, Readiness::NotReady(reason) if reason.contains("guest"));
    node.await_readiness("says that it is a guest", is_guest)?;
    await_until("the log names the seed", std::time::Duration::from_secs(30), || {
        let log = node.log();
        Ok((log.contains("waiting to join") && log.contains(&seed)).then_some(()))
    })?;
    let outcome = cluster.trellis(&["incr", "k"])?;
    assert!(outcome.failure(3)?.contains("hint:"), "{outcome}");
    cluster.finish()
}

#[test]
fn a_guest_joins_as_soon_as_its_seed_is_there() -> Result<()> {
    let mut cluster = Cluster::prepare(2)?;
    cluster.node_mut("n2").start(&[])?;
    cluster.node_mut("n2").await_readiness("answers", |it| matches!(it, Readiness::NotReady(_)))?;
    cluster.node_mut("n1").start(&["--found"])?;
    cluster.await_whole()?;
    cluster.trellis(&["incr", "k", "5"])?.answer()?;
    cluster.await_counter("n2", "k", 5)?;
    cluster.finish()
}

#[test]
fn founding_is_refused_when_a_seed_answers() -> Result<()> {
    let mut cluster = Cluster::prepare(2)?;
    cluster.node_mut("n1").start(&["--found"])?;
    cluster.node_mut("n1").await_ready()?;
    let outcome = cluster.node_mut("n2").start_in_vain(&["--found"])?;
    let message = outcome.failure(2)?;
    assert!(message.contains("answered as n1") && message.contains("without --found"), "{message}");
    cluster.node_mut("n2").start(&[])?;
    cluster.await_whole()?;
    cluster.finish()
}

#[test]
fn clusters_founded_apart_refuse_each_other_and_keep_what_they_have() -> Result<()> {
    let mut cluster = Cluster::prepare(2)?;
    for name in ["n1", "n2"] {
        cluster.node_mut(name).set("seeds", Vec::<String>::new());
        cluster.node_mut(name).start(&[])?;
        cluster.node_mut(name).await_ready()?;
    }
    cluster.at("n1", &["incr", "k", "1"])?.answer()?;
    cluster.at("n2", &["incr", "k", "20"])?.answer()?;
    cluster.node_mut("n2").stop()?;
    let seed = cluster.node("n1").peer_address();
    cluster.node_mut("n2").set("seeds", vec![seed]);
    cluster.node_mut("n2").start(&[])?;
    await_until("one of them says that it refuses the other", std::time::Duration::from_secs(30), || {
        let logs = cluster.node("n1").log() + &cluster.node("n2").log();
        Ok(logs.contains("refused").then_some(()))
    })?;
    cluster.node_mut("n2").await_ready()?;
    assert_eq!((cluster.counter("n1", "k")?, cluster.counter("n2", "k")?), (1, 20));
    assert_ne!(cluster.status("n1")?.founding, cluster.status("n2")?.founding);
    cluster.finish()
}

#[test]
fn a_restart_of_all_nodes_needs_no_founding() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    cluster.trellis(&["incr", "k", "5"])?.answer()?;
    for node in cluster.nodes_mut() {
        node.stop()?;
    }
    for node in cluster.nodes_mut() {
        node.start(&[])?;
    }
    cluster.await_whole()?;
    for node in ["n1", "n2", "n3"] {
        cluster.await_counter(node, "k", 5)?;
    }
    cluster.finish()
}
