//! Every node at once.

use anyhow::Result;
use trellis_rpc::WriteOptions;
use trellis_tests::Cluster;

use crate::load::{Load, await_agreement};

#[test]
fn nothing_acknowledged_is_lost_when_all_nodes_are_killed_under_load() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    let load = Load::start(&mut cluster, "total", 32, WriteOptions::default())?;
    load.await_acknowledged(1000)?;
    for node in cluster.nodes_mut() {
        node.kill()?;
    }
    let tally = load.finish()?;

    for node in cluster.nodes_mut() {
        node.start(&[])?;
    }
    cluster.await_whole()?;
    let total = await_agreement(&cluster, "total", &["n1", "n2", "n3"], tally)?;

    assert_eq!(cluster.at("n2", &["incr", "total"])?.answer()?, (total + 1).to_string());
    for node in ["n1", "n3"] {
        cluster.await_counter(node, "total", total + 1)?;
    }
    cluster.finish()
}

#[test]
fn one_node_killed_under_load_catches_up_while_the_load_goes_on() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    let load = Load::start(&mut cluster, "total", 32, WriteOptions::default())?;
    load.await_acknowledged(300)?;
    cluster.node_mut("n2").kill()?;
    load.await_acknowledged(1000)?;
    cluster.node_mut("n2").start(&[])?;
    cluster.node_mut("n2").await_ready()?;
    let tally = load.finish()?;
    cluster.await_whole()?;
    await_agreement(&cluster, "total", &["n1", "n2", "n3"], tally)?;
    cluster.finish()
}
