//! Lifeguard: the own health, confirmations, lag, and answers that come late.

use std::time::Duration;

use super::harness::{Out, Subject, event, message, ping, record, sent};
use crate::codec;
use crate::evidence::SignId;
use crate::input::TransmitId;
use crate::message::Body;
use crate::{Config, Event, Output, SendFailure, State, TransmitKind};

#[test]
fn probe_node_with_missing_nacks_degrades_the_own_health_and_slows_the_probes() {
    let mut me = Subject::knowing(&["b", "c", "d"]);
    me.run_to(2000);
    assert_eq!(me.swim.health().awareness, 1, "neither helper said anything");
    assert_eq!(me.swim.counters().nacks_missing, 2);
    me.outputs();
    me.run_to(3999);
    assert_eq!(me.swim.counters().probes_failed, 1, "the next verdict takes twice as long");
    me.run_to(4000);
    assert_eq!(me.swim.counters().probes_failed, 2);
}

#[test]
fn probe_node_whose_helpers_say_so_leaves_the_own_health_alone() {
    let mut me = Subject::knowing(&["b", "c", "d"]);
    me.run_to(1500);
    let requests: Vec<_> = me.outputs_with_ids();
    for (id, out) in requests {
        if let (Some(id), Out::Sent { body: Body::PingRequest { target }, .. }) = (id, out) {
            me.answer(id, 0, &Body::RelayedNack { target }, 1950);
        }
    }
    me.run_to(2000);
    assert_eq!((me.swim.health().awareness, me.swim.counters().nacks_missing), (0, 0));
    assert_eq!(me.swim.counters().suspicions, 1, "the target is suspected all the same");
}

#[test]
fn probe_node_that_is_answered_improves_the_own_health() {
    let mut me = Subject::knowing(&["b", "c", "d"]);
    me.run_to(2000);
    assert_eq!(me.swim.health().awareness, 1);
    let pings = me.outputs_with_ids();
    let Some((Some(id), Out::Sent { body: Body::Ping { .. }, .. })) = pings.last() else {
        panic!("the next in turn is asked: {pings:?}");
    };
    me.answer(*id, 0, &Body::Ack, 2100);
    assert_eq!(me.swim.health().awareness, 0);
}

#[test]
fn probe_node_suspects_a_suspect_too_and_three_accusers_shorten_its_time() {
    let mut me = Subject::knowing(&["b", "c", "d", "e", "f"]);
    me.stop_probing();
    let mut suspicion = |accuser: &str, millis| {
        me.receive_bytes("f", &suspicion_of_b((accuser, millis), 1000, &[accuser]), millis).unwrap();
        me.swim.accusers(&"b".to_owned()).to_vec()
    };
    assert_eq!(suspicion("c", 20_000), ["c"]);
    assert_eq!(suspicion("c", 20_100), ["c"], "the same one again");
    assert_eq!(suspicion("d", 20_200), ["c", "d"]);
    me.run_to(29_000);
    // The own probe, made when the suspicion was first heard of, has failed: the third accuser.
    assert_eq!(me.swim.accusers(&"b".to_owned()), ["c", "d", "me"]);
    assert_eq!(me.swim.counters().confirmations, 1);
    me.run_to(29_300);
    assert_eq!(me.state_of("b"), (0, State::Dead), "10 s after the last sign of life that was told of");
}

#[test]
fn suspicion_of_a_single_accuser_takes_until_its_maximum() {
    let config = Config { indirect_probes: 0, ..Config::default() };
    let mut me = Subject::configured(config, &["b", "c", "d", "e"]);
    me.stop_probing();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Suspect)], 20_000).unwrap();
    // This one's own probe, out of turn, is not answered in time but late: its accusation is taken back.
    me.run_to(21_500);
    let pings = me.outputs_with_ids();
    let is_ping = |out: &Out| matches!(out, Out::Sent { body: Body::Ping { .. }, .. });
    let id = pings.iter().find(|(_, out)| is_ping(out)).and_then(|(id, _)| *id).unwrap();
    assert_eq!(me.swim.accusers(&"b".to_owned()), ["c", "me"]);
    me.answer(id, 0, &Body::Ack, 22_000);
    assert_eq!(me.swim.accusers(&"b".to_owned()), ["c"]);
    assert_eq!((me.swim.counters().probes_answered_late, me.swim.health().awareness), (1, 1));
    me.run_to(22_000 + 47_000);
    assert_eq!(me.state_of("b"), (0, State::Suspect), "unwell, so twice 24 s after the late answer");
    // Half a second for the way of the word, as answers take that long.
    me.run_to(22_000 + 48_600);
    assert_eq!(me.state_of("b"), (0, State::Dead));
}

