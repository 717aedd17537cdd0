//! Broadcasts of hosts: what is told of them, when, and who takes them; and that members come first.

use super::harness::{Out, Received, Subject, event, local, message, ping, record, sent};
use crate::broadcast::VERSION_MAX;
use crate::message::{Ask, Body, Header};
use crate::{
    BROADCAST_PAYLOAD_BYTES_MAX, BroadcastError, Config, META_BYTES_MAX, Member, Output, Priority, State,
    Swim, TransmitKind, codec,
};

#[test]
fn an_offer_is_told_in_bursts_so_many_times_and_then_there_is_quiet() {
    let mut me = Subject::knowing(&["b", "c", "d", "e"]);
    me.stop_probing();
    offer(&mut me, "k", "v", 100);
    assert_eq!(me.swim.health().broadcasts_count, 1);
    me.run_to(299);
    assert_eq!(told(&mut me), Vec::<String>::new(), "not before the burst");
    me.run_to(300);
    assert_eq!(told(&mut me), ["me 1.1 k=v"; 3]);
    me.run_to(500);
    assert_eq!(told(&mut me), ["me 1.1 k=v"], "four sendings in a cluster below ten");
    assert_eq!((me.swim.health().broadcasts_count, me.swim.counters().broadcasts_sent), (0, 4));
    me.run_to(9_000);
    assert_eq!(me.outputs(), []);
}

#[test]
fn a_ping_and_its_answer_carry_broadcasts_in_the_room_that_is_left() {
    let mut me = Subject::knowing(&["b", "c"]);
    offer(&mut me, "long", &"x".repeat(BROADCAST_PAYLOAD_BYTES_MAX), 990);
    offer(&mut me, "longer", &"y".repeat(BROADCAST_PAYLOAD_BYTES_MAX), 990);
    offer(&mut me, "short", "z", 990);
    me.run_to(1000);
    let (_, ping_sent) = me.next_request();
    assert!(ping_sent.len() <= 1400);
    assert_eq!(keys(&ping_sent), ["long", "short"], "two long ones do not fit, and the short one does");
    let Ok(Received::Reply(reply)) = me.receive(("b", 0), &ping("me"), &[], 1001) else { panic!("answered") };
    assert_eq!(keys(&reply), ["longer", "short"], "what was sent least comes first");
}

#[test]
fn broadcasts_ride_in_the_room_that_news_of_members_leaves() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    let large = |id: &str| Member { meta: vec![1; META_BYTES_MAX].into(), ..record(id, 1, 0, State::Alive) };
    me.receive(("b", 0), &Body::Gossip, &[large("c"), large("d")], 10).unwrap();
    offer(&mut me, "k", &"v".repeat(700), 10);
    let (mut lengths, mut payload) = (Vec::new(), Vec::new());
    for burst in 1..6 {
        me.run_to(10 + burst * 200);
        while let Some(output) = me.swim.poll_output(&mut payload) {
            if matches!(output, Output::Transmit(_)) {
                let message = codec::decode::<String>(&payload, 7).unwrap();
                assert!(payload.len() <= 1400);
                lengths.push((message.updates.len(), message.broadcasts.len()));
            }
        }
    }
    assert!(lengths.contains(&(2, 0)), "two records leave too little room: {lengths:?}");
    assert!(lengths.contains(&(1, 1)), "one leaves enough: {lengths:?}");
}

#[test]
fn a_broadcast_is_reported_once_and_told_on_and_an_earlier_one_of_its_key_is_not() {
    let mut me = Subject::knowing(&["b", "c", "d", "e"]);
    me.stop_probing();
    hear(&mut me, "c", &[("b", 1, 5, "k", "five")], 100);
    assert_eq!(me.outputs(), [event("broadcast of b: k = five")]);
    hear(&mut me, "d", &[("b", 1, 5, "k", "five"), ("b", 1, 4, "k", "four")], 110);
    assert_eq!(me.outputs(), []);
    hear(&mut me, "d", &[("b", 1, 6, "k", "six"), ("b", 1, 2, "other", "two")], 120);
    assert_eq!(me.outputs(), [event("broadcast of b: k = six"), event("broadcast of b: other = two")]);
    me.run_to(300);
    let told = told(&mut me);
    assert!(told.iter().all(|it| it == "b 1.6 k=six" || it == "b 1.2 other=two"), "{told:?}");
    assert!(!told.is_empty());
    assert_eq!(me.swim.counters().broadcasts_received, 3);
}

