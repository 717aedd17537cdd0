//! Answers, and whose they are.

use std::time::{Duration, Instant};

use trellis_replication::{FoundingId, Gossip, LinkEvent, Pong};
use trellis_swim::{Config as SwimConfig, Local, Swim};

use super::*;
use crate::core::address_book::STRANGERS_MAX;
use crate::core::effect::Answered;
use crate::core::recovery::cluster_hash;
use crate::core::solo::{CLUSTER, Solo, stranger};

#[test]
fn a_seed_that_answers_in_anothers_name_brings_no_member() {
    for (from, members) in [("n3", 1), ("n1", 1), ("n2", 2)] {
        let solo = Solo::founder_of(Instant::now(), &["seed:1"]);
        let Asked { id, peer, request } = asked(&solo);
        let Request::Gossip(gossip) = request else { panic!("SWIM exchanges with seeds by gossip") };
        assert_eq!(peer, None, "nobody knows who is at a seed");
        let answer = Gossip { swim: answer_of("n2", &gossip.swim), ..gossip };
        solo.answer(id, from, Answer::Gossip(Box::new(answer)));
        assert_eq!(solo.core.look_at_peers(|_, swim| swim.members().count()), members, "shown by {from}");
    }
}

#[test]
fn a_seed_that_gives_another_name_than_its_certificate_is_no_donor() {
    for (from, is_donor) in [("n3", false), ("n2", true)] {
        let solo = Solo::guest_of(Instant::now(), &["seed:1"]);
        solo.core.handle_timeout(solo.now);
        let Asked { id, request, .. } = asked(&solo);
        assert!(matches!(request, Request::Ping(_)));
        solo.answer(id, from, pong(Bytes::new()));
        let is_dial = |effect| matches!(effect, Effect::Open { peer, .. } if peer == "n2");
        assert_eq!(std::iter::from_fn(|| solo.core.poll_effect()).any(is_dial), is_donor, "shown by {from}");
        assert_eq!(solo.core.control.lock().addresses.get("n2").is_some(), is_donor);
    }
}

#[test]
fn an_answer_of_another_than_the_member_that_was_asked_is_no_sign_of_its_life() {
    for (from, is_heard) in [("n3", false), ("n2", true)] {
        let mut solo = Solo::founder_of(Instant::now(), &["seed:1"]);
        let Asked { id, request, .. } = asked(&solo);
        let Request::Gossip(gossip) = request else { panic!("SWIM exchanges with seeds by gossip") };
        let answer = Gossip { swim: answer_of("n2", &gossip.swim), ..gossip };
        solo.answer(id, "n2", Answer::Gossip(Box::new(answer)));
        let heard = |solo: &Solo| solo.core.look_at_peers(|_, swim| swim.last_heard(&"n2".to_owned()));
        let before = heard(&solo);
        solo.now.instant += SwimConfig::default().probe_interval;
        solo.core.handle_timeout(solo.now);
        let probe = std::iter::from_fn(|| solo.core.poll_effect()).find_map(|effect| match effect {
            Effect::Call { id, peer: Some(peer), request: Request::Ping(ping), .. } => Some((id, peer, ping)),
            _ => None,
        });
        let (id, peer, ping) = probe.expect("the member is asked");
        assert_eq!(peer, "n2");
        solo.answer(id, from, pong(answer_of("n2", &ping.swim)));
        assert_eq!(heard(&solo) > before, is_heard, "shown by {from}");
    }
}

#[test]
fn ten_thousand_names_that_come_and_go_leave_a_bounded_number_of_addresses() {
    let mut solo = Solo::founder(Instant::now());
    let mut most = 0;
    for number in 0..10_000 {
        come_and_go(&solo, &format!("guest-{number}"));
        most = most.max(solo.core.backlog().addresses);
        refuse_streams(&solo);
        if number % 100 == 99 {
            solo.sync();
        }
        // A day and an hour: SWIM forgets those that have left.
        if number % 500 == 499 {
            assert!(solo.replay().addresses().len() <= STRANGERS_MAX);
            solo.now.instant += Duration::from_secs(25 * 3600);
            (0..2).for_each(|_| solo.core.handle_timeout(solo.now));
        }
    }
    assert_eq!(most, STRANGERS_MAX);
    solo.sync();
    assert_eq!(solo.core.look_at_peers(|_, swim| swim.counters().members_forgotten), 10_000);
    let backlog = solo.core.backlog();
    assert_eq!((backlog.addresses, backlog.replication.peers, backlog.push_streams), (0, 0, 0));
    assert!(solo.replay().addresses().is_empty());
}

