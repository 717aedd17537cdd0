//! Random schedules of everything that can go wrong, and what must hold at each step and at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use trellis_swim::{Config, DeadPolicy, State};

use crate::cluster::{Cluster, SECOND};
use crate::name::Name;

/// P2, P4, P7, P9, P10, P12: through drops, repetitions, reordering, one-way cuts, partitions, pauses, slow inboxes,
/// leaps of clocks, crashes and restarts with and without memory, moves, departures and returns, changed metadata,
/// changed settings, hosts that confirm deaths, and in every other history hosts that tell of links.
#[test]
fn whatever_happens_knowledge_only_grows_and_calm_brings_agreement() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::joined(3 + seed as usize % 6, seed);
        (cluster.reports_links, cluster.network.refuses) = (seed % 2 == 1, seed % 4 == 1);
        let mut watch = Watch::default();
        for step in 0..40 {
            disturb(&mut cluster, step);
            let span = cluster.random_millis(5000);
            watch_for(&mut cluster, &mut watch, span, seed);
        }
        calm_down(&mut cluster);
        watch_for(&mut cluster, &mut watch, 20 * SECOND, seed);
        let took = cluster.await_for(60 * SECOND, SECOND / 10, |cluster| {
            cluster.agrees_on_who_runs() && cluster.digests_are_equal()
        });
        assert!(took.is_some(), "seed {seed}: agreement within a minute of calm");
        let calm = cluster.elapsed();
        watch_for(&mut cluster, &mut watch, 60 * SECOND, seed);
        assert!(cluster.agrees_on_who_runs(), "seed {seed}: agreement stays");
        assert_eq!(cluster.record.deaths_since(calm), 0, "seed {seed}: no death in calm");
    }
}

/// What every observer has shown so far.
#[derive(Default)]
struct Watch {
    /// Observer's process and member: the greatest record seen.
    greatest: BTreeMap<(usize, u64, Name), (u64, u64, State)>,
    /// Member, epoch, incarnation: what it said of itself.
    said: BTreeMap<(Name, u64, u64), (String, Vec<u8>)>,
    local: BTreeMap<usize, (u64, u64, u64)>,
}

impl Watch {
    fn look(&mut self, cluster: &Cluster, seed: u64) {
        for observer in cluster.running() {
            let swim = cluster.member(observer);
            let boot = cluster.boot(observer);
            let local = swim.local();
            assert!(
                matches!(local.state, State::Alive | State::Left),
                "seed {seed}: {observer} thinks itself dead"
            );
            let own = (boot, local.epoch, local.incarnation);
            let before = self.local.insert(observer, own);
            let is_monotone =
                before.is_none_or(|before| before.0 != boot || (before.1, before.2) <= (own.1, own.2));
            assert!(is_monotone, "seed {seed}: {observer} falls back from {before:?} to {own:?}");
            assert!(swim.members().count() <= cluster.config.members_max);
            assert!(
                swim.health().news_count <= swim.members().count(),
                "seed {seed}: a slot for each member at most"
            );
            assert!(swim.health().awareness <= cluster.config.awareness_max);
            for member in swim.members() {
                let record = (member.epoch, member.incarnation, member.state);
                let key = (observer, boot, member.id);
                let known = self.greatest.entry(key).or_insert(record);
                assert!(
                    record >= *known,
                    "seed {seed}: {observer} forgot {known:?} of {:?} for {record:?}",
                    member.id
                );
                *known = record;
                let said = (member.addr.to_string(), member.meta.to_vec());
                let key = (member.id, member.epoch, member.incarnation);
                let first = self.said.entry(key).or_insert_with(|| said.clone());
                assert_eq!(*first, said, "seed {seed}: {:?} says two things", member.id);
            }
        }
    }
}

fn watch_for(cluster: &mut Cluster, watch: &mut Watch, span: Duration, seed: u64) {
    let end = cluster.elapsed() + span;
    while cluster.elapsed() < end {
        cluster.run_for(SECOND / 4);
        watch.look(cluster, seed);
    }
}

