//! What must hold of any bytes that come in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use trellis_swim::{
    Config, DeadPolicy, Event, Handled, Link, Local, Member, Output, Priority, State, Swim, TransmitId,
    TransmitKind,
};

/// Hands the bytes to a member as a request of a peer and as the reply to everything that it asks, and lets time pass.
///
/// # Panics
///
/// When something does not hold.
pub(crate) fn take(bytes: &[u8]) {
    let start = Instant::now();
    let mut swim = subject(start);
    let mut reply = Vec::new();
    let before = seen_of(&swim);
    match swim.handle_message(&"peer".to_owned(), bytes, start, start, &mut reply) {
        Ok(_) => assert!(reply.len() <= MESSAGE_BYTES_MAX),
        Err(_) => assert_eq!(seen_of(&swim), before),
    }
    let mut request = Vec::new();
    for step in 1..40 {
        let now = start + step * Duration::from_millis(500);
        swim.handle_timeout(now);
        while let Some(output) = swim.poll_output(&mut request) {
            match output {
                Output::Transmit(transmit) => {
                    let limit = if transmit.kind == TransmitKind::Sync {
                        MESSAGE_BYTES_MAX
                    } else {
                        GOSSIP_BYTES_MAX
                    };
                    assert!(request.len() <= limit);
                    let from = transmit.peer.unwrap_or_else(|| "peer".to_owned());
                    let before = seen_of(&swim);
                    if swim.handle_reply(transmit.id, &from, bytes, now, now).is_err() {
                        assert_eq!(seen_of(&swim), before);
                    }
                }
                // By then whatever the bytes say has been taken, and is not taken again.
                Output::Event(Event::Broadcast { .. }) => assert!(step < 20),
                Output::Reply { .. } | Output::Event(_) => {}
            }
        }
        assert!(swim.poll_timeout().is_some_and(|due| due > now));
    }
    assert!(swim.members().count() <= MEMBERS_MAX);
    assert!(swim.health().broadcasts_count <= BROADCASTS_MAX);
    assert_eq!(swim.local().state, State::Alive);
}

/// Reads the bytes as what several peers say and do to a member one after another, with time in between, and does it.
///
/// The first byte is for the settings. Each step is a byte for what happens and who does it, one for the time that
/// passes before, and for what has bytes a length of two bytes with so many after it.
///
/// # Panics
///
/// When something does not hold.
pub(crate) fn converse(bytes: &[u8]) {
    let start = Instant::now();
    let Some((settings, mut rest)) = bytes.split_first() else {
        return;
    };
    let dead_policy = if settings & 1 == 0 { DeadPolicy::Auto } else { DeadPolicy::Manual };
    let members_max = if settings & 2 == 0 { MEMBERS_MAX } else { 4 };
    let mut talk = Talk {
        swim: subject(start),
        now: start,
        members_max,
        sent: Vec::new(),
        known: BTreeMap::new(),
        evicted: 0,
    };
    let config = Config { members_max, dead_policy, ..Config::default() };
    talk.swim.set_config(config).expect("a valid configuration");
    talk.settle();
    for _ in 0..STEPS_MAX {
        let [action, pause, tail @ ..] = rest else {
            break;
        };
        rest = talk.act(*action, *pause, tail);
        talk.settle();
    }
}

/// A member, and what it has shown of itself so far.
struct Talk {
    swim: Swim<String>,
    now: Instant,
    members_max: usize,
    /// The newest transmissions, and to whom they went.
    sent: Vec<(TransmitId, Option<String>)>,
    /// By member: the record that was seen last.
    known: BTreeMap<String, (u64, u64, State)>,
    /// How many were let go of by then.
    evicted: u64,
}

