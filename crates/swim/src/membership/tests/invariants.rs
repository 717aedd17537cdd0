//! What must hold inside a member between any two calls, whatever the calls are.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::harness::{Subject, ping, record};
use crate::codec;
use crate::evidence::SignId;
use crate::member_list::{BUCKETS, Slot};
use crate::membership::Swim;
use crate::membership::leave::Phase;
use crate::membership::output::Purpose;
use crate::message::{Ask, Body, Header};
use crate::timer::Timer;
use crate::{Config, DeadPolicy, Link, Output, Priority, SendFailure, State, TransmitId};

/// Places are given to others, probes and suspicions end, and everything stays within its bounds.
#[test]
fn whatever_is_called_in_whatever_order_what_is_under_way_comes_to_an_end() {
    for seed in 0..SEEDS {
        let mut calls = Calls::new(seed);
        for _ in 0..400 {
            let what = calls.call();
            check(&calls.me.swim, &format!("seed {seed}: {what}"));
        }
    }
}

fn check(swim: &Swim<String>, context: &str) {
    let is_held = |slot: Slot| swim.members.is_held(slot);
    for probe in &swim.probes {
        assert!(is_held(probe.target), "{context}: a probe of nobody");
        assert!(swim.timers.is_armed(Timer::ProbeEnd(probe.target)), "{context}: a probe without an end");
    }
    for in_flight in &swim.in_flight {
        assert!(in_flight.peer.is_none_or(is_held), "{context}: a reply of nobody is awaited");
        if let Purpose::IndirectProbe { target } = in_flight.purpose {
            assert!(is_held(target), "{context}: word of nobody is awaited");
        }
        if let Purpose::Relay { .. } = in_flight.purpose {
            assert!(swim.timers.is_armed(Timer::Relay(in_flight.id)), "{context}: a relay without an end");
        }
    }
    for (_, item) in swim.broadcasts.queue() {
        assert!(is_held(item.origin) && is_held(item.told_by), "{context}: a broadcast of nobody");
    }
    for (slot, entry) in swim.members.iter().filter(|(slot, _)| *slot != Slot::LOCAL) {
        assert_eq!(entry.suspicion.is_some(), entry.member.state == State::Suspect, "{context}");
        assert!(entry.member.is_up() || !entry.is_unreachable, "{context}");
        let is_judged = entry.suspicion.is_some() && !entry.is_unreachable && swim.phase == Phase::Running;
        assert!(
            !is_judged || swim.timers.is_armed(Timer::Suspicion(slot)),
            "{context}: an endless suspicion"
        );
    }
    let reachable =
        swim.members.iter().filter(|(slot, it)| *slot != Slot::LOCAL && it.is_reachable()).count();
    let others = swim.members.len() - 1;
    assert_eq!(swim.members.peers_up_count(), reachable, "{context}");
    assert_eq!(swim.members.gone().count(), others - reachable, "{context}");
    assert!(swim.phase != Phase::Gone || swim.probes.is_empty(), "{context}: whoever has left asks somebody");
}

/// A member and what is done to it.
struct Calls {
    me: Subject,
    rng: SmallRng,
    millis: u64,
    awaited: Vec<(TransmitId, Option<String>)>,
}

impl Calls {
    fn new(seed: u64) -> Self {
        let me = Subject::configured(config(0), &["b", "c"]);
        Self { me, rng: SmallRng::seed_from_u64(seed), millis: 0, awaited: Vec::new() }
    }

