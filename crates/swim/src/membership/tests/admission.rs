//! What is not taken from others, however it is said.

use std::time::Duration;

use super::harness::{Out, Received, Subject, event, message, ping, record, sent};
use crate::codec;
use crate::member_list::BUCKETS;
use crate::membership::output::Purpose;
use crate::message::{Ask, Body, Header};
use crate::{Config, EPOCH_MAX, INCARNATION_MAX, Member, MessageError, State, TransmitKind};

#[test]
fn an_accusation_needs_an_accuser_that_is_a_member_and_not_the_accused() {
    for accuser in ["b", "me", "nobody", ""] {
        let mut me = Subject::knowing(&["b", "c"]);
        let mut bytes = message(0, &Body::Gossip, &[]);
        let accusers: Vec<_> = [accuser.to_owned()].into_iter().filter(|id| !id.is_empty()).collect();
        codec::encode_record(&mut bytes, &record("b", 1, 0, State::Suspect), Duration::ZERO, None, &accusers);
        me.receive_bytes("c", &bytes, 100).unwrap();
        assert_eq!(
            (me.state_of("b"), me.swim.counters().updates_refused),
            ((0, State::Alive), 1),
            "{accuser:?}"
        );
        assert_eq!(me.outputs(), []);
    }
}

#[test]
fn what_a_void_accusation_says_of_the_member_besides_is_taken() {
    let mut me = Subject::knowing(&["b", "c"]);
    let mut bytes = message(0, &Body::Gossip, &[]);
    for (id, epoch) in [("b", 2), ("unknown", 1)] {
        let suspect = record(id, epoch, 0, State::Suspect);
        codec::encode_record(&mut bytes, &suspect, Duration::ZERO, None, &["long-forgotten".to_owned()]);
    }
    me.receive_bytes("c", &bytes, 100).unwrap();
    let alive = ["b", "unknown"].map(|id| me.swim.member(&id.to_owned()).map(|it| (it.epoch, it.state)));
    assert_eq!(alive, [Some((2, State::Alive)), Some((1, State::Alive))]);
    assert_eq!(me.swim.counters().updates_refused, 2);
}

#[test]
fn a_leap_of_an_incarnation_is_taken_from_the_member_itself_only() {
    let mut me = Subject::knowing(&["b", "c"]);
    for state in [State::Dead, State::Left, State::Alive] {
        me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 1 << 33, state)], 100).unwrap();
    }
    assert_eq!((me.state_of("b"), me.swim.counters().updates_refused), ((0, State::Alive), 3));
    me.receive(("b", 1 << 33), &Body::Gossip, &[record("b", 1, 1 << 33, State::Alive)], 110).unwrap();
    assert_eq!(me.state_of("b"), (1 << 33, State::Alive));
}

#[test]
fn a_leap_of_an_epoch_is_taken_from_the_member_itself_only() {
    let mut me = Subject::knowing(&["b", "c"]);
    let epoch_of_b = |me: &Subject| me.swim.member(&"b".to_owned()).map(|member| member.epoch);
    for epoch in [2 + (1 << 42), EPOCH_MAX] {
        me.receive(("c", 0), &Body::Gossip, &[record("b", epoch, 0, State::Dead)], 100).unwrap();
    }
    assert_eq!((epoch_of_b(&me), me.swim.counters().updates_refused), (Some(1), 2));
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1 + (1 << 42), 0, State::Alive)], 110).unwrap();
    assert_eq!(epoch_of_b(&me), Some(1 + (1 << 42)));
    me.receive(("b", 0), &Body::Gossip, &[record("b", EPOCH_MAX, 0, State::Alive)], 120).unwrap();
    assert_eq!(epoch_of_b(&me), Some(EPOCH_MAX));
}

