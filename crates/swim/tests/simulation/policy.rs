//! Hosts that say themselves who is dead: silence alone kills nobody, and costs nothing for as long as it lasts.

use std::time::Duration;

use trellis_swim::{Config, DeadPolicy, State};

use crate::cluster::{Cluster, SECOND};
use crate::record::What;

#[test]
fn silence_for_an_hour_kills_nobody_and_costs_no_more_than_quiet() {
    for seed in 0..4 {
        let mut cluster = with_two_crashed(seed);
        let (calm, load, sent) = (cluster.elapsed(), cluster.load.messages, cluster.sent.clone());
        cluster.run_for(3600 * SECOND);
        let messages = (cluster.load.messages - load) as f64 / (3600.0 * 6.0);
        assert!(messages <= 2.1, "seed {seed}: {messages} messages per member and second");
        assert_eq!(cluster.sent.get("sync"), sent.get("sync"), "seed {seed}: digests are equal");
        assert_eq!(
            cluster.sent.get("ping request"),
            sent.get("ping request"),
            "seed {seed}: nobody is probed in vain"
        );
        let later: Vec<_> = cluster.record.happened.iter().filter(|it| it.at > calm).collect();
        assert_eq!(later, Vec::<&crate::record::Happened>::new(), "seed {seed}");
        assert_eq!(cluster.record.deaths_since(Duration::ZERO), 0, "seed {seed}");
        let contacts = cluster.sent["gossip"] - sent["gossip"];
        assert!((600..=1200).contains(&contacts), "two are contacted about once in 10 s in all: {contacts}");
    }
}

#[test]
fn a_death_that_one_host_confirms_is_known_to_all_at_once() {
    for seed in 0..8 {
        let mut cluster = with_two_crashed(seed);
        let name = cluster.name(6);
        cluster.with(0, |swim, now| assert!(swim.confirm_dead(&name, now)));
        let is_known = |cluster: &Cluster| (0..6).all(|it| cluster.state_at(it, 6) == Some(State::Dead));
        assert!(cluster.await_for(2 * SECOND, TICK, is_known).is_some(), "seed {seed}");
        cluster.run_for(30 * SECOND);
        assert_eq!(cluster.record.deaths_since(Duration::ZERO), 6, "seed {seed}: once each");
        assert!(
            (0..6).all(|it| cluster.state_at(it, 7) == Some(State::Suspect)),
            "seed {seed}: not the other"
        );
        assert!(cluster.digests_are_equal());
    }
}

#[test]
fn one_that_is_out_of_reach_for_long_is_alive_again_when_it_comes_back() {
    for (seed, restarts) in [(0, false), (1, false), (2, true), (3, true)] {
        let mut cluster = Cluster::warm(6, seed, manual());
        cluster.run_for(5 * SECOND);
        if restarts {
            cluster.crash(5);
        } else {
            cluster.pause(5, 600 * SECOND);
        }
        cluster.run_for(600 * SECOND);
        assert!(cluster.member(0).is_unreachable(&cluster.name(5)));
        let back = cluster.elapsed();
        if restarts {
            let epoch = cluster.epoch();
            cluster.start_member(5, epoch, true);
        }
        assert!(cluster.await_for(3 * SECOND, TICK, Cluster::agrees_all_alive).is_some(), "seed {seed}");
        assert_eq!(cluster.record.of(What::Refuted, back).filter(|it| it.subject == 5).count(), 5);
        assert_eq!(cluster.record.deaths_since(Duration::ZERO), 0, "seed {seed}");
        assert!(!cluster.member(0).is_unreachable(&cluster.name(5)));
    }
}

#[test]
fn whoever_joins_while_one_is_out_of_reach_learns_of_it() {
    let mut cluster = with_two_crashed(9);
    // Of those that accused it most have gone, and are forgotten.
    for index in 0..4 {
        cluster.leave(index);
        cluster.run_for(3 * SECOND);
        cluster.crash(index);
        for other in index + 1..6 {
            let name = cluster.name(index);
            cluster.with(other, |swim, _| assert!(swim.forget(&name)));
        }
    }
    let newcomer = cluster.add(20);
    cluster.join(newcomer, &[5]);
    cluster.run_for(60 * SECOND);
    assert!(cluster.member(newcomer).is_unreachable(&cluster.name(6)));
    assert!(cluster.digests_are_equal());
    let syncs = cluster.sent["sync"];
    cluster.run_for(60 * SECOND);
    assert_eq!(cluster.sent["sync"], syncs, "there is nothing to exchange");
}

