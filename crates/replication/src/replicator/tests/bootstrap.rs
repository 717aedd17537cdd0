//! A guest: what it asks for, in which order, and what it refuses (R12).

use super::*;
use crate::message::{SlotEnd, SlotPart, SyncChunk};
use crate::replicator::MergedPart;

/// A guest that has dialled n2 for its state.
fn guest() -> (Bench, LinkId) {
    let mut bench = Bench::guest();
    bench.replicator.add_donor("n2", bench.now);
    let outputs = bench.outputs();
    let [Output::Dial { link, kind: LinkKind::SyncOut, .. }] = outputs[..] else {
        panic!("one dial was expected: {outputs:?}")
    };
    bench.tell(link, LinkEvent::Opened);
    (bench, link)
}

fn empty_slots(slots: std::ops::RangeInclusive<u8>) -> LinkEvent {
    let end = || SlotEnd { clock: [(replica(2), 1)].into_iter().collect(), hlc: Hlc::ZERO };
    let slots = slots.map(|slot| SlotPart { slot, entries: Vec::new(), end: Some(end()) }).collect();
    LinkEvent::SyncReply(SyncReply::Chunk(SyncChunk { roster: Roster::default(), slots }))
}

/// Answers every part as merged and returns the other outputs.
fn merge_all(bench: &mut Bench) -> Vec<Output> {
    let mut others = Vec::new();
    while let Some(output) = bench.replicator.poll_output() {
        match output {
            Output::MergePart { link, slot, entries, end } => {
                assert!(end.is_some() && entries.is_empty());
                bench.replicator.handle_part_merged(
                    link,
                    MergedPart::Adopted { slot, entries: 0 },
                    bench.now,
                );
            }
            other => others.push(other),
        }
    }
    others
}

#[test]
fn a_guest_shows_itself_as_one_and_has_no_clock() {
    let (mut bench, link) = guest();
    let said = bench.said();
    let [(at, Message::SyncRequest(SyncRequest::Open(open)))] = &said[..] else { panic!("{said:?}") };
    assert_eq!(*at, link);
    assert!(open.hello.as_ref().is_some_and(|hello| hello.is_guest && hello.clock == NodeClock::new()));
}

#[test]
fn a_guest_logs_roster_and_donor_before_it_asks_for_entries() {
    let (mut bench, link) = guest();
    bench.outputs();
    bench.tell(link, LinkEvent::SyncReply(SyncReply::Differs(hello(2))));
    let outputs = bench.outputs();
    let asks = |output: &Output| {
        matches!(output, Output::Send { message: Message::SyncRequest(SyncRequest::Clock { adopt, .. }), after, .. }
            if adopt.len() == 256 && *after == After::Everything)
    };
    assert!(outputs.last().is_some_and(asks), "{outputs:?}");
    let news: Vec<&Roster> = outputs
        .iter()
        .filter_map(|output| if let Output::Persist(news) = output { Some(news) } else { None })
        .collect();
    assert!(news.iter().any(|news| news.members.contains_key(&NodeId::from_u64(2))));
    let own = news.iter().find_map(|news| news.members.get(&NodeId::from_u64(1))).unwrap();
    assert_eq!(own.donors, BTreeMap::from([(replica(2), 42)]));
}

#[test]
fn a_guest_joins_after_the_last_adoption_and_not_before_the_end_of_the_transfer() {
    let (mut bench, link) = guest();
    bench.tell(link, LinkEvent::SyncReply(SyncReply::Differs(hello(2))));
    bench.tell(link, empty_slots(0..=254));
    assert!(!merge_all(&mut bench).contains(&Output::Joined));
    assert_eq!(bench.replicator.slots_remaining(), 1);
    bench.tell(link, empty_slots(255..=255));
    assert!(!merge_all(&mut bench).contains(&Output::Joined));
    assert!(bench.replicator.is_guest());
    bench.tell(link, LinkEvent::SyncReply(SyncReply::Done));
    assert_eq!(merge_all(&mut bench).iter().filter(|output| **output == Output::Joined).count(), 1);
    assert!(!bench.replicator.is_guest());
}