#[test]
fn a_word_at_the_greatest_epoch_is_refuted_by_an_incarnation() {
    let mut me = Subject::knowing(&["b"]);
    me.swim.import([record("me", EPOCH_MAX - 1, 0, State::Alive)], me.at(50));
    let word = record("me", EPOCH_MAX, 7, State::Dead);
    let (.., records) = me.reply_to(("b", 0), &Body::Gossip, &[word], 100);
    assert_eq!(records, [format!("me {EPOCH_MAX}.8 Alive")]);
    me.swim.leave(me.at(200));
    me.swim.join([], me.at(300));
    assert_eq!((me.swim.local().epoch, me.state_of("me")), (EPOCH_MAX, (10, State::Alive)));
}

/// Else two words of one false member would end this one for good.
#[test]
fn others_do_not_lead_a_member_to_the_greatest_epoch() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    for (epoch, incarnation) in [(EPOCH_MAX, INCARNATION_MAX - 1), (EPOCH_MAX / 2 + 1, 0)] {
        let word = record("me", epoch, incarnation, State::Alive);
        let (.., records) = me.reply_to(("b", 0), &Body::Gossip, &[word], 100);
        assert_eq!((records, me.swim.local().epoch), (Vec::new(), 1), "{epoch}");
    }
    let told = format!("conflict me {EPOCH_MAX}.{} Alive", INCARNATION_MAX - 1);
    assert_eq!(me.outputs(), [event(&told)], "once per interval");
    let word = record("me", EPOCH_MAX / 2, 0, State::Alive);
    let (.., records) = me.reply_to(("b", 0), &Body::Gossip, &[word], 3000);
    assert_eq!(records, [format!("me {}.0 Alive", EPOCH_MAX / 2 + 1)], "but above all that hosts count");
}

#[test]
fn a_word_above_which_nothing_is_has_the_host_told_and_no_answer() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    for step in 0..5 {
        let word = record("me", EPOCH_MAX, INCARNATION_MAX, State::Dead);
        let (.., records) = me.reply_to(("b", 0), &Body::Gossip, &[word], 100 + step * 300);
        assert_eq!(records, Vec::<String>::new());
    }
    let told = format!("conflict me {EPOCH_MAX}.{INCARNATION_MAX} Dead");
    assert_eq!(me.outputs(), [event(&told), event(&told)], "once per interval");
    assert_eq!(me.state_of("me"), (0, State::Alive));
    me.swim.update_meta(vec![1], me.at(2000)).unwrap();
    assert_eq!(me.state_of("me"), (1, State::Alive));
}

#[test]
fn a_word_at_the_greatest_incarnation_is_refuted_by_a_new_epoch() {
    let mut me = Subject::knowing(&["b"]);
    let word = record("me", 1, INCARNATION_MAX, State::Dead);
    let (.., records) = me.reply_to(("b", 0), &Body::Gossip, &[word], 100);
    assert_eq!(records, ["me 2.0 Alive"]);
    let beyond = codec_with_stamp(u64::MAX >> 1, INCARNATION_MAX + 1);
    assert!(matches!(me.receive_bytes("b", &beyond, 110), Err(MessageError::Malformed(_))));
}

#[test]
fn an_exchange_speaks_for_its_sender_or_is_refused() {
    let mut me = Subject::knowing(&["b"]);
    let ask = || Ask::Differing([0; BUCKETS]);
    let body = Body::Sync { instance: 1, ask: ask() };
    for records in [vec![], vec![record("b", 1, 9, State::Left)]] {
        assert_eq!(me.receive(("mallory", 0), &body, &records, 100), Err(MessageError::NotOfTheSender));
    }
    assert_eq!((me.state_of("b"), me.outputs()), ((0, State::Alive), vec![]));
    assert_eq!(me.swim.member(&"mallory".to_owned()), None);
}

