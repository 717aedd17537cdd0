//! A node that is asked to stop.

use std::net::{Ipv4Addr, TcpStream};

use anyhow::Result;
use trellis_rpc::WriteOptions;
use trellis_tests::Cluster;

use crate::load::{Load, await_agreement};

#[test]
fn a_stop_under_load_is_graceful_and_loses_nothing() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    let load = Load::start(&mut cluster, "total", 32, WriteOptions::default())?;
    load.await_acknowledged(300)?;
    cluster.node_mut("n2").stop()?;
    load.await_acknowledged(600)?;
    let tally = load.finish()?;

    let log = cluster.node("n2").log();
    assert!(log.contains("SIGTERM") && log.trim_end().ends_with("stopped"), "{log}");
    cluster.node_mut("n2").start(&[])?;
    cluster.await_whole()?;
    await_agreement(&cluster, "total", &["n1", "n2", "n3"], tally)?;
    cluster.finish()
}

#[test]
fn a_node_that_stopped_has_left_and_its_ports_are_free() -> Result<()> {
    let mut cluster = Cluster::start(2)?;
    cluster.node_mut("n2").stop()?;
    cluster.await_status("n1", "n1 sees n2 left", |status| status.count("left") == 1)?;
    let ports = cluster.node("n2").ports();
    for port in [ports.client, ports.peer, ports.status] {
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "{port} is open");
    }
    let outcome = cluster.at("n2", &["get", "k"])?;
    assert!(outcome.failure(3)?.contains("hint:"), "{outcome}");
    cluster.node_mut("n2").start(&[])?;
    cluster.await_whole()?;
    cluster.finish()
}

#[test]
fn a_guest_that_waits_can_be_stopped() -> Result<()> {
    let mut cluster = Cluster::prepare(2)?;
    cluster.node_mut("n2").start(&[])?;
    cluster
        .node_mut("n2")
        .await_readiness("answers", |it| matches!(it, trellis_tests::Readiness::NotReady(_)))?;
    cluster.node_mut("n2").stop()?;
    cluster.finish()
}