impl Talk {
    /// Takes one step and returns the bytes after it.
    fn act<'a>(&mut self, action: u8, pause: u8, tail: &'a [u8]) -> &'a [u8] {
        self.now += Duration::from_millis(u64::from(pause) * u64::from(pause));
        let now = self.now;
        let peer = ["peer", "other", "gone", "me", "stranger"][usize::from(action >> 3) % 5].to_owned();
        match action % 8 {
            0..4 => {
                let Some(([low, high], tail)) = tail.split_first_chunk::<2>() else {
                    return &[];
                };
                let length = usize::from(u16::from_le_bytes([*low, *high])).min(tail.len());
                let (message, tail) = tail.split_at(length);
                let before = seen_of(&self.swim);
                let is_reply = action % 4 >= 2 && !self.sent.is_empty();
                let taken = if is_reply {
                    let place = usize::from(action >> 3) % self.sent.len();
                    let (id, asked) = self.sent[place].clone();
                    // Now and then another answers than was asked.
                    let from = asked.filter(|_| pause % 8 != 0).unwrap_or(peer);
                    self.swim.handle_reply(id, &from, message, now, now).map(|()| Handled::Replied)
                } else {
                    self.swim.handle_message(&peer, message, now, now, &mut Vec::new())
                };
                if taken.is_err() {
                    assert_eq!(seen_of(&self.swim), before, "what is refused changes nothing");
                }
                return tail;
            }
            4 => self.swim.handle_link(&peer, if action > 127 { Link::Up } else { Link::Down }, now),
            5 => drop(self.swim.confirm_dead(&peer, now)),
            6 => drop(self.swim.forget(&peer)),
            _ => {}
        }
        tail
    }

    /// Does what is due, and looks at what can be seen.
    fn settle(&mut self) {
        self.swim.handle_timeout(self.now);
        assert!(self.swim.poll_timeout().is_some_and(|due| due > self.now));
        let mut payload = Vec::new();
        while let Some(output) = self.swim.poll_output(&mut payload) {
            assert!(payload.len() <= MESSAGE_BYTES_MAX);
            if let Output::Transmit(transmit) = output {
                self.sent.push((transmit.id, transmit.peer));
                self.sent.drain(..self.sent.len().saturating_sub(32));
            }
        }
        assert!(self.swim.members().count() <= self.members_max);
        assert!(self.swim.health().news_count <= self.swim.members().count());
        assert_eq!(self.swim.local().state, State::Alive);
        self.known.retain(|id, _| self.swim.member(id).is_some());
        // One that was let go of may have come back within the step, as it was before.
        let evicted = self.swim.counters().members_evicted;
        if std::mem::replace(&mut self.evicted, evicted) != evicted {
            self.known.clear();
        }
        for member in self.swim.members() {
            let record = (member.epoch, member.incarnation, member.state);
            let before = self.known.insert(member.id.clone(), record);
            assert!(before <= Some(record), "{} falls back from {before:?} to {record:?}", member.id);
        }
    }
}

/// What a message that is refused must leave as it is.
fn seen_of(swim: &Swim<String>) -> (u64, u64, Member<String>) {
    (swim.version(), swim.digest(), swim.local().clone())
}

fn subject(now: Instant) -> Swim<String> {
    let local = Local { id: "me".to_owned(), epoch: 1, addr: "me:7500".to_owned(), meta: vec![1, 2] };
    let config = Config { members_max: MEMBERS_MAX, broadcasts_max: BROADCASTS_MAX, ..Config::default() };
    let mut swim = Swim::new(config, local, CLUSTER, 1, now).expect("a valid configuration");
    let member = |id: &str, state| Member {
        id: id.to_owned(),
        epoch: 1,
        incarnation: 0,
        state,
        addr: "x:7500".into(),
        meta: [].into(),
    };
    let book = [member("peer", State::Alive), member("other", State::Alive), member("gone", State::Dead)];
    swim.import(book, now);
    swim.join(["seed:7500".to_owned()], now);
    swim.offer_broadcast(b"key", vec![3; 900], Priority::Normal, now).expect("there is room");
    swim
}

/// The corpus is of this cluster.
pub(crate) const CLUSTER: u64 = 7;
const MEMBERS_MAX: usize = 16;
const BROADCASTS_MAX: usize = 4;
const GOSSIP_BYTES_MAX: usize = 1400;
const STEPS_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 48 << 10;