#[test]
fn a_reply_of_another_member_than_was_asked_is_none() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.stop_probing();
    let slot_of_b = me.swim.members.slot(&"b".to_owned()).unwrap();
    me.swim.probe(slot_of_b);
    let (probe, _) = me.next_request();
    let news = me.swim.gossip_payload(&"b".to_owned(), me.at(0), &mut Vec::new()).unwrap().id;
    me.swim.exchange(me.swim.addr_of(slot_of_b), None);
    let (exchange, _) = me.next_request();
    let before = (me.swim.version(), me.swim.digest());
    // "c" answers where "b" was, in its own name or that of "b".
    let state =
        |of| message(0, &a_state(), &[record(of, 1, 0, State::Alive), record("d", 1, 0, State::Alive)]);
    let ack = message(0, &Body::Ack, &[record("d", 1, 0, State::Alive)]);
    let replies = [(probe, ack.clone()), (news, ack.clone()), (exchange, state("c")), (exchange, state("b"))];
    for (id, reply) in replies {
        assert_eq!(me.answer_bytes(id, "c", &reply, 50), Err(MessageError::NotOfTheSender));
    }
    // Nor may "b" itself speak in another's name.
    assert_eq!(me.answer_bytes(exchange, "b", &state("c"), 50), Err(MessageError::NotOfTheSender));
    let now = (me.swim.version(), me.swim.digest(), me.swim.last_heard(&"b".to_owned()), me.outputs());
    assert_eq!(now, (before.0, before.1, None, vec![]));
    assert_eq!(me.swim.counters().messages_refused, 5);
    for (id, reply) in [(probe, ack.clone()), (news, ack), (exchange, state("b"))] {
        assert_eq!(me.answer_bytes(id, "b", &reply, 60), Ok(()), "what was sent still waited");
    }
    assert_eq!(me.swim.last_heard(&"b".to_owned()), Some(me.at(60)));
}

#[test]
fn a_helper_answers_for_the_target_of_a_probe_and_nobody_for_the_helper() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.run_to(1000);
    me.outputs();
    me.run_to(1500);
    let asked = me.outputs_with_ids().into_iter().find_map(|(id, out)| match out {
        Out::Sent { to, body: Body::PingRequest { target }, .. } => Some((id?, to, target)),
        _ => None,
    });
    let (id, to, target) = asked.expect("the other member is asked to try");
    let helper = to.trim_end_matches(":7500");
    let relayed = message(0, &Body::RelayedAck { target: target.clone(), epoch: 1 }, &[]);
    assert_eq!(me.answer_bytes(id, &target, &relayed, 1510), Err(MessageError::NotOfTheSender));
    assert_eq!(me.swim.last_heard(&target), None);
    assert_eq!(me.answer_bytes(id, helper, &relayed, 1520), Ok(()));
    assert_eq!(me.swim.last_heard(&target), Some(me.at(1520)));
}

#[test]
fn a_book_with_what_no_member_may_say_spoils_nothing() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    let good = || record("x", 1, 1, State::Suspect);
    let too_long = |length| "x".repeat(length);
    let spoiled = [
        Member { id: too_long(65), ..good() },
        Member { id: String::new(), ..good() },
        Member { epoch: EPOCH_MAX + 1, ..good() },
        Member { incarnation: INCARNATION_MAX + 1, ..good() },
        Member { addr: too_long(262).into(), ..good() },
        Member { meta: too_long(513).into_bytes().into(), ..good() },
        record("me", u64::MAX, u64::MAX, State::Alive),
    ];
    me.swim.import(spoiled, me.at(10));
    assert_eq!((me.swim.members().count(), me.swim.counters().updates_refused), (2, 7));
    assert_eq!(me.swim.local().stamp(), (1, 0));
    me.swim.import([good()], me.at(20));
    assert_eq!(me.state_of("x"), (1, State::Alive));
}

#[test]
fn what_answers_at_a_seed_speaks_for_itself_or_is_not_taken() {
    let mut me = Subject::knowing(&[]);
    me.swim.join(["x:7500".to_owned()], me.at(0));
    let (id, _) = me.next_request();
    let state = message(0, &a_state(), &[record("b", 1, 0, State::Alive)]);
    for (from, told) in [("mallory", &state), ("me", &state), ("b", &message(0, &a_state(), &[]))] {
        assert_eq!(me.answer_bytes(id, from, told, 10), Err(MessageError::NotOfTheSender));
    }
    assert_eq!((me.swim.members().count(), me.outputs()), (1, vec![]));
    assert_eq!(me.answer_bytes(id, "b", &state, 20), Ok(()));
    assert_eq!(me.events(), [event("up b 1.0 Alive")]);
}

