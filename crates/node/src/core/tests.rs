//! Whole cores together: founding, joining, replication, loss of processes and disks.

mod checks;
pub(crate) mod cluster;
pub(crate) mod mischief;
mod rules;
mod soak;
mod strangers;

use std::time::Duration;

use trellis_crdt::Kind;
use trellis_storage::{Operation, ReadValue};

use self::cluster::Cluster;
use super::*;

#[test]
fn three_nodes_found_join_and_count() {
    let mut cluster = Cluster::of(3);
    cluster.increment("n1", "hits", 5);
    cluster.increment("n2", "hits", -2);
    cluster.run_for(Duration::from_millis(20));
    for name in ["n1", "n2", "n3"] {
        assert_eq!(cluster.value(name, "hits"), 3, "{name}");
    }
}

#[test]
fn a_write_is_read_only_once_it_is_durable() {
    let cluster = Cluster::of(1);
    let core = cluster.nodes["n1"].core();
    let written = core
        .write(&Operation::Increment { key: "hits", kind: Kind::PnCounter, amount: 1 }, cluster.now())
        .unwrap();
    assert_eq!(core.read("hits", None).unwrap().1, written.lsn);
    assert_eq!(core.read("misses", None).unwrap().1, None);
}

#[test]
fn a_node_that_was_away_catches_up_without_any_write() {
    let mut cluster = Cluster::of(3);
    cluster.increment("n1", "hits", 1);
    cluster.run_for(Duration::from_millis(20));
    cluster.kill("n2");
    for round in 0..50 {
        cluster.increment("n1", &format!("key{round}"), round);
        cluster.increment("n3", "hits", 1);
    }
    cluster.run_for(Duration::from_secs(12));
    cluster.start_node("n2");
    cluster.run_until("n2 has everything", |cluster| {
        cluster.value("n2", "hits") == 51
            && (0..50).all(|round| cluster.value("n2", &format!("key{round}")) == round)
    });
}

#[test]
fn all_nodes_restart_at_once_and_agree() {
    let mut cluster = Cluster::of(3);
    for name in ["n1", "n2", "n3"] {
        cluster.increment(name, "hits", 7);
    }
    cluster.run_for(Duration::from_millis(5));
    for name in ["n1", "n2", "n3"] {
        cluster.kill(name);
    }
    for name in ["n3", "n1", "n2"] {
        cluster.start_node(name);
    }
    cluster.run_until("all have all", |cluster| {
        ["n1", "n2", "n3"].iter().all(|name| cluster.value(name, "hits") == 21)
    });
}

#[test]
fn a_node_that_lost_its_disk_comes_back_as_a_guest_under_its_name() {
    let mut cluster = Cluster::of(3);
    cluster.increment("n3", "hits", 4);
    cluster.increment("n1", "hits", 3);
    cluster.run_for(Duration::from_millis(20));
    let old = cluster.nodes["n3"].replica;
    cluster.kill("n3");
    cluster.wipe("n3");
    cluster.start_node("n3");
    assert_eq!(cluster.nodes["n3"].core().phase(), Phase::Guest);
    cluster.run_until("n3 serves", |cluster| cluster.nodes["n3"].core().phase() == Phase::Serving);
    assert_eq!(cluster.value("n3", "hits"), 7);
    assert_ne!(cluster.nodes["n3"].replica, old);
    cluster.increment("n3", "hits", 1);
    cluster.run_until("the others hear of it", |cluster| {
        ["n1", "n2", "n3"].iter().all(|name| cluster.value(name, "hits") == 8)
    });
    let status = cluster.nodes["n1"].core().status(cluster.now());
    assert_eq!(status.members.len(), 3);
}

#[test]
fn a_guest_serves_nothing() {
    let mut cluster = Cluster::of(2);
    cluster.kill("n1");
    cluster.kill("n2");
    cluster.start_node("n3");
    cluster.run_for(Duration::from_secs(2));
    let core = cluster.nodes["n3"].core();
    let increment = Operation::Increment { key: "hits", kind: Kind::PnCounter, amount: 1 };
    assert_eq!(core.write(&increment, cluster.now()), Err(RequestError::NotServing(Phase::Guest)));
    assert!(core.read("hits", None).is_err());
    assert!(
        cluster
            .notices
            .iter()
            .any(|(name, notice)| *name == "n3" && matches!(notice, Notice::Waiting { .. }))
    );
}

