//! What lasts: exchanges of state, forgetting, isolation, moving, and departures that meet with something.

use super::harness::{Out, Received, Subject, event, message, ping, record, sent};
use crate::codec;
use crate::member_list::BUCKETS;
use crate::message::{Ask, Body, Header};
use crate::{Config, Member, MessageError, State, TransmitKind};

#[test]
fn equal_digests_begin_no_exchange_and_different_ones_do_at_most_every_two_seconds() {
    let mut me = Subject::knowing(&["b", "c"]);
    let digest = me.swim.digest();
    let mut begun = Vec::new();
    for second in 1..9 {
        me.run_to(second * 1000);
        for (id, out) in me.outputs_with_ids() {
            if let (Some(id), Out::Sent { kind: TransmitKind::PingDirect, to, .. }) = (id, &out) {
                let digest = if second < 4 { digest } else { !digest };
                let header = Header { epoch: 1, incarnation: 0, digest, wants_record: false, is_quiet: true };
                let mut bytes = Vec::new();
                codec::encode_head::<String>(&mut bytes, 7, header, &Body::Ack);
                let asked = to.trim_end_matches(":7500");
                me.answer_bytes(id, asked, &bytes, second * 1000).unwrap();
            }
        }
        let asked = me.outputs();
        begun.extend(
            asked.iter().map(|out| matches!(out, Out::Sent { kind: TransmitKind::Sync, .. })).map(|_| second),
        );
    }
    assert_eq!(begun, [4, 6, 8]);
}

#[test]
fn an_exchange_by_pages_makes_both_sides_equal() {
    let config = Config { page_bytes_max: 4096, ..Config::default() };
    let only_here: Vec<_> = (0..150).map(|number| format!("only-here-{number:03}")).collect();
    let only_there: Vec<_> = (0..150).map(|number| format!("only-there-{number:03}")).collect();
    let both = ["x1", "x2", "x3"];
    let known = |names: &[String]| {
        names.iter().map(String::as_str).chain(both).map(str::to_owned).collect::<Vec<_>>()
    };
    let (here, there) = (known(&only_here), known(&only_there));
    let mut me = Subject::configured(config.clone(), &here.iter().map(String::as_str).collect::<Vec<_>>());
    let mut other = Subject::configured(config, &there.iter().map(String::as_str).collect::<Vec<_>>());
    other.rename("other");
    me.swim.import([other.swim.local().clone()], me.at(0));
    other.swim.import([me.swim.local().clone()], other.at(0));
    me.outputs();
    let pages = exchange(&mut me, ("other", &mut other), 1);
    assert!(pages.iter().all(|bytes| *bytes <= 4096), "{pages:?} bytes");
    let pages = pages.len() / 2;
    assert_eq!(me.swim.digest(), other.swim.digest());
    assert_eq!(me.swim.members().count(), 305);
    assert!((5..=20).contains(&pages), "{pages} pages");
}

#[test]
fn the_long_gone_leave_the_digest_and_are_forgotten_and_not_taken_from_others() {
    let hour = 3_600_000;
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    let before = me.swim.digest();
    me.receive(("b", 0), &Body::Gossip, &[record("c", 1, 0, State::Left)], 0).unwrap();
    me.events();
    assert_ne!(me.swim.digest(), before);
    me.run_to(12 * hour + 10_000);
    me.outputs();
    assert_eq!(me.swim.digest(), before, "half of the time is over");
    assert!(me.swim.member(&"c".to_owned()).is_some());
    me.run_to(24 * hour + 10_000);
    me.outputs();
    assert_eq!((me.swim.member(&"c".to_owned()), me.swim.counters().members_forgotten), (None, 1));
    let mut bytes = message(0, &Body::Gossip, &[]);
    let old = std::time::Duration::from_secs(13 * 3600);
    codec::encode_record(&mut bytes, &record("c", 1, 0, State::Dead), old, None, &[]);
    me.receive_bytes("b", &bytes, 24 * hour + 20_000).unwrap();
    assert_eq!(me.swim.member(&"c".to_owned()), None);
}

#[test]
fn members_that_learned_of_a_death_hours_apart_let_go_of_it_together() {
    let hour = 3_600_000;
    let (mut me, mut other) = (Subject::knowing(&["x"]), Subject::knowing(&["x"]));
    other.rename("other");
    me.swim.import([other.swim.local().clone()], me.at(0));
    other.swim.import([me.swim.local().clone()], other.at(0));
    me.stop_probing();
    other.stop_probing();
    me.receive(("x", 0), &Body::Gossip, &[record("c", 1, 0, State::Left)], 0).unwrap();
    other.receive(("x", 0), &Body::Gossip, &[record("c", 1, 0, State::Left)], 6 * hour).unwrap();
    me.run_to(12 * hour + 10_000);
    other.run_to(12 * hour + 10_000);
    assert_ne!(me.swim.digest(), other.swim.digest(), "for one of them half of the time is over");
    exchange(&mut other, ("me", &mut me), 12 * hour + 11_000);
    other.run_to(12 * hour + 21_000);
    assert_eq!(me.swim.digest(), other.swim.digest());
}

