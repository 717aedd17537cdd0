//! Deltas: the hello exchange, sending, gaps, acknowledgements.

use super::*;

#[test]
fn an_alive_peer_is_dialled_greeted_and_met() {
    let mut bench = Bench::member();
    let link = bench.dial();
    bench.tell(link, LinkEvent::Opened);
    let said = bench.said();
    assert!(matches!(&said[..], [(at, Message::PushRequest(PushRequest::Hello(hello)))]
        if *at == link && hello.identity == identity(1) && !hello.is_guest));
    bench.tell(link, LinkEvent::PushReply(PushReply::Hello(hello(2))));
    let outputs = bench.outputs();
    assert_eq!(outputs[0], Output::Observe(Hlc::from_u64(7)));
    assert!(matches!(&outputs[1], Output::Persist(news) if news.replicas.contains_key(&replica(2))));
    let met = Output::Event(Event::Met { peer: "n2".to_owned(), node: NodeId::from_u64(2) });
    assert!(outputs.contains(&met), "{outputs:?}");
}

#[test]
fn a_hello_is_answered_with_one_that_waits_for_the_log_and_the_peer_is_dialled_if_alive() {
    let mut bench = Bench::member();
    let link = bench.replicator.accept("n2", LinkKind::PushIn, bench.now);
    bench.tell(link, LinkEvent::PushRequest(PushRequest::Hello(hello(2))));
    let outputs = bench.outputs();
    let is_welcome = |output: &Output| {
        matches!(output, Output::Send { link: at, message: Message::PushReply(PushReply::Hello(_)), after }
            if *at == link && *after == After::Everything)
    };
    assert!(outputs.iter().any(is_welcome), "{outputs:?}");
}

#[test]
fn a_stream_that_does_not_begin_with_a_hello_is_refused() {
    let mut bench = Bench::member();
    let link = bench.replicator.accept("n2", LinkKind::PushIn, bench.now);
    bench.tell(link, LinkEvent::PushRequest(PushRequest::Deltas(vec![delta(1)])));
    let outputs = bench.outputs();
    assert!(matches!(&outputs[..], [
        Output::Event(Event::Refused { .. }),
        Output::Send { message: Message::PushReply(PushReply::Refused(Refusal::Violation(_))), .. },
        Output::Close { link: closed },
    ] if *closed == link));
}

#[test]
fn a_seq_of_zero_is_a_violation_and_merges_nothing() {
    let mut bench = Bench::member();
    let link = bench.pushed_stream(2);
    bench.tell(link, LinkEvent::PushRequest(PushRequest::Deltas(vec![delta(1), delta(0)])));
    let outputs = bench.outputs();
    assert!(!outputs.iter().any(|output| matches!(output, Output::Merge { .. })));
    assert_eq!(outputs.last(), Some(&Output::Close { link }));
}

#[test]
fn an_idle_stream_sends_at_once_and_a_busy_one_waits_a_millisecond_for_company() {
    let mut bench = Bench::member();
    let link = bench.push_stream();
    let first = bench.write(1);
    bench.flush();
    assert_eq!(bench.said(), [deltas(link, &[first])]);
    let second = bench.write(2);
    bench.flush();
    assert_eq!(bench.said(), []);
    let third = bench.write(3);
    bench.pass(MILLI);
    assert_eq!(bench.said(), [deltas(link, &[second, third])]);
}

#[test]
fn no_more_is_in_flight_than_the_window_and_an_acknowledgement_opens_it() {
    let config = Config { batch_bytes: 200, window_bytes: 400, ..Config::default() };
    let mut bench = Bench::with(config, None);
    let link = bench.push_stream();
    let all: Vec<PushedDelta> = (1..=9).map(|seq| bench.write(seq)).collect();
    bench.flush();
    assert_eq!(bench.said(), [deltas(link, &all[..2]), deltas(link, &all[2..4])]);
    bench.tell(link, LinkEvent::PushReply(PushReply::Acked(vec![(7, 2)])));
    assert_eq!(bench.said(), [deltas(link, &all[4..6])]);
}