#[test]
fn one_that_joins_is_told_on_when_it_has_answered_a_ping() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    let body = Body::Sync { instance: 1, ask: Ask::Differing([0; BUCKETS]) };
    me.receive(("new", 0), &body, &[record("new", 1, 0, State::Alive)], 100).unwrap();
    let outputs = me.outputs_with_ids();
    let [(None, up), (Some(id), asked)] = &outputs[..] else {
        panic!("an event and a ping: {outputs:?}");
    };
    assert_eq!(*up, event("up new 1.0 Alive"));
    assert_eq!(*asked, sent(TransmitKind::PingDirect, "new", ping("new"), &[]));
    me.run_to(400);
    assert_eq!(me.outputs(), [], "nobody hears of it before");
    me.answer(*id, 0, &Body::Ack, 450);
    me.run_to(650);
    let told = me.outputs();
    assert!(!told.is_empty());
    let is_news = |out: &Out| matches!(out, Out::Sent { records, .. } if records == &["new 1.0 Alive"]);
    assert!(told.iter().any(is_news), "{told:?}");
}

#[test]
fn refused_messages_change_nothing_that_can_be_seen() {
    let mut me = Subject::knowing(&["b"]);
    let before = (me.swim.version(), me.swim.digest());
    let dead = [record("b", 1, 0, State::Dead)];
    let mut foreign = message(0, &Body::Gossip, &dead);
    foreign[0] ^= 1;
    let mut cut = message(0, &Body::Gossip, &dead);
    cut.pop();
    let longer = vec![0; codec::MESSAGE_BYTES_MAX + 1];
    for bytes in [foreign, cut, longer, message(0, &Body::Ack, &dead), message(0, &ping("c"), &dead)] {
        assert!(me.receive_bytes("b", &bytes, 100).is_err());
    }
    assert_eq!((me.swim.version(), me.swim.digest(), me.outputs()), (before.0, before.1, vec![]));
    assert_eq!(me.swim.counters().messages_refused, 5);
}

#[test]
fn a_relayed_departure_of_a_live_member_is_refuted_by_it() {
    let mut me = Subject::knowing(&["b", "c"]);
    let (.., records) = me.reply_to(("b", 0), &Body::Gossip, &[record("me", 1, 4, State::Left)], 100);
    assert_eq!(records, ["me 1.5 Alive"]);
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 1, State::Left)], 110).unwrap();
    let Ok(Received::Reply(reply)) = me.receive(("b", 0), &ping("me"), &[], 120) else {
        panic!("answered at once");
    };
    let told = codec::decode::<String>(&reply, 7).unwrap();
    assert_eq!(told.updates.first().map(super::harness::brief), Some("b 1.1 Left".to_owned()));
}

fn a_state() -> Body<String> {
    Body::State { instance: 9, differing: 0, more_after: None }
}

#[test]
fn one_that_is_up_takes_the_place_of_the_departed_then_of_the_dead_that_started_first_and_of_nobody_else() {
    let mut me = full();
    let known = |me: &Subject| me.swim.members().map(|member| member.id.clone()).collect::<Vec<_>>().concat();
    assert_eq!(known(&me), "bcdeme");
    for (newcomer, expected) in [("f", "bcdfme"), ("g", "bdfgme"), ("h", "bfghme"), ("i", "bfghme")] {
        me.receive(("b", 0), &Body::Gossip, &[record(newcomer, 1, 0, State::Alive)], 100).unwrap();
        assert_eq!(known(&me), expected, "{newcomer} is up");
    }
    assert_eq!((me.swim.counters().members_evicted, me.swim.counters().members_refused), (3, 1));
}

#[test]
fn of_the_gone_those_of_the_greatest_rank_are_kept_in_whatever_order_they_come() {
    let gone = [("v", 3, State::Left), ("w", 4, State::Dead), ("x", 5, State::Dead), ("y", 5, State::Dead)];
    for skipped in 0..4 {
        let mut me = Subject::configured(Config { members_max: 4, ..Config::default() }, &["b"]);
        let mut order: Vec<_> = gone.into_iter().collect();
        order.rotate_left(skipped);
        for (id, epoch, state) in order {
            me.receive(("b", 0), &Body::Gossip, &[record(id, epoch, 0, state)], 100).unwrap();
        }
        let known: Vec<_> = me.swim.members().map(|member| &*member.id).collect();
        assert_eq!(known, ["b", "me", "x", "y"]);
    }
}

