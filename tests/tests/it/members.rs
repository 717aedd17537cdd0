//! A member that goes away and comes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use trellis_tests::{Cluster, await_until};

#[test]
fn a_killed_node_is_suspected_then_dead_and_right_again_soon_after_its_return() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    cluster.trellis(&["incr", "counter1", "5"])?.answer()?;
    cluster.await_counter("n2", "counter1", 5)?;

    cluster.node_mut("n2").kill()?;
    let killed = Instant::now();
    assert_eq!(cluster.at("n1", &["incr", "counter1"])?.answer()?, "6");
    cluster.await_counter("n3", "counter1", 6)?;
    assert_eq!(cluster.at("n3", &["incr", "counter1"])?.answer()?, "7");
    cluster.await_counter("n1", "counter1", 7)?;

    let (state, suspected) = await_change(&cluster, "n1", "n2", "alive")?;
    assert_eq!(state, "suspect");
    let (state, dead) = await_change(&cluster, "n1", "n2", "suspect")?;
    assert_eq!(state, "dead");
    let (suspected, dead) = (suspected.duration_since(killed), dead.duration_since(killed));
    println!("suspected {suspected:.1?} and dead {dead:.1?} after the kill");
    ensure!(dead <= DEAD_MAX, "{dead:.1?} is too late");
    assert_eq!(cluster.trellis(&["incr", "counter1"])?.answer()?, "8");

    cluster.node_mut("n2").start(&[])?;
    cluster.node_mut("n2").await_ready()?;
    let elapsed = cluster.await_counter("n2", "counter1", 8)?;
    println!("right {elapsed:.1?} after it was ready");
    ensure!(elapsed <= RIGHT_MAX, "{elapsed:.1?} is too late");
    cluster.await_whole()?;
    cluster.finish()
}

#[test]
fn what_a_node_wrote_alone_is_not_lost_with_the_others_away() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    cluster.node_mut("n1").stop()?;
    cluster.node_mut("n2").stop()?;
    assert_eq!(cluster.at("n3", &["incr", "alone", "9"])?.answer()?, "9");
    cluster.node_mut("n3").kill()?;

    for name in ["n1", "n2", "n3"] {
        cluster.node_mut(name).start(&[])?;
    }
    cluster.await_whole()?;
    for node in ["n1", "n2", "n3"] {
        cluster.await_counter(node, "alone", 9)?;
    }
    cluster.finish()
}

#[test]
fn a_node_is_told_to_leave_and_comes_back() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    cluster.trellis(&["incr", "k", "5"])?.answer()?;
    let refused = cluster.trellis(&["member", "leave", "n2"])?;
    assert!(refused.failure(4)?.contains("hint: use a certificate of another role"), "{refused}");
    let listed: serde_json::Value = cluster.at("n1", &["member", "ls", "-o", "json"])?.json()?;
    let members = listed["members"].as_array().context("members are listed")?;
    assert!(members.iter().all(|member| member["state"] == "alive"), "{listed}");
    let watched = cluster.at("n1", &["member", "watch", "--for", "1s"])?;
    assert_eq!(watched.answer()?, "n1 is alive\nn2 is alive\nn3 is alive", "{watched}");

    let files = cluster.tls_files("boss");
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let (cert, key) = (path(&files.cert), path(&files.key));
    let told = cluster.trellis(&["member", "leave", "n2", "--cert", &cert, "--key", &key])?;
    assert_eq!(told.answer()?, "n2 leaves");
    assert!(cluster.node_mut("n2").await_exit()?.success());
    for node in ["n1", "n3"] {
        cluster.await_status(node, "n2 has left", |status| status.count("left") == 1)?;
    }
    assert_eq!(cluster.trellis(&["incr", "k", "6"])?.answer()?, "11");
    cluster.node_mut("n2").start(&[])?;
    cluster.await_whole()?;
    cluster.await_counter("n2", "k", 11)?;
    cluster.finish()
}

/// Waits until `observer` no longer sees `member` in `state`, and returns what it sees after that, and when.
fn await_change(cluster: &Cluster, observer: &str, member: &str, state: &str) -> Result<(String, Instant)> {
    let what = format!("{observer} sees {member} other than {state}");
    let (seen, _) = await_until(&what, Duration::from_secs(30), || {
        let seen = cluster.status(observer)?.member(member)?.state.clone();
        Ok((seen != state).then_some(seen))
    })?;
    Ok((seen, Instant::now()))
}

/// Dead comes 10 s after the last evidence of life; the rest is for the probe in course and for a busy machine.
const DEAD_MAX: Duration = Duration::from_secs(20);
/// A member that returns is right within 2 s; the rest is for a busy machine. The timer of anti-entropy takes 60 s.
const RIGHT_MAX: Duration = Duration::from_secs(10);
