//! P17: each rule is missed when it is off. In a build with `--cfg trellis_fault` only.
#![cfg(trellis_fault)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trellis_swim::fault::{RULES, TIMING_RULES, switch_off};
use trellis_swim::{Config, State};

use crate::cluster::{Cluster, SECOND};
use crate::record::What;

#[path = "simulation/agenda.rs"]
mod agenda;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "simulation/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "simulation/name.rs"]
mod name;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/node.rs"]
mod node;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "simulation/record.rs"]
mod record;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "simulation/tap.rs"]
mod tap;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "simulation/view.rs"]
mod view;

/// One test, as what is switched off is so for the whole process.
#[test]
fn every_rule_is_missed_when_it_is_off() {
    assert_eq!(failures(None), BTreeSet::new(), "with all rules on");
    for rule in RULES.iter().chain(TIMING_RULES) {
        let noticed = failures(Some(rule));
        println!("{rule}: {noticed:?}");
        assert!(!noticed.is_empty(), "nothing notices that this is off: {rule}");
    }
    assert!(switch_off(None));
}

/// Runs all checks with a rule off and names those that fail.
fn failures(rule: Option<&str>) -> BTreeSet<&'static str> {
    assert!(switch_off(rule));
    CHECKS.iter().filter(|(_, holds)| !holds()).map(|(name, _)| *name).collect()
}

type Check = fn() -> bool;

const CHECKS: &[(&str, Check)] = &[
    ("who wakes is alive to all again", who_wakes_is_alive_again),
    ("nobody dies of lost messages", nobody_dies_of_lost_messages),
    ("a partition heals", a_partition_heals),
    ("nobody dies of the healing", nobody_dies_of_the_healing),
    ("sleepers harm nobody", sleepers_harm_nobody),
    ("a partition heals at once", a_partition_heals_at_once),
    ("the living are soon cleared", the_living_are_soon_cleared),
    ("all agree though much is lost", all_agree_though_much_is_lost),
    ("the dead are soon suspected", the_dead_are_soon_suspected),
    ("of many dead each is soon suspected", of_many_dead_each_is_soon_suspected),
    ("nobody is dead before his time", nobody_is_dead_before_his_time),
    ("all know in time", all_know_in_time),
    ("all know in time far away", all_know_in_time_far_away),
];

fn who_wakes_is_alive_again() -> bool {
    let mut cluster = Cluster::warm(5, 1, Config::default());
    cluster.run_for(3 * SECOND);
    cluster.pause(3, 20 * SECOND);
    cluster.run_for(20 * SECOND);
    cluster.await_for(3 * SECOND, TICK, Cluster::agrees_all_alive).is_some()
}

fn nobody_dies_of_lost_messages() -> bool {
    let mut cluster = Cluster::warm(8, 5, Config::default());
    cluster.network.loss = 0.2;
    cluster.run_for(300 * SECOND);
    cluster.record.deaths_since(Duration::ZERO) == 0
}

fn a_partition_heals() -> bool {
    healed().all(|(took, _)| took <= 15 * SECOND)
}

fn nobody_dies_of_the_healing() -> bool {
    healed().all(|(_, deaths)| deaths == 0)
}

/// From the first contact on: all that were called dead are told so at once.
fn a_partition_heals_at_once() -> bool {
    let times: Vec<_> = healed().map(|(took, _)| took).collect();
    println!("healed after {:?} on average", times.iter().sum::<Duration>() / 6);
    times.iter().sum::<Duration>() / 6 <= Duration::from_millis(HEALED_AFTER)
}

/// How long some partitions took to heal, and how many were called dead after it.
fn healed() -> impl Iterator<Item = (Duration, usize)> {
    (0..6).map(|seed| {
        let mut cluster = Cluster::warm(24, seed, Config::default());
        cluster.run_for(3 * SECOND);
        cluster.network.split_at(12);
        cluster.run_for(40 * SECOND);
        cluster.network.heal();
        let healed = cluster.elapsed();
        let took = cluster.await_for(15 * SECOND, TICK, Cluster::agrees_all_alive);
        cluster.run_for(20 * SECOND);
        (took.unwrap_or(60 * SECOND), cluster.record.deaths_since(healed))
    })
}

/// One sleeps for long enough to be suspected; while it wakes and refutes that, others sleep through the end of its time.
fn sleepers_harm_nobody() -> bool {
    (0..12).all(|seed| {
        let mut cluster = Cluster::warm(8, seed, Config::default());
        cluster.run_for(5 * SECOND);
        cluster.pause(0, 9 * SECOND);
        cluster.run_for(8 * SECOND);
        (1..5).for_each(|index| cluster.pause(index, 9 * SECOND));
        cluster.run_for(30 * SECOND);
        cluster.record.deaths_since(Duration::ZERO) == 0
    })
}