fn disturb(cluster: &mut Cluster, step: u64) {
    let index = cluster.random_index();
    let other = cluster.random_index();
    let is_running = cluster.is_running(index);
    match cluster.rng().random_range(0..17) {
        // Some seed stays, or members that lost their memory have no way to each other.
        0 if index > 0 => cluster.crash(index),
        1 | 2 if !is_running => restart(cluster, index),
        3 => {
            let span = cluster.random_millis(15_000);
            cluster.pause(index, span);
        }
        4 => cluster.network.split_at(index),
        5 => cluster.network.cut(index, other),
        6 => cluster.network.loss = 0.2,
        7 => (cluster.network.repeats, cluster.network.delay) = (0.3, 100..400_000),
        8 => cluster.slow(index, 3 * SECOND),
        9 => {
            let span = cluster.random_millis(30_000);
            cluster.jump(index, span);
        }
        10 if is_running => {
            cluster.move_member(index);
            let addr = cluster.addr(index);
            cluster.with(index, |swim, now| swim.update_addr(&addr, now).expect("an address"));
        }
        11 if is_running && index > 0 => {
            cluster.leave(index);
        }
        12 if is_running => cluster.join(index, &[0, 1, 2]),
        13 if is_running => {
            let meta = step.to_le_bytes().to_vec();
            cluster.with(index, |swim, now| swim.update_meta(meta, now).expect("short metadata"));
        }
        14 if is_running => {
            let manual = Config { dead_policy: DeadPolicy::Manual, ..Config::default() };
            let config = [Config::fast(), manual, Config::default()][step as usize % 3].clone();
            cluster.with(index, |swim, _| swim.set_config(config).expect("valid settings"));
        }
        15 if is_running => {
            let name = cluster.name(other);
            cluster.with(index, |swim, now| {
                let is_suspect = swim.member(&name).is_some_and(|member| member.state == State::Suspect);
                let is_gone = swim.local().state == State::Left;
                assert_eq!(swim.confirm_dead(&name, now), is_suspect && !is_gone);
            });
        }
        _ => mend(cluster),
    }
}

fn restart(cluster: &mut Cluster, index: usize) {
    let epoch = cluster.epoch();
    let remembers = cluster.rng().random();
    cluster.start_member(index, epoch, remembers);
    cluster.join(index, &[0, 1, 2]);
}

fn mend(cluster: &mut Cluster) {
    cluster.network.heal();
    (cluster.network.loss, cluster.network.repeats, cluster.network.delay) = (0.0, 0.0, 500..1500);
    (0..cluster.count()).for_each(|index| cluster.slow(index, Duration::ZERO));
}

/// Everything is mended, and who has left but still runs comes back.
fn calm_down(cluster: &mut Cluster) {
    mend(cluster);
    cluster.run_for(16 * SECOND);
    for index in cluster.running() {
        if cluster.member(index).local().state == State::Left {
            cluster.join(index, &[0, 1, 2]);
        }
        cluster.with(index, |swim, _| swim.set_config(Config::default()).expect("valid settings"));
    }
}

/// P10: what a member sends is never longer than its limits, however much there is to say.
#[test]
fn no_message_is_longer_than_its_limit() {
    let mut cluster = Cluster::warm(300, 5, Config { page_bytes_max: 4096, ..Config::default() });
    cluster.network.loss = 0.1;
    cluster.network.split_at(100);
    cluster.run_for(40 * SECOND);
    cluster.network.heal();
    cluster.run_for(10 * SECOND);
    assert!(cluster.longest["sync"] <= 4096, "{:?}", cluster.longest);
    assert!(cluster.longest["gossip"] <= 1400, "{:?}", cluster.longest);
    assert!(cluster.longest["gossip"] > 1300, "there was enough to say: {:?}", cluster.longest);
    assert!(cluster.longest["ping"] <= 1400, "{:?}", cluster.longest);
}

/// P12: calls that come late, early, twice or with an earlier time do no harm.
#[test]
fn needless_and_repeated_calls_are_harmless() {
    let mut cluster = Cluster::joined(5, 4);
    for _ in 0..2000 {
        let index = cluster.random_index();
        cluster.with(index, |swim, now| {
            swim.handle_timeout(now);
            swim.handle_timeout(now - Duration::from_millis(5));
            assert!(swim.poll_timeout().is_none_or(|next| next > now));
        });
        let pause = cluster.random_millis(20);
        cluster.run_for(pause);
    }
    assert!(cluster.agrees_all_alive());
    assert_eq!(cluster.record.of(crate::record::What::Suspected, Duration::ZERO).count(), 0);
}

const SEEDS: u64 = 160;
