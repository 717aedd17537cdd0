//! Write concern: which nodes count for it, and how often (R15).

use super::*;

/// Registers a write at seq 1 of slot 7 that wants `nodes`, once `link` has acknowledged it.
fn acked(link: LinkId) -> (LinkId, LinkEvent) {
    (link, LinkEvent::PushReply(PushReply::Acked(vec![(7, 1)])))
}

fn is_replicated(outputs: &[Output]) -> bool {
    outputs.contains(&Output::Replicated { ticket: 5 })
}

#[test]
fn this_node_alone_satisfies_one_and_an_acknowledgement_two() {
    let mut bench = Bench::member();
    let link = bench.push_stream();
    bench.write(1);
    bench.replicator.await_replicas(4, 7, 1, 1);
    assert_eq!(bench.outputs(), [Output::Replicated { ticket: 4 }]);
    bench.replicator.await_replicas(5, 7, 1, 2);
    assert_eq!(bench.outputs(), []);
    let (link, event) = acked(link);
    bench.tell(link, event);
    assert!(is_replicated(&bench.outputs()));
    assert_eq!(bench.replicator.cancel_replicas(5), 1);
}

#[test]
fn a_node_counts_once_however_many_replicas_and_names_it_shows() {
    let mut bench = Bench::member();
    bench.write(1);
    let mut greeting = hello(2);
    greeting.clock.raise(7, replica(1), 1);
    let mut again = greeting.clone();
    (again.identity.replica, again.identity.epoch) = (ReplicaId::from_u64(23), 6);
    let mut renamed = again.clone();
    (renamed.identity.name, renamed.identity.replica, renamed.identity.epoch) =
        ("n4".to_owned(), ReplicaId::from_u64(24), 7);
    for greeting in [greeting, again, renamed] {
        let link = bench.replicator.accept(&greeting.identity.name, LinkKind::PushIn, bench.now);
        bench.tell(link, LinkEvent::PushRequest(PushRequest::Hello(greeting)));
    }
    bench.replicator.await_replicas(5, 7, 1, 3);
    assert!(!is_replicated(&bench.outputs()));
    assert_eq!(bench.replicator.cancel_replicas(5), 2);
}

#[test]
fn a_guest_counts_nothing() {
    let mut bench = Bench::member();
    bench.write(1);
    let link = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    let mut greeting = hello(2);
    greeting.is_guest = true;
    greeting.clock.raise(7, replica(1), 1);
    bench.tell(link, open_of(2, Some(greeting), 0));
    bench.replicator.await_replicas(5, 7, 1, 2);
    assert!(!is_replicated(&bench.outputs()));
}

#[test]
fn a_hello_as_guest_that_was_overtaken_does_not_make_a_member_a_guest_again() {
    let mut bench = Bench::member();
    bench.write(1);
    let mut greeting = hello(2);
    greeting.clock.raise(7, replica(1), 1);
    let push = bench.replicator.accept("n2", LinkKind::PushIn, bench.now);
    bench.tell(push, LinkEvent::PushRequest(PushRequest::Hello(greeting)));
    let mut late = hello(2);
    late.is_guest = true;
    let sync = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    bench.tell(sync, open_of(2, Some(late), 0));
    bench.replicator.await_replicas(5, 7, 1, 2);
    assert!(is_replicated(&bench.outputs()));
}

#[test]
fn an_acknowledgement_beyond_what_was_written_counts_for_nothing_that_comes_later() {
    let mut bench = Bench::member();
    let link = bench.push_stream();
    bench.tell(link, LinkEvent::PushReply(PushReply::Acked(vec![(7, u64::MAX)])));
    bench.write(1);
    bench.replicator.await_replicas(5, 7, 1, 2);
    assert!(!is_replicated(&bench.outputs()));
}

#[test]
fn what_a_removed_node_acknowledged_counts_nothing() {
    let mut bench = Bench::member();
    let link = bench.push_stream();
    bench.write(1);
    let (link, event) = acked(link);
    bench.tell(link, event);
    let removed = [NodeId::from_u64(2)].into_iter().collect();
    bench.replicator.learn_from(&Roster { removed, ..Roster::default() }, bench.now).unwrap();
    bench.replicator.await_replicas(5, 7, 1, 2);
    assert!(!is_replicated(&bench.outputs()));
}
