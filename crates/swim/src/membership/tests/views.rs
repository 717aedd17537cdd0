//! Members, metadata, identity, departure, and the host's own rounds.

use quickcheck::quickcheck;

use super::harness::{Out, Received, Subject, event, local, message, ping, record, sent};
use crate::member_list::BUCKETS;
use crate::message::{Ask, Body};
use crate::{Config, ConfigError, Local, META_BYTES_MAX, Member, State, Swim, TransmitKind};

#[test]
fn alive_node_is_idempotent_and_a_change_of_its_metadata_is_an_event() {
    let mut me = Subject::knowing(&["b"]);
    let alive = record("c", 1, 0, State::Alive);
    me.receive(("b", 0), &Body::Gossip, &[alive.clone(), alive.clone()], 100).unwrap();
    assert_eq!(me.outputs(), [event("up c 1.0 Alive")]);
    let mut changed = record("c", 1, 1, State::Alive);
    changed.meta = [1, 2, 3].into();
    me.receive(("b", 0), &Body::Gossip, &[changed], 110).unwrap();
    me.receive(("b", 0), &Body::Gossip, &[alive], 120).unwrap();
    assert_eq!(me.outputs(), [event("updated c 1.1 Alive")]);
    let mut moved = record("c", 2, 0, State::Alive);
    moved.addr = "elsewhere:1".into();
    me.receive(("b", 0), &Body::Gossip, &[moved], 130).unwrap();
    assert_eq!(me.outputs(), [event("updated c 2.0 Alive")]);
    assert_eq!(&*me.swim.member(&"c".to_owned()).unwrap().addr, "elsewhere:1");
}

#[test]
fn own_metadata_travels_with_a_new_incarnation() {
    let mut me = Subject::knowing(&["b"]);
    me.swim.update_meta(vec![5], me.at(100)).unwrap();
    me.swim.update_meta(vec![5], me.at(101)).unwrap();
    let too_long = me.swim.update_meta(vec![0; META_BYTES_MAX + 1], me.at(102));
    assert!(matches!(too_long, Err(ConfigError::Number { setting: "meta", value: 513, .. })));
    assert_eq!((me.swim.local().incarnation, &*me.swim.local().meta), (1, &[5][..]));
    me.run_to(300);
    assert_eq!(me.outputs(), [sent(TransmitKind::Gossip, "b", Body::Gossip, &["me 1.1 Alive"])]);
}

#[test]
fn a_member_raises_its_epoch_above_anything_heard_of_itself() {
    let mut me = Subject::knowing(&["b"]);
    let (.., records) = me.reply_to(("b", 0), &Body::Gossip, &[record("me", 40, 7, State::Dead)], 100);
    assert_eq!(records, ["me 41.0 Alive"]);
    assert_eq!(
        (me.swim.local().epoch, me.swim.local().incarnation, me.swim.local().state),
        (41, 0, State::Alive)
    );
    me.swim.import([record("me", 50, 0, State::Alive)], me.at(60_000));
    assert_eq!(me.swim.local().epoch, 51);
    assert_eq!(me.swim.counters().conflicts, 0, "an earlier process is no conflict");
}

#[test]
fn a_live_process_under_the_own_name_is_a_conflict_reported_once_per_interval() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    for step in 0..5 {
        let other = record("me", 100 + step, 0, State::Alive);
        me.receive(("b", 0), &Body::Gossip, &[other], 20_000 + step * 300).unwrap();
    }
    let conflicts: Vec<_> = me.outputs().into_iter().filter(|out| matches!(out, Out::Event(_))).collect();
    assert_eq!(conflicts, [event("conflict me 100.0 Alive"), event("conflict me 104.0 Alive")]);
    let rival = message(
        0,
        &Body::Sync { instance: 1, ask: Ask::Differing([0; BUCKETS]) },
        &[record("me", 1, 0, State::Alive)],
    );
    me.receive_bytes("me", &rival, 40_000).unwrap();
    assert_eq!(me.outputs(), [event("conflict me 1.0 Alive")]);
}