#[test]
fn a_member_that_slept_judges_nobody_by_what_it_missed() {
    let mut me = Subject::knowing(&["b", "c", "d"]);
    me.run_to(1100);
    me.outputs();
    me.receive(("c", 0), &Body::Gossip, &[record("d", 1, 0, State::Suspect)], 1200).unwrap();
    me.outputs();
    // It sleeps through the verdict on its probe, and through all of the suspect's time.
    me.swim.handle_timeout(me.at(60_000));
    let events = me.events();
    assert_eq!(events, [event("lagging")]);
    assert_eq!((me.state_of("b").1, me.state_of("d").1), (State::Alive, State::Suspect));
    assert!(me.swim.health().lag > Duration::from_secs(50));
    me.receive(("d", 1), &Body::Gossip, &[record("d", 1, 1, State::Alive)], 61_000).unwrap();
    assert_eq!(me.events(), [event("refuted d 1.1 Alive")], "the refutation had been waiting in the inbox");
}

#[test]
fn a_message_that_waited_for_long_says_that_this_member_is_slow_and_is_no_fresh_evidence() {
    let mut me = Subject::knowing(&["b"]);
    me.run_to(900);
    let bytes = message(0, &ping("me"), &[]);
    let mut reply = Vec::new();
    me.swim.handle_message(&"b".to_owned(), &bytes, me.at(200), me.at(900), &mut reply).unwrap();
    assert_eq!(me.swim.last_heard(&"b".to_owned()), Some(me.at(200)));
    let lag = me.swim.poll_output(&mut reply);
    assert_eq!(lag, Some(Output::Event(Event::SelfLagging(Duration::from_millis(700)))));
    assert_eq!((me.swim.health().awareness, me.swim.counters().lags), (1, 1));
}

/// Its answers were as quick as ever, and waited for it.
#[test]
fn one_that_slept_for_long_waits_no_longer_before_a_death_than_after_a_short_sleep() {
    let round_trip_after = |slept: u64| {
        let mut me = Subject::knowing(&["b"]);
        me.stop_probing();
        let mut millis = 1000;
        for step in 0..48 {
            let id = me.swim.gossip_payload(&"b".to_owned(), me.at(millis), &mut Vec::new()).unwrap().id;
            millis += if step == 0 { slept } else { 3 };
            me.answer(id, 0, &Body::Ack, millis);
            millis += 100;
        }
        me.swim.health().round_trip
    };
    let short = Config::default().probe_timeout.as_millis() as u64;
    assert_eq!(round_trip_after(60_000), round_trip_after(short));
    assert!(round_trip_after(60_000) < Duration::from_millis(50));
}

#[test]
fn a_helper_says_that_it_is_well_when_the_target_does_not_answer() {
    let mut me = Subject::knowing(&["a", "b"]);
    me.stop_probing();
    let body = Body::PingRequest { target: "b".to_owned() };
    me.receive(("a", 0), &body, &[], 100).unwrap();
    me.receive(("a", 0), &body, &[], 200).unwrap();
    let ids: Vec<TransmitId> = me.outputs_with_ids().into_iter().filter_map(|(id, _)| id).collect();
    let nack = Out::Replied { body: Body::RelayedNack { target: "b".to_owned() } };
    me.run_to(499);
    assert_eq!(me.outputs(), []);
    me.run_to(500);
    assert_eq!(me.outputs(), std::slice::from_ref(&nack), "four fifths of the probe's time");
    me.swim.handle_send_failure(ids[1], SendFailure::Refused, me.at(550));
    assert_eq!(me.outputs(), [nack], "a refusal is told at once");
}