#[test]
fn one_that_has_left_judges_nobody_and_awaits_nothing() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.swim.leave(me.at(100));
    me.run_to(5000);
    let suspicion = [record("b", 1, 0, State::Suspect)];
    for millis in [6000, 7000] {
        me.receive(("c", 0), &Body::Gossip, &suspicion, millis).unwrap();
    }
    assert_eq!(me.swim.poll_timeout(), None);
}

#[test]
fn one_that_leaves_asks_nobody_and_asks_anybody_when_it_is_back() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.receive(("b", 0), &Body::Gossip, &[], 50).unwrap();
    me.swim.leave(me.at(100));
    me.outputs();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Dead)], 150).unwrap();
    let is_asked = |out: &Out| matches!(out, Out::Sent { body: Body::Ping { target }, .. } if target == "b");
    assert!(!me.outputs().iter().any(is_asked), "a death that is doubted is nothing to it");
    me.run_to(5000);
    me.swim.join([], me.at(6000));
    me.receive(("b", 1), &Body::Gossip, &[record("b", 1, 1, State::Alive)], 6010).unwrap();
    me.run_to(12_000);
    assert!(me.outputs().iter().any(is_asked));
}

#[test]
fn the_dead_may_be_forgotten_at_the_hosts_wish_and_the_living_not() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.stop_probing();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 1, State::Left)], 100).unwrap();
    me.outputs();
    assert!(!me.swim.forget(&"c".to_owned()) && !me.swim.forget(&"me".to_owned()));
    assert!(me.swim.forget(&"b".to_owned()) && !me.swim.forget(&"b".to_owned()));
    assert_eq!(me.swim.members().map(|member| &*member.id).collect::<Vec<_>>(), ["c", "me"]);
    me.run_to(5000);
    me.outputs();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 2, 0, State::Alive)], 5100).unwrap();
    assert_eq!(me.events(), [event("up b 2.0 Alive")]);
}

#[test]
fn one_that_has_left_does_not_forget_itself() {
    let mut me = Subject::knowing(&["b"]);
    me.swim.leave(me.at(100));
    me.run_to(5000);
    assert!(!me.swim.forget(&"me".to_owned()));
    assert_eq!(me.state_of("me"), (1, State::Left));
    me.swim.join([], me.at(6000));
    assert_eq!(me.swim.local().state, State::Alive);
}

#[test]
fn a_member_without_any_other_is_isolated_until_one_is_up() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    me.receive(("b", 1), &Body::Gossip, &[record("b", 1, 1, State::Left)], 100).unwrap();
    assert_eq!(me.events(), [event("left b 1.1 Left"), event("isolated")]);
    assert!(me.swim.health().is_isolated);
    me.receive(("b", 0), &Body::Gossip, &[record("b", 2, 0, State::Alive)], 200).unwrap();
    assert_eq!(me.events(), [event("up b 2.0 Alive"), event("healed")]);
}

#[test]
fn a_member_that_moves_tells_its_address_under_a_new_incarnation() {
    let mut me = Subject::knowing(&["b"]);
    me.swim.update_addr("elsewhere:1", me.at(100)).unwrap();
    me.swim.update_addr("elsewhere:1", me.at(101)).unwrap();
    assert!(me.swim.update_addr("", me.at(102)).is_err());
    assert_eq!((&*me.swim.local().addr, me.swim.local().incarnation), ("elsewhere:1", 1));
    me.run_to(300);
    assert_eq!(me.outputs(), [sent(TransmitKind::Gossip, "b", Body::Gossip, &["me 1.1 Alive"])]);
}

#[test]
fn leave_during_a_join_ends_it_and_a_late_answer_changes_nothing() {
    let mut me = Subject::knowing(&[]);
    me.swim.join(["x:7500".to_owned()], me.at(0));
    let (id, _) = me.next_request();
    me.swim.leave(me.at(10));
    assert_eq!(me.outputs(), [event("drained")], "there is nobody to tell");
    let state = message(
        0,
        &Body::State { instance: 9, differing: 0, more_after: None },
        &[record("x", 1, 0, State::Alive)],
    );
    assert_eq!(me.answer_bytes(id, "x", &state, 20), Err(MessageError::UnknownTransmit));
    me.run_to(100_000);
    assert_eq!((me.outputs(), me.swim.members().count()), (vec![], 1));
}