#[test]
fn a_guest_serves_nothing_when_its_log_fails_or_when_it_is_about_to_stop() {
    for phase in [Phase::Failed, Phase::Draining] {
        let mut cluster = Cluster::of(2);
        cluster.increment("n1", "hits", 7);
        cluster.run_for(Duration::from_millis(20));
        cluster.kill("n1");
        cluster.kill("n2");
        cluster.start_node("n3");
        let core = cluster.nodes["n3"].core();
        match phase {
            Phase::Failed => core.handle_log_failed(cluster.now()),
            _ => core.drain(),
        }
        assert_eq!(core.read("hits", None).map(drop), Err(RequestError::NotServing(phase)));
        let listed = core.list(Cursor::START, "", None, 10, 10);
        assert_eq!(listed.map(drop), Err(RequestError::NotServing(phase)));
    }
}

#[test]
fn a_node_is_drained_once_its_writes_are_durable_and_its_peers_have_them() {
    let mut cluster = Cluster::of(2);
    assert!(cluster.nodes["n1"].core().is_drained());
    cluster.increment("n1", "hits", 1);
    cluster.nodes["n1"].core().drain();
    assert!(!cluster.nodes["n1"].core().is_drained(), "the log has not taken it");
    cluster.stalled.insert("n2");
    cluster.run_for(Duration::from_millis(5));
    assert!(!cluster.nodes["n1"].core().is_drained(), "n2 has not made it durable");
    cluster.stalled.clear();
    cluster.run_for(Duration::from_millis(20));
    assert!(cluster.nodes["n1"].core().is_drained());
}

#[test]
fn a_node_whose_log_fails_while_it_drains_waits_for_nothing() {
    let cluster = Cluster::of(1);
    cluster.increment("n1", "hits", 1);
    let core = cluster.nodes["n1"].core();
    core.drain();
    core.handle_log_failed(cluster.now());
    assert!(core.is_drained());
    let effects: Vec<Effect> = std::iter::from_fn(|| core.poll_effect()).collect();
    assert!(
        effects.contains(&Effect::Phase(Phase::Draining)) && effects.contains(&Effect::Phase(Phase::Failed))
    );
}

#[test]
fn a_cut_between_two_nodes_heals_and_nothing_is_lost() {
    let mut cluster = Cluster::of(3);
    cluster.cut = Some(("n1", "n2"));
    for _ in 0..20 {
        cluster.increment("n1", "hits", 1);
        cluster.increment("n2", "hits", 1);
        cluster.run_for(Duration::from_millis(100));
    }
    cluster.cut = None;
    cluster.run_until("both have all", |cluster| {
        ["n1", "n2", "n3"].iter().all(|name| cluster.value(name, "hits") == 40)
    });
}

#[test]
fn registers_and_deletions_reach_everybody() {
    let mut cluster = Cluster::of(3);
    cluster.write("n1", &Operation::Set { key: "title", kind: Kind::LwwRegister, value: b"one" });
    cluster.run_for(Duration::from_millis(20));
    cluster.write("n2", &Operation::Set { key: "title", kind: Kind::LwwRegister, value: b"two" });
    cluster.increment("n2", "hits", 9);
    cluster.run_for(Duration::from_millis(20));
    cluster.write("n3", &Operation::Delete { key: "hits", kind: None });
    cluster.run_for(Duration::from_millis(20));
    for name in ["n1", "n2", "n3"] {
        let read = cluster.nodes[name].core().read("title", None).unwrap().0;
        assert_eq!(read.value, Some(ReadValue::Values(vec![b"two".as_slice().into()])), "{name}");
        assert!(cluster.nodes[name].core().read("hits", None).unwrap().0.kinds.is_empty(), "{name}");
    }
}

#[test]
fn no_two_nodes_ever_disagree_at_equal_clocks() {
    let mut cluster = Cluster::of(3);
    for round in 0..200 {
        let name = ["n1", "n2", "n3"][round % 3];
        cluster.increment(name, &format!("key{}", round % 17), 1);
        if round % 40 == 39 {
            cluster.kill("n2");
            cluster.run_for(Duration::from_millis(700));
            cluster.start_node("n2");
        }
        cluster.run_for(Duration::from_millis(10));
    }
    cluster.run_for(Duration::from_secs(40));
    assert!(!cluster.notices.iter().any(|(_, notice)| matches!(notice, Notice::Diverged { .. })));
}

#[test]
fn a_quiet_cluster_is_in_step_and_sends_no_deltas() {
    let mut cluster = Cluster::of(3);
    cluster.increment("n1", "hits", 1);
    cluster.run_for(Duration::from_secs(5));
    let sent = |cluster: &Cluster| -> u64 {
        cluster.nodes.values().map(|node| node.core().status(cluster.now()).replication.deltas_sent).sum()
    };
    let before = sent(&cluster);
    assert_eq!(before, 2);
    cluster.run_for(Duration::from_secs(20));
    assert_eq!(sent(&cluster), before);
}