/// The same sign of life looks younger by the time that a message took, each time it is told of.
#[test]
fn a_sign_of_life_that_is_told_back_is_no_fresher_one() {
    let mut me = Subject::knowing(&["b", "c", "d", "e"]);
    me.stop_probing();
    let slot = me.swim.members.slot(&"b".to_owned()).unwrap();
    me.receive_bytes("c", &suspicion_of_b(("d", 70), 3000, &["c"]), 20_000).unwrap();
    assert_eq!(me.swim.members.at(slot).evidence(), me.at(17_000));
    me.run_to(24_000);
    me.outputs();
    me.receive_bytes("e", &suspicion_of_b(("d", 70), 6800, &["c"]), 24_100).unwrap();
    assert_eq!(me.swim.members.at(slot).evidence(), me.at(17_000));
    me.receive_bytes("e", &suspicion_of_b(("d", 60), 5000, &["c"]), 24_200).unwrap();
    assert_eq!(me.swim.members.at(slot).evidence(), me.at(17_000), "nor is an earlier one");
    me.run_to(24_500);
    assert_eq!(me.outputs(), [], "there is nothing to tell");
    me.receive_bytes("e", &suspicion_of_b(("d", 71), 6800, &["c"]), 24_600).unwrap();
    assert_eq!(me.swim.members.at(slot).evidence(), me.at(17_800), "but a later one is");
    me.run_to(24_800);
    assert_ne!(me.outputs(), []);
}

#[test]
fn the_own_sign_of_life_told_back_is_no_news() {
    let mut me = Subject::knowing(&["b", "c", "d", "e"]);
    me.stop_probing();
    let slot = me.swim.members.slot(&"b".to_owned()).unwrap();
    me.receive(("b", 0), &ping("me"), &[], 19_500).unwrap();
    me.receive_bytes("c", &suspicion_of_b(("c", 5), 3000, &["c"]), 20_000).unwrap();
    me.receive_bytes("c", &suspicion_of_b(("me", 19_500), 300, &["c"]), 20_100).unwrap();
    assert_eq!(me.swim.members.at(slot).evidence(), me.at(19_500));
    me.receive_bytes("c", &suspicion_of_b(("d", 5), 300, &["c"]), 20_100).unwrap();
    assert_eq!(me.swim.members.at(slot).evidence(), me.at(19_800), "that of another is");
}

/// News of the suspicion of b, with who had a sign of its life, by which moment of his, and how long ago.
fn suspicion_of_b((witness, stamp): (&str, u64), age_millis: u64, accusers: &[&str]) -> Vec<u8> {
    let mut bytes = message(0, &Body::Gossip, &[]);
    let (witness, age) = (witness.to_owned(), Duration::from_millis(age_millis));
    let accusers: Vec<_> = accusers.iter().map(|accuser| (*accuser).to_owned()).collect();
    let suspect = record("b", 1, 0, State::Suspect);
    let sign = SignId { witness: &witness, stamp };
    codec::encode_record(&mut bytes, &suspect, age, Some(sign), &accusers);
    bytes
}

#[test]
fn whoever_holds_fresher_evidence_says_so() {
    let mut me = Subject::knowing(&["b", "c", "d", "e"]);
    me.stop_probing();
    me.receive(("b", 0), &ping("me"), &[], 19_500).unwrap();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Suspect)], 20_000).unwrap();
    me.outputs();
    me.run_to(20_200);
    let told = me.outputs();
    let Some(Out::Sent { kind: TransmitKind::Gossip, to, body, records }) = told.first() else {
        panic!("news is spread: {told:?}");
    };
    assert_eq!(
        sent(TransmitKind::Gossip, to.trim_end_matches(":7500"), body.clone(), &["b 1.0 Suspect"]),
        told[0]
    );
    assert_eq!(records.len(), 1);
    let slot = me.swim.members.slot(&"b".to_owned()).unwrap();
    assert_eq!(
        me.swim.members.at(slot).age(me.at(20_200)),
        Duration::from_millis(700),
        "not the 3 s it was told"
    );
}
