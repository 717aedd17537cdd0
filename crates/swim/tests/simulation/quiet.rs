//! A cluster without change costs its probes, and what happens is determined by the seed.

use std::collections::BTreeSet;

use trellis_swim::Config;

use crate::cluster::{Cluster, SECOND};

/// P11: after everything has settled there are probes only.
#[test]
fn a_quiet_cluster_sends_probes_only() {
    for count in [2, 3, 8, 16] {
        let mut cluster = Cluster::joined(count, 3);
        cluster.run_for(10 * SECOND);
        let (before, load) = (cluster.sent.clone(), cluster.load);
        cluster.run_for(60 * SECOND);
        let grown: BTreeSet<_> = cluster
            .sent
            .iter()
            .filter(|(kind, sent)| before.get(*kind) != Some(sent))
            .map(|(kind, _)| *kind)
            .collect();
        assert_eq!(grown, BTreeSet::from(["ping", "reply"]), "{count} members");
        let messages = (cluster.load.messages - load.messages) as f64 / (60 * count) as f64;
        let bytes = (cluster.load.bytes - load.bytes) as f64 / (60 * count) as f64;
        assert!(messages <= 2.1, "{messages} messages per member and second");
        assert!(bytes <= 60.0, "{bytes} bytes per member and second");
    }
}

/// P16: one seed gives one history, byte for byte.
#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed| {
        let mut cluster = Cluster::joined(5, seed);
        cluster.network.loss = 0.1;
        cluster.network.repeats = 0.1;
        cluster.run_for(20 * SECOND);
        cluster.crash(3);
        cluster.pause(1, 3 * SECOND);
        cluster.run_for(20 * SECOND);
        (cluster.trace, cluster.record.happened.clone())
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}

#[test]
fn a_thousand_members_are_feasible() {
    let mut cluster = Cluster::warm(1000, 1, Config::default());
    cluster.run_for(3 * SECOND);
    assert!(cluster.digests_are_equal());
    assert_eq!(cluster.member(999).members().count(), 1000);
}

/// P16 for one member: the same calls with the same seed, and it is the same.
#[test]
fn a_member_that_is_handed_the_same_once_more_does_the_same() {
    let mut cluster = Cluster::new(4);
    cluster.network.loss = 0.1;
    cluster.tapped = 2;
    cluster.start_warm(6);
    cluster.run_for(20 * SECOND);
    cluster.crash(3);
    cluster.run_for(30 * SECOND);
    for index in 0..2 {
        let (swim, _) = cluster.tap(index).replay(cluster.moment());
        let member = cluster.member(index);
        assert_eq!((swim.counters(), swim.export()), (member.counters(), member.export()));
        assert!(
            swim.counters().deaths > 0 && swim.counters().probes > 40,
            "of a history with something in it"
        );
    }
}
