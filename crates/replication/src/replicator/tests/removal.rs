//! Removed and superseded nodes: refused, and let go at once.

use super::*;

fn removal_of(node: u64) -> Roster {
    Roster { removed: [NodeId::from_u64(node)].into_iter().collect(), ..Roster::default() }
}

#[test]
fn of_peers_that_are_gone_members_are_remembered_and_whom_the_host_knows() {
    let mut bench = Bench::member();
    let mut roster = bench.replicator.roster().clone();
    let member = MemberRecord { name: "n2".to_owned(), ..MemberRecord::default() };
    roster.members.insert(NodeId::from_u64(2), member);
    bench.replicator.learn_from(&roster, bench.now).unwrap();
    for name in ["n2", "known", "gone", "alive", "linked"] {
        bench.replicator.set_alive(name, true, bench.now);
    }
    let dials = bench.outputs().into_iter().filter_map(|output| match output {
        Output::Dial { peer, link, .. } => Some((peer, link)),
        _ => None,
    });
    for (_, link) in dials.collect::<Vec<_>>().into_iter().filter(|(peer, _)| peer != "linked") {
        bench.tell(link, LinkEvent::Closed);
    }
    for name in ["n2", "known", "gone", "linked"] {
        bench.replicator.set_alive(name, false, bench.now);
    }
    bench.replicator.forget_peers(|name| name == "known");
    let left: Vec<_> = bench.replicator.peers().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(left, ["alive", "known", "linked", "n2"]);
    assert_eq!(bench.replicator.backlog().peers, 4);
}

#[test]
fn every_stream_of_a_removed_node_is_closed_and_nothing_on_it_is_heard() {
    let mut bench = Bench::member();
    let out = bench.push_stream();
    let pushed = bench.pushed_stream(2);
    let given = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    bench.tell(given, open_of(2, None, 0));
    bench.outputs();
    bench.replicator.learn_from(&removal_of(2), bench.now).unwrap();
    let closed: Vec<LinkId> = bench
        .outputs()
        .into_iter()
        .filter_map(|output| if let Output::Close { link } = output { Some(link) } else { None })
        .collect();
    assert_eq!(closed, [out, pushed, given]);
    bench.tell(pushed, LinkEvent::PushRequest(PushRequest::Deltas(vec![delta(1)])));
    assert_eq!(bench.outputs(), []);
}

#[test]
fn a_node_that_takes_the_place_of_another_closes_its_streams_and_keeps_its_own() {
    let mut bench = Bench::member();
    let old = bench.pushed_stream(2);
    let mut greeting = hello(2);
    greeting.identity = Identity { name: "n2".to_owned(), ..identity(8) };
    greeting.roster.removed.insert(NodeId::from_u64(2));
    let link = bench.replicator.accept("n2", LinkKind::PushIn, bench.now);
    bench.tell(link, LinkEvent::PushRequest(PushRequest::Hello(greeting)));
    let outputs = bench.outputs();
    assert!(outputs.contains(&Output::Close { link: old }) && !outputs.contains(&Output::Close { link }));
    let (old, new) = (NodeId::from_u64(2), NodeId::from_u64(8));
    assert!(outputs.contains(&Output::Event(Event::Superseded { name: "n2".to_owned(), old, new })));
    bench.tell(link, LinkEvent::PushRequest(PushRequest::Deltas(vec![delta(1)])));
    assert!(matches!(&bench.outputs()[..], [Output::Merge { origin, .. }] if *origin == replica(8)));
}

#[test]
fn a_node_that_is_told_of_its_removal_stops() {
    let mut bench = Bench::member();
    let link = bench.dial();
    bench.tell(link, LinkEvent::Opened);
    bench.outputs();
    let node = NodeId::from_u64(1);
    bench.tell(link, LinkEvent::PushReply(PushReply::Refused(Refusal::Removed { node })));
    assert_eq!(
        bench.outputs(),
        [
            Output::Event(Event::RefusedBy { peer: "n2".to_owned(), refusal: Refusal::Removed { node } }),
            Output::Close { link },
            Output::Persist(removal_of(1)),
            Output::Event(Event::SelfRemoved),
        ]
    );
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.outputs(), []);
}

#[test]
fn a_stopped_replicator_closes_everything_and_dials_nobody() {
    let mut bench = Bench::member();
    let link = bench.push_stream();
    bench.replicator.stop(bench.now);
    assert_eq!(bench.outputs(), [Output::Close { link }]);
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.outputs(), []);
    assert_eq!(bench.replicator.poll_timeout(), None);
}
