//! Nodes that fall silent: one for good, one for a while.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use trellis_rpc::{Client, ClientConfig, Endpoint};
use trellis_tests::{Cluster, Stalls, await_until};

use crate::seen::{await_seen, ensure_no_deaths_but};

#[test]
fn a_killed_node_is_suspected_within_6_s_and_dead_after_10_to_12_5_s_everywhere() -> Result<()> {
    let mut cluster = Cluster::start(NAMES.len())?;
    let stalls = Stalls::watch();
    let heard = await_heard(&cluster, "n1", SILENT)?;
    let killed = SystemTime::now();
    cluster.node_mut(SILENT).kill()?;
    println!("killed {:.3?} after it was heard", killed.duration_since(heard)?);

    let dead = await_seen(&cluster, &OTHERS, &[SILENT], "dead", killed)?;
    let suspected = await_seen(&cluster, &OTHERS, &[SILENT], "suspect", killed)?;
    for seen in suspected {
        seen.ensure_within(SUSPECTED_MAX, &stalls)?;
    }
    for seen in dead {
        seen.ensure_not_before(heard + DEAD_MIN)?;
        seen.ensure_within(DEAD_MAX, &stalls)?;
    }
    ensure_no_deaths_but(&cluster, &OTHERS, |_, it| it.member == SILENT && it.at >= killed)?;
    cluster.finish()
}

#[test]
fn a_paused_node_is_alive_everywhere_3_s_after_it_wakes_and_nobody_else_was_dead() -> Result<()> {
    let mut cluster = Cluster::start(NAMES.len())?;
    let stalls = Stalls::watch();
    let (paused, pause) = (SystemTime::now(), Instant::now());
    cluster.node_mut(SILENT).pause()?;
    await_seen(&cluster, &OTHERS, &[SILENT], "dead", paused)?;
    thread::sleep(PAUSE.saturating_sub(pause.elapsed()));

    let woken = SystemTime::now();
    cluster.node_mut(SILENT).wake()?;
    for seen in await_seen(&cluster, &OTHERS, &[SILENT], "alive", woken)? {
        seen.ensure_within(ALIVE_MAX, &stalls)?;
    }
    cluster.await_whole()?;
    ensure_no_deaths_but(&cluster, &NAMES, |observer, it| {
        observer != SILENT && it.member == SILENT && it.at >= paused && it.at < woken
    })?;
    cluster.finish()
}

/// Waits until `observer` has heard `member` a moment ago, and returns when that was, or a little earlier.
///
/// Ten seconds of silence begin when a member was heard for the last time, not with its death: that is to say almost the
/// same for a member that is killed now.
fn await_heard(cluster: &Cluster, observer: &str, member: &str) -> Result<SystemTime> {
    let node = Some(observer.to_owned());
    let endpoint = Endpoint { address: cluster.node(observer).client_address(), node };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let client = Client::new(vec![endpoint], Arc::new(cluster.tls("app")?), ClientConfig::default());
    let (heard, _) = await_until(&format!("{observer} hears {member}"), Duration::from_secs(30), || {
        let asked = SystemTime::now();
        let status = runtime.block_on(client.cluster_status())?.body;
        let member = status.members.iter().find(|it| it.name == member).context("it is no member")?;
        let age = Duration::from_millis(member.last_heard_millis.context("it was never heard")?);
        Ok((age <= HEARD_AGE_MAX).then(|| asked - age - MILLISECOND))
    })?;
    Ok(heard)
}

const NAMES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];
const SILENT: &str = "n3";
const OTHERS: [&str; 4] = ["n1", "n2", "n4", "n5"];
const SUSPECTED_MAX: Duration = Duration::from_secs(6);
/// Well below a probe interval, and well above what it takes to ask.
const HEARD_AGE_MAX: Duration = Duration::from_millis(20);
/// The unit in which ages are told, rounded down.
const MILLISECOND: Duration = Duration::from_millis(1);
const DEAD_MIN: Duration = Duration::from_secs(10);
const DEAD_MAX: Duration = Duration::from_millis(12_500);
/// The time itself is the subject: long enough to be dead for all others, and short enough to keep all connections.
const PAUSE: Duration = Duration::from_secs(20);
const ALIVE_MAX: Duration = Duration::from_secs(3);