#[test]
fn who_told_it_and_whose_it_is_are_not_told_it() {
    let mut me = Subject::knowing(&["b", "c", "d", "e"]);
    me.stop_probing();
    hear(&mut me, "c", &[("b", 1, 5, "k", "v")], 100);
    for (asks, expected) in [("b", 0), ("c", 0), ("d", 1), ("e", 1)] {
        let Ok(Received::Reply(reply)) = me.receive((asks, 0), &ping("me"), &[], 110) else {
            panic!("answered")
        };
        assert_eq!(keys(&reply).len(), expected, "to {asks}");
    }
    hear(&mut me, "d", &[("b", 1, 5, "k", "v")], 120);
    let Ok(Received::Reply(reply)) = me.receive(("d", 0), &ping("me"), &[], 130) else { panic!("answered") };
    assert_eq!(keys(&reply), Vec::<String>::new(), "nor is the one that told it last");
}

#[test]
fn what_everybody_knows_is_told_no_more_even_where_there_is_nobody_else() {
    for peers in [&["b"][..], &["b", "c"]] {
        let mut me = Subject::knowing(peers);
        me.stop_probing();
        hear(&mut me, peers[peers.len() - 1], &[("b", 1, 5, "k", "v")], 100);
        assert_eq!(me.outputs(), [event("broadcast of b: k = v")]);
        me.run_to(10_000);
        assert_eq!(told(&mut me), Vec::<String>::new());
        assert_eq!(me.swim.health().broadcasts_count, 0, "{peers:?}");
    }
}

#[test]
fn a_broadcast_of_an_unknown_member_or_an_earlier_process_is_not_taken() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    hear(&mut me, "b", &[("stranger", 1, 1, "k", "v"), ("b", 2, 1, "k", "of the next process")], 100);
    assert_eq!((me.events(), me.swim.counters().broadcasts_refused), (vec![], 2));
    hear(&mut me, "b", &[("b", 1, 8, "k", "first")], 110);
    assert_eq!(me.events(), [event("broadcast of b: k = first")]);
    me.receive(("b", 0), &Body::Gossip, &[record("b", 2, 0, State::Alive)], 120).unwrap();
    assert_eq!(me.events(), [event("updated b 2.0 Alive")]);
    hear(&mut me, "b", &[("b", 1, 9, "k", "late"), ("b", 2, 1, "k", "second")], 130);
    assert_eq!(
        (me.events(), me.swim.counters().broadcasts_refused),
        (vec![event("broadcast of b: k = second")], 3)
    );
    let told = {
        me.run_to(2000);
        told(&mut me)
    };
    assert!(told.iter().all(|it| it == "b 2.1 k=second"), "{told:?}");
}

#[test]
fn what_is_held_of_a_process_is_told_no_more_when_there_is_a_later_one() {
    let mut me = Subject::knowing(&["b", "c", "d", "e"]);
    me.stop_probing();
    hear(&mut me, "c", &[("b", 1, 5, "k", "v")], 100);
    me.receive(("c", 0), &Body::Gossip, &[record("b", 2, 0, State::Alive)], 110).unwrap();
    me.run_to(10_000);
    assert_eq!((told(&mut me), me.swim.health().broadcasts_count), (vec![], 0));
}

#[test]
fn a_member_that_is_told_of_in_the_same_message_is_known_in_time() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    let mut bytes = message(0, &Body::Gossip, &[record("c", 1, 0, State::Alive)]);
    put(&mut bytes, ("c", 1, 1, "k", "v"));
    me.receive_bytes("b", &bytes, 100).unwrap();
    assert_eq!(me.events(), [event("up c 1.0 Alive"), event("broadcast of c: k = v")]);
}

#[test]
fn one_that_has_just_joined_is_heard_here_and_told_on_when_others_are_told_of_it() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.stop_probing();
    let join = Body::Sync { instance: 9, ask: Ask::Nothing };
    me.receive(("n", 0), &join, &[record("n", 1, 0, State::Alive)], 100).unwrap();
    assert_eq!(me.events(), [event("up n 1.0 Alive")]);
    hear(&mut me, "n", &[("n", 1, 1, "k", "v")], 110);
    assert_eq!(me.events(), [event("broadcast of n: k = v")]);
    let Ok(Received::Reply(reply)) = me.receive(("b", 0), &ping("me"), &[], 120) else { panic!("answered") };
    assert_eq!(keys(&reply), Vec::<String>::new(), "it would not be taken");
    let slot = me.swim.members.slot(&"n".to_owned()).unwrap();
    me.swim.members.at_mut(slot).is_unproven = false;
    let Ok(Received::Reply(reply)) = me.receive(("b", 0), &ping("me"), &[], 130) else { panic!("answered") };
    assert_eq!(keys(&reply), ["k"]);
}

