//! A cluster whose network falls into halves, and becomes one again.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use trellis_tests::{Cluster, Network, Stalls, await_until, skip};

use crate::seen::{await_seen, ensure_no_deaths_but};

#[test]
fn halves_that_were_cut_for_a_minute_are_one_15_s_after_it_with_what_both_wrote() -> Result<()> {
    let network = match Network::lay(2, 3) {
        Ok(network) => network,
        Err(reason) => {
            skip("halves of a cluster cut from each other", &reason);
            return Ok(());
        }
    };
    let mut cluster = Cluster::prepare_on(network)?;
    cluster.found()?;
    cluster.at("n1", &["incr", "total", "1"])?.answer()?;
    for node in NAMES {
        cluster.await_counter(node, "total", 1)?;
    }

    let stalls = Stalls::watch();
    let (cut, minute) = (SystemTime::now(), Instant::now());
    cluster.network().cut()?;
    write_on_both_sides(&cluster)?;
    await_seen(&cluster, &LEFT, &RIGHT, "dead", cut)?;
    await_seen(&cluster, &RIGHT, &LEFT, "dead", cut)?;
    for (node, total) in [("n2", 321), ("n5", 654_001)] {
        cluster.await_counter(node, "total", total)?;
    }
    thread::sleep(CUT.saturating_sub(minute.elapsed()));

    let (healed, healing) = (SystemTime::now(), Instant::now());
    cluster.network().heal()?;
    let mut seen = await_seen(&cluster, &LEFT, &RIGHT, "alive", healed)?;
    seen.extend(await_seen(&cluster, &RIGHT, &LEFT, "alive", healed)?);
    cluster.await_whole()?;
    for node in NAMES {
        cluster.await_counter(node, "total", 654_321)?;
        for (key, value) in [("left", "from n1"), ("right", "from n3")] {
            await_register(&cluster, node, key, value)?;
        }
    }
    println!("all that was written was everywhere after {:.1?}", healing.elapsed());
    for seen in seen {
        seen.ensure_within(ONE_MAX, &stalls)?;
    }
    ensure_no_deaths_but(&cluster, &NAMES, |observer, it| {
        let is_across = LEFT.contains(&observer) != LEFT.contains(&it.member.as_str());
        is_across && it.at >= cut && it.at < healed
    })?;
    cluster.finish()
}

/// Each node adds to one counter, and one of each half sets a register.
fn write_on_both_sides(cluster: &Cluster) -> Result<()> {
    for (node, amount) in [("n1", "20"), ("n2", "300"), ("n3", "4000"), ("n4", "50000"), ("n5", "600000")] {
        cluster.at(node, &["incr", "total", amount])?.answer()?;
    }
    cluster.at("n1", &["set", "left", "from n1"])?.answer()?;
    cluster.at("n3", &["set", "right", "from n3"])?.answer()?;
    Ok(())
}

fn await_register(cluster: &Cluster, node: &str, key: &str, value: &str) -> Result<()> {
    await_until(&format!("{node} shows {value:?} in {key}"), Duration::from_secs(30), || {
        let outcome = cluster.at(node, &["get", key])?;
        let shown = outcome.answer()?;
        ensure!(shown == value, "it shows {shown:?}");
        Ok(Some(()))
    })?;
    Ok(())
}

const NAMES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];
const LEFT: [&str; 2] = ["n1", "n2"];
const RIGHT: [&str; 3] = ["n3", "n4", "n5"];
/// The time itself is the subject: far beyond all time limits of connections and of what is under way.
const CUT: Duration = Duration::from_secs(60);
const ONE_MAX: Duration = Duration::from_secs(15);
