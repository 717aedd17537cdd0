//! How members find each other, leave, move, and collide.

use std::time::Duration;

use trellis_swim::State;

use crate::cluster::{Cluster, SECOND};
use crate::record::What;

#[test]
fn a_seed_that_answers_late_is_tried_until_it_does() {
    let mut cluster = Cluster::new(5);
    cluster.add(0);
    cluster.crash(0);
    cluster.add(1);
    cluster.join(1, &[0, 1]);
    cluster.run_for(300 * SECOND);
    let tries = cluster.sent["sync"];
    assert!((20..=60).contains(&tries), "the rate of tries is bounded below and above: {tries}");
    cluster.start_member(0, 1, false);
    let took = cluster.await_for(11 * SECOND, TICK, Cluster::agrees_all_alive);
    assert!(took.is_some(), "the next try finds the seed");
}

#[test]
fn members_that_all_name_each_other_as_seeds_form_one_cluster() {
    for seed in 0..5 {
        let mut cluster = Cluster::new(seed);
        cluster.network.loss = 0.05;
        (0..8).for_each(|name| {
            cluster.add(name);
        });
        (0..8).for_each(|index| cluster.join(index, &[0, 1, 2]));
        let took = cluster.await_for(15 * SECOND, TICK, Cluster::agrees_all_alive);
        assert!(took.is_some(), "seed {seed}");
    }
}

#[test]
fn a_cluster_of_sixteen_forms_within_four_seconds() {
    let mut cluster = Cluster::new(9);
    for name in 0..16 {
        let index = cluster.add(name);
        cluster.join(index, &[0]);
    }
    let took = cluster.await_for(10 * SECOND, TICK, Cluster::agrees_all_alive);
    assert!(took.is_some_and(|took| took <= 4 * SECOND), "formed after {took:?}");
}

#[test]
fn a_departure_is_known_to_all_as_such_and_drained_in_time() {
    for (seed, loss) in [(1, 0.0), (2, 0.05), (3, 0.05)] {
        let mut cluster = Cluster::joined(8, seed);
        cluster.network.loss = loss;
        let left = cluster.elapsed();
        cluster.leave(4);
        cluster.run_for(2 * SECOND);
        assert!(cluster.record.first(4, 4, What::LeaveDrained, left).is_some(), "seed {seed}");
        cluster.crash(4);
        cluster.run_for(20 * SECOND);
        for observer in cluster.running() {
            assert_eq!(cluster.state_at(observer, 4), Some(State::Left), "seed {seed}: at {observer}");
        }
        assert_eq!(cluster.record.deaths_since(Duration::ZERO), 0, "seed {seed}");
    }
}

#[test]
fn a_member_that_left_may_join_again_without_a_restart() {
    let mut cluster = Cluster::joined(4, 6);
    cluster.leave(2);
    cluster.run_for(5 * SECOND);
    assert_eq!(cluster.state_at(0, 2), Some(State::Left));
    cluster.join(2, &[0]);
    assert!(cluster.await_for(3 * SECOND, TICK, Cluster::agrees_all_alive).is_some());
    cluster.run_for(30 * SECOND);
    assert!(cluster.agrees_all_alive());
}

#[test]
fn a_member_that_returns_before_its_departure_is_told_stays() {
    let mut cluster = Cluster::joined(3, 6);
    cluster.leave(2);
    cluster.run_for(SECOND / 10);
    cluster.join(2, &[0]);
    cluster.run_for(10 * SECOND);
    assert!(cluster.agrees_all_alive());
    let drained = cluster.record.of(What::LeaveDrained, Duration::ZERO);
    assert_eq!(drained.count(), 0);
    cluster.pause(2, 8 * SECOND);
    cluster.run_for(15 * SECOND);
    assert!(cluster.agrees_all_alive(), "it refutes what is said of it");
}

#[test]
fn a_member_that_moves_is_followed_and_not_called_dead() {
    for restarts in [false, true] {
        let mut cluster = Cluster::joined(6, 3);
        if restarts {
            cluster.crash(2);
        }
        cluster.move_member(2);
        let addr = cluster.addr(2);
        if restarts {
            let epoch = cluster.epoch();
            cluster.start_member(2, epoch, true);
        } else {
            cluster.with(2, |swim, now| swim.update_addr(&addr, now).expect("an address"));
        }
        let name = cluster.name(2);
        let is_followed = |cluster: &Cluster| {
            let said = |index| cluster.member(index).member(&name).map(|member| member.addr.to_string());
            cluster.running().into_iter().all(|index| said(index).as_deref() == Some(&addr))
        };
        let took = cluster.await_for(3 * SECOND, TICK, is_followed);
        assert!(took.is_some(), "restarts {restarts}: everyone has the address within 3 s");
        cluster.run_for(30 * SECOND);
        assert_eq!(cluster.record.deaths_since(Duration::ZERO), 0);
    }
}

#[test]
fn two_live_processes_under_one_name_are_reported_by_both() {
    for later in [false, true] {
        let mut cluster = Cluster::joined(3, 8);
        cluster.run_for(10 * SECOND);
        let twin = cluster.add(2);
        if !later {
            cluster.start_member(twin, 1, false);
        }
        cluster.join(twin, &[0]);
        let began = cluster.elapsed();
        cluster.run_for(30 * SECOND);
        for process in [2, twin] {
            let conflict = cluster.record.first(process, 2, What::Conflict, began);
            assert!(conflict.is_some(), "later {later}: {process} reports");
        }
        assert_eq!(cluster.state_at(0, 1), Some(State::Alive));
    }
}

#[test]
fn two_processes_that_start_together_under_one_name_do_not_flood_the_cluster() {
    let mut cluster = Cluster::joined(3, 4);
    let twins = [cluster.add(7), cluster.add(7)];
    for twin in twins {
        cluster.join(twin, &[0]);
    }
    let before: u64 = cluster.sent.iter().filter(|(kind, _)| **kind != "reply").map(|(_, count)| count).sum();
    cluster.run_for(60 * SECOND);
    let after: u64 = cluster.sent.iter().filter(|(kind, _)| **kind != "reply").map(|(_, count)| count).sum();
    let sent = after - before;
    assert!(sent <= 60 * 5 * 15, "{sent} messages of five processes in 60 s");
    for twin in twins {
        assert!(cluster.record.first(twin, 7, What::Conflict, Duration::ZERO).is_some(), "{twin} reports");
    }
}

const TICK: Duration = Duration::from_millis(20);