#[test]
fn a_link_that_opens_to_a_member_that_is_down_has_it_told_so_at_once() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    me.swim.import([record("b", 1, 1, State::Dead)], me.at(0));
    me.run_to(60_000);
    me.outputs();
    assert_eq!(me.state_of("b"), (1, State::Dead));
    for _ in 0..3 {
        me.swim.handle_link(&"b".to_owned(), crate::Link::Up, me.at(60_000));
    }
    let told = sent(TransmitKind::Gossip, "b", Body::Gossip, &["b 1.1 Dead", "me 1.0 Alive"]);
    assert_eq!(me.outputs(), [told], "once in an interval");
}

#[test]
fn settings_may_change_while_it_runs() {
    let mut me = Subject::knowing(&["b"]);
    let refused = Config { probe_timeout: std::time::Duration::from_secs(9), ..Config::default() };
    assert!(me.swim.set_config(refused).is_err());
    let slower = std::time::Duration::from_secs(5);
    me.swim
        .set_config(Config { probe_interval: slower, suspicion_min: 2 * slower, ..Config::default() })
        .unwrap();
    me.run_to(1000);
    me.outputs();
    me.run_to(5999);
    assert_eq!(me.swim.counters().probes, 1);
    me.run_to(6000);
    assert_eq!(me.swim.counters().probes, 2);
}

#[test]
fn a_peer_that_lacks_the_own_record_is_told_it_once_in_an_interval() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    let wish = Header { epoch: 1, incarnation: 0, digest: 0, wants_record: true, is_quiet: false };
    let mut bytes = Vec::new();
    codec::encode_head::<String>(&mut bytes, 7, wish, &Body::Ack);
    let mut told = 0;
    me.swim.probe(me.swim.members.slot(&"b".to_owned()).unwrap());
    for _ in 0..10 {
        for (id, out) in me.outputs_with_ids() {
            let Some(id) = id else { continue };
            told += usize::from(matches!(&out, Out::Sent { records, .. } if records == &["me 1.0 Alive"]));
            me.answer_bytes(id, "b", &bytes, 10).unwrap();
        }
    }
    assert_eq!(told, 1);
    let mut ping_with_wish = Vec::new();
    codec::encode_head(&mut ping_with_wish, 7, wish, &ping("me"));
    let Ok(Received::Reply(reply)) = me.receive_bytes("b", &ping_with_wish, 20) else { panic!("answered") };
    let records = codec::decode::<String>(&reply, 7).unwrap().updates;
    assert_eq!(records.iter().map(super::harness::brief).collect::<Vec<_>>(), ["me 1.0 Alive"]);
}

#[test]
fn an_exchange_asks_for_what_differs_only() {
    let mut me = Subject::knowing(&["b", "c", "d"]);
    let equal = Body::Sync { instance: 1, ask: Ask::Differing(*me.swim.members.buckets()) };
    let own: Member<String> = record("b", 1, 0, State::Alive);
    let (_, body, records) = me.reply_to(("b", 0), &equal, std::slice::from_ref(&own), 100);
    assert!(matches!(body, Body::State { differing: 0, more_after: None, .. }), "{body:?}");
    assert_eq!(records, ["me 1.0 Alive"]);
    let (_, _, records) =
        me.reply_to(("b", 0), &Body::Sync { instance: 1, ask: Ask::Differing([0; BUCKETS]) }, &[own], 110);
    assert_eq!(records, ["me 1.0 Alive", "b 1.0 Alive", "c 1.0 Alive", "d 1.0 Alive"]);
}

/// A whole exchange of state with the member of this name, begun by `me`; returns the lengths of its pages.
fn exchange(me: &mut Subject, (name, other): (&str, &mut Subject), millis: u64) -> Vec<usize> {
    me.run_to(millis);
    me.outputs();
    let own = me.swim.local().id.clone();
    let slot = me.swim.members.slot(&name.to_owned()).unwrap();
    me.swim.exchange(me.swim.addr_of(slot), None);
    let (mut lengths, mut payload) = (Vec::new(), Vec::new());
    while let Some(output) = me.swim.poll_output(&mut payload) {
        let crate::Output::Transmit(transmit) = output else { continue };
        let Ok(Received::Reply(reply)) = other.receive_bytes(&own, &payload, millis) else {
            panic!("answered")
        };
        lengths.extend([payload.len(), reply.len()]);
        me.answer_bytes(transmit.id, name, &reply, millis).unwrap();
    }
    lengths
}
