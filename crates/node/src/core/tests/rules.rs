//! The rules of docs/replication.md, each by the history that goes wrong without it.

use trellis_storage::ReadValue;

use super::super::*;
use super::checks::{after_crash, equal_clocks_have_equal_digests, r1_nothing_leaves_before_it_is_durable};
use super::cluster::Cluster;
use super::mischief::Mischief;

const ALL: [&str; 3] = ["n1", "n2", "n3"];
pub(super) const SECOND: Duration = Duration::from_secs(1);

fn all_slots() -> Vec<u8> {
    (0..=u8::MAX).collect()
}

pub(super) fn keys() -> Vec<String> {
    (0..40).map(|number| format!("key{number}")).collect()
}

pub(super) fn have_all(cluster: &Cluster, names: &[&str], key: &str, value: i64) -> bool {
    names.iter().all(|name| cluster.value(name, key) == value)
}

/// Limits so small that a few operations pass all of them.
pub(super) fn cramped() -> Cluster {
    let replication = ReplicationConfig {
        ring_bytes: 2000,
        window_bytes: 800,
        batch_bytes: 400,
        chunk_bytes: 300,
        ..ReplicationConfig::default()
    };
    Cluster::new().limited(replication)
}

#[test]
fn r1_nothing_leaves_a_node_before_it_is_durable() {
    for shards in [1, 2, 8] {
        let mut cluster = cramped().sharded(shards).grown_to(3);
        cluster.watch = Some(r1_nothing_leaves_before_it_is_durable);
        for round in 0..12 {
            let name = ALL[round % 3];
            cluster.stalled.insert(name);
            for key in &keys()[..8] {
                cluster.increment(ALL[(round + 1) % 3], key, 1);
                cluster.increment(name, key, 1);
            }
            cluster.run_for(Duration::from_millis(40));
            if round % 4 == 3 {
                cluster.break_all();
            }
            cluster.stalled.clear();
            cluster.run_for(Duration::from_millis(40));
        }
        cluster.run_for(5 * SECOND);
    }
}

#[test]
fn r1_a_chunk_waits_for_what_was_written_since_the_transfer_began() {
    let mut cluster = cramped().grown_to(2);
    cluster.kill("n2");
    for key in keys() {
        cluster.increment("n1", &key, 7);
    }
    cluster.run_for(SECOND);
    // Without its ring the writer can only give state.
    cluster.kill("n1");
    cluster.start_node("n1");
    cluster.start_node("n2");
    let has_begun =
        |cluster: &Cluster| cluster.nodes["n2"].core().status(cluster.now()).replication.entries_received;
    while has_begun(&cluster) == 0 {
        cluster.tick();
        cluster.deliver();
    }
    assert!(has_begun(&cluster) < 40, "the transfer is under way");
    cluster.stalled.insert("n1");
    for key in keys() {
        cluster.increment("n1", &key, 1);
    }
    cluster.watch = Some(r1_nothing_leaves_before_it_is_durable);
    cluster.run_for(SECOND);
    cluster.stalled.clear();
    cluster.run_until("n2 has all", |cluster| keys().iter().all(|key| cluster.value("n2", key) == 8));
}

#[test]
fn r2_the_clock_passes_no_hole_and_the_hole_is_filled() {
    let mut cluster = Cluster::of(3);
    cluster.mischief = Some(Mischief::new(2, 0, 2));
    for _ in 0..60 {
        cluster.increment("n1", "hits", 1);
        cluster.increment("n2", "hits", 1);
        cluster.run_for(Duration::from_millis(3));
        equal_clocks_have_equal_digests(&cluster, &[slot_of("hits")]);
    }
    cluster.mischief = None;
    cluster.run_until("all have all", |cluster| have_all(cluster, &ALL, "hits", 120));
    let wanted = |name| cluster.nodes[name].core().status(cluster.now()).replication.ranges_wanted;
    assert!(ALL.into_iter().map(wanted).sum::<u64>() > 0);
}

#[test]
fn r3_a_cut_transfer_hides_nothing() {
    let mut cluster = cramped().grown_to(2);
    cluster.kill("n2");
    for key in keys() {
        cluster.increment("n1", &key, 7);
    }
    cluster.run_for(SECOND);
    cluster.mischief = Some(Mischief::new(3, 4, 0));
    cluster.start_node("n2");
    for _ in 0..4000 {
        cluster.step();
        equal_clocks_have_equal_digests(&cluster, &keys().iter().map(|key| slot_of(key)).collect::<Vec<_>>());
    }
    cluster.mischief = None;
    cluster.run_until("n2 has all", |cluster| keys().iter().all(|key| cluster.value("n2", key) == 7));
}

