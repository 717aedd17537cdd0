//! Transfers between members: in-sync rounds, chunks, cuts.

use trellis_crdt::VersionVector;

use super::*;
use crate::message::{SlotEnd, SlotPart, SyncChunk};
use crate::replicator::MergedPart;

#[test]
fn two_that_have_the_same_end_after_one_exchange() {
    let mut bench = Bench::member();
    bench.pushed_stream(2);
    let link = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    let identity = identity(2);
    let open = SyncOpen {
        node: identity.node,
        replica: identity.replica,
        roster_hash: bench.replicator.roster().hash(),
        clock_hash: bench.replicator.clock().hash(),
        hello: None,
    };
    bench.tell(link, LinkEvent::SyncRequest(SyncRequest::Open(open)));
    let in_sync = Message::SyncReply(SyncReply::InSync);
    assert_eq!(
        bench.outputs(),
        [
            Output::Send { link, message: in_sync, after: After::Nothing },
            Output::Close { link },
            Output::ScanEnded { link },
        ]
    );
}

#[test]
fn a_puller_that_was_not_met_is_asked_for_its_hello() {
    let mut bench = Bench::member();
    let link = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    bench.tell(link, open_of(2, None, 0));
    assert_eq!(bench.said(), [(link, Message::SyncReply(SyncReply::Unknown))]);
    bench.tell(link, open_of(2, Some(hello(2)), 0));
    let differs = |said: &(LinkId, Message)| matches!(said, (_, Message::SyncReply(SyncReply::Differs(_))));
    assert!(bench.said().iter().any(differs));
}

#[test]
fn a_hello_of_another_replica_than_the_one_that_opens_is_refused() {
    let mut bench = Bench::member();
    let link = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    bench.tell(link, open_of(2, Some(hello(3)), 0));
    assert!(matches!(
        &bench.said()[..],
        [(_, Message::SyncReply(SyncReply::Refused(Refusal::Violation(_))))]
    ));
}

#[test]
fn more_before_a_clock_is_a_violation() {
    let mut bench = Bench::member();
    let link = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    bench.tell(link, LinkEvent::SyncRequest(SyncRequest::More));
    assert!(matches!(
        &bench.said()[..],
        [(_, Message::SyncReply(SyncReply::Refused(Refusal::Violation(_))))]
    ));
}

/// A donor with seq 1 and 2 of slot 7, asked by n2 which has nothing.
fn donor(chunk_bytes: usize) -> (Bench, LinkId) {
    let mut bench = Bench::with(Config { chunk_bytes, ..Config::default() }, None);
    bench.write(1);
    bench.write(2);
    let link = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    bench.tell(link, open_of(2, Some(hello(2)), 0));
    bench.outputs();
    let clock = SyncRequest::Clock { clock: NodeClock::new(), adopt: Vec::new() };
    bench.tell(link, LinkEvent::SyncRequest(clock));
    (bench, link)
}

fn scan(link: LinkId, is_start: bool, bytes_max: usize) -> Output {
    Output::Scan { link, slot: 7, beyond: VersionVector::new(), is_start, bytes_max }
}

#[test]
fn a_slot_is_closed_after_its_entries_by_the_clock_as_of_the_start_of_its_scan() {
    let (mut bench, link) = donor(1000);
    assert_eq!(bench.outputs(), [scan(link, true, 1000)]);
    bench.write(3);
    let entry = Bytes::from(vec![0; 1000]);
    bench.replicator.handle_scanned(link, 7, vec![entry.clone()], false);
    let part = SlotPart { slot: 7, entries: vec![entry], end: None };
    let chunk = SyncChunk { roster: Roster::default(), slots: vec![part] };
    let message = Message::SyncReply(SyncReply::Chunk(chunk));
    assert_eq!(bench.outputs(), [Output::Send { link, message, after: After::Everything }]);
    bench.tell(link, LinkEvent::SyncRequest(SyncRequest::More));
    assert_eq!(bench.outputs(), [scan(link, false, 1000)]);
    bench.replicator.handle_scanned(link, 7, vec![Bytes::from_static(b"last")], true);
    let end = SlotEnd { clock: [(replica(1), 2)].into_iter().collect(), hlc: Hlc::ZERO };
    let part = SlotPart { slot: 7, entries: vec![Bytes::from_static(b"last")], end: Some(end) };
    let chunk = SyncChunk { roster: Roster::default(), slots: vec![part] };
    let send = |reply| Output::Send { link, message: Message::SyncReply(reply), after: After::Everything };
    assert_eq!(
        bench.outputs(),
        [
            send(SyncReply::Chunk(chunk)),
            send(SyncReply::Done),
            Output::ScanEnded { link },
            Output::Close { link },
        ]
    );
}

#[test]
fn a_scan_that_was_cut_is_forgotten() {
    let (mut bench, link) = donor(1000);
    bench.outputs();
    bench.tell(link, LinkEvent::Closed);
    assert_eq!(bench.outputs(), [Output::ScanEnded { link }]);
    bench.replicator.handle_scanned(link, 7, vec![Bytes::from_static(b"late")], true);
    assert_eq!(bench.outputs(), []);
}

#[test]
fn no_more_transfers_are_given_at_once_than_allowed() {
    let mut bench = Bench::with(Config { donations_max: 1, ..Config::default() }, None);
    let first = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    let second = bench.replicator.accept("n3", LinkKind::SyncIn, bench.now);
    bench.tell(second, open_of(3, Some(hello(3)), 0));
    assert_eq!(bench.said(), [(second, Message::SyncReply(SyncReply::Refused(Refusal::NotReady)))]);
    bench.tell(first, open_of(2, Some(hello(2)), 0));
    assert!(bench.said().iter().any(|(_, said)| matches!(said, Message::SyncReply(SyncReply::Differs(_)))));
}

