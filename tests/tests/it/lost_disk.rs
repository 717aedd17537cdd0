//! A node whose disk is lost.

use anyhow::Result;
use trellis_tests::Cluster;

#[test]
fn a_wiped_node_comes_back_under_its_name_with_everything_and_a_new_identity() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    for (node, amount) in [("n1", "5"), ("n2", "20"), ("n3", "300")] {
        cluster.at(node, &["incr", "counter1", amount])?.answer()?;
    }
    cluster.at("n3", &["set", "greeting", "hello"])?.answer()?;
    for node in ["n1", "n2", "n3"] {
        cluster.await_counter(node, "counter1", 325)?;
    }
    let lost = cluster.status("n3")?.member("n3")?.clone();

    cluster.node_mut("n3").kill()?;
    cluster.node_mut("n3").wipe()?;
    assert_eq!(cluster.at("n1", &["incr", "counter1"])?.answer()?, "326");
    cluster.node_mut("n3").start(&[])?;
    let elapsed = cluster.node_mut("n3").await_ready()?;
    println!("ready {elapsed:.1?} after its start");
    let log = cluster.node("n3").log();
    assert!(log.contains("joining as a guest"), "it has nothing to serve yet: {log}");

    cluster.await_counter("n3", "counter1", 326)?;
    assert_eq!(cluster.at("n3", &["get", "greeting"])?.answer()?, "hello");
    assert_eq!(cluster.at("n3", &["incr", "counter1", "4000"])?.answer()?, "4326");
    for node in ["n1", "n2"] {
        cluster.await_counter(node, "counter1", 4326)?;
    }
    cluster.await_whole()?;
    for node in ["n1", "n2", "n3"] {
        let status = cluster.status(node)?;
        let member = status.member("n3")?;
        assert_eq!(status.members.len(), 3, "{status:?}");
        assert_ne!(member.node_id, lost.node_id);
        assert_ne!(member.replica_id, lost.replica_id);
        assert!(!member.is_guest);
    }
    cluster.finish()
}

#[test]
fn the_last_node_with_the_data_gives_it_to_two_wiped_ones() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    assert_eq!(cluster.at("n1", &["incr", "counter1", "5"])?.answer()?, "5");
    cluster.await_counter("n3", "counter1", 5)?;
    for name in ["n1", "n2"] {
        cluster.node_mut(name).stop()?;
        cluster.node_mut(name).wipe()?;
    }
    for name in ["n1", "n2"] {
        cluster.node_mut(name).start(&[])?;
    }
    cluster.await_whole()?;
    for name in ["n1", "n2", "n3"] {
        cluster.await_counter(name, "counter1", 5)?;
    }
    cluster.finish()
}
