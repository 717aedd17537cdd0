//! Deaths that are left to the host.

use super::harness::{Out, Subject, event, ping, record, sent};
use crate::message::Body;
use crate::{Config, DeadPolicy, Event, State, TransmitKind};

#[test]
fn a_suspect_whose_time_is_over_is_out_of_reach_once_and_awaits_nothing() {
    let mut me = suspecting();
    me.run_to(97_099);
    assert_eq!(me.events(), [event("suspected b 1.0 Suspect")]);
    me.run_to(97_100);
    assert_eq!(me.events(), [event("unreachable b 1.0 Suspect")]);
    assert!(me.swim.is_unreachable(&"b".to_owned()) && !me.swim.is_unreachable(&"c".to_owned()));
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Suspect)], 98_000).unwrap();
    me.swim.on_suspicion(me.swim.members.slot(&"b".to_owned()).unwrap());
    me.run_to(600_000);
    assert_eq!(me.events(), []);
    assert_eq!((me.swim.counters().unreachables, me.swim.counters().deaths), (1, 0));
    assert_eq!(me.swim.gossip_targets(9).len(), 1, "no news goes to it");
}

#[test]
fn one_out_of_reach_is_told_what_it_is_thought_of_and_its_answer_clears_it() {
    let mut me = out_of_reach();
    me.swim.news.clear();
    let told = std::iter::repeat_with(|| {
        me.swim.on_reach_out();
        me.outputs()
    });
    let told = told.take(100).find(|outputs| !outputs.is_empty());
    let expected = sent(TransmitKind::Gossip, "b", Body::Gossip, &["b 1.0 Suspect", "me 1.0 Alive"]);
    assert_eq!(told, Some(vec![expected]));
    me.receive(("b", 1), &Body::Gossip, &[record("b", 1, 1, State::Alive)], 101_000).unwrap();
    assert_eq!(me.events(), [event("refuted b 1.1 Alive")]);
    assert!(!me.swim.is_unreachable(&"b".to_owned()));
    assert_eq!(me.swim.gossip_targets(9).len(), 2);
}

#[test]
fn a_link_to_one_out_of_reach_that_opens_has_it_told_and_one_that_breaks_is_no_news() {
    let mut me = out_of_reach();
    me.swim.news.clear();
    me.swim.handle_link(&"b".to_owned(), crate::Link::Down, me.at(100_000));
    assert_eq!(me.outputs(), []);
    me.swim.handle_link(&"b".to_owned(), crate::Link::Up, me.at(100_000));
    let told = sent(TransmitKind::Gossip, "b", Body::Gossip, &["b 1.0 Suspect", "me 1.0 Alive"]);
    assert_eq!(me.outputs(), [told]);
}

#[test]
fn the_host_confirms_the_death_of_a_suspect_and_of_nobody_else() {
    for dead_policy in [DeadPolicy::Auto, DeadPolicy::Manual] {
        let mut me = Subject::configured(Config { dead_policy, ..Config::default() }, &["b", "c", "d"]);
        me.stop_probing();
        let mut confirm = |id: &str| me.swim.confirm_dead(&id.to_owned(), me.start);
        assert!(!["b", "me", "nobody"].into_iter().any(&mut confirm), "alive, local, unknown");
        me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Suspect)], 1000).unwrap();
        me.events();
        let mut confirm = || me.swim.confirm_dead(&"b".to_owned(), me.start);
        assert!(confirm() && !confirm(), "before its time is over, and once");
        assert_eq!(
            me.swim.poll_output(&mut Vec::new()).map(|out| format!("{out:?}").contains("Confirmed")),
            Some(true)
        );
        me.run_to(1200);
        let told = |out: &Out| matches!(out, Out::Sent { records, .. } if records == &["b 1.0 Dead"]);
        assert!(me.outputs().iter().any(told));
        me.receive(("b", 1), &Body::Gossip, &[record("b", 1, 1, State::Alive)], 1300).unwrap();
        assert_eq!(me.events(), [event("up b 1.1 Alive")], "it may refute that as any death");
    }
}