#[test]
fn what_stays_unacknowledged_is_offered_again_and_what_was_acknowledged_never() {
    let mut bench = Bench::member();
    let link = bench.push_stream();
    let first = bench.write(1);
    bench.flush();
    assert_eq!(bench.said(), [deltas(link, &[first])]);
    bench.now += 10 * MILLI;
    bench.tell(link, LinkEvent::PushReply(PushReply::Acked(vec![(7, 1)])));
    let second = bench.write(2);
    bench.flush();
    assert_eq!(bench.said(), [deltas(link, std::slice::from_ref(&second))]);
    // The round trip was 10 ms: four of them.
    bench.pass(39 * MILLI);
    assert_eq!(bench.said(), []);
    bench.pass(MILLI);
    assert_eq!(bench.said(), [deltas(link, &[second])]);
    assert!(!bench.replicator.is_drained());
    bench.tell(link, LinkEvent::PushReply(PushReply::Acked(vec![(7, 2)])));
    bench.pass(Duration::from_secs(5));
    assert!(bench.said().is_empty() && bench.replicator.is_drained());
}

#[test]
fn a_stream_begins_with_what_the_hello_did_not_have() {
    let mut bench = Bench::member();
    let all: Vec<PushedDelta> = (1..=3).map(|seq| bench.write(seq)).collect();
    let link = bench.dial();
    bench.tell(link, LinkEvent::Opened);
    bench.outputs();
    let mut welcome = hello(2);
    welcome.clock.raise(7, replica(1), 2);
    bench.tell(link, LinkEvent::PushReply(PushReply::Hello(welcome)));
    assert_eq!(bench.said().last(), Some(&deltas(link, &all[2..])));
}

#[test]
fn a_peer_that_claims_more_of_this_replica_than_it_wrote_is_sent_what_comes_next() {
    let mut bench = Bench::member();
    let link = bench.dial();
    bench.tell(link, LinkEvent::Opened);
    let mut welcome = hello(2);
    welcome.clock.raise(7, replica(1), 100);
    bench.tell(link, LinkEvent::PushReply(PushReply::Hello(welcome)));
    bench.outputs();
    let first = bench.write(1);
    bench.flush();
    assert_eq!(bench.said(), [deltas(link, &[first])]);
}

#[test]
fn what_a_peer_got_by_a_wanted_range_leaves_no_timer_behind() {
    let mut bench = Bench::member();
    let link = bench.push_stream();
    let all: Vec<PushedDelta> = (1..=2).map(|seq| bench.write(seq)).collect();
    bench.flush();
    let other = PushedDelta { slot: 9, ..delta(1) };
    bench.replicator.handle_written(9, 1, other.payload.clone());
    bench.replicator.handle_clock(9, replica(1), 1);
    bench.tell(link, LinkEvent::PushReply(PushReply::Wanted { slot: 9, first: 1, last: 1 }));
    assert_eq!(bench.said(), [deltas(link, &all), deltas(link, &[other])]);
    bench.tell(link, LinkEvent::PushReply(PushReply::Acked(vec![(9, 1)])));
    bench.pass(MILLI);
    assert_eq!(bench.said(), []);
    assert!(bench.replicator.poll_timeout().unwrap() > bench.now);
}