#[test]
fn an_answer_whose_news_take_the_place_of_its_sender_is_taken() {
    for is_indirect in [false, true] {
        let mut me = full();
        let slot = me.swim.members.slot(&"b".to_owned()).unwrap();
        me.swim.probe(slot);
        let (id, _) = me.next_request();
        let purpose = Purpose::IndirectProbe { target: slot };
        let id = if is_indirect { me.swim.expect_reply(Some(slot), purpose, me.at(9000)) } else { id };
        let up = ["f", "g", "h", "i"].map(|id| record(id, 1, 0, State::Alive));
        let news = [&[record("b", 1, 0, State::Left)][..], &up].concat();
        let acked = Body::RelayedAck { target: "b".to_owned(), epoch: 1 };
        let body = if is_indirect { acked } else { Body::Ack };
        let now = me.at(100);
        me.swim.handle_reply(id, &"b".to_owned(), &message(0, &body, &news), now, now).unwrap();
        assert_eq!(me.swim.member(&"b".to_owned()), None);
        assert!(me.swim.member(&"i".to_owned()).is_some());
        assert_eq!(
            me.swim.counters().probes_answered_late,
            0,
            "nobody else is taken for the one that answered"
        );
        me.run_to(5000);
    }
}

#[test]
fn less_room_lets_go_of_the_gone_at_once_and_of_nobody_that_is_up() {
    let mut me = full();
    me.swim.set_config(Config { members_max: 3, ..Config::default() }).unwrap();
    assert_eq!(me.swim.members().count(), 3);
    me.swim.set_config(Config { members_max: 2, ..Config::default() }).unwrap();
    me.receive(("b", 0), &Body::Gossip, &[record("c", 9, 0, State::Alive)], 100).unwrap();
    let known: Vec<_> = me.swim.members().map(|member| &*member.id).collect();
    assert_eq!(known, ["b", "me"]);
}

#[test]
fn whoever_was_up_when_the_room_was_made_less_is_let_go_of_soon_after_it_has_gone() {
    let mut me = Subject::knowing(&["b", "c", "d"]);
    me.stop_probing();
    me.swim.set_config(Config { members_max: 3, ..Config::default() }).unwrap();
    assert_eq!(me.swim.members().count(), 4);
    me.receive(("b", 0), &Body::Gossip, &[record("c", 1, 0, State::Left)], 100).unwrap();
    me.run_to(100 + 10_000);
    let known: Vec<_> = me.swim.members().map(|member| &*member.id).collect();
    assert_eq!((known, me.swim.counters().members_evicted), (vec!["b", "d", "me"], 1));
}

/// Five that it knows, which is all there is room for: itself and "b", "c" and "d" dead, "e" departed.
fn full() -> Subject {
    let mut me = Subject::configured(Config { members_max: 5, ..Config::default() }, &["b"]);
    me.stop_probing();
    let gone = [("c", 2, State::Dead), ("d", 3, State::Dead), ("e", 4, State::Left)];
    let gone = gone.map(|(id, epoch, state)| record(id, epoch, 0, state));
    me.receive(("b", 0), &Body::Gossip, &gone, 50).unwrap();
    me.outputs();
    me.swim.news.clear();
    me
}

fn codec_with_stamp(epoch: u64, incarnation: u64) -> Vec<u8> {
    let header = Header { epoch, incarnation, digest: 0, wants_record: false, is_quiet: false };
    let mut bytes = Vec::new();
    codec::encode_head::<String>(&mut bytes, 7, header, &Body::Gossip);
    let member: Member<String> = record("b", epoch, incarnation, State::Alive);
    codec::encode_record(&mut bytes, &member, Duration::ZERO, None, &[]);
    bytes
}
