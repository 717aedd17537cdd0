//! How members find each other, leave, and collide.

use std::time::Duration;

use trellis_swim::{Event, State};

use crate::cluster::{Cluster, SECOND};

#[test]
fn a_seed_that_answers_late_is_tried_until_it_does() {
    let mut cluster = Cluster::new(5);
    cluster.add("n0", 1);
    cluster.crash(0);
    cluster.add("n1", 1);
    cluster.join(1, &[0, 1]);
    cluster.run_for(300 * SECOND);
    let tries = cluster.sent.len();
    assert!((20..=60).contains(&tries), "the rate of tries is bounded below and above: {tries}");
    cluster.start_member(0, 1);
    let took = cluster.await_for(11 * SECOND, Cluster::agrees_all_alive);
    assert!(took.is_some(), "the next try finds the seed");
}

#[test]
fn members_that_all_name_each_other_as_seeds_form_one_cluster() {
    for seed in 0..5 {
        let mut cluster = Cluster::new(seed);
        cluster.loss = 0.05;
        for index in 0..8 {
            cluster.add(&format!("n{index}"), 1);
        }
        for index in 0..8 {
            cluster.join(index, &[0, 1, 2]);
        }
        let took = cluster.await_for(15 * SECOND, Cluster::agrees_all_alive);
        assert!(took.is_some(), "seed {seed}");
    }
}

#[test]
fn a_cluster_of_sixteen_forms_within_four_seconds() {
    let mut cluster = Cluster::new(9);
    for index in 0..16 {
        cluster.add(&format!("n{index}"), 1);
        cluster.join(index, &[0]);
    }
    let took = cluster.await_for(10 * SECOND, Cluster::agrees_all_alive);
    assert!(took.is_some_and(|took| took <= 4 * SECOND), "formed after {took:?}");
}

#[test]
fn a_departure_is_known_to_all_as_such_and_drained_in_time() {
    for (seed, loss) in [(1, 0.0), (2, 0.05), (3, 0.05)] {
        let mut cluster = Cluster::joined(8, seed);
        cluster.loss = loss;
        let left = cluster.elapsed();
        cluster.leave(4);
        cluster.run_for(2 * SECOND);
        let drained = cluster.history.first(4, left, |event| *event == Event::LeaveDrained);
        assert!(drained.is_some(), "seed {seed}");
        cluster.crash(4);
        cluster.run_for(20 * SECOND);
        for observer in cluster.running() {
            assert_eq!(cluster.state_at(observer, 4), Some(State::Left), "seed {seed}: at {observer}");
        }
        assert_eq!(cluster.history.deaths_since(Duration::ZERO), 0, "seed {seed}");
    }
}

#[test]
fn a_member_that_left_may_join_again_without_a_restart() {
    let mut cluster = Cluster::joined(4, 6);
    cluster.leave(2);
    cluster.run_for(5 * SECOND);
    assert_eq!(cluster.state_at(0, 2), Some(State::Left));
    cluster.join(2, &[0]);
    assert!(cluster.await_for(3 * SECOND, Cluster::agrees_all_alive).is_some());
    cluster.run_for(30 * SECOND);
    assert!(cluster.agrees_all_alive());
}

#[test]
fn two_live_processes_under_one_name_are_reported_by_both() {
    for epoch in [1, 2, 9] {
        let mut cluster = Cluster::joined(3, 8);
        cluster.run_for(10 * SECOND);
        let twin = cluster.add("n2", epoch);
        cluster.join(twin, &[0]);
        let began = cluster.elapsed();
        cluster.run_for(30 * SECOND);
        for process in [2, twin] {
            let is_conflict =
                |event: &Event<String>| matches!(event, Event::Conflict(member) if member.id == "n2");
            assert!(
                cluster.history.first(process, began, is_conflict).is_some(),
                "epoch {epoch}: {process} reports"
            );
        }
        assert_eq!(cluster.state_at(0, 1), Some(State::Alive));
    }
}

#[test]
fn two_processes_that_start_together_under_one_name_do_not_flood_the_cluster() {
    let mut cluster = Cluster::joined(3, 4);
    let twins = [cluster.add("twin", 5), cluster.add("twin", 5)];
    for twin in twins {
        cluster.join(twin, &[0]);
    }
    let before = cluster.sent.len();
    cluster.run_for(60 * SECOND);
    let sent = cluster.sent.len() - before;
    assert!(sent <= 60 * 5 * 15, "{sent} messages of five processes in 60 s");
    for twin in twins {
        let is_conflict = |event: &Event<String>| matches!(event, Event::Conflict(_));
        assert!(cluster.history.first(twin, Duration::ZERO, is_conflict).is_some(), "{twin} reports");
    }
}
