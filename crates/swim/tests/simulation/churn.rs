//! Members that come and go under ever new names, more of them than anyone remembers.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use trellis_swim::{Config, State};

use crate::cluster::{Cluster, SECOND};

#[test]
fn a_hundred_names_pass_through_room_for_sixteen() {
    for (seed, loss) in [(0, 0.0), (1, 0.0), (2, 0.05)] {
        let mut cluster = Cluster::warm(6, seed, narrow());
        cluster.network.loss = loss;
        cluster.run_for(5 * SECOND);
        pass_through(&mut cluster, 100, 0..6, 0..0);
        cluster.network.loss = 0.0;
        cluster.run_for(60 * SECOND);
        assert!(are_up(&cluster, 0..6), "seed {seed}");
        for index in 0..6 {
            let swim = cluster.member(index);
            assert_eq!(swim.members().count(), 16, "seed {seed}: what there is room for is remembered");
        }
        assert!(cluster.digests_are_equal(), "seed {seed}: all remember the same");
        is_quiet(&mut cluster, 6);
        assert!(cluster.digests_are_equal(), "seed {seed}");
    }
}

/// Nobody contacts a member that was let go of, but it contacts the others.
#[test]
fn a_half_that_was_let_go_of_by_the_other_finds_back_by_itself() {
    for seed in 0..4 {
        let mut cluster = Cluster::warm(8, seed, narrow());
        cluster.run_for(5 * SECOND);
        cluster.network.split_at(4);
        cluster.run_for(30 * SECOND);
        // Those that pass through are on the side of the upper half.
        pass_through(&mut cluster, 30, 4..8, 0..0);
        for index in 4..8 {
            assert_eq!(cluster.state_at(index, 0), None, "seed {seed}: {index} has let go of the other half");
            assert_eq!(cluster.state_at(0, index), Some(State::Dead), "seed {seed}");
        }
        cluster.network.heal();
        let healed = cluster.elapsed();
        assert!(
            cluster.await_for(20 * SECOND, TICK, |cluster| are_up(cluster, 0..8)).is_some(),
            "seed {seed}"
        );
        cluster.run_for(60 * SECOND);
        assert!(are_up(&cluster, 0..8) && cluster.digests_are_equal(), "seed {seed}");
        let deaths = cluster.record.of(crate::record::What::Dead, healed).filter(|it| it.subject < 8);
        assert_eq!(deaths.count(), 0, "seed {seed}");
    }
}

/// Each half has seen others pass through. Of all of them both come to remember the same.
#[test]
fn halves_that_let_go_of_each_other_find_back_by_their_seeds_and_agree() {
    let mut cluster = Cluster::warm(8, 5, narrow());
    (0..8).for_each(|index| cluster.join(index, &[0, 7]));
    cluster.run_for(5 * SECOND);
    let (lower, upper) = (0..4, 4..8);
    cut_off(&mut cluster, lower.clone(), upper.clone());
    cluster.run_for(30 * SECOND);
    for _ in 0..10 {
        pass_through(&mut cluster, 5, lower.clone(), upper.clone());
        pass_through(&mut cluster, 5, upper.clone(), lower.clone());
    }
    let is_known = |side: &Range<usize>, other: &Range<usize>| {
        side.clone().any(|index| other.clone().any(|it| cluster.state_at(index, it).is_some()))
    };
    assert!(!is_known(&lower, &upper) && !is_known(&upper, &lower));
    let remembered = cluster.member(0).members().filter(|it| cluster.member(7).member(&it.id).is_some());
    assert_eq!(remembered.count(), 0, "they remember nobody in common");
    cluster.network.heal();
    assert!(cluster.await_for(30 * SECOND, TICK, |cluster| are_up(cluster, 0..8)).is_some());
    cluster.run_for(60 * SECOND);
    assert!(cluster.digests_are_equal());
    is_quiet(&mut cluster, 8);
}

#[test]
fn members_whose_room_is_made_less_agree_again() {
    let mut cluster = Cluster::warm(4, 3, Config::default());
    cluster.run_for(5 * SECOND);
    pass_through(&mut cluster, 30, 0..4, 0..0);
    assert_eq!(cluster.member(0).members().count(), 34);
    for index in 0..4 {
        cluster.with(index, |swim, _| swim.set_config(narrow()).expect("valid settings"));
        cluster.run_for(3 * SECOND);
    }
    cluster.run_for(30 * SECOND);
    assert!((0..4).all(|index| cluster.member(index).members().count() == 16));
    assert!(cluster.digests_are_equal());
    is_quiet(&mut cluster, 4);
}

/// So many join by one of these members, stay a while, and leave, or crash every third time. Each is known to all of
/// these while it is up. They do not reach the `others`.
fn pass_through(cluster: &mut Cluster, count: usize, residents: Range<usize>, others: Range<usize>) {
    let mut staying = VecDeque::new();
    for number in 0..count {
        let name = 100 + cluster.count() as u32;
        let index = cluster.add(name);
        cut_off(cluster, index..index + 1, others.clone());
        let seed = residents.start + number % residents.len();
        cluster.join(index, &[seed]);
        let is_known = |cluster: &Cluster| {
            residents.clone().all(|it| cluster.state_at(it, index) == Some(State::Alive))
                && cluster.member(index).members().filter(|member| member.is_up()).count() > residents.len()
        };
        let took = cluster.await_for(15 * SECOND, TICK, is_known);
        assert!(took.is_some(), "{index} is admitted by all");
        staying.push_back(index);
        cluster.run_for(4 * SECOND);
        if staying.len() > 3 {
            end(cluster, staying.pop_front());
        }
    }
    while !staying.is_empty() {
        end(cluster, staying.pop_front());
    }
    cluster.run_for(30 * SECOND);
}

fn cut_off(cluster: &mut Cluster, some: Range<usize>, others: Range<usize>) {
    for one in some {
        for other in others.clone() {
            cluster.network.cut(one, other);
            cluster.network.cut(other, one);
        }
    }
}

fn are_up(cluster: &Cluster, residents: Range<usize>) -> bool {
    let is_up = |index, other| cluster.state_at(index, other) == Some(State::Alive);
    residents.clone().all(|index| residents.clone().all(|other| is_up(index, other)))
}

fn end(cluster: &mut Cluster, index: Option<usize>) {
    let index = index.expect("one that stays");
    if index % 3 != 0 {
        cluster.leave(index);
        cluster.run_for(3 * SECOND);
    }
    cluster.crash(index);
}

/// Nothing but probes, and contacts of the dead, of whom there are at most ten.
fn is_quiet(cluster: &mut Cluster, count: u64) {
    let (load, sent) = (cluster.load.messages, cluster.sent.clone());
    cluster.run_for(600 * SECOND);
    let new = |kind: &str| cluster.sent.get(kind).unwrap_or(&0) - sent.get(kind).unwrap_or(&0);
    let messages = (cluster.load.messages - load - new("sync")) as f64 / (600 * count) as f64;
    assert!(messages <= 2.05, "{messages} messages per member and second: {:?} after {sent:?}", cluster.sent);
    // Each of ten once in 7.5 to 10 s.
    let contacts = new("sync") as f64 / 600.0;
    assert!(contacts <= 1.3, "{contacts} contacts per second in all");
}

fn narrow() -> Config {
    Config { members_max: 16, ..Config::default() }
}

const TICK: Duration = Duration::from_millis(20);
