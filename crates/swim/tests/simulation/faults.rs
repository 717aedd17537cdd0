//! Partitions, pauses and cuts: nobody healthy is called dead, and all is whole again when they end.

use std::time::Duration;

use trellis_swim::State;

use crate::cluster::{Cluster, SECOND};

#[test]
fn a_healed_partition_is_whole_again_in_seconds_without_a_further_death() {
    for count in [2, 3, 8, 16] {
        for seed in 0..8 {
            let mut cluster = Cluster::joined(count, seed);
            cluster.split_at(count / 2);
            cluster.run_for(60 * SECOND);
            assert_eq!(cluster.state_at(0, count - 1), Some(State::Dead), "the halves gave each other up");
            cluster.heal();
            let healed = cluster.elapsed();
            let took = cluster.await_for(15 * SECOND, Cluster::agrees_all_alive);
            assert!(took.is_some(), "{count} members, seed {seed}: whole within 15 s");
            cluster.run_for(60 * SECOND);
            assert!(cluster.agrees_all_alive(), "{count} members, seed {seed}: whole for good");
            assert_eq!(cluster.history.deaths_since(healed), 0, "{count} members, seed {seed}");
        }
    }
}

#[test]
fn a_paused_member_is_alive_again_everywhere_soon_after_it_wakes() {
    for seed in 0..10 {
        let mut cluster = Cluster::joined(5, seed);
        cluster.pause(3, 20 * SECOND);
        cluster.run_for(20 * SECOND);
        assert_eq!(cluster.state_at(0, 3), Some(State::Dead));
        let took = cluster.await_for(3 * SECOND, Cluster::agrees_all_alive);
        assert!(took.is_some(), "seed {seed}: alive within 3 s of waking");
        let others =
            cluster.history.events.iter().filter(
                |(_, _, event)| matches!(event, trellis_swim::Event::Dead(member) if member.id != "n3"),
            );
        assert_eq!(others.count(), 0, "seed {seed}: nobody else was called dead");
    }
}

#[test]
fn a_link_cut_in_one_direction_kills_nobody_while_helpers_reach_both() {
    for seed in 0..10 {
        let mut cluster = Cluster::joined(5, seed);
        cluster.cut(1, 2);
        cluster.run_for(120 * SECOND);
        assert_eq!(cluster.history.deaths_since(Duration::ZERO), 0, "seed {seed}");
        cluster.heal();
        assert!(cluster.await_for(5 * SECOND, Cluster::agrees_all_alive).is_some(), "seed {seed}");
    }
}

#[test]
fn no_healthy_member_dies_of_lost_messages() {
    for (count, seed) in [(2, 1), (3, 2), (8, 3), (16, 4)] {
        let mut cluster = Cluster::joined(count, seed);
        cluster.loss = 0.05;
        cluster.run_for(600 * SECOND);
        assert_eq!(cluster.history.deaths_since(Duration::ZERO), 0, "{count} members");
    }
}

#[test]
fn whatever_happened_calm_brings_agreement() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::joined(6, seed);
        let mut epoch = 1;
        for _ in 0..30 {
            let index = cluster.random_index();
            match cluster.random_millis(7).as_millis() {
                // Some seed stays, or members that lost their memory have no way to each other.
                0 if index > 0 => cluster.crash(index),
                1 => {
                    epoch += 1;
                    cluster.start_member(index, epoch);
                    cluster.join(index, &[0, 1, 2]);
                }
                2 => {
                    let span = cluster.random_millis(15_000);
                    cluster.pause(index, span);
                }
                3 => cluster.split_at(index),
                4 => {
                    let other = cluster.random_index();
                    cluster.cut(index, other);
                }
                5 => cluster.loss = 0.2,
                _ => {
                    cluster.heal();
                    cluster.loss = 0.0;
                }
            }
            let span = cluster.random_millis(6000);
            cluster.run_for(span);
        }
        cluster.heal();
        cluster.loss = 0.0;
        cluster.run_for(20 * SECOND);
        let took = cluster.await_for(60 * SECOND, Cluster::agrees_on_who_runs);
        assert!(took.is_some(), "seed {seed}: agreement within a minute of calm");
        let calm = cluster.elapsed();
        cluster.run_for(60 * SECOND);
        assert!(cluster.agrees_on_who_runs(), "seed {seed}: agreement stays");
        assert_eq!(cluster.history.deaths_since(calm), 0, "seed {seed}: no death in calm");
    }
}

const SEEDS: u64 = 60;