#[test]
fn a_silent_transfer_is_given_up_on_both_sides() {
    let (mut bench, given) = donor(1000);
    let taken = pulling(&mut bench);
    bench.outputs();
    bench.pass(Duration::from_secs(10));
    let closed: Vec<Output> =
        bench.outputs().into_iter().filter(|output| matches!(output, Output::Close { .. })).collect();
    assert_eq!(closed, [Output::Close { link: given }, Output::Close { link: taken }]);
}

/// Begins a transfer from n3 and comes as far as its hello.
fn pulling(bench: &mut Bench) -> LinkId {
    bench.replicator.set_alive("n3", true, bench.now);
    bench.outputs();
    bench.replicator.reconcile_with("n3", bench.now);
    let outputs = bench.outputs();
    let [Output::Dial { link, kind: LinkKind::SyncOut, .. }] = outputs[..] else {
        panic!("one dial was expected: {outputs:?}")
    };
    bench.tell(link, LinkEvent::Opened);
    bench.tell(link, LinkEvent::SyncReply(SyncReply::Differs(hello(3))));
    bench.outputs();
    link
}

fn part(slot: u8, seq: Option<u64>) -> SlotPart {
    let end =
        seq.map(|seq| SlotEnd { clock: [(replica(3), seq)].into_iter().collect(), hlc: Hlc::from_u64(9) });
    SlotPart { slot, entries: vec![Bytes::from_static(b"entry")], end }
}

fn chunk(parts: &[SlotPart]) -> LinkEvent {
    LinkEvent::SyncReply(SyncReply::Chunk(SyncChunk { roster: Roster::default(), slots: parts.to_vec() }))
}

fn merge(link: LinkId, part: SlotPart) -> Output {
    Output::MergePart { link, slot: part.slot, entries: part.entries, end: part.end }
}

#[test]
fn what_came_is_durable_before_more_is_asked_for() {
    let mut bench = Bench::member();
    let link = pulling(&mut bench);
    bench.tell(link, chunk(&[part(1, Some(4)), part(2, None)]));
    let more = Message::SyncRequest(SyncRequest::More);
    assert_eq!(
        bench.outputs(),
        [
            merge(link, part(1, Some(4))),
            merge(link, part(2, None)),
            Output::Send { link, message: more, after: After::Everything },
        ]
    );
}

#[test]
fn a_part_that_was_refused_ends_the_transfer_and_takes_what_followed_along() {
    let mut bench = Bench::member();
    let link = pulling(&mut bench);
    bench.tell(link, chunk(&[part(1, None), part(1, Some(4)), part(2, Some(3))]));
    assert_eq!(bench.replicator.poll_output(), Some(merge(link, part(1, None))));
    bench.replicator.handle_part_merged(link, MergedPart::Refused, bench.now);
    let outputs = bench.outputs();
    assert!(!outputs.iter().any(|output| matches!(output, Output::MergePart { .. })), "{outputs:?}");
    assert!(outputs.contains(&Output::Close { link }));
    assert!(outputs.contains(&Output::Event(Event::PullFailed { peer: "n3".to_owned() })));
}

#[test]
fn a_cut_transfer_is_begun_again_a_second_later() {
    let mut bench = Bench::member();
    let link = pulling(&mut bench);
    bench.tell(link, LinkEvent::Closed);
    assert_eq!(bench.outputs(), [Output::Event(Event::PullFailed { peer: "n3".to_owned() })]);
    bench.pass(Duration::from_secs(1));
    let dials = |output: &Output| matches!(output, Output::Dial { kind: LinkKind::SyncOut, .. });
    assert!(bench.outputs().iter().any(dials));
}

#[test]
fn nothing_is_merged_of_a_donor_that_did_not_show_itself() {
    let mut bench = Bench::member();
    bench.replicator.set_alive("n3", true, bench.now);
    bench.replicator.reconcile_with("n3", bench.now);
    let outputs = bench.outputs();
    let Some(Output::Dial { link, .. }) = outputs.last() else { panic!("a dial was expected: {outputs:?}") };
    bench.tell(*link, LinkEvent::Opened);
    bench.tell(*link, chunk(&[part(1, Some(4))]));
    let outputs = bench.outputs();
    assert!(!outputs.iter().any(|output| matches!(output, Output::MergePart { .. })), "{outputs:?}");
    assert!(outputs.contains(&Output::Close { link: *link }));
}

#[test]
fn a_hello_that_shows_more_starts_a_transfer_and_only_one_runs_at_a_time() {
    let mut bench = Bench::member();
    for node in [2, 3] {
        bench.replicator.set_alive(&identity(node).name, true, bench.now);
    }
    bench.outputs();
    let mut pulls = Vec::new();
    for node in [2, 3] {
        let link = bench.replicator.accept(&identity(node).name, LinkKind::PushIn, bench.now);
        let mut greeting = hello(node);
        greeting.clock.raise(4, replica(node), 1);
        bench.tell(link, LinkEvent::PushRequest(PushRequest::Hello(greeting)));
        pulls.extend(bench.outputs().into_iter().filter_map(|output| match output {
            Output::Dial { peer, kind: LinkKind::SyncOut, .. } => Some(peer),
            _ => None,
        }));
    }
    assert_eq!(pulls, ["n2"]);
}