#[test]
fn a_wanted_range_is_answered_exactly_or_it_is_gone() {
    let config = Config { ring_bytes: 400, window_bytes: 400, batch_bytes: 400, ..Config::default() };
    let mut bench = Bench::with(config, None);
    let link = bench.push_stream();
    let all: Vec<PushedDelta> = (1..=6).map(|seq| bench.write(seq)).collect();
    bench.flush();
    bench.said();
    let wanted = |first, last| LinkEvent::PushReply(PushReply::Wanted { slot: 7, first, last });
    bench.tell(link, wanted(4, 5));
    assert_eq!(bench.said(), [deltas(link, &all[3..5])]);
    bench.tell(link, wanted(4, u64::MAX));
    assert_eq!(bench.said(), [deltas(link, &all[3..])]);
    bench.tell(link, wanted(2, 4));
    assert_eq!(bench.said(), [(link, Message::PushRequest(PushRequest::Gone { slot: 7 }))]);
    for absurd in [wanted(0, 4), wanted(5, 4), wanted(u64::MAX, u64::MAX), wanted(7, 9)] {
        bench.tell(link, absurd);
        assert_eq!(bench.said(), []);
    }
}

#[test]
fn a_slow_peer_behind_which_the_ring_moved_on_is_told_to_catch_up() {
    let config = Config { ring_bytes: 300, window_bytes: 100, batch_bytes: 100, ..Config::default() };
    let mut bench = Bench::with(config, None);
    let link = bench.push_stream();
    for seq in 1..=9 {
        bench.write(seq);
    }
    bench.flush();
    let said = bench.said();
    assert!(said.contains(&(link, Message::PushRequest(PushRequest::Gone { slot: 7 }))), "{said:?}");
}

#[test]
fn a_gap_is_asked_for_once_and_again_only_after_a_while() {
    let mut bench = Bench::member();
    let link = bench.pushed_stream(2);
    let wanted = reply(link, PushReply::Wanted { slot: 7, first: 1, last: 2 });
    bench.replicator.handle_merged(link, &[merged(3, 0), merged(4, 0)], bench.now);
    assert_eq!(bench.said(), std::slice::from_ref(&wanted));
    bench.replicator.handle_merged(link, &[merged(5, 0)], bench.now);
    assert_eq!(bench.said(), []);
    bench.now += 80 * MILLI;
    bench.replicator.handle_merged(link, &[merged(3, 0)], bench.now);
    assert_eq!(bench.said(), [wanted]);
    bench.replicator.handle_merged(
        link,
        &[MergedDelta { is_kept: false, ..merged(9, 5) }],
        bench.now + 81 * MILLI,
    );
    assert_eq!(bench.said(), [reply(link, PushReply::Wanted { slot: 7, first: 6, last: 9 })]);
}

#[test]
fn acknowledgements_are_cumulative_and_only_of_what_is_durable() {
    let mut bench = Bench::member();
    let link = bench.pushed_stream(2);
    bench.replicator.handle_merged(link, &[merged(1, 1), merged(2, 2)], bench.now);
    bench.flush();
    assert_eq!(bench.said(), []);
    bench.replicator.handle_clock(7, replica(2), 1);
    bench.replicator.handle_clock(7, replica(2), 2);
    bench.flush();
    assert_eq!(bench.said(), [reply(link, PushReply::Acked(vec![(7, 2)]))]);
}

#[test]
fn what_is_offered_again_is_acknowledged_again_at_once() {
    let mut bench = Bench::member();
    let link = bench.pushed_stream(2);
    bench.replicator.handle_clock(7, replica(2), 2);
    bench.flush();
    bench.said();
    bench.replicator.handle_merged(link, &[merged(1, 2)], bench.now);
    assert_eq!(bench.said(), [reply(link, PushReply::Acked(vec![(7, 2)]))]);
}

#[test]
fn news_of_the_roster_follow_a_hello_that_was_not_answered_yet() {
    let mut bench = Bench::member();
    let link = bench.dial();
    bench.tell(link, LinkEvent::Opened);
    bench.outputs();
    let mut news = Roster::default();
    news.replicas.insert(replica(3), Owner { node: NodeId::from_u64(3), epoch: 1 });
    bench.replicator.learn_from(&news, bench.now).unwrap();
    assert_eq!(bench.said(), [(link, Message::PushRequest(PushRequest::Roster(news.clone())))]);
    bench.replicator.learn_from(&news, bench.now).unwrap();
    assert_eq!(bench.outputs(), []);
}