#[test]
fn whoever_gives_up_its_place_in_swim_within_a_day_is_forgotten_as_well() {
    let solo = Solo::founder(Instant::now());
    let members_max = SwimConfig::default().members_max;
    for number in 0..members_max + 500 {
        come_and_go(&solo, &format!("guest-{number}"));
        refuse_streams(&solo);
        solo.core.handle_timeout(solo.now);
    }
    let counters = solo.core.look_at_peers(|_, swim| *swim.counters());
    assert_eq!(
        (counters.members_forgotten, counters.members_evicted),
        (0, 501),
        "this node has a place, too"
    );
    assert!(solo.core.backlog().replication.peers < members_max, "{:?}", solo.core.backlog());
}

#[test]
fn what_a_node_that_has_left_still_says_is_not_remembered() {
    let mut solo = Solo::founder(Instant::now());
    let hear = |solo: &Solo, swim| solo.core.answer_gossip("n2", &gossip_of_n2(swim), solo.now).unwrap();
    let [joining, leaving] = words_of(&solo, "n2");
    joining.into_iter().for_each(|swim| drop(hear(&solo, swim)));
    solo.now.instant += SwimConfig::default().probe_interval;
    solo.core.handle_timeout(solo.now);
    let Asked { id, peer, .. } = asked(&solo);
    assert_eq!((peer.as_deref(), solo.core.backlog().gossip_hashes), (Some("n2"), 1));
    leaving.into_iter().for_each(|swim| drop(hear(&solo, swim)));
    // What was under way comes after its goodbye.
    hear(&solo, Bytes::new());
    solo.answer(id, "n2", pong(Bytes::new()));
    let backlog = solo.core.backlog();
    assert_eq!((backlog.gossip_hashes, backlog.clocks), (0, 0));
}

#[test]
fn a_guest_asks_with_patience_for_round_trips_of_the_slowest_networks() {
    let round_trip = Duration::from_secs(1);
    let mut solo = Solo::guest_of(Instant::now(), &["seed:1"]);
    solo.core.handle_timeout(solo.now);
    let deadline = std::iter::from_fn(|| solo.core.poll_effect()).find_map(|effect| match effect {
        Effect::Call { deadline, .. } => Some(deadline),
        _ => None,
    });
    // Two to connect, and one to ask.
    assert!(deadline.is_some_and(|deadline| deadline >= solo.now.instant + 3 * round_trip));
    // What is asked while an answer is awaited has a bound.
    for _ in 0..100 {
        solo.now.instant += Duration::from_millis(500);
        solo.core.handle_timeout(solo.now);
    }
    assert!(solo.core.backlog().calls <= 10, "{:?}", solo.core.backlog());
}

#[test]
fn where_a_guest_found_its_donor_is_known_after_a_restart() {
    let mut solo = Solo::guest_of(Instant::now(), &["n2:1"]);
    solo.core.handle_timeout(solo.now);
    let Asked { id, .. } = asked(&solo);
    solo.answer(id, "n2", pong(Bytes::new()));
    // The seed is where its donor is, as the donor says itself.
    for swim in words_of(&solo, "n2").into_iter().next().into_iter().flatten() {
        solo.core.answer_gossip("n2", &gossip_of_n2(swim), solo.now).unwrap();
    }
    assert_eq!(solo.core.control.lock().addresses.get("n2"), Some("n2:1"));
    solo.sync();
    assert_eq!(solo.replay().addresses().get("n2").map(String::as_str), Some("n2:1"));
}

