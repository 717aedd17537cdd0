//! Partitions, pauses and cuts: nobody healthy is called dead, and all is whole again when they end.

use std::time::Duration;

use trellis_swim::{Config, State};

use crate::cluster::{Cluster, SECOND};
use crate::record::What;

/// P8: a partition heals without a further death.
#[test]
fn a_healed_partition_is_whole_again_in_seconds_without_a_further_death() {
    for count in [2, 3, 8, 16] {
        for seed in 0..8 {
            let mut cluster = Cluster::joined(count, seed);
            cluster.reports_links = seed % 2 == 1;
            cluster.network.split_at(count / 2);
            cluster.run_for(60 * SECOND);
            assert_eq!(cluster.state_at(0, count - 1), Some(State::Dead), "the halves gave each other up");
            cluster.network.heal();
            let healed = cluster.elapsed();
            let took = cluster.await_for(15 * SECOND, TICK, Cluster::agrees_all_alive);
            assert!(took.is_some(), "{count} members, seed {seed}: whole within 15 s");
            cluster.run_for(60 * SECOND);
            assert!(cluster.agrees_all_alive(), "{count} members, seed {seed}: whole for good");
            assert_eq!(cluster.record.deaths_since(healed), 0, "{count} members, seed {seed}");
        }
    }
}

/// P8 for one member alone: what it thought of the others while it was cut off kills none of them later.
#[test]
fn one_that_was_cut_off_is_whole_again_in_seconds_and_has_nobody_called_dead() {
    for (count, seconds, seed) in [(48, 12, 0), (48, 13, 1), (48, 18, 2), (96, 14, 3), (96, 25, 4)] {
        let mut cluster = Cluster::warm(count, seed, Config::default());
        cluster.run_for(5 * SECOND);
        cluster.network.split_at(1);
        cluster.run_for(seconds * SECOND);
        cluster.network.heal();
        let healed = cluster.elapsed();
        let took = cluster.await_for(15 * SECOND, TICK, Cluster::agrees_all_alive);
        assert!(took.is_some(), "{count} members, {seconds} s: whole within 15 s");
        cluster.run_for(60 * SECOND);
        let others = cluster.record.of(What::Dead, healed).filter(|it| it.observer != 0 && it.subject != 0);
        assert_eq!(others.count(), 0, "{count} members, {seconds} s: those that were never cut off");
    }
}

#[test]
fn a_paused_member_is_alive_again_everywhere_soon_after_it_wakes() {
    for seed in 0..10 {
        let mut cluster = Cluster::joined(5, seed);
        cluster.reports_links = seed % 2 == 1;
        cluster.pause(3, 20 * SECOND);
        cluster.run_for(20 * SECOND);
        assert_eq!(cluster.state_at(0, 3), Some(State::Dead));
        let took = cluster.await_for(3 * SECOND, TICK, Cluster::agrees_all_alive);
        assert!(took.is_some(), "seed {seed}: alive within 3 s of waking");
        let others = cluster.record.of(What::Dead, Duration::ZERO).filter(|it| it.subject != 3);
        assert_eq!(others.count(), 0, "seed {seed}: nobody else was called dead");
    }
}

/// P6: a paused observer causes no healthy member to be called dead by anyone.
#[test]
fn pauses_of_any_length_make_nobody_call_a_healthy_member_dead() {
    for seed in 0..12 {
        let mut cluster = Cluster::warm(16, seed, Config::default());
        cluster.reports_links = seed % 2 == 1;
        cluster.network.loss = 0.02;
        cluster.run_for(5 * SECOND);
        for round in 0..12 {
            let sleepers = 1 + (seed + round) % 5;
            for index in 0..sleepers as usize {
                let span = cluster.random_millis([900, 3000, 9000, 25_000][round as usize % 4]);
                cluster.pause(index, span);
            }
            cluster.run_for(27 * SECOND);
        }
        let healthy = cluster.record.of(What::Dead, Duration::ZERO).filter(|it| it.subject >= 5);
        assert_eq!(healthy.count(), 0, "seed {seed}");
    }
}