#[test]
fn r3_no_clock_is_adopted_over_an_entry_that_was_refused() {
    let mut cluster = Cluster::of(2);
    cluster.kill("n2");
    cluster.increment("n1", "hits", 7);
    cluster.run_for(SECOND);
    // Without its ring the writer can only give state.
    cluster.kill("n1");
    cluster.start_node("n1");
    cluster.mischief = Some(Mischief::that_garbles_entries());
    cluster.start_node("n2");
    cluster.run_for(5 * SECOND);
    assert!(
        cluster
            .notices
            .iter()
            .any(|(name, notice)| *name == "n2" && matches!(notice, Notice::Unmergeable { .. }))
    );
    equal_clocks_have_equal_digests(&cluster, &all_slots());
    cluster.mischief = None;
    cluster.run_until("n2 has it", |cluster| cluster.value("n2", "hits") == 7);
}

#[test]
fn r4_an_entry_is_indexed_under_every_origin_that_wrote_it() {
    let mut cluster = cramped().grown_to(3);
    cluster.kill("n3");
    cluster.increment("n1", "hits", 1);
    cluster.run_for(SECOND);
    cluster.increment("n2", "hits", 2);
    cluster.run_for(SECOND);
    cluster.kill("n1");
    cluster.start_node("n3");
    cluster.run_until("n3 has both", |cluster| cluster.value("n3", "hits") == 3);
    cluster.kill("n2");
    cluster.start_node("n4");
    cluster.run_until("n4 serves", |cluster| cluster.nodes["n4"].core().phase() == Phase::Serving);
    assert_eq!(cluster.value("n4", "hits"), 3);
}

#[test]
fn r5_what_the_ring_forgot_comes_by_a_catch_up_of_the_slot() {
    let mut cluster = cramped().grown_to(3);
    cluster.cut = Some(("n1", "n2"));
    for round in 0..100 {
        cluster.increment("n1", "hits", 1);
        cluster.increment("n1", &format!("key{}", round % 9), 1);
        cluster.run_for(Duration::from_millis(2));
    }
    cluster.kill("n3");
    cluster.cut = None;
    cluster.run_until("n2 has all", |cluster| {
        cluster.value("n2", "hits") == 100 && cluster.value("n2", "key0") == 12
    });
}

#[test]
fn r6_and_r7_a_reset_keeps_the_increments_that_it_did_not_see() {
    let mut cluster = Cluster::of(3);
    cluster.increment("n1", "hits", 10);
    cluster.run_for(SECOND);
    cluster.cut = Some(("n1", "n3"));
    cluster.kill("n2");
    cluster.increment("n1", "hits", 5);
    cluster.write("n3", &Operation::Delete { key: "hits", kind: None });
    cluster.increment("n3", "hits", 2);
    cluster.run_for(SECOND);
    cluster.cut = None;
    cluster.start_node("n2");
    cluster.run_until("the unseen remain", |cluster| have_all(cluster, &ALL, "hits", 7));
    cluster.write("n1", &Operation::Delete { key: "hits", kind: None });
    cluster.increment("n1", "hits", 5);
    cluster.run_until("a fresh start counts", |cluster| have_all(cluster, &ALL, "hits", 5));
}

fn set(cluster: &Cluster, name: &str, value: &[u8]) {
    cluster.write(name, &Operation::Set { key: "title", kind: Kind::LwwRegister, value });
}

fn title(cluster: &Cluster, name: &str) -> Option<Vec<u8>> {
    match cluster.core(name)?.read("title", None).unwrap().0.value? {
        ReadValue::Values(values) => Some(values[0].to_vec()),
        _ => None,
    }
}

#[test]
fn r11_stamps_stay_above_what_was_seen_after_a_restart_with_the_wall_clock_back() {
    let mut cluster = Cluster::of(3);
    set(&cluster, "n2", b"first");
    cluster.run_for(SECOND);
    cluster.write("n2", &Operation::Delete { key: "title", kind: None });
    cluster.run_for(SECOND);
    cluster.kill("n1");
    cluster.wall_ahead.insert("n1", -300_000);
    cluster.start_node("n1");
    set(&cluster, "n1", b"second");
    cluster.run_until("the later write shows", |cluster| {
        ALL.into_iter().all(|name| title(cluster, name).as_deref() == Some(b"second"))
    });
}

