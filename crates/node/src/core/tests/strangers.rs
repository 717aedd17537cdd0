//! Guests, returning nodes, and peers that say what is not so.

use trellis_replication::{Hello, PushRequest, PushedDelta, Roster};
use trellis_storage::{Config as StorageConfig, Keyspace};

use super::super::*;
use super::checks::settled;
use super::cluster::Cluster;
use super::mischief::Mischief;
use super::rules::{SECOND, cramped, have_all, keys};

#[test]
fn r12_a_guest_that_restarts_midway_goes_on_as_a_guest() {
    let mut cluster = cramped().grown_to(2);
    for key in keys() {
        cluster.increment("n1", &key, 7);
    }
    cluster.run_for(SECOND);
    cluster.start_node("n3");
    let remaining = |cluster: &Cluster| cluster.nodes["n3"].core().status(cluster.now()).slots_remaining;
    while remaining(&cluster) == 256 {
        cluster.tick();
        cluster.deliver();
    }
    assert!(remaining(&cluster) > 0, "the transfer is under way");
    cluster.kill("n3");
    cluster.start_node("n3");
    assert_eq!(cluster.nodes["n3"].core().phase(), Phase::Guest);
    assert!((1..=256).contains(&remaining(&cluster)));
    cluster.run_until("n3 serves", |cluster| cluster.nodes["n3"].core().phase() == Phase::Serving);
    assert!(keys().iter().all(|key| cluster.value("n3", key) == 7));
}

#[test]
fn r12_a_guest_whose_streams_break_all_the_time_serves_only_when_it_has_all() {
    let mut cluster = cramped().grown_to(2);
    for key in keys() {
        cluster.increment("n1", &key, 7);
    }
    cluster.run_for(SECOND);
    cluster.mischief = Some(Mischief::new(5, 6, 0));
    cluster.start_node("n3");
    for step in 0..6000 {
        cluster.step();
        if step == 2500 {
            cluster.kill("n1");
        }
        if cluster.nodes["n3"].core().phase() == Phase::Serving {
            break;
        }
    }
    cluster.mischief = None;
    cluster.run_until("n3 serves", |cluster| cluster.nodes["n3"].core().phase() == Phase::Serving);
    assert!(keys().iter().all(|key| cluster.value("n3", key) == 7));
}

#[test]
fn a_superseded_node_that_returns_with_its_old_disk_stops() {
    let mut cluster = Cluster::of(3);
    cluster.increment("n3", "hits", 4);
    cluster.run_for(SECOND);
    cluster.kill("n3");
    let (old_disk, old_node) = (cluster.nodes["n3"].disk.duplicate(), cluster.nodes["n3"].node);
    cluster.wipe("n3");
    cluster.start_node("n3");
    cluster.run_until("the heir serves", |cluster| cluster.nodes["n3"].core().phase() == Phase::Serving);
    cluster.kill("n3");
    let returned = cluster.nodes.get_mut("n3").unwrap();
    (returned.disk, returned.node) = (old_disk, old_node);
    cluster.start_node("n3");
    cluster.increment("n3", "hits", 100);
    cluster.run_until("it stops", |cluster| cluster.nodes["n3"].core().phase() == Phase::Removed);
    cluster.run_for(5 * SECOND);
    assert!(have_all(&cluster, &["n1", "n2"], "hits", 4));
}

#[test]
fn a_delta_that_names_an_operation_this_node_never_made_is_refused_and_writes_go_on() {
    let mut cluster = Cluster::of(2);
    let liar = cluster.nodes["n2"].core().status(cluster.now()).local;
    let mut forged = Keyspace::new([0; 16], StorageConfig::default());
    let increment = Operation::Increment { key: "hits", kind: Kind::PnCounter, amount: 1 };
    forged.apply(&increment, cluster.nodes["n1"].replica, || unreachable!("no stamp is asked for")).unwrap();
    let delete = Operation::Delete { key: "hits", kind: None };
    let mut applied = forged.apply(&delete, liar.replica, || unreachable!("no stamp is asked for")).unwrap();
    let change = applied.changes.remove(0);
    let delta = PushedDelta { slot: applied.slot, seq: change.seq, payload: change.delta.into() };
    let hello = Hello {
        cluster: "garden".to_owned(),
        protocol_min: 1,
        protocol_max: 1,
        identity: liar,
        is_guest: false,
        supersedes: None,
        durable_lsn: 1,
        roster: Roster::default(),
        clock: trellis_replication::NodeClock::new(),
        hlc: trellis_crdt::Hlc::ZERO,
    };
    let core = cluster.nodes["n1"].core();
    let link = core.accept("n2", LinkKind::PushIn, cluster.now());
    core.handle_link(link, LinkEvent::PushRequest(PushRequest::Hello(Box::new(hello))), cluster.now());
    core.handle_link(link, LinkEvent::PushRequest(PushRequest::Deltas(vec![delta])), cluster.now());
    cluster.increment("n1", "hits", 2);
    cluster.run_until("both count", |cluster| have_all(cluster, &["n1", "n2"], "hits", 2));
    assert!(
        cluster
            .notices
            .iter()
            .any(|(name, notice)| *name == "n1" && matches!(notice, Notice::Unmergeable { .. }))
    );
    assert_eq!(settled(cluster.nodes["n1"].core(), &[slot_of("hits")]).len(), 1);
}

#[test]
fn a_lost_disk_is_replaced_although_no_process_of_the_others_ever_heard_of_it() {
    let mut cluster = Cluster::of(3);
    cluster.increment("n3", "hits", 4);
    cluster.run_until("all count", |cluster| have_all(cluster, &["n1", "n2", "n3"], "hits", 4));
    for name in ["n1", "n2", "n3"] {
        cluster.kill(name);
    }
    cluster.wipe("n3");
    for name in ["n1", "n2", "n3"] {
        cluster.start_node(name);
    }
    cluster.run_until("n3 serves", |cluster| cluster.nodes["n3"].core().phase() == Phase::Serving);
    assert_eq!(cluster.value("n3", "hits"), 4);
}
