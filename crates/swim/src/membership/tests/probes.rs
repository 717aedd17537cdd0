//! Probes, direct and through helpers.

use std::collections::BTreeSet;

use super::harness::{Out, Received, Subject, event, ping, record, sent};
use crate::message::Body;
use crate::{Config, Link, MessageError, SendFailure, State, TransmitKind};

#[test]
fn a_probe_that_is_answered_leaves_no_trace() {
    let mut me = Subject::knowing(&["b"]);
    me.run_to(1000);
    let [(Some(id), out)] = &me.outputs_with_ids()[..] else {
        panic!("one probe");
    };
    assert_eq!(*out, sent(TransmitKind::PingDirect, "b", ping("b"), &[]));
    me.answer(*id, 0, &Body::Ack, 1400);
    assert_eq!(me.swim.last_heard(&"b".to_owned()), Some(me.at(1400)));
    me.run_to(1999);
    assert_eq!(me.outputs(), []);
    assert_eq!(me.swim.counters().probes_failed, 0);
}

#[test]
fn probe_node_asks_helpers_after_the_timeout_and_suspects_after_the_interval() {
    let mut me = Subject::knowing(&["b", "c", "d"]);
    me.run_to(1000);
    let probe = me.outputs();
    let [Out::Sent { to: target, .. }] = &probe[..] else {
        panic!("one probe");
    };
    let target = target.trim_end_matches(":7500").to_owned();
    me.run_to(1499);
    assert_eq!(me.outputs(), []);
    me.run_to(1500);
    let body = Body::PingRequest { target: target.clone() };
    let mut asked = me.outputs();
    asked.sort_by_key(|out| format!("{out:?}"));
    let helpers = ["b", "c", "d"].into_iter().filter(|id| *id != target);
    let again = sent(TransmitKind::PingDirect, &target, ping(&target), &[]);
    let requests = helpers.map(|helper| sent(TransmitKind::PingIndirect, helper, body.clone(), &[]));
    assert_eq!(asked, [again.clone()].into_iter().chain(requests).collect::<Vec<_>>());
    me.run_to(1999);
    assert_eq!(me.outputs(), [again], "once more half way to the verdict");
    me.swim.handle_timeout(me.at(2000));
    let suspicion = format!("{target} 1.0 Suspect");
    let told = sent(TransmitKind::Gossip, &target, Body::Gossip, &[&suspicion]);
    let outputs = me.outputs();
    assert_eq!(outputs[..2], [event(&format!("suspected {suspicion}")), told]);
    assert!(matches!(&outputs[2..], [Out::Sent { kind: TransmitKind::PingDirect, .. }]), "the next in turn");
}