#[test]
fn what_is_held_of_a_member_ends_when_it_is_forgotten() {
    let mut me = Subject::knowing(&["b", "c", "d", "e"]);
    me.stop_probing();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 1, State::Left)], 100).unwrap();
    hear(&mut me, "c", &[("b", 1, 5, "k", "v")], 110);
    assert_eq!(me.events(), [event("left b 1.1 Left"), event("broadcast of b: k = v")], "it need not be up");
    assert!(me.swim.forget(&"b".to_owned()));
    me.run_to(2000);
    assert_eq!((told(&mut me), me.swim.health().broadcasts_count), (vec![], 0));
}

#[test]
fn one_that_takes_the_place_of_who_told_it_is_told_it() {
    let mut me = Subject::configured(Config { members_max: 4, ..Config::default() }, &["b", "c", "d"]);
    me.stop_probing();
    hear(&mut me, "b", &[("c", 1, 1, "k", "v")], 100);
    let news = [record("b", 1, 1, State::Left), record("e", 1, 0, State::Alive)];
    me.receive(("c", 0), &Body::Gossip, &news, 110).unwrap();
    assert_eq!(me.swim.counters().members_evicted, 1);
    let Ok(Received::Reply(reply)) = me.receive(("e", 0), &ping("me"), &[], 120) else {
        panic!("answered at once");
    };
    assert_eq!(keys(&reply), ["k"]);
}

#[test]
fn own_ones_that_come_back_are_not_reported() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    offer(&mut me, "k", "v", 100);
    hear(&mut me, "b", &[("me", 1, 1, "k", "v"), ("me", 1, 90, "k", "not of this member")], 110);
    assert_eq!(me.events(), []);
    offer(&mut me, "k", "w", 120);
    me.run_to(400);
    assert_eq!(told(&mut me), ["me 1.91 k=w"], "it is above whatever was said in the own name");
}

#[test]
fn nothing_that_is_said_in_the_own_name_keeps_others_from_taking_what_is_offered() {
    for version in [VERSION_MAX, VERSION_MAX - 1, 90] {
        let (mut me, mut other) = (Subject::knowing(&["b"]), Subject::knowing(&[]));
        me.stop_probing();
        other.rename("b");
        other.swim.import([me.swim.local().clone()], other.at(0));
        let forged = ("me", 1, version, "k", "forged");
        hear(&mut me, "b", &[forged], 100);
        hear(&mut other, "c", &[forged], 100);
        for (step, payload) in ["v", "w"].into_iter().enumerate() {
            other.outputs();
            let millis = 1000 * (step as u64 + 1);
            offer(&mut me, "k", payload, millis);
            me.run_to(millis + 200);
            let mut sent = Vec::new();
            while let Some(output) = me.swim.poll_output(&mut sent) {
                if let Output::Transmit(_) = output {
                    other.receive_bytes("me", &sent, millis + 200).unwrap();
                }
            }
            let expected = event(&format!("broadcast of me: k = {payload}"));
            assert!(other.events().contains(&expected), "after version {version}");
        }
    }
}

#[test]
fn an_epoch_that_is_raised_takes_the_own_ones_along() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    offer(&mut me, "k", "v", 100);
    me.receive(("b", 0), &Body::Gossip, &[record("me", 40, 7, State::Dead)], 110).unwrap();
    me.run_to(310);
    assert_eq!(told(&mut me), ["me 41.1 k=v"]);
}

#[test]
fn pages_of_state_carry_no_broadcasts_and_those_in_them_are_not_taken() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.stop_probing();
    offer(&mut me, "k", "v", 100);
    let ask = Body::Sync { instance: 9, ask: Ask::Differing([0; crate::member_list::BUCKETS]) };
    let mut bytes = message(0, &ask, &[record("b", 1, 0, State::Alive)]);
    put(&mut bytes, ("b", 1, 1, "k", "v"));
    let Ok(Received::Reply(reply)) = me.receive_bytes("b", &bytes, 110) else { panic!("answered") };
    assert_eq!((keys(&reply), me.events()), (vec![], vec![]));
}