#[test]
fn what_a_member_says_of_its_address_outlives_where_a_seed_led_to_it() {
    let mut solo = Solo::guest_of(Instant::now(), &["balancer:1"]);
    for _ in 0..2 {
        solo.core.handle_timeout(solo.now);
        let Asked { id, .. } = asked(&solo);
        solo.answer(id, "n2", pong(Bytes::new()));
        for swim in words_of(&solo, "n2").into_iter().next().into_iter().flatten() {
            solo.core.answer_gossip("n2", &gossip_of_n2(swim), solo.now).unwrap();
        }
        refuse_streams(&solo);
        solo.now.instant += Duration::from_secs(5);
    }
    solo.sync();
    assert_eq!(solo.core.control.lock().addresses.get("n2"), Some("n2:1"));
    assert_eq!(solo.replay().addresses().get("n2").map(String::as_str), Some("n2:1"));
}

struct Asked {
    id: CallId,
    peer: Option<String>,
    request: Request,
}

/// The next call that the core makes.
fn asked(solo: &Solo) -> Asked {
    let mut effects = std::iter::from_fn(|| solo.core.poll_effect());
    let call = effects.find_map(|effect| match effect {
        Effect::Call { id, peer, request, .. } => Some(Asked { id, peer, request }),
        _ => None,
    });
    call.expect("somebody is asked")
}

/// What another member answers n1.
fn answer_of(name: &str, message: &[u8]) -> Bytes {
    let now = Instant::now();
    let local = Local { id: name.to_owned(), epoch: 1, addr: format!("{name}:1"), meta: Vec::new() };
    let mut swim = Swim::new(SwimConfig::default(), local, cluster_hash(CLUSTER), 1, now).unwrap();
    let mut reply = Vec::new();
    swim.handle_message(&"n1".to_owned(), message, now, now, &mut reply).unwrap();
    Bytes::from(reply)
}

/// Performs every effect; nobody listens where streams are to be opened.
fn refuse_streams(solo: &Solo) {
    while let Some(effect) = solo.core.poll_effect() {
        if let Effect::Open { link, .. } = effect {
            solo.core.handle_link(link, LinkEvent::Closed, solo.now);
        }
    }
}

/// A node of this name joins n1 and leaves again.
fn come_and_go(solo: &Solo, name: &str) {
    for swim in words_of(solo, name).into_iter().flatten() {
        solo.core.answer_ping(name, &Ping { swim, ..Ping::default() }, solo.now);
    }
}

/// What a node of this name says to n1 as it joins, and as it leaves.
fn words_of(solo: &Solo, name: &str) -> [Vec<Bytes>; 2] {
    let now = solo.now.instant;
    let local = Local { id: name.to_owned(), epoch: 1, addr: format!("{name}:1"), meta: Vec::new() };
    let mut swim = Swim::new(SwimConfig::default(), local, cluster_hash(CLUSTER), 1, now).unwrap();
    swim.import([solo.core.look_at_peers(|_, n1| n1.local().clone())], now);
    swim.join(["seed:1".to_owned()], now);
    [false, true].map(|is_leaving| {
        if is_leaving {
            swim.leave(now);
        }
        let mut message = Vec::new();
        let outputs = std::iter::from_fn(|| {
            let output = swim.poll_output(&mut message)?;
            Some(matches!(output, Output::Transmit(_)).then(|| Bytes::from(message.clone())))
        });
        outputs.flatten().collect()
    })
}

/// What n2 says at a tick of gossip.
fn gossip_of_n2(swim: Bytes) -> Gossip {
    Gossip {
        node: stranger().node,
        replica: stranger().replica,
        swim,
        roster_hash: 0,
        roster: None,
        clock_hash: 0,
        digests: Vec::new(),
    }
}

/// What n2 says of itself.
fn pong(swim: Bytes) -> Answer {
    Answer::Pong(Box::new(Pong {
        identity: stranger(),
        founding: Some(FoundingId::from_u64(1)),
        is_guest: false,
        swim,
        wall_millis: 1_700_000_000_000,
        holder: None,
    }))
}

impl Solo {
    fn answer(&self, call: CallId, from: &str, answer: Answer) {
        self.core.handle_answer(call, Ok(Answered { from: from.to_owned(), answer }), self.now);
    }
}