/// P6 for clocks: one that leaps ahead is as one that slept.
#[test]
fn a_clock_that_leaps_ahead_makes_nobody_call_a_healthy_member_dead() {
    for seed in 0..8 {
        let mut cluster = Cluster::warm(8, seed, Config::default());
        cluster.run_for(5 * SECOND);
        for _ in 0..20 {
            let (index, span) = (cluster.random_index(), cluster.random_millis(60_000));
            cluster.jump(index, span);
            let pause = cluster.random_millis(4000);
            cluster.run_for(pause);
        }
        assert_eq!(cluster.record.deaths_since(Duration::ZERO), 0, "seed {seed}");
        cluster.run_for(10 * SECOND);
        assert!(cluster.agrees_all_alive());
    }
}

#[test]
fn slow_members_do_not_make_others_call_healthy_ones_dead() {
    for (slow, seconds, seed) in [(2, 8, 1), (6, 4, 2), (6, 16, 3)] {
        let mut cluster = Cluster::warm(24, seed, Config::default());
        cluster.run_for(5 * SECOND);
        (0..slow).for_each(|index| cluster.slow(index, seconds * SECOND));
        cluster.run_for(120 * SECOND);
        let healthy = cluster.record.of(What::Dead, Duration::ZERO).filter(|it| it.subject >= slow as u32);
        assert_eq!(healthy.count(), 0, "{slow} slow by {seconds} s");
    }
}

#[test]
fn a_link_cut_in_one_direction_kills_nobody_while_helpers_reach_both() {
    for seed in 0..10 {
        let mut cluster = Cluster::joined(5, seed);
        cluster.reports_links = seed % 2 == 1;
        cluster.network.cut(1, 2);
        cluster.run_for(120 * SECOND);
        assert_eq!(cluster.record.deaths_since(Duration::ZERO), 0, "seed {seed}");
        cluster.network.heal();
        assert!(cluster.await_for(5 * SECOND, TICK, Cluster::agrees_all_alive).is_some(), "seed {seed}");
    }
}

/// P5: no live member is called dead where at most one message in twenty is lost, and seldom where every fifth is.
#[test]
fn no_healthy_member_dies_of_lost_messages() {
    for (count, loss, seed) in
        [(2, 0.05, 1), (3, 0.05, 2), (8, 0.05, 3), (16, 0.05, 4), (8, 0.2, 5), (32, 0.2, 6)]
    {
        let mut cluster = Cluster::warm(count, seed, Config::default());
        cluster.network.loss = loss;
        cluster.run_for(600 * SECOND);
        assert_eq!(cluster.record.deaths_since(Duration::ZERO), 0, "{count} members");
    }
}

/// P3: nothing follows from a suspicion that was refuted, for anyone, ever.
#[test]
fn a_refuted_suspicion_has_no_later_effect() {
    for seed in 0..20 {
        let mut cluster = Cluster::warm(6, seed, Config::default());
        cluster.reports_links = seed % 2 == 1;
        cluster.run_for(5 * SECOND);
        let before = cluster.epochs();
        let paused = cluster.elapsed();
        cluster.pause(2, 6 * SECOND);
        cluster.run_for(8 * SECOND);
        let suspected = cluster.record.of(What::Suspected, paused).count();
        let refuted = cluster.record.of(What::Refuted, paused).count();
        assert!(suspected > 0 && suspected == refuted, "seed {seed}: {suspected} and {refuted}");
        let calm = cluster.elapsed();
        let sent = cluster.sent.clone();
        cluster.run_for(60 * SECOND);
        let later: Vec<_> = cluster.record.happened.iter().filter(|it| it.at > calm).collect();
        assert_eq!(later, Vec::<&crate::record::Happened>::new(), "seed {seed}");
        assert_eq!(cluster.epochs(), before, "seed {seed}: nobody took a new identity");
        let kinds = cluster.sent.iter().filter(|(kind, count)| sent.get(*kind) != Some(count));
        let kinds: Vec<_> = kinds.map(|(kind, _)| *kind).filter(|kind| *kind != "gossip").collect();
        assert_eq!(kinds, ["ping", "reply"], "seed {seed}: probes only");
    }
}

const TICK: Duration = Duration::from_millis(20);
