//! What must hold of any bytes that come in.

use std::time::{Duration, Instant};

use trellis_swim::{Config, Event, Local, Member, Output, Priority, State, Swim, TransmitKind};

/// Hands the bytes to a member as a request of a peer and as the reply to everything that it asks, and lets time pass.
///
/// # Panics
///
/// When something does not hold.
pub(crate) fn take(bytes: &[u8]) {
    let start = Instant::now();
    let mut swim = subject(start);
    let mut reply = Vec::new();
    let before = (swim.version(), swim.digest(), swim.local().clone());
    match swim.handle_message(&"peer".to_owned(), bytes, start, start, &mut reply) {
        Ok(_) => assert!(reply.len() <= MESSAGE_BYTES_MAX),
        Err(_) => assert_eq!((swim.version(), swim.digest(), swim.local().clone()), before),
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
                    let _ = swim.handle_reply(transmit.id, &from, bytes, now, now);
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
const MESSAGE_BYTES_MAX: usize = 48 << 10;