#[test]
fn r13_what_is_not_settled_is_not_compared() {
    let mut cluster = Cluster::of(2);
    cluster.mischief = Some(Mischief::new(1, 0, 1));
    for _ in 0..30 {
        cluster.increment("n1", "hits", 1);
        cluster.run_for(Duration::from_millis(300));
    }
    assert_eq!(cluster.nodes["n1"].core().status(cluster.now()).diverged, 0);
    assert_eq!(cluster.nodes["n2"].core().status(cluster.now()).diverged, 0);
}

#[test]
fn r15_a_write_counts_at_a_node_once_it_is_durable_there() {
    let mut cluster = Cluster::of(3);
    cluster.stalled.extend(["n2", "n3"]);
    cluster.increment("n1", "hits", 1);
    cluster.run_for(SECOND);
    cluster.nodes["n1"].core().await_replicas(5, (slot_of("hits"), 1), 2, cluster.now());
    cluster.run_for(SECOND);
    assert_eq!(cluster.replicated, []);
    cluster.stalled.remove("n3");
    cluster.run_for(SECOND);
    assert_eq!(cluster.replicated, [5]);
}

#[test]
fn r16_replay_equals_arrival() {
    for shards in [1, 2, 8] {
        let mut cluster = cramped().sharded(shards).grown_to(3);
        cluster.mischief = Some(Mischief::new(7, 50, 3));
        for (round, key) in keys().iter().cycle().take(120).enumerate() {
            cluster.increment(ALL[round % 3], key, 1);
            set(&cluster, ALL[(round + 1) % 3], key.as_bytes());
            if round % 7 == 0 {
                cluster.write(ALL[round % 3], &Operation::Delete { key, kind: None });
            }
            cluster.run_for(Duration::from_millis(5));
        }
        for name in ALL {
            let recovered = after_crash(&cluster, name);
            let core = cluster.nodes[name].core();
            for slot in all_slots() {
                let replayed = &recovered.keyspaces[usize::from(slot) % shards];
                let shard = core.shard(slot).lock();
                let arrived = shard.keyspace();
                assert_eq!(replayed.clock(slot), arrived.clock(slot), "{name} {slot}");
                assert_eq!(replayed.ceiling(slot), arrived.ceiling(slot), "{name} {slot}");
                assert_eq!(replayed.digest(slot), arrived.digest(slot), "{name} {slot}");
            }
        }
    }
}

#[test]
fn r17_a_node_whose_log_failed_reads_what_is_durable_and_says_nothing() {
    let mut cluster = Cluster::of(2);
    cluster.increment("n1", "hits", 1);
    cluster.run_for(SECOND);
    cluster.stalled.insert("n1");
    cluster.increment("n1", "lost", 1);
    let core = cluster.nodes["n1"].core();
    core.handle_log_failed(cluster.now());
    assert_eq!(core.read("hits", None).unwrap().1, None);
    assert!(core.read("lost", None).unwrap().1 > Some(core.log().durable()));
    let increment = Operation::Increment { key: "hits", kind: Kind::PnCounter, amount: 1 };
    assert_eq!(core.write(&increment, cluster.now()), Err(RequestError::NotServing(Phase::Failed)));
    cluster.watch = Some(|_, from, _, said| match said {
        super::cluster::Said::Gossip(gossip) if from == "n1" => assert_eq!(gossip.digests, []),
        super::cluster::Said::Message(message) if from == "n1" => {
            use trellis_replication::{Message, PushReply, SyncReply};
            let is_refusal = matches!(
                message,
                Message::PushReply(PushReply::Refused(_)) | Message::SyncReply(SyncReply::Refused(_))
            );
            assert!(is_refusal, "{message:?}");
        }
        _ => {}
    });
    cluster.increment("n2", "hits", 1);
    cluster.run_for(10 * SECOND);
}

#[test]
fn r18_a_counter_that_came_back_to_zero_exists_and_an_increment_by_zero_makes_none() {
    let mut cluster = Cluster::of(2);
    cluster.increment("n1", "hits", 3);
    cluster.increment("n1", "hits", -3);
    cluster.increment("n1", "nothing", 0);
    cluster.run_for(SECOND);
    for name in ["n1", "n2"] {
        let core = cluster.nodes[name].core();
        assert_eq!(core.read("hits", None).unwrap().0.kinds, [Kind::PnCounter]);
        assert!(core.read("nothing", None).unwrap().0.kinds.is_empty());
    }
}
