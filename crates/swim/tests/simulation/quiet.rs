//! A cluster without change costs its probes, and what happens is determined by the seed.

use std::collections::BTreeMap;

use trellis_swim::TransmitKind;

use crate::cluster::{Cluster, SECOND};

#[test]
fn a_quiet_cluster_sends_probes_only() {
    for count in [2, 3, 8, 16] {
        let mut cluster = Cluster::joined(count, 3);
        cluster.run_for(10 * SECOND);
        let before = cluster.sent.len();
        cluster.run_for(60 * SECOND);
        let mut by_kind = BTreeMap::new();
        for (.., kind) in &cluster.sent[before..] {
            *by_kind.entry(format!("{kind:?}")).or_insert(0) += 1;
        }
        assert_eq!(by_kind.keys().collect::<Vec<_>>(), [&format!("{:?}", TransmitKind::PingDirect)]);
        assert!(by_kind["PingDirect"] <= 60 * count, "one probe per member and second: {by_kind:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed| {
        let mut cluster = Cluster::joined(5, seed);
        cluster.loss = 0.1;
        cluster.run_for(20 * SECOND);
        cluster.crash(3);
        cluster.run_for(20 * SECOND);
        (format!("{:?}", cluster.sent), format!("{:?}", cluster.history.events))
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}