/// A word of death that is doubted is one to be refuted, with this policy as with the other.
#[test]
fn halves_that_confirm_each_others_deaths_are_whole_again_without_a_further_one() {
    for (count, seed, confirms) in [(2, 0, false), (4, 1, false), (8, 2, false), (8, 3, true), (16, 4, true)]
    {
        let mut cluster = Cluster::warm(count, seed, manual());
        cluster.run_for(5 * SECOND);
        cluster.network.split_at(count / 2);
        cluster.run_for(60 * SECOND);
        assert_eq!(cluster.record.deaths_since(Duration::ZERO), 0);
        let names = [cluster.name(0), cluster.name(count - 1)];
        if confirms {
            cluster.with(count - 1, |swim, now| assert!(swim.confirm_dead(&names[0], now)));
            cluster.with(0, |swim, now| assert!(swim.confirm_dead(&names[1], now)));
            cluster.run_for(10 * SECOND);
            assert_eq!(cluster.record.deaths_since(Duration::ZERO), count, "each half believes its own host");
        }
        cluster.network.heal();
        let healed = cluster.elapsed();
        assert!(cluster.await_for(15 * SECOND, TICK, Cluster::agrees_all_alive).is_some(), "seed {seed}");
        cluster.run_for(60 * SECOND);
        assert!(cluster.agrees_all_alive() && cluster.digests_are_equal(), "seed {seed}");
        assert_eq!(cluster.record.deaths_since(healed), 0, "seed {seed}");
    }
}

/// A member whose own clock decides is as good as a host that confirms at once.
#[test]
fn in_a_mixed_cluster_the_clocks_of_some_decide_for_all() {
    for seed in 0..6 {
        let mut cluster = Cluster::warm(6, seed, manual());
        (3..6).for_each(|index| {
            cluster.with(index, |swim, _| swim.set_config(Config::default()).expect("valid settings"));
        });
        cluster.run_for(5 * SECOND);
        cluster.crash(5);
        cluster.run_for(20 * SECOND);
        assert!(cluster.agrees_on_who_runs() && cluster.digests_are_equal(), "seed {seed}");
        let own: Vec<_> = (0..5).map(|index| cluster.member(index).counters().deaths).collect();
        assert_eq!(own[..3], [0, 0, 0], "seed {seed}");
        assert!(own[3] + own[4] > 0, "seed {seed}");
    }
}

#[test]
fn when_the_clock_is_to_decide_again_those_out_of_reach_are_dead_at_once() {
    let mut cluster = with_two_crashed(3);
    cluster.run_for(100 * SECOND);
    let changed = cluster.elapsed();
    (0..6).for_each(|index| {
        cluster.with(index, |swim, _| swim.set_config(Config::default()).expect("valid settings"));
    });
    cluster.run_for(2 * SECOND);
    assert!(cluster.agrees_on_who_runs());
    cluster.run_for(30 * SECOND);
    assert_eq!(cluster.record.deaths_since(changed), 12);
    assert_eq!(cluster.record.of(What::SelfLagging, Duration::ZERO).count(), 0);
}

/// Eight members, of which the last two have crashed; the others have found them out of reach, in time and no more.
fn with_two_crashed(seed: u64) -> Cluster {
    let mut cluster = Cluster::warm(8, seed, manual());
    // Neither takes with it that it has heard the other last.
    cluster.network.cut(6, 7);
    cluster.network.cut(7, 6);
    cluster.run_for(5 * SECOND);
    let crashed = cluster.elapsed();
    (6..8).for_each(|index| cluster.crash(index));
    cluster.run_for(30 * SECOND);
    for subject in 6..8 {
        let last_word = cluster.record.last_heard(subject);
        for observer in 0..6 {
            let found = cluster.record.first(observer, subject as u32, What::Unreachable, crashed);
            let silence = found.expect("each finds it out of reach") - last_word;
            assert!(silence >= 10 * SECOND && silence <= 13 * SECOND, "seed {seed}: {silence:?}");
        }
    }
    assert_eq!(cluster.record.of(What::Unreachable, Duration::ZERO).count(), 12, "seed {seed}: once each");
    cluster
}

fn manual() -> Config {
    Config { dead_policy: DeadPolicy::Manual, ..Config::default() }
}

const TICK: Duration = Duration::from_millis(20);