#[test]
fn a_seed_that_is_the_member_itself_is_no_conflict_and_not_tried_again() {
    let mut me = Subject::knowing(&[]);
    me.swim.join(["alias:1".to_owned()], me.at(0));
    let (id, request) = me.next_request();
    let looped = me.receive_bytes("me", &request, 1);
    let Ok(Received::Reply(reply)) = looped else {
        panic!("answered: {looped:?}");
    };
    me.answer_bytes(id, "me", &reply, 2).unwrap();
    me.run_to(120_000);
    assert_eq!(me.outputs(), []);
}

#[test]
fn join_tries_seeds_with_growing_pauses_up_to_the_interval() {
    let mut me = Subject::knowing(&[]);
    me.swim.join(["x:7500".to_owned(), "me:7500".to_owned()], me.at(0));
    let mut tries = Vec::new();
    for tick in 0..1200 {
        me.run_to(tick * 100);
        for out in me.outputs() {
            let expected = matches!(&out, Out::Sent { kind: TransmitKind::Sync, to, .. } if to == "x:7500");
            assert!(expected, "{out:?}");
            tries.push(tick * 100);
        }
    }
    let pauses: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (pause, at_most) in
        pauses.iter().zip([1000, 2000, 4000, 8000].into_iter().chain(std::iter::repeat(10_000)))
    {
        assert!((at_most * 3 / 4..=at_most + 100).contains(pause), "{pauses:?}");
    }
    assert!(tries.len() >= 12, "for ever: {tries:?}");
}

#[test]
fn leave_tells_the_others_and_ends_every_timer() {
    let mut me = Subject::knowing(&["b"]);
    me.swim.leave(me.at(100));
    me.swim.leave(me.at(100));
    assert_eq!(me.outputs(), [sent(TransmitKind::Leave, "b", Body::Gossip, &["me 1.1 Left"])]);
    let (.., records) = me.reply_to(("b", 0), &Body::Gossip, &[record("me", 1, 5, State::Dead)], 150);
    assert_eq!(records, ["me 1.1 Left"], "it does not refute");
    let mut outputs = Vec::new();
    for tick in 1..20 {
        me.run_to(150 + tick * 100);
        outputs.extend(me.outputs());
    }
    assert_eq!(outputs.last(), Some(&event("drained")));
    assert_eq!(outputs.len(), 3, "four sendings in all: {outputs:?}");
    assert_eq!(me.swim.poll_timeout(), None);
    me.swim.join(["b:7500".to_owned()], me.at(5000));
    assert_eq!((me.swim.local().epoch, me.swim.local().state), (2, State::Alive));
}

#[test]
fn dead_node_that_left_has_left() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.receive(("b", 1), &Body::Gossip, &[record("b", 1, 1, State::Left)], 100).unwrap();
    assert_eq!(me.outputs(), [event("left b 1.1 Left")]);
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 1, State::Dead)], 110).unwrap();
    assert_eq!((me.outputs(), me.state_of("b")), (Vec::new(), (1, State::Left)));
    me.receive(("c", 0), &Body::Gossip, &[record("b", 2, 0, State::Alive)], 120).unwrap();
    assert_eq!(me.outputs(), [event("up b 2.0 Alive")]);
}

#[test]
fn an_unknown_sender_is_asked_for_an_exchange() {
    let mut me = Subject::knowing(&["b"]);
    let (header, ..) = me.reply_to(("stranger", 0), &ping("me"), &[], 100);
    assert!(header.wants_record);
    let (header, ..) = me.reply_to(("b", 0), &ping("me"), &[], 100);
    assert!(!header.wants_record);
    let (header, ..) = me.reply_to(("b", 3), &ping("me"), &[], 100);
    assert!(header.wants_record, "its incarnation 3 was not heard of here");
}

#[test]
fn a_host_may_ask_for_any_number_of_targets() {
    let mut me = Subject::knowing(&["b", "c"]);
    let counts =
        [0, 1, 2, 3, usize::MAX / 3 + 1, usize::MAX].map(|count| me.swim.gossip_targets(count).len());
    assert_eq!(counts, [0, 1, 2, 2, 2, 2]);
}

