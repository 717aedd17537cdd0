//! P14 and P15: what is not of this cluster changes nothing, and what a later version adds does no harm.

use std::time::Duration;

use crate::cluster::{Cluster, SECOND};

/// P15: members of a later version set flags, add fields to records, and tell of states that this one does not know.
#[test]
fn members_of_a_later_version_and_this_one_form_one_cluster() {
    for seed in 0..5 {
        let mut cluster = Cluster::new(seed);
        cluster.later_versions = 3;
        cluster.network.loss = 0.05;
        for name in 0..8 {
            let index = cluster.add(name);
            cluster.join(index, &[0]);
        }
        cluster.run_for(10 * SECOND);
        cluster.crash(6);
        cluster.run_for(20 * SECOND);
        assert!(cluster.agrees_on_who_runs() && cluster.digests_are_equal(), "seed {seed}");
        let unknown: u64 =
            cluster.running().iter().map(|it| cluster.member(*it).counters().updates_unknown).sum();
        assert!(unknown > 0, "seed {seed}: they did say what is not known here");
        let refused: u64 =
            cluster.running().iter().map(|it| cluster.member(*it).counters().messages_refused).sum();
        assert_eq!(refused, 0, "seed {seed}");
    }
}

/// P14: members of another cluster that come by an address of this one are not heard.
#[test]
fn another_cluster_at_a_recycled_address_is_not_joined() {
    let mut cluster = Cluster::joined(4, 2);
    cluster.foreign_from = 4;
    for name in 10..13 {
        let index = cluster.add(name);
        cluster.join(index, &[0, 4]);
    }
    cluster.run_for(60 * SECOND);
    for index in 0..4 {
        assert_eq!(cluster.member(index).members().count(), 4, "at {index}");
        assert!(cluster.member(index).counters().messages_refused > 0 || index != 0);
    }
    assert_eq!(cluster.record.deaths_since(Duration::ZERO), 0);
    assert_eq!(cluster.member(4).members().count(), 3, "and they form their own");
}
