//! A member that dies is suspected and called dead in time, and nobody else is.

use std::time::Duration;

use trellis_swim::Config;

use crate::cluster::{Cluster, SECOND};
use crate::record::What;

#[test]
fn a_crashed_member_is_suspected_by_3_s_and_dead_10_s_after_its_last_word() {
    for count in [2, 3, 8] {
        for seed in 0..40 {
            crash_one(count, 0.0, seed, Config::default());
        }
    }
}

#[test]
fn one_message_in_twenty_lost_changes_neither_the_times_nor_the_verdict() {
    for count in [2, 3, 8] {
        for seed in 1000..1040 {
            crash_one(count, 0.05, seed, Config::default());
        }
    }
}

#[test]
fn in_a_larger_cluster_all_know_at_the_same_time() {
    for (loss, seed) in [(0.0, 7), (0.05, 8), (0.05, 9), (0.2, 10)] {
        crash_one(48, loss, seed, Config::default());
    }
}

#[test]
fn with_the_fast_settings_a_crashed_member_is_dead_after_6_s() {
    for seed in 200..220 {
        crash_one(3, 0.0, seed, Config::fast());
    }
}

#[test]
fn an_address_that_refuses_hastens_nothing_but_the_helpers() {
    let mut cluster = Cluster::joined(3, 7);
    cluster.network.refuses = true;
    crash_and_check(&mut cluster, 7);
    let mut cluster = Cluster::joined(3, 8);
    (cluster.reports_links, cluster.network.refuses) = (true, true);
    crash_and_check(&mut cluster, 8);
}

#[test]
fn a_crash_that_closes_links_is_suspected_within_a_probe_of_it_and_dead_no_sooner() {
    for seed in 0..20 {
        let mut cluster = Cluster::joined(8, seed);
        cluster.reports_links = true;
        let crashed = crash_and_check(&mut cluster, seed);
        let suspected = cluster.record.of(What::Suspected, Duration::ZERO).map(|it| it.at - crashed).min();
        assert!(suspected.is_some_and(|after| after <= SECOND + TICK), "seed {seed}: after {suspected:?}");
    }
}

#[test]
fn a_member_that_comes_back_under_a_higher_epoch_is_up_everywhere_at_once() {
    for (seed, epoch) in [(1, None), (2, None), (3, Some(1))] {
        let mut cluster = Cluster::joined(3, seed);
        cluster.crash(2);
        cluster.run_for(20 * SECOND);
        assert!(cluster.agrees_on_who_runs());
        let epoch = epoch.unwrap_or(cluster.epoch());
        cluster.start_member(2, epoch, false);
        cluster.join(2, &[0]);
        let took = cluster.await_for(3 * SECOND, TICK, Cluster::agrees_all_alive);
        assert!(took.is_some(), "seed {seed}: back with epoch {epoch}");
    }
}

#[test]
fn a_member_that_restarts_before_anyone_noticed_is_never_called_dead() {
    for seed in 0..10 {
        let mut cluster = Cluster::joined(4, seed);
        cluster.reports_links = seed % 2 == 1;
        let restarted = cluster.elapsed();
        cluster.crash(1);
        cluster.run_for(SECOND);
        let epoch = cluster.epoch();
        cluster.start_member(1, epoch, seed % 2 == 0);
        cluster.join(1, &[0]);
        cluster.run_for(30 * SECOND);
        assert!(cluster.agrees_all_alive());
        assert_eq!(cluster.record.deaths_since(restarted), 0);
    }
}

#[test]
fn a_cluster_that_lost_all_power_comes_back_from_the_books_of_its_members() {
    for seed in 0..5 {
        let mut cluster = Cluster::joined(6, seed);
        // One is away while the others go down, and comes back last: it is in the books all the same.
        cluster.crash(5);
        cluster.run_for(20 * SECOND);
        (0..5).for_each(|index| cluster.crash(index));
        cluster.run_for(60 * SECOND);
        for index in 0..6 {
            let epoch = cluster.epoch();
            cluster.start_member(index, epoch, true);
            cluster.run_for(SECOND);
        }
        let took = cluster.await_for(40 * SECOND, TICK, Cluster::agrees_all_alive);
        assert!(took.is_some(), "seed {seed}: no seed was named again");
    }
}