#[test]
fn every_other_turn_is_that_of_the_member_that_follows_on_the_circle() {
    let ids: Vec<_> = (0..20).map(|number| format!("n{number:02}")).collect();
    let mut me = Subject::knowing(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let mut asked = Vec::new();
    for turn in 1..=20 {
        me.run_to(1000 * turn);
        for (id, out) in me.outputs_with_ids() {
            if let (Some(id), Out::Sent { body: Body::Ping { target }, .. }) = (id, out) {
                me.answer(id, 0, &Body::Ack, 1000 * turn + 1);
                asked.push(target);
            }
        }
    }
    let [first, between]: [BTreeSet<_>; 2] = [0, 1].map(|odd| asked.iter().skip(odd).step_by(2).collect());
    assert_eq!((asked.len(), first.len()), (20, 1), "{asked:?}");
    assert_eq!(between.len(), 10, "the others are drawn, none of them twice in a round: {asked:?}");
}

#[test]
fn who_is_suspected_is_asked_for_help_only_for_want_of_others() {
    let others = ["b", "c", "d", "e", "f", "g", "h", "i"];
    let mut me = Subject::knowing(&others);
    me.run_to(1000);
    let [Out::Sent { body: Body::Ping { target }, .. }] = &me.outputs()[..] else {
        panic!("one probe");
    };
    let rest: Vec<_> = others.iter().filter(|id| **id != target && **id != "c").collect();
    let suspects: Vec<_> = rest[..4].iter().map(|id| record(id, 1, 0, State::Suspect)).collect();
    me.receive(("c", 0), &Body::Gossip, &suspects, 1100).unwrap();
    me.outputs();
    me.run_to(1500);
    let helpers = me.outputs().into_iter().filter_map(|out| match out {
        Out::Sent { kind: TransmitKind::PingIndirect, to, .. } => Some(to.replace(":7500", "")),
        _ => None,
    });
    let helpers: BTreeSet<_> = helpers.collect();
    assert_eq!(helpers.len(), 3);
    assert!(rest[..4].iter().all(|suspect| !helpers.contains(**suspect)), "{helpers:?}");
}

#[test]
fn a_refused_ping_asks_the_helpers_at_once() {
    for why in [SendFailure::Refused, SendFailure::Closed] {
        let mut me = Subject::knowing(&["b", "c"]);
        me.run_to(1000);
        let id = me.outputs_with_ids()[0].0.unwrap();
        me.swim.handle_send_failure(id, why, me.at(1003));
        let outputs = me.outputs();
        assert!(matches!(&outputs[..], [Out::Sent { kind: TransmitKind::PingIndirect, .. }]), "{why:?}");
        me.run_to(1999);
        assert_eq!(me.outputs(), [], "and only once");
    }
}

#[test]
fn a_helper_that_reached_the_target_ends_the_probe() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.run_to(1500);
    let outputs = me.outputs_with_ids();
    let [_, _, (Some(id), Out::Sent { body: Body::PingRequest { target }, .. })] = &outputs[..] else {
        panic!("two pings and a request: {outputs:?}");
    };
    me.answer(*id, 0, &Body::RelayedAck { target: target.clone(), epoch: 1 }, 1600);
    assert_eq!(me.swim.last_heard(target), Some(me.at(1600)));
    me.run_to(2500);
    assert_eq!(me.state_of(target), (0, State::Alive));
}

#[test]
fn an_answer_of_an_earlier_process_is_no_answer() {
    let mut me = Subject::knowing(&["b"]);
    me.swim.import([record("b", 2, 0, State::Alive)], me.at(10));
    me.outputs();
    me.run_to(1000);
    let id = me.outputs_with_ids()[0].0.unwrap();
    me.answer(id, 0, &Body::Ack, 1002);
    assert_eq!(me.swim.last_heard(&"b".to_owned()), None);
    me.run_to(2000);
    assert_eq!(me.state_of("b"), (0, State::Suspect));
}

#[test]
fn a_verdict_does_not_hold_for_a_later_incarnation() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.run_to(1000);
    let outputs = me.outputs();
    let [Out::Sent { body: Body::Ping { target }, .. }] = &outputs[..] else {
        panic!("one probe");
    };
    let other = if target == "b" { "c" } else { "b" };
    me.receive((other, 0), &Body::Gossip, &[record(target, 1, 1, State::Alive)], 1700).unwrap();
    me.swim.handle_timeout(me.at(2000));
    assert_eq!(me.state_of(target), (1, State::Alive));
    assert_eq!(me.swim.counters().probes_failed, 1);
}

#[test]
fn a_ping_on_behalf_of_another_is_answered_when_the_target_answers() {
    let mut me = Subject::knowing(&["a", "b"]);
    let asked = me.receive(("a", 0), &Body::PingRequest { target: "b".to_owned() }, &[], 100).unwrap();
    assert!(matches!(asked, Received::Deferred(_)));
    let outputs = me.outputs_with_ids();
    let [(Some(id), out)] = &outputs[..] else {
        panic!("one ping");
    };
    assert_eq!(*out, sent(TransmitKind::PingDirect, "b", ping("b"), &[]));
    me.answer(*id, 0, &Body::Ack, 101);
    let body = Body::RelayedAck { target: "b".to_owned(), epoch: 1 };
    assert_eq!(me.outputs(), [Out::Replied { body }]);
}

#[test]
fn a_ping_on_behalf_of_another_is_answered_also_when_its_target_is_forgotten_or_this_member_leaves() {
    for leaves in [false, true] {
        let mut me = Subject::knowing(&["b", "c"]);
        me.stop_probing();
        if leaves {
            me.swim.leave(me.at(50));
        }
        let request = Body::PingRequest { target: "b".to_owned() };
        let taken = me.receive(("c", 0), &request, &[], 100);
        assert!(matches!(taken, Ok(Received::Deferred(_))));
        me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 1, State::Left)], 110).unwrap();
        assert!(leaves || me.swim.forget(&"b".to_owned()));
        if leaves {
            me.swim.on_leave_end();
        }
        me.run_to(1000);
        let nack = Out::Replied { body: Body::RelayedNack { target: "b".to_owned() } };
        assert_eq!(me.outputs().into_iter().filter(|out| *out == nack).count(), 1);
        assert_eq!(me.swim.relays_count(), 0);
    }
}

