//! Suspicion, refutation, death, and what comes after them.

use super::harness::{Out, Subject, event, ping, record, sent};
use crate::member_list::BUCKETS;
use crate::message::{Ask, Body};
use crate::timer::Timer;
use crate::{Config, SendFailure, State, TransmitKind};

#[test]
fn suspect_node_refuted_has_no_later_effect() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Suspect)], 100).unwrap();
    me.receive(("b", 1), &Body::Gossip, &[record("b", 1, 1, State::Alive)], 200).unwrap();
    assert_eq!(me.events(), [event("suspected b 1.0 Suspect"), event("refuted b 1.1 Alive")]);
    let slot = me.swim.members.slot(&"b".to_owned()).unwrap();
    assert!(!me.swim.timers.is_armed(Timer::Suspicion(slot)));
    for second in 1..60 {
        me.run_to(second * 1000);
        for (id, out) in me.outputs_with_ids() {
            if let (Some(id), Out::Sent { body: Body::Ping { .. }, .. }) = (id, &out) {
                let incarnation = u64::from(format!("{out:?}").contains("b:7500"));
                me.answer(id, incarnation, &Body::Ack, second * 1000);
            }
            assert!(!matches!(out, Out::Event(_)), "{out:?}");
        }
    }
    assert_eq!((me.state_of("b"), me.swim.counters().deaths), ((1, State::Alive), 0));
}

#[test]
fn suspect_node_says_of_itself_alive_at_a_higher_incarnation_to_its_accuser_first() {
    let mut me = Subject::knowing(&["b", "c"]);
    let accusation = [record("me", 1, 0, State::Suspect)];
    let (header, body, records) = me.reply_to(("b", 0), &Body::Gossip, &accusation, 100);
    assert_eq!((header.incarnation, body, records), (1, Body::Ack, vec!["me 1.1 Alive".to_owned()]));
    let to_the_accuser = sent(TransmitKind::Gossip, "c", Body::Gossip, &["me 1.1 Alive"]);
    assert_eq!(me.outputs(), [event("accused me 1.0 Suspect"), to_the_accuser]);
    me.receive(("b", 0), &Body::Gossip, &[record("me", 1, 0, State::Dead)], 150).unwrap();
    assert_eq!(me.outputs(), [], "an old word needs no answer");
    me.receive(("c", 0), &Body::Gossip, &[record("me", 1, 5, State::Dead)], 160).unwrap();
    assert_eq!(me.state_of("me"), (6, State::Alive));
    assert_eq!(me.swim.counters().refutations, 2);
}

#[test]
fn suspect_node_hears_of_its_suspicion_first_in_every_message() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Suspect)], 100).unwrap();
    me.receive(("c", 0), &Body::Gossip, &[record("d", 1, 0, State::Alive)], 110).unwrap();
    let (.., records) = me.reply_to(("b", 0), &ping("me"), &[], 120);
    assert_eq!(records, ["b 1.0 Suspect", "d 1.0 Alive"]);
    let (.., records) = me.reply_to(("c", 0), &ping("me"), &[], 130);
    assert_eq!(records, ["b 1.0 Suspect", "d 1.0 Alive"], "to others what was told less often comes first");
}

#[test]
fn suspect_node_twice_is_one_suspicion_and_old_words_are_none() {
    let mut me = Subject::knowing(&["b", "c"]);
    let suspicion = [record("b", 1, 0, State::Suspect)];
    me.receive(("c", 0), &Body::Gossip, &suspicion, 100).unwrap();
    me.receive(("c", 0), &Body::Gossip, &suspicion, 110).unwrap();
    assert_eq!(me.events(), [event("suspected b 1.0 Suspect")]);
    me.receive(("b", 1), &Body::Gossip, &[record("b", 1, 1, State::Alive)], 120).unwrap();
    me.receive(("c", 0), &Body::Gossip, &suspicion, 130).unwrap();
    assert_eq!(me.events(), [event("refuted b 1.1 Alive")]);
}

#[test]
fn dead_comes_ten_seconds_after_the_newest_evidence_that_anyone_told_of() {
    // The accuser says that it heard the suspect 3 s before the suspicion.
    for (heard, suspected, dies) in [(None, 90_000, 97_100), (Some(89_000), 90_000, 99_100)] {
        let mut me = Subject::knowing(&["b", "c"]);
        me.stop_probing();
        if let Some(heard) = heard {
            me.receive(("b", 0), &ping("me"), &[], heard).unwrap();
        }
        me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Suspect)], suspected).unwrap();
        me.run_to(dies - 1);
        assert_eq!(me.state_of("b"), (0, State::Suspect));
        me.run_to(dies);
        assert_eq!(me.state_of("b"), (0, State::Dead));
        assert_eq!(me.swim.since(&"b".to_owned()), Some(me.at(dies)));
    }
}

#[test]
fn dead_node_may_refute_and_is_up_again_under_the_same_identity() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.stop_probing();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Dead)], 60_000).unwrap();
    assert_eq!(me.events(), [event("dead b 1.0 Dead")]);
    let (.., records) = me.reply_to(("b", 0), &ping("me"), &[], 60_100);
    assert_eq!(records, ["b 1.0 Dead"], "whoever speaks is told that it is thought dead");
    me.receive(("b", 0), &Body::Gossip, &[record("b", 1, 0, State::Alive)], 60_150).unwrap();
    assert_eq!(me.events(), [], "an old word does not wake it");
    me.receive(("b", 1), &Body::Gossip, &[record("b", 1, 1, State::Alive)], 60_200).unwrap();
    assert_eq!(me.events(), [event("up b 1.1 Alive")]);
}

