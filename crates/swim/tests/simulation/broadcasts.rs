//! Broadcasts reach nearly all, each at most once, and however many there are, members come first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trellis_swim::{BroadcastError, Config, Member, Priority, State};

use crate::cluster::{Cluster, SECOND};
use crate::crash::check_crash;
use crate::name::Name;
use crate::record::What;

/// With other seeds one in a hundred misses somebody.
#[test]
fn one_broadcast_reaches_all_that_are_up() {
    for (loss, seed) in [(0.0, 1), (0.05, 2)] {
        let mut cluster = Cluster::warm(64, seed, Config::default());
        cluster.network.loss = loss;
        cluster.run_for(10 * SECOND);
        cluster.crash(9);
        cluster.run_for(20 * SECOND);
        let before = cluster.load;
        offer(&mut cluster, 5, "key", vec![7; 100]).unwrap();
        cluster.run_for(10 * SECOND);
        assert_eq!(
            reached(&cluster, "key"),
            62,
            "all but the origin and the dead (loss {loss}, seed {seed})"
        );
        let bytes = (cluster.load.bytes - before.bytes) / 63;
        println!("loss {loss}: {bytes} bytes per member in the 10 s");
        assert!((0..64).filter(|it| *it != 9).all(|it| cluster.member(it).health().broadcasts_count == 0));
        check_once(&cluster);
    }
}

/// It is best effort: of 64 × 63 hearings some never come.
#[test]
fn most_broadcasts_reach_all_and_of_all_hearings_few_are_missed() {
    for (loss, share_min) in [(0.0, 0.998), (0.05, 0.998), (0.2, 0.99)] {
        let mut cluster = Cluster::warm(64, 3, Config::default());
        cluster.network.loss = loss;
        cluster.run_for(10 * SECOND);
        let mut missed_by = BTreeMap::<usize, usize>::new();
        for origin in 0..64 {
            let key = format!("of {origin}");
            offer(&mut cluster, origin, &key, vec![7; 100]).unwrap();
            cluster.run_for(3 * SECOND);
            *missed_by.entry(63 - reached(&cluster, &key)).or_default() += 1;
        }
        let missed: usize = missed_by.iter().map(|(missed, times)| missed * times).sum();
        let share = 1.0 - missed as f64 / (64.0 * 63.0);
        println!(
            "loss {loss}: {share:.5} of all hearings; broadcasts by how many missed them: {missed_by:?}"
        );
        assert!(share >= share_min, "loss {loss}: {share}");
        check_once(&cluster);
    }
}

#[test]
fn a_later_offer_is_the_last_that_anybody_hears() {
    let mut cluster = Cluster::warm(32, 4, Config::default());
    cluster.network.loss = 0.05;
    cluster.network.repeats = 0.1;
    cluster.network.delay = 500..400_000;
    cluster.run_for(10 * SECOND);
    for version in 0..40_u8 {
        offer(&mut cluster, 3, "key", vec![version]).unwrap();
        cluster.run_for(SECOND / 10);
    }
    cluster.run_for(10 * SECOND);
    let mut last = BTreeMap::new();
    for (observer, _, _, payload) in &cluster.record.broadcasts {
        let before = last.insert(*observer, payload[0]);
        assert!(
            before.is_none_or(|before| before < payload[0]),
            "{observer} heard {before:?}, then {payload:?}"
        );
    }
    let of_the_last = last.values().filter(|version| **version == 39).count();
    assert!(of_the_last >= 30, "{of_the_last} of 31 heard the last one");
    check_once(&cluster);
}

/// The origin restarts: what its earlier process said is over once the later one is known.
#[test]
fn a_restarted_member_is_heard_anew() {
    let mut cluster = Cluster::joined(8, 5);
    offer(&mut cluster, 2, "key", vec![1]).unwrap();
    cluster.run_for(5 * SECOND);
    cluster.crash(2);
    cluster.run_for(SECOND);
    let epoch = cluster.epoch();
    cluster.start_member(2, epoch, true);
    cluster.join(2, &[0]);
    cluster.run_for(5 * SECOND);
    offer(&mut cluster, 2, "key", vec![2]).unwrap();
    cluster.run_for(5 * SECOND);
    let of = |payload| cluster.record.broadcasts.iter().filter(|it| it.3 == [payload]).count();
    assert!(of(1) >= 6 && of(2) >= 6, "one of seven may miss one: {} {}", of(1), of(2));
}