#[test]
fn pings_on_behalf_of_others_are_bounded_and_expire() {
    let config = Config { relays_max: 2, ..Config::default() };
    let mut me = Subject::configured(config, &["a", "b"]);
    let body = Body::PingRequest { target: "b".to_owned() };
    me.receive(("a", 0), &body, &[], 100).unwrap();
    me.receive(("a", 0), &body, &[], 100).unwrap();
    assert_eq!(me.receive(("a", 0), &body, &[], 100), Err(MessageError::Busy { limit: 2 }));
    me.run_to(700);
    assert!(me.receive(("a", 0), &body, &[], 700).is_ok());
}

#[test]
fn a_ping_for_another_member_or_of_another_cluster_changes_nothing() {
    let mut me = Subject::knowing(&["b"]);
    let news = [record("b", 1, 3, State::Dead)];
    assert_eq!(me.receive(("b", 0), &ping("c"), &news, 100), Err(MessageError::NotForThisMember));
    let request = Body::PingRequest { target: "nobody".to_owned() };
    assert_eq!(me.receive(("b", 0), &request, &news, 100), Err(MessageError::UnknownTarget));
    assert!(matches!(me.receive(("b", 0), &Body::Ack, &news, 100), Err(MessageError::Malformed(_))));
    let foreign = [8; 40];
    assert_eq!(me.receive_bytes("b", &foreign, 100), Err(MessageError::OtherCluster));
    assert_eq!((me.outputs(), me.state_of("b")), (Vec::new(), (0, State::Alive)));
    assert_eq!((me.swim.last_heard(&"b".to_owned()), me.swim.counters().messages_refused), (None, 4));
}

#[test]
fn a_broken_link_hastens_a_probe_and_proves_nothing() {
    let mut me = Subject::knowing(&["b"]);
    me.swim.handle_link(&"b".to_owned(), Link::Up, me.at(99));
    assert_eq!(me.outputs(), []);
    me.swim.handle_link(&"b".to_owned(), Link::Down, me.at(100));
    me.swim.handle_link(&"b".to_owned(), Link::Down, me.at(101));
    assert_eq!(me.outputs(), [sent(TransmitKind::PingDirect, "b", ping("b"), &[])]);
    assert_eq!(me.state_of("b"), (0, State::Alive));
}

#[test]
fn a_link_that_keeps_breaking_has_its_member_asked_once_per_interval() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    let mut asked = 0;
    for millis in (100..3100).step_by(10) {
        me.swim.handle_link(&"b".to_owned(), Link::Down, me.at(millis));
        for (id, _) in me.outputs_with_ids() {
            asked += 1;
            me.answer(id.unwrap(), 0, &Body::Ack, millis);
        }
    }
    assert_eq!(asked, 3);
}

#[test]
fn a_link_that_stays_broken_adds_nothing_to_the_own_accusation() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.stop_probing();
    me.swim.handle_link(&"b".to_owned(), Link::Down, me.at(100));
    me.run_to(1100);
    assert_eq!(me.swim.accusers(&"b".to_owned()), ["me"]);
    me.swim.handle_link(&"b".to_owned(), Link::Down, me.at(2500));
    assert_eq!(me.swim.counters().probes, 1);
}

#[test]
fn many_links_that_break_at_once_leave_room_for_news() {
    let names: Vec<_> = (0..400).map(|number| format!("member-{number:03}")).collect();
    let mut me = Subject::knowing(&names.iter().map(String::as_str).collect::<Vec<_>>());
    me.stop_probing();
    for round in 0..8 {
        names.iter().for_each(|name| me.swim.handle_link(name, Link::Down, me.at(round * 1000)));
        me.run_to(round * 1000 + 999);
    }
    assert!(me.swim.counters().probes > 10);
    assert!(me.swim.has_room());
}