#[test]
fn a_malformed_broadcast_keeps_no_record_from_being_taken() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    let mut bytes = message(0, &Body::Gossip, &[record("c", 1, 0, State::Alive)]);
    put(&mut bytes, ("b", 1, 1, &"k".repeat(65), "v"));
    put(&mut bytes, ("b", 1, 1, "k", &"v".repeat(1025)));
    put(&mut bytes, ("b", 1, u64::MAX, "k", "v"));
    put(&mut bytes, ("b", u64::MAX, 1, "k", "v"));
    bytes.extend_from_slice(&[1, 0, 128]);
    bytes.extend_from_slice(&[5, 0, 128, 1, b'b', 1, 1]);
    put(&mut bytes, ("b", 1, 1, "k", "v"));
    bytes.extend_from_slice(&codec_record("d"));
    me.receive_bytes("b", &bytes, 100).unwrap();
    let expected = ["up c 1.0 Alive", "up d 1.0 Alive", "broadcast of b: k = v"].map(event);
    assert_eq!((me.events(), me.swim.counters().broadcasts_refused), (expected.to_vec(), 6));
}

#[test]
fn of_one_message_no_more_are_taken_than_are_held() {
    let mut me = Subject::configured(Config { broadcasts_max: 3, ..Config::default() }, &["b"]);
    me.stop_probing();
    let keys: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let heard: Vec<_> = (1..).zip(&keys).map(|(version, key)| ("b", 1, version, key.as_str(), "v")).collect();
    hear(&mut me, "b", &heard, 100);
    assert_eq!((me.events().len(), me.swim.counters().broadcasts_refused), (3, 7));
}

#[test]
fn a_host_may_have_none_of_it() {
    let config = Config { broadcasts_max: 0, ..Config::default() };
    let mut me = Subject::configured(config, &["b"]);
    me.stop_probing();
    hear(&mut me, "b", &[("b", 1, 1, "k", "v")], 100);
    let refused = me.swim.offer_broadcast(b"k", vec![], Priority::High, me.at(100));
    assert!(matches!(refused, Err(BroadcastError::Full { count_max: 0, .. })));
    me.run_to(5000);
    assert_eq!(me.outputs(), []);
}

#[test]
fn an_offer_waits_while_nobody_is_up() {
    let mut me = Subject::knowing(&[]);
    offer(&mut me, "k", "v", 100);
    me.run_to(60_000);
    assert_eq!((me.outputs(), me.swim.health().broadcasts_count), (vec![], 1));
    me.swim.import([record("b", 1, 0, State::Alive)], me.at(60_000));
    me.run_to(61_500);
    assert_eq!(told(&mut me)[0], "me 1.1 k=v");
    assert!(me.swim.counters().gossips > 0, "in bursts, from the first ping on");
}

#[test]
fn broadcasts_change_nothing_of_when_digests_are_acted_upon() {
    for broadcasts in [false, true] {
        let mut me = Subject::knowing(&["b", "c"]);
        me.stop_probing();
        let digest = me.swim.digest();
        me.receive(("b", 0), &Body::Gossip, &[], 1000).unwrap();
        if broadcasts {
            hear(&mut me, "c", &[("b", 1, 1, "x", "v")], 1000);
            offer(&mut me, "k", "v", 1000);
            assert_eq!(me.swim.health().broadcasts_count, 2);
        }
        let (header, ..) = me.reply_to(("b", 0), &ping("me"), &[], 1001);
        assert!(header.is_quiet, "there is no news of members");
        me.outputs();
        let slot = me.swim.members.slot(&"b".to_owned()).unwrap();
        let other = Header { epoch: 1, incarnation: 0, digest: !digest, wants_record: false, is_quiet: true };
        me.swim.probe(slot);
        let (ping, _) = me.next_request();
        let mut bytes = Vec::new();
        codec::encode_head::<String>(&mut bytes, 7, other, &Body::Ack);
        me.swim.handle_reply(ping, &"b".to_owned(), &bytes, me.at(1002), me.at(1002)).unwrap();
        let asked = me.outputs();
        let syncs = asked.iter().filter(|out| matches!(out, Out::Sent { kind: TransmitKind::Sync, .. }));
        assert_eq!(syncs.count(), 1, "with broadcasts: {broadcasts}");
    }
}