/// Suspects are told first and soon, by several: how long the living stay suspected, on average.
fn the_living_are_soon_cleared() -> bool {
    let (mut sum, mut count) = (Duration::ZERO, 0);
    for seed in 0..4 {
        let mut cluster = Cluster::warm(96, seed, Config::default());
        cluster.network.loss = 0.2;
        cluster.run_for(40 * SECOND);
        let mut since = BTreeMap::new();
        for it in &cluster.record.happened {
            match it.what {
                What::Suspected => drop(since.insert((it.observer, it.subject), it.at)),
                What::Refuted => {
                    sum += it.at - since[&(it.observer, it.subject)];
                    count += 1;
                }
                _ => {}
            }
        }
    }
    let average = sum / count.max(1);
    println!("{count} suspicions were refuted after {average:?} on average");
    count > 0 && average <= Duration::from_millis(REFUTED_AFTER)
}

fn all_agree_though_much_is_lost() -> bool {
    (0..3).all(|seed| {
        let mut cluster = Cluster::new(seed);
        cluster.network.loss = 0.2;
        for name in 0..96 {
            let index = cluster.add(name);
            cluster.join(index, &[0]);
            cluster.run_for(SECOND / 96);
        }
        let knows_all = |cluster: &Cluster| {
            let up =
                |index: &usize| cluster.member(*index).members().filter(|it| it.state != State::Dead).count();
            cluster.running().iter().all(|index| up(index) == 96)
        };
        cluster.await_for(20 * SECOND, TICK, knows_all).is_some()
    })
}

fn the_dead_are_soon_suspected() -> bool {
    (0..12).all(|seed| crash(64, seed, &Config::default()).suspected <= 3 * SECOND)
}

/// A third fails at one moment, predecessors with those that they precede.
fn of_many_dead_each_is_soon_suspected() -> bool {
    let (mut sum, mut count) = (Duration::ZERO, 0);
    for seed in 0..8 {
        let mut cluster = Cluster::warm(96, seed, Config::default());
        cluster.run_for(5 * SECOND);
        let crashed = cluster.elapsed();
        (0..32).for_each(|victim| cluster.crash(victim));
        cluster.run_for(WINDOW);
        for victim in 0..32 {
            let of = |what| cluster.record.of(what, crashed).filter(move |it| it.subject == victim);
            sum += of(What::Suspected).map(|it| it.at - crashed).min().unwrap_or(WINDOW);
            count += 1;
        }
    }
    println!("of many dead each was suspected after {:?} on average", sum / count);
    sum / count <= Duration::from_millis(SUSPECTED_AFTER)
}

fn nobody_is_dead_before_his_time() -> bool {
    (0..10).all(|seed| !crash(8, seed, &Config::default()).is_early)
}

fn all_know_in_time() -> bool {
    (0..8).all(|seed| crash(64, seed, &Config::default()).all_know <= 12 * SECOND)
}

/// With round trips of 100 to 300 ms.
fn all_know_in_time_far_away() -> bool {
    (0..6).all(|seed| {
        let mut cluster = Cluster::warm(8, seed, Config::default());
        cluster.network.delay = 50_000..150_000;
        crash_in(&mut cluster).all_know <= 12 * SECOND
    })
}

/// How one crash was noticed.
struct Crash {
    suspected: Duration,
    all_know: Duration,
    is_early: bool,
}

fn crash(count: usize, seed: u64, config: &Config) -> Crash {
    let mut cluster = Cluster::warm(count, seed, config.clone());
    cluster.network.loss = 0.05;
    crash_in(&mut cluster)
}

fn crash_in(cluster: &mut Cluster) -> Crash {
    let (jitter, count) = (cluster.random_millis(2000), cluster.count());
    cluster.run_for(5 * SECOND + jitter);
    let (victim, crashed) = (cluster.random_index(), cluster.elapsed());
    cluster.crash(victim);
    cluster.run_for(WINDOW);
    let subject = cluster.name(victim).0;
    let at = |what| cluster.record.of(what, crashed).filter(|it| it.subject == subject).map(|it| it.at);
    let in_time = cluster.record.last_heard(victim) + cluster.config.dead_after;
    let is_complete = at(What::Dead).count() == count - 1;
    Crash {
        suspected: at(What::Suspected).min().map_or(WINDOW, |at| at - crashed),
        all_know: at(What::Dead).max().filter(|_| is_complete).map_or(WINDOW, |at| at - crashed),
        is_early: at(What::Dead).any(|at| at < in_time),
    }
}

/// In milliseconds. With all rules on it is 950; without the buddy system, 1,750.
const HEALED_AFTER: u64 = 1300;
/// In milliseconds. With all rules on it is 192; without probes out of turn, 224.
const REFUTED_AFTER: u64 = 210;
/// In milliseconds. With all rules on it is 2,407; with turns in a fixed order, 3,373.
const SUSPECTED_AFTER: u64 = 2800;
const TICK: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_secs(30);