#[test]
fn dead_is_only_a_suspicion_to_one_that_has_just_heard_the_member() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.stop_probing();
    me.receive(("b", 0), &ping("me"), &[], 59_000).unwrap();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Dead)], 60_000).unwrap();
    let told = sent(TransmitKind::PingDirect, "b", ping("b"), &["b 1.0 Suspect"]);
    assert_eq!(me.outputs(), [event("suspected b 1.0 Suspect"), told]);
    me.run_to(69_100);
    assert_eq!(me.state_of("b"), (0, State::Dead));
}

#[test]
fn dead_is_only_a_suspicion_when_it_is_said_by_one_that_is_thought_dead_itself() {
    let mut me = Subject::knowing(&["b", "c", "d"]);
    me.stop_probing();
    me.receive(("d", 0), &Body::Gossip, &[record("c", 1, 0, State::Dead)], 60_000).unwrap();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Dead)], 61_000).unwrap();
    assert_eq!(me.events(), [event("dead c 1.0 Dead"), event("suspected b 1.0 Suspect")]);
}

#[test]
fn suspect_node_is_reminded_by_its_accusers_until_it_answers() {
    for accuses in [true, false] {
        let mut me = Subject::knowing(&["b", "c", "d", "e"]);
        me.stop_probing();
        me.receive(("b", 0), &ping("me"), &[], 59_900).unwrap();
        me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Suspect)], 60_000).unwrap();
        let slot = me.swim.members.slot(&"b".to_owned()).unwrap();
        me.swim.cancel_probe(slot);
        if accuses {
            me.swim.members.at_mut(slot).suspicion.as_mut().unwrap().accusers = vec!["me".to_owned()];
            me.swim.on_suspicion(slot);
        }
        me.run_to(62_000);
        me.outputs();
        me.swim.news.clear();
        me.run_to(74_000);
        let reminders =
            me.outputs().into_iter().filter(|out| matches!(out, Out::Sent { to, .. } if to == "b:7500"));
        assert_eq!(reminders.count(), if accuses { 2 } else { 0 }, "after 5 and 10 s");
    }
}

#[test]
fn merge_state_takes_the_dead_of_another_side_as_suspects() {
    let mut me = Subject::knowing(&["b", "c"]);
    me.stop_probing();
    let state =
        [record("c", 1, 0, State::Alive), record("b", 1, 0, State::Dead), record("d", 1, 0, State::Dead)];
    me.receive(("c", 0), &Body::Sync { instance: 1, ask: Ask::Differing([0; BUCKETS]) }, &state, 600_000)
        .unwrap();
    assert_eq!((me.state_of("b"), me.state_of("d")), ((0, State::Suspect), (0, State::Dead)));
    let told = sent(TransmitKind::PingDirect, "b", ping("b"), &["b 1.0 Suspect", "d 1.0 Dead"]);
    assert_eq!(me.outputs(), [event("suspected b 1.0 Suspect"), told]);
    me.run_to(604_000);
    assert_eq!(me.state_of("b"), (0, State::Dead), "it has the least time");
}

#[test]
fn dead_members_are_contacted_for_ever_at_a_bounded_rate() {
    let mut me = Subject::knowing(&["b"]);
    me.swim.import([record("b", 1, 0, State::Dead)], me.at(0));
    me.run_to(15_000);
    me.outputs();
    let (mut contacts, mut ids) = (0, Vec::new());
    for second in 15..615 {
        me.run_to(second * 1000);
        for (id, out) in me.outputs_with_ids() {
            assert!(matches!(out, Out::Sent { kind: TransmitKind::Sync, .. }), "{out:?}");
            contacts += 1;
            ids.extend(id);
        }
    }
    assert!((60..=80).contains(&contacts), "about one per 10 s in 600 s: {contacts}");
    me.swim.handle_send_failure(ids[0], SendFailure::Refused, me.at(615_000));
    assert_eq!(me.state_of("b"), (0, State::Dead));
}

#[test]
fn news_of_many_suspects_stays_within_the_message_limit() {
    let names: Vec<_> = (0..200).map(|number| format!("member-{number:04}")).collect();
    let ids: Vec<_> = ["c"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut me = Subject::configured(Config::default(), &ids);
    me.stop_probing();
    let news: Vec<_> = ids[1..].iter().map(|id| record(id, 1, 0, State::Suspect)).collect();
    me.receive((ids[0], 0), &Body::Gossip, &news, 100).unwrap();
    let mut longest = 0;
    for step in 1..10 {
        me.run_to(100 + step * 200);
        let mut payload = Vec::new();
        while let Some(output) = me.swim.poll_output(&mut payload) {
            if let crate::Output::Transmit(_) = output {
                longest = longest.max(payload.len());
            }
        }
    }
    assert!((1300..=me.swim.config.gossip_bytes_max).contains(&longest), "{longest} bytes");
}