/// More than can be told: ten times a second each of 64 members offers something short, so that no room is left.
#[test]
fn a_flood_delays_no_verdict() {
    let mut cluster = Cluster::warm(64, 6, Config::default());
    flood(&mut cluster, 3 * SECOND);
    let (victim, crashed) = (17, cluster.elapsed());
    cluster.crash(victim);
    flood(&mut cluster, 13 * SECOND);
    check_crash(&cluster, victim, crashed, 6);
    let counters = |cluster: &Cluster| *cluster.member(0).counters();
    assert!(counters(&cluster).broadcasts_dropped > 1000, "it was more than could be told");
    assert!(counters(&cluster).broadcasts_received > 1000, "and much of it was");
    assert!(cluster.longest.iter().all(|(kind, bytes)| *kind == "sync" || *bytes <= 1400));
    check_once(&cluster);
}

#[test]
fn a_flood_delays_no_exchange_no_joining_and_no_departure() {
    let mut cluster = Cluster::warm(32, 7, Config::default());
    cluster.network.loss = 0.05;
    flood(&mut cluster, 5 * SECOND);
    let began = cluster.elapsed();
    // From a book, so it is no news: only a digest that differs shows it. Were a flood taken for news, digests would
    // count after 5 s only.
    let gone = Member {
        id: Name(99),
        epoch: 1,
        incarnation: 0,
        state: State::Left,
        addr: "99".into(),
        meta: [].into(),
    };
    cluster.with(5, |swim, now| swim.import([gone], now));
    assert!(await_in_flood(&mut cluster, 4 * SECOND, |cluster| {
        (0..32).all(|it| cluster.member(it).member(&Name(99)).is_some())
    }));
    let joined = cluster.add(32);
    cluster.join(joined, &[0]);
    assert!(await_in_flood(&mut cluster, 4 * SECOND, |cluster| {
        (0..33).all(|it| cluster.member(it).members().filter(|member| member.is_up()).count() == 33)
    }));
    let left = cluster.elapsed();
    let name = cluster.name(11);
    cluster.leave(11);
    flood(&mut cluster, 3 * SECOND);
    let drained = cluster.record.first(11, name.0, What::LeaveDrained, left).expect("the departure ends");
    assert!(drained - left <= SECOND, "after {:?}", drained - left);
    let others = (0..33).filter(|it| *it != 11);
    let told =
        others.filter(|it| cluster.member(*it).member(&name).is_some_and(|it| it.state == State::Left));
    assert_eq!(told.count(), 32);
    assert_eq!(cluster.record.deaths_since(began), 0);
}

fn flood(cluster: &mut Cluster, span: Duration) {
    await_in_flood(cluster, span, |_| false);
}

/// Whether it came to hold within the span.
fn await_in_flood(cluster: &mut Cluster, span: Duration, condition: impl Fn(&Cluster) -> bool) -> bool {
    let end = cluster.elapsed() + span;
    while cluster.elapsed() < end && !condition(cluster) {
        for origin in cluster.running() {
            let key = format!("{origin} at {:?}", cluster.elapsed());
            // What finds no room is none of the members' business.
            let _ = offer(cluster, origin, &key, vec![1; 20]);
        }
        cluster.run_for(SECOND / 10);
    }
    condition(cluster)
}

fn offer(cluster: &mut Cluster, origin: usize, key: &str, payload: Vec<u8>) -> Result<(), BroadcastError> {
    let mut result = Ok(());
    cluster.with(origin, |swim, now| {
        result = swim.offer_broadcast(key.as_bytes(), payload, Priority::Normal, now);
    });
    result
}

/// How many have heard of the key.
fn reached(cluster: &Cluster, key: &str) -> usize {
    let heard = cluster.record.broadcasts.iter().filter(|it| it.2 == key.as_bytes());
    heard.map(|(observer, ..)| observer).collect::<BTreeSet<_>>().len()
}

fn check_once(cluster: &Cluster) {
    let mut heard = BTreeSet::new();
    assert!(!cluster.record.broadcasts.is_empty());
    assert!(cluster.record.broadcasts.iter().all(|it| heard.insert(it)), "nobody hears anything twice");
    assert!(cluster.record.broadcasts.iter().all(|(observer, origin, ..)| *observer != *origin as usize));
}