#[test]
fn the_answers_of_one_that_took_over_an_address_are_no_signs_of_life_of_the_dead() {
    for seed in 0..10 {
        // All start in one millisecond, so that their epochs do not tell them apart.
        let mut cluster = Cluster::warm(8, seed, Config::default());
        cluster.run_for(5 * SECOND);
        cluster.crash(7);
        let crashed = cluster.elapsed();
        let (own, taken) = (cluster.nodes[6].addr, cluster.nodes[7].addr);
        cluster.by_addr.remove(&own);
        cluster.by_addr.insert(taken, 6);
        cluster.nodes[6].addr = taken;
        let addr = cluster.addr(6);
        cluster.with(6, |swim, now| swim.update_addr(&addr, now).expect("an address"));
        // News all the time, some of it to the address that was the dead one's.
        for second in 0..12 {
            cluster.with(1, |swim, now| swim.update_meta(vec![second], now).expect("short metadata"));
            cluster.run_for(SECOND);
        }
        assert!(cluster.agrees_on_who_runs(), "seed {seed}");
        cluster.run_for(30 * SECOND);
        assert_eq!(cluster.record.deaths_since(crashed), 7, "seed {seed}: only the dead died");
    }
}

/// It has heard nobody so far, and so is no witness of the life of one that crashed before.
#[test]
fn a_process_that_starts_after_a_crash_does_not_delay_the_verdict() {
    for seed in 0..60 {
        let count = 4 + 2 * (seed as usize % 3);
        let mut cluster = Cluster::warm(count, seed, Config::default());
        let (jitter, pause) = (cluster.random_millis(3000), cluster.random_millis(1000));
        cluster.run_for(10 * SECOND + jitter);
        let crashed = cluster.elapsed();
        let started = if seed % 2 == 0 { count } else { 2 };
        cluster.crash(1);
        if started == 2 {
            cluster.crash(2);
        }
        cluster.run_for(2 * SECOND + pause);
        if started == 2 {
            let epoch = cluster.epoch();
            cluster.start_member(2, epoch, true);
        } else {
            cluster.add(count as u32);
        }
        cluster.join(started, &[0]);
        cluster.run_for(20 * SECOND);
        let name = cluster.name(1).0;
        // The one that started counts from its start, and waits for longer.
        for observer in cluster.running().into_iter().filter(|it| *it != started) {
            let dead = cluster.record.first(observer, name, What::Dead, crashed).map(|dead| dead - crashed);
            assert!(dead.is_some_and(|dead| dead <= 12 * SECOND), "seed {seed}: {observer} after {dead:?}");
        }
    }
}

fn crash_one(count: usize, loss: f64, seed: u64, config: Config) {
    let mut cluster = Cluster::new(seed);
    cluster.config = config;
    cluster.reports_links = seed % 2 == 1;
    for index in 0..count {
        cluster.add(index as u32);
        cluster.join(index, &[0]);
    }
    cluster.run_for(10 * SECOND);
    assert!(cluster.agrees_all_alive(), "the cluster forms");
    cluster.network.loss = loss;
    crash_and_check(&mut cluster, seed);
}

/// Crashes a random member at a random moment and checks what all others say, and when; returns the moment.
fn crash_and_check(cluster: &mut Cluster, seed: u64) -> Duration {
    let jitter = cluster.random_millis(7000);
    cluster.run_for(10 * SECOND + jitter);
    let (victim, crashed) = (cluster.random_index(), cluster.elapsed());
    assert_eq!(cluster.record.deaths_since(Duration::ZERO), 0, "seed {seed}: nobody died yet");
    cluster.crash(victim);
    cluster.run_for(20 * SECOND);
    check_crash(cluster, victim, crashed, seed);
    crashed
}

/// Of a crash some time ago all others know, and came to know in time.
pub(crate) fn check_crash(cluster: &Cluster, victim: usize, crashed: Duration, seed: u64) {
    let name = cluster.name(victim).0;
    let observers = cluster.running();
    let last_word = cluster.record.last_heard(victim);
    let suspected =
        observers.iter().filter_map(|it| cluster.record.first(*it, name, What::Suspected, crashed));
    let after = suspected.min().map(|at| at - crashed);
    // Its predecessor asks it every two intervals, and waits for an answer for one; a bad network makes that longer.
    let bound = if cluster.network.loss == 0.0 { 3 * SECOND } else { 6 * SECOND };
    assert!(after.is_some_and(|after| after <= bound), "seed {seed}: suspected after {after:?}");
    for observer in &observers {
        let dead = cluster.record.first(*observer, name, What::Dead, crashed);
        let dead = dead.unwrap_or_else(|| panic!("seed {seed}: {observer} knows of the death"));
        let silence = dead - last_word;
        assert!(silence >= cluster.config.dead_after, "seed {seed}: dead after {silence:?} of silence");
        let bound = cluster.config.dead_after + 2 * SECOND;
        assert!(dead - crashed <= bound, "seed {seed}: dead {:?} after the crash", dead - crashed);
    }
    let deaths = cluster.record.deaths_since(Duration::ZERO);
    assert_eq!(deaths, observers.len(), "seed {seed}: only the dead died");
}

const TICK: Duration = Duration::from_millis(20);