    fn call(&mut self) -> String {
        let pause = [0, 1, 30, 200, 1000, 9000][self.rng.random_range(0..6)];
        self.millis += pause;
        let (now, peer) = (self.me.at(self.millis), self.peer());
        let what = self.rng.random_range(0..17);
        let swim = &mut self.me.swim;
        match what {
            0..6 => {
                let bytes = self.message(&peer, false);
                let late = self.me.at(self.millis.saturating_sub(*[0, 0, 0, 900].get(what).unwrap_or(&0)));
                let _ = self.me.swim.handle_message(&peer, &bytes, late, now, &mut Vec::new());
            }
            6..9 if !self.awaited.is_empty() => {
                let place = self.rng.random_range(0..self.awaited.len());
                let (id, to) = self.awaited.swap_remove(place);
                let from = to.unwrap_or(peer.clone());
                let bytes = self.message(&from, true);
                let _ = self.me.swim.handle_reply(id, &from, &bytes, now, now);
            }
            9 if !self.awaited.is_empty() => {
                let (id, _) = self.awaited.swap_remove(0);
                swim.handle_send_failure(id, SendFailure::Refused, now);
            }
            10 => swim.handle_link(&peer, if pause == 0 { Link::Up } else { Link::Down }, now),
            11 if pause < 30 => swim.leave(now),
            11 => swim.join([format!("{peer}:7500")], now),
            12 => swim.set_config(config(self.rng.random_range(0..6))).unwrap(),
            13 => {
                swim.confirm_dead(&peer, now);
            }
            14 => {
                swim.forget(&peer);
            }
            15 => {
                let _ = swim.offer_broadcast(peer.as_bytes(), vec![1], Priority::Low, now);
            }
            _ => {}
        }
        let mut payload = Vec::new();
        for round in 0..2 {
            while let Some(output) = self.me.swim.poll_output(&mut payload) {
                if let Output::Transmit(transmit) = output {
                    self.awaited.push((transmit.id, transmit.peer));
                }
            }
            if round == 0 && what % 2 == 0 {
                self.me.swim.handle_timeout(now);
                assert!(self.me.swim.poll_timeout().is_none_or(|due| due > now));
            }
        }
        format!("call {what} of {peer} after {} ms", self.millis)
    }

    fn peer(&mut self) -> String {
        ["b", "c", "d", "e", "f", "g", "h"][self.rng.random_range(0..7)].to_owned()
    }

    fn message(&mut self, from: &str, is_reply: bool) -> Vec<u8> {
        let target = self.peer();
        let body = match (is_reply, self.rng.random_range(0..5)) {
            (false, 0) => ping("me"),
            (false, 1) => Body::PingRequest { target },
            (false, 2) => Body::Sync { instance: 1, ask: Ask::Differing([0; BUCKETS]) },
            (false, _) => Body::Gossip,
            (true, 0) => Body::State { instance: 1, differing: 0xffff, more_after: None },
            (true, 1) => Body::RelayedAck { target, epoch: 1 },
            (true, 2) => Body::RelayedNack { target },
            (true, _) => Body::Ack,
        };
        let speaks_for_itself = matches!(body, Body::Sync { .. } | Body::State { .. });
        let header = Header {
            epoch: self.rng.random_range(1..4),
            incarnation: self.rng.random_range(0..4),
            digest: 0,
            wants_record: self.rng.random(),
            is_quiet: true,
        };
        let mut bytes = Vec::new();
        codec::encode_head(&mut bytes, 7, header, &body);
        for place in 0..self.rng.random_range(0..4) {
            let id = if place == 0 && speaks_for_itself { from.to_owned() } else { self.peer() };
            let id =
                if !speaks_for_itself && self.rng.random_range(0..9) == 0 { "me".to_owned() } else { id };
            let states = [State::Alive, State::Suspect, State::Dead, State::Left];
            let state = states[self.rng.random_range(0..4)];
            let member = record(&id, self.rng.random_range(1..4), self.rng.random_range(0..4), state);
            let age = Duration::from_secs([0, 3, 40, 50_000][self.rng.random_range(0..4)]);
            let (witness, stamp) = (self.peer(), [0, 7, u64::MAX][self.rng.random_range(0..3)]);
            let accusers = [self.peer(), from.to_owned()];
            codec::encode_record(
                &mut bytes,
                &member,
                age,
                Some(SignId { witness: &witness, stamp }),
                &accusers,
            );
        }
        for _ in 0..self.rng.random_range(0..3) {
            let stamp = (self.rng.random_range(1..4), self.rng.random_range(1..9));
            codec::encode_broadcast(&mut bytes, &self.peer(), stamp, Priority::Normal, (b"k", b"v"));
        }
        bytes
    }
}

fn config(number: usize) -> Config {
    let dead_policy = if number % 2 == 0 { DeadPolicy::Auto } else { DeadPolicy::Manual };
    let forget_after = Duration::from_secs(120);
    let members_max = [5, 4, 8, 6, 3, 5][number];
    let base = if number == 4 { Config::fast() } else { Config::default() };
    Config { dead_policy, members_max, forget_after, ..base }
}

const SEEDS: u64 = 300;