#[test]
fn gossip_rides_on_the_hosts_own_rounds() {
    let mut me = Subject::knowing(&["b"]);
    me.swim.update_meta(vec![5], me.at(100)).unwrap();
    assert_eq!(me.swim.gossip_targets(3), [("b".to_owned(), "b:7500".into())]);
    let mut payload = Vec::new();
    let transmit = me.swim.gossip_payload(&"b".to_owned(), me.at(100), &mut payload).unwrap();
    let mut other = Subject::knowing(&["me"]);
    other.swim = Swim::new(Config::default(), local("b", 1), 7, 9, other.start).unwrap();
    let Ok(Received::Reply(reply)) = other.receive_bytes("me", &payload, 0) else {
        panic!("gossip is answered at once");
    };
    assert_eq!(&*other.swim.member(&"me".to_owned()).unwrap().meta, [5]);
    me.answer_bytes(transmit.id, "b", &reply, 101).unwrap();
    assert_eq!(me.swim.last_heard(&"b".to_owned()), Some(me.at(101)));
    assert_eq!(me.swim.gossip_payload(&"nobody".to_owned(), me.at(102), &mut payload), None);
}

#[test]
fn members_beyond_the_limit_are_counted_and_ignored() {
    let mut me = Subject::configured(Config { members_max: 2, ..Config::default() }, &["b", "c"]);
    assert_eq!(me.swim.members().map(|member| &*member.id).collect::<Vec<_>>(), ["b", "me"]);
    assert_eq!(me.swim.counters().members_refused, 1);
    assert_eq!(me.outputs(), []);
}

#[test]
fn a_local_member_out_of_its_limits_is_refused() {
    let start = std::time::Instant::now();
    let refused = |local: Local<String>| Swim::new(Config::default(), local, 7, 1, start).err();
    let names = [
        ("id", local(&"x".repeat(65), 1)),
        ("addr", Local { addr: String::new(), ..local("a", 1) }),
        ("meta", Local { meta: vec![0; 513], ..local("a", 1) }),
        ("epoch", Local { epoch: u64::MAX, ..local("a", 1) }),
    ];
    for (name, local) in names {
        assert!(
            matches!(refused(local), Some(ConfigError::Number { setting, .. }) if setting == name),
            "{name}"
        );
    }
}

quickcheck! {
    fn updates_in_any_order_give_the_same_view(updates: Vec<(u8, u8, u8)>, order: Vec<usize>) -> bool {
        let records: Vec<_> = updates
            .iter()
            .map(|(epoch, incarnation, state)| {
                let state = [State::Alive, State::Suspect, State::Dead, State::Left][usize::from(state % 4)];
                record("b", u64::from(epoch % 3), u64::from(incarnation % 3), state)
            })
            .collect();
        let mut shuffled = records.clone();
        for (place, other) in order.iter().enumerate().take(records.len()) {
            shuffled.swap(place, other % records.len());
        }
        let view = |records: &[Member<String>]| {
            let mut me = Subject::knowing(&["c"]);
            me.stop_probing();
            me.receive(("c", 0), &Body::Gossip, records, 100).unwrap();
            // A death that was doubted is believed by then.
            me.run_to(60_000);
            me.swim.member(&"b".to_owned()).cloned()
        };
        let joined = records.iter().cloned().reduce(Member::merge).map(|mut member| {
            if member.state == State::Suspect {
                member.state = State::Dead;
            }
            member
        });
        view(&records) == joined && view(&shuffled) == joined
    }

    fn arbitrary_messages_never_panic(bytes: Vec<u8>, kind: u8) -> bool {
        let mut me = Subject::knowing(&["b"]);
        let bytes = [&7_u64.to_le_bytes()[..], &[1, kind % 9], &bytes].concat();
        let handled = me.receive_bytes("b", &bytes, 100);
        handled.is_ok() || me.outputs().is_empty()
    }
}

#[test]
fn a_higher_incarnation_that_was_never_taken_here_is_another_process_and_answered_once_per_interval() {
    let mut me = Subject::knowing(&["b"]);
    me.stop_probing();
    me.run_to(20_000);
    me.outputs();
    for (millis, incarnation) in [(20_000, 3), (20_300, 5), (20_600, 7)] {
        let twin = Member { addr: "elsewhere:1".into(), ..record("me", 1, incarnation, State::Alive) };
        me.receive(("b", 0), &Body::Gossip, &[twin], millis).unwrap();
    }
    assert_eq!(me.events(), [event("conflict me 1.3 Alive")]);
    assert_eq!((me.swim.local().epoch, me.swim.local().incarnation), (2, 0));
}
