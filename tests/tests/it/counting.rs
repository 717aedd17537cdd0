//! One increment, from the command line to every node.

use std::thread;

use anyhow::Result;
use serde_json::Value;
use trellis_tests::Cluster;

#[test]
fn an_increment_at_one_node_is_soon_read_at_another() -> Result<()> {
    let cluster = Cluster::start(3)?;
    assert_eq!(cluster.trellis(&["incr", "counter1", "5"])?.answer()?, "5");
    let elapsed = cluster.await_counter("n3", "counter1", 5)?;
    println!("n3 showed it {elapsed:.1?} after the answer, the start of the command included");

    assert_eq!(cluster.at("n2", &["decr", "counter1", "2"])?.answer()?, "3");
    cluster.await_counter("n1", "counter1", 3)?;
    cluster.finish()
}

#[test]
fn status_shows_every_member_alive_and_parses() -> Result<()> {
    let cluster = Cluster::start(3)?;
    let status = cluster.status("n1")?;
    let names: Vec<&str> = status.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["n1", "n2", "n3"]);
    assert_eq!(status.count("alive"), 3);
    assert!(status.members.iter().all(|member| !member.is_guest), "{status:?}");
    for other in ["n2", "n3"] {
        let theirs = cluster.status(other)?;
        assert_eq!((&theirs.cluster_id, &theirs.founding), (&status.cluster_id, &status.founding));
    }
    let plain = cluster.trellis(&["status"])?.answer()?.to_owned();
    assert!(plain.contains("3/3 alive"), "{plain}");
    cluster.finish()
}

#[test]
fn concurrent_increments_and_decrements_of_all_nodes_add_up() -> Result<()> {
    let cluster = Cluster::start(3)?;
    thread::scope(|scope| {
        let writers = ["n1", "n2", "n3"].map(|node| {
            let cluster = &cluster;
            scope.spawn(move || -> Result<()> {
                for _ in 0..10 {
                    cluster.at(node, &["incr", "stock", "7"])?.answer()?;
                    cluster.at(node, &["decr", "stock", "2"])?.answer()?;
                }
                Ok(())
            })
        });
        writers.into_iter().try_for_each(|writer| writer.join().expect("a writer returns its errors"))
    })?;
    for node in ["n1", "n2", "n3"] {
        cluster.await_counter(node, "stock", 150)?;
    }
    cluster.finish()
}

#[test]
fn registers_keys_and_deletions_reach_every_node() -> Result<()> {
    let cluster = Cluster::start(2)?;
    cluster.at("n1", &["set", "greeting", "hello"])?.answer()?;
    cluster.at("n1", &["incr", "visits"])?.answer()?;
    cluster.await_counter("n2", "visits", 1)?;

    let greeting: Value = cluster.at("n2", &["get", "greeting", "-o", "json"])?.json()?;
    assert_eq!(greeting["value"], "hello");
    assert_eq!(greeting["kind"], "lww-register");
    let mut keys: Vec<String> = cluster.at("n2", &["keys"])?.answer()?.lines().map(str::to_owned).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["greeting", "visits"]);

    assert_eq!(cluster.at("n2", &["del", "greeting", "visits", "nothing"])?.answer()?, "2");
    let gone = trellis_tests::await_until("n1 has no greeting", std::time::Duration::from_secs(30), || {
        let outcome = cluster.at("n1", &["get", "greeting"])?;
        Ok((outcome.code == Some(1)).then_some(outcome))
    });
    assert_eq!(gone?.0.stdout, "");
    cluster.finish()
}
