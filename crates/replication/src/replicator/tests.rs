//! One replicator between scripted peers: inputs in, the list of outputs out.

mod bootstrap;
mod catch_up;
mod concern;
mod push;
mod removal;

use std::time::Duration;

use super::*;
use crate::identity::FoundingId;
use crate::message::{Refusal, SyncOpen};
use crate::roster::{MemberRecord, Owner};

/// The replicator of n1 with a clock that stands still until told otherwise.
struct Bench {
    replicator: Replicator,
    now: Instant,
}

impl Bench {
    fn member() -> Self {
        Self::with(Config::default(), None)
    }

    fn guest() -> Self {
        Self::with(Config::default(), Some((0..=u8::MAX).collect()))
    }

    fn with(config: Config, guest_of: Option<BTreeSet<u8>>) -> Self {
        let now = Instant::now();
        let local = identity(1);
        let founding = guest_of.is_none().then(|| FoundingId::from_u64(1));
        let mut roster = Roster { founding, ..Roster::default() };
        roster.replicas.insert(local.replica, Owner { node: local.node, epoch: local.epoch });
        if guest_of.is_none() {
            roster
                .members
                .insert(local.node, MemberRecord { name: local.name.clone(), ..MemberRecord::default() });
        }
        let clock = NodeClock::new();
        let start = Start { cluster: "garden".to_owned(), local, roster, clock, guest_of, seed: 1 };
        Self { replicator: Replicator::new(config, start, now).unwrap(), now }
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.replicator.poll_output()).collect()
    }

    /// What was said on a link, everything else left out.
    fn said(&mut self) -> Vec<(LinkId, Message)> {
        let said = |output| match output {
            Output::Send { link, message, .. } => Some((link, message)),
            _ => None,
        };
        self.outputs().into_iter().filter_map(said).collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.replicator.handle_timeout(self.now);
    }

    fn tell(&mut self, link: LinkId, event: LinkEvent) {
        self.replicator.handle_link(link, event, self.now);
    }

    /// Writes the next operation of slot 7 and makes it durable, without a flush.
    fn write(&mut self, seq: u64) -> PushedDelta {
        let delta = delta(seq);
        self.replicator.handle_written(delta.slot, seq, delta.payload.clone());
        self.replicator.handle_clock(delta.slot, replica(1), seq);
        delta
    }

    fn flush(&mut self) {
        self.replicator.flush(self.now);
    }

    /// Makes n2 alive and takes its dial.
    fn dial(&mut self) -> LinkId {
        self.replicator.set_alive("n2", true, self.now);
        match self.outputs().as_slice() {
            [Output::Dial { peer, link, kind: LinkKind::PushOut }] if peer == "n2" => *link,
            other => panic!("one dial was expected: {other:?}"),
        }
    }

    /// Opens the push stream to n2, which has nothing.
    fn push_stream(&mut self) -> LinkId {
        let link = self.dial();
        self.tell(link, LinkEvent::Opened);
        self.tell(link, LinkEvent::PushReply(PushReply::Hello(hello(2))));
        self.outputs();
        link
    }

    /// Has `peer` open its push stream.
    fn pushed_stream(&mut self, peer: u64) -> LinkId {
        let link = self.replicator.accept(&identity(peer).name, LinkKind::PushIn, self.now);
        self.tell(link, LinkEvent::PushRequest(PushRequest::Hello(hello(peer))));
        self.outputs();
        link
    }
}

fn replica(node: u64) -> ReplicaId {
    ReplicaId::from_u64(node * 11)
}

fn identity(node: u64) -> Identity {
    Identity {
        name: format!("n{node}"),
        node: NodeId::from_u64(node),
        replica: replica(node),
        epoch: 5,
        boot_nonce: 100 + node,
    }
}

/// The hello of a member that has nothing.
fn hello(node: u64) -> Box<Hello> {
    Box::new(Hello {
        cluster: "garden".to_owned(),
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        identity: identity(node),
        is_guest: false,
        supersedes: None,
        durable_lsn: 40 + node,
        roster: Roster { founding: Some(FoundingId::from_u64(1)), ..Roster::default() },
        clock: NodeClock::new(),
        hlc: Hlc::from_u64(7),
    })
}

fn delta(seq: u64) -> PushedDelta {
    PushedDelta { slot: 7, seq, payload: Bytes::from(vec![b'x'; 4]) }
}

fn merged(seq: u64, prefix: u64) -> MergedDelta {
    MergedDelta { slot: 7, seq, prefix, is_kept: true }
}

fn deltas(link: LinkId, deltas: &[PushedDelta]) -> (LinkId, Message) {
    (link, Message::PushRequest(PushRequest::Deltas(deltas.to_vec())))
}

fn reply(link: LinkId, reply: PushReply) -> (LinkId, Message) {
    (link, Message::PushReply(reply))
}

fn open_of(node: u64, hello: Option<Box<Hello>>, clock_hash: u64) -> LinkEvent {
    let identity = identity(node);
    let (node, replica) = (identity.node, identity.replica);
    LinkEvent::SyncRequest(SyncRequest::Open(SyncOpen { node, replica, roster_hash: 0, clock_hash, hello }))
}

const MILLI: Duration = Duration::from_millis(1);