#[test]
fn a_departure_is_told_as_soon_with_broadcasts_as_without_and_ends_them() {
    let mut drained = Vec::new();
    for broadcasts in [0, 200] {
        let mut me = Subject::knowing(&["b", "c", "d", "e"]);
        for number in 0..broadcasts {
            offer(&mut me, &number.to_string(), &"v".repeat(1000), 100);
        }
        me.swim.leave(me.at(100));
        let mut at = 100;
        while !me.outputs().contains(&event("drained")) {
            at += 10;
            assert!(at < 3000);
            me.run_to(at);
        }
        drained.push(at);
        assert_eq!((me.swim.health().broadcasts_count, me.swim.poll_timeout()), (0, None));
        let refused = me.swim.offer_broadcast(b"k", vec![], Priority::High, me.at(at));
        assert_eq!(refused, Err(BroadcastError::HasLeft));
        hear(&mut me, "b", &[("b", 1, 1, "k", "v")], at + 1);
        assert_eq!((me.outputs(), me.swim.poll_timeout()), (vec![], None));
    }
    assert_eq!(drained[0], drained[1]);
}

#[test]
fn what_is_offered_before_a_departure_goes_with_it() {
    let mut me = Subject::knowing(&["b"]);
    offer(&mut me, "bye", "v", 100);
    me.swim.leave(me.at(100));
    let (_, bytes) = me.next_request();
    assert_eq!(keys(&bytes), ["bye"]);
}

#[test]
fn news_goes_out_no_later_among_broadcasts_than_without() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    for number in 0..100 {
        offer(&mut me, &number.to_string(), &"v".repeat(1000), 90);
    }
    me.swim.update_meta(vec![5], me.at(100)).unwrap();
    me.run_to(300);
    assert_eq!(me.outputs(), [sent(TransmitKind::Gossip, "b", Body::Gossip, &["me 1.1 Alive"])]);
}

#[test]
fn what_is_too_long_or_too_much_is_refused_with_the_reason() {
    let config = Config { broadcasts_max: 2, ..Config::default() };
    let mut swim = Swim::new(config, local("me", 1), 7, 1, std::time::Instant::now()).unwrap();
    let now = std::time::Instant::now();
    let mut offer = |key: &[u8], length| swim.offer_broadcast(key, vec![0; length], Priority::Normal, now);
    assert_eq!(
        offer(b"k", 1025),
        Err(BroadcastError::TooLong { part: "payload", length: 1025, limit: BROADCAST_PAYLOAD_BYTES_MAX })
    );
    assert_eq!((offer(b"a", 1024), offer(b"b", 0)), (Ok(()), Ok(())));
    assert_eq!(offer(b"c", 0), Err(BroadcastError::Full { count_max: 2, bytes_max: 256 << 10 }));
    assert_eq!(offer(b"a", 3), Ok(()), "it takes the place of its own earlier one");
}

type Word<'a> = (&'a str, u64, u64, &'a str, &'a str);

/// Origin, epoch, version, key, payload.
fn put(into: &mut Vec<u8>, (origin, epoch, version, key, payload): Word<'_>) {
    let content = (key.as_bytes(), payload.as_bytes());
    codec::encode_broadcast(into, &origin.to_owned(), (epoch, version), Priority::Normal, content);
}

fn hear(me: &mut Subject, from: &str, words: &[Word<'_>], millis: u64) {
    let mut bytes = message(0, &Body::Gossip, &[]);
    words.iter().for_each(|word| put(&mut bytes, *word));
    me.receive_bytes(from, &bytes, millis).unwrap();
}

fn offer(me: &mut Subject, key: &str, payload: &str, millis: u64) {
    let now = me.at(millis);
    me.run_to(millis);
    me.swim.offer_broadcast(key.as_bytes(), payload.as_bytes().to_vec(), Priority::Normal, now).unwrap();
}

fn codec_record(id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode_record(&mut bytes, &record(id, 1, 0, State::Alive), std::time::Duration::ZERO, None, &[]);
    bytes
}

fn keys(bytes: &[u8]) -> Vec<String> {
    let message = codec::decode::<String>(bytes, 7).unwrap();
    message.broadcasts.iter().map(|it| String::from_utf8_lossy(it.key).into_owned()).collect()
}

/// Every broadcast in every request that is to be sent.
fn told(me: &mut Subject) -> Vec<String> {
    let (mut told, mut payload) = (Vec::new(), Vec::new());
    while let Some(output) = me.swim.poll_output(&mut payload) {
        if let Output::Transmit(_) = output {
            let message = codec::decode::<String>(&payload, 7).unwrap();
            told.extend(message.broadcasts.iter().map(|it| {
                let [key, payload] = [it.key, it.payload].map(String::from_utf8_lossy);
                format!("{} {}.{} {key}={payload}", it.origin, it.epoch, it.version)
            }));
        }
    }
    told
}