#[test]
fn whoever_has_left_confirms_nothing() {
    let mut me = suspecting();
    me.swim.leave(me.at(90_100));
    assert!(!me.swim.confirm_dead(&"b".to_owned(), me.at(90_200)));
    assert_eq!(me.state_of("b"), (0, State::Suspect));
}

#[test]
fn a_death_that_another_member_tells_of_is_believed() {
    let mut me = out_of_reach();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Dead)], 100_000).unwrap();
    assert_eq!(me.events(), [event("dead b 1.0 Dead")]);
}

#[test]
fn a_death_that_is_doubted_is_believed_when_the_time_to_refute_it_is_over() {
    let mut me = Subject::configured(manual(), &["b", "c"]);
    me.stop_probing();
    me.receive(("b", 0), &ping("me"), &[], 59_000).unwrap();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Dead)], 60_000).unwrap();
    me.run_to(69_099);
    assert_eq!(me.events(), [event("suspected b 1.0 Suspect")]);
    me.run_to(69_100);
    assert_eq!(me.state_of("b"), (0, State::Dead));
    let mut payload = Vec::new();
    let mut outputs = std::iter::from_fn(|| me.swim.poll_output(&mut payload));
    let told = outputs
        .any(|out| matches!(out, crate::Output::Event(Event::Dead { reason: crate::DeathReason::Told, .. })));
    assert!(told, "by another, not by the own clock");
    assert_eq!(me.swim.counters().deaths, 0);
}

#[test]
fn the_word_of_one_out_of_reach_is_doubted() {
    let mut me = out_of_reach();
    me.receive(("b", 0), &Body::Gossip, &[record("c", 1, 0, State::Dead)], 150_000).unwrap();
    assert_eq!(me.state_of("c"), (0, State::Suspect));
}

#[test]
fn a_change_to_auto_is_done_at_the_moment_that_is_awaited_next() {
    let mut me = out_of_reach();
    let awaited = me.swim.poll_timeout().unwrap();
    me.swim.set_config(Config::default()).unwrap();
    assert_eq!((me.swim.poll_timeout(), me.events()), (Some(awaited), vec![]));
    me.swim.handle_timeout(awaited);
    assert_eq!(me.events(), [event("dead b 1.0 Dead")]);
    let mut me = suspecting();
    me.swim.set_config(Config::default()).unwrap();
    me.run_to(97_100);
    assert_eq!(me.events(), [event("suspected b 1.0 Suspect"), event("dead b 1.0 Dead")]);
}

#[test]
fn whoever_has_nobody_within_reach_is_isolated() {
    let mut me = Subject::configured(manual(), &["b"]);
    let slot = me.swim.members.slot(&"b".to_owned()).unwrap();
    me.run_to(60_000);
    assert_eq!(
        me.events(),
        [event("suspected b 1.0 Suspect"), event("unreachable b 1.0 Suspect"), event("isolated"),]
    );
    assert!(me.swim.members.at(slot).is_unreachable && me.swim.health().is_isolated);
    me.receive(("b", 1), &Body::Gossip, &[record("b", 1, 1, State::Alive)], 61_000).unwrap();
    assert_eq!(me.events(), [event("refuted b 1.1 Alive"), event("healed")]);
}

/// At 100 s, "b" is out of reach.
fn out_of_reach() -> Subject {
    let mut me = suspecting();
    me.run_to(100_000);
    assert_eq!(me.events().len(), 2);
    me
}

/// "b" is suspected at 90 s by "c", which heard it 3 s before; nobody is probed in turn.
fn suspecting() -> Subject {
    let mut me = Subject::configured(manual(), &["b", "c"]);
    me.stop_probing();
    me.receive(("c", 0), &Body::Gossip, &[record("b", 1, 0, State::Suspect)], 90_000).unwrap();
    me
}

fn manual() -> Config {
    Config { dead_policy: DeadPolicy::Manual, ..Config::default() }
}