#[test]
fn a_guest_whose_donor_dies_midway_asks_another_for_what_is_left() {
    let (mut bench, link) = guest();
    bench.tell(link, LinkEvent::SyncReply(SyncReply::Differs(hello(2))));
    bench.tell(link, empty_slots(0..=99));
    merge_all(&mut bench);
    bench.tell(link, LinkEvent::Closed);
    bench.replicator.add_donor("n3", bench.now);
    let outputs = bench.outputs();
    let Some(Output::Dial { peer, link, .. }) = outputs.last() else {
        panic!("a dial was expected: {outputs:?}")
    };
    assert_eq!(peer, "n3");
    bench.tell(*link, LinkEvent::Opened);
    bench.tell(*link, LinkEvent::SyncReply(SyncReply::Differs(hello(3))));
    let said = bench.said();
    let Some((_, Message::SyncRequest(SyncRequest::Clock { adopt, .. }))) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!(*adopt, (100..=255).collect::<Vec<u8>>());
    let donors = &bench.replicator.roster().members[&NodeId::from_u64(1)].donors;
    assert_eq!(donors.keys().copied().collect::<Vec<_>>(), [replica(2), replica(3)]);
}

#[test]
fn a_part_that_was_refused_leaves_its_slot_to_be_adopted() {
    let (mut bench, link) = guest();
    bench.tell(link, LinkEvent::SyncReply(SyncReply::Differs(hello(2))));
    bench.outputs();
    bench.tell(link, empty_slots(0..=9));
    bench.replicator.handle_part_merged(link, MergedPart::Refused, bench.now);
    merge_all(&mut bench);
    assert_eq!(bench.replicator.slots_remaining(), 256);
}

#[test]
fn a_guest_takes_no_push_and_gives_no_state_and_dials_nobody_to_push() {
    let mut bench = Bench::guest();
    let push = bench.replicator.accept("n2", LinkKind::PushIn, bench.now);
    bench.tell(push, LinkEvent::PushRequest(PushRequest::Hello(hello(2))));
    assert_eq!(bench.said(), [reply(push, PushReply::Refused(Refusal::NotReady))]);
    let sync = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    bench.tell(sync, open_of(2, Some(hello(2)), 0));
    assert_eq!(bench.said(), [(sync, Message::SyncReply(SyncReply::Refused(Refusal::NotReady)))]);
    bench.replicator.set_alive("n2", true, bench.now);
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.outputs(), []);
}

#[test]
fn a_guest_takes_nothing_from_a_guest() {
    let (mut bench, link) = guest();
    bench.outputs();
    let mut donor = hello(2);
    donor.is_guest = true;
    bench.tell(link, LinkEvent::SyncReply(SyncReply::Differs(donor)));
    assert_eq!(bench.outputs()[0], Output::Close { link });
}

#[test]
fn a_donor_counts_the_guest_as_a_member_before_it_sends_anything() {
    let mut bench = Bench::member();
    let link = bench.replicator.accept("n2", LinkKind::SyncIn, bench.now);
    let mut greeting = hello(2);
    greeting.is_guest = true;
    bench.tell(link, open_of(2, Some(greeting), bench.replicator.clock().hash()));
    let outputs = bench.outputs();
    let persisted = outputs.iter().position(
        |output| matches!(output, Output::Persist(news) if news.members.contains_key(&NodeId::from_u64(2))),
    );
    let sent = outputs.iter().position(|output| {
        matches!(output, Output::Send { message: Message::SyncReply(SyncReply::Differs(_)), after, .. }
            if *after == After::Everything)
    });
    assert!(persisted.unwrap() < sent.unwrap(), "{outputs:?}");
}
