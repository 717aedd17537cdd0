//! What a member is handed, noted so that it can be handed once more to one that is alone.

use std::time::{Duration, Instant};

use trellis_swim::{Config, Handled, Link, Local, Member, Output, SendFailure, Swim, TransmitId};

use crate::cluster::Cluster;
use crate::name::Name;

/// One call of the host.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Import(Vec<Member<Name>>),
    Timeout,
    Request { from: Name, payload: Box<[u8]> },
    Reply { id: TransmitId, from: Name, payload: Box<[u8]> },
    Failure { id: TransmitId },
    Link { peer: Name, link: Link },
}

impl Call {
    /// What became of a request that was taken, with a reply left in `reply`.
    pub(crate) fn hand_to(
        &self,
        swim: &mut Swim<Name>,
        now: Instant,
        reply: &mut Vec<u8>,
    ) -> Option<Handled> {
        match self {
            Self::Import(book) => swim.import(book.iter().cloned(), now),
            Self::Timeout => {
                swim.handle_timeout(now);
                assert!(swim.poll_timeout().is_none_or(|next| next > now), "what was due is done");
            }
            Self::Request { from, payload } => {
                return swim.handle_message(from, payload, now, now, reply).ok();
            }
            // A reply to what has expired is refused.
            Self::Reply { id, from, payload } => drop(swim.handle_reply(*id, from, payload, now, now)),
            Self::Failure { id } => swim.handle_send_failure(*id, SendFailure::Refused, now),
            Self::Link { peer, link } => swim.handle_link(peer, *link, now),
        }
        None
    }
}

/// How a process started, and all calls since.
#[derive(Clone, Debug)]
pub(crate) struct Tap {
    pub(crate) config: Config,
    pub(crate) local: Local<Name>,
    pub(crate) cluster: u64,
    pub(crate) seed: u64,
    pub(crate) started: Instant,
    pub(crate) calls: Vec<(Instant, Call)>,
}

impl Tap {
    pub(crate) fn start(&self) -> Swim<Name> {
        let Self { config, local, cluster, seed, started, .. } = self.clone();
        Swim::new(config, local, cluster, seed, started).expect("a valid configuration")
    }

    /// Hands all calls to a process that is alone, and says what it became and how long it took for those after
    /// `since`, outputs included.
    pub(crate) fn replay(&self, since: Instant) -> (Swim<Name>, Duration) {
        let (mut swim, mut buffer) = (self.start(), Vec::new());
        let (before, after) = self.calls.split_at(self.calls.partition_point(|(now, _)| *now <= since));
        let mut hand_all = |calls: &[(Instant, Call)]| {
            let began = Instant::now();
            for (now, call) in calls {
                call.hand_to(&mut swim, *now, &mut buffer);
                while swim.poll_output(&mut buffer).is_some() {}
            }
            began.elapsed()
        };
        hand_all(before);
        let taken = hand_all(after);
        (swim, taken)
    }
}

impl Cluster {
    /// Calls a member; an immediate reply is left in the buffer.
    pub(crate) fn hand(&mut self, index: usize, call: Call) -> Option<Handled> {
        let now = self.now(index);
        let mut reply = std::mem::take(&mut self.buffer);
        let handled = self.timed(index, |swim| call.hand_to(swim, now, &mut reply));
        self.buffer = reply;
        if let Some(tap) = &mut self.nodes[index].tap {
            tap.calls.push((now, call));
        }
        handled
    }

    pub(crate) fn next_output(&mut self, index: usize, payload: &mut Vec<u8>) -> Option<Output<Name>> {
        self.timed(index, |swim| swim.poll_output(payload))
    }

    fn timed<T>(&mut self, index: usize, act: impl FnOnce(&mut Swim<Name>) -> T) -> T {
        let swim = self.nodes[index].swim.as_mut().expect("the member runs");
        if !self.is_measured {
            return act(swim);
        }
        let began = Instant::now();
        let result = act(swim);
        let taken = began.elapsed();
        if taken < PREEMPTED {
            self.load.taken += taken;
        }
        result
    }
}

/// Longer than any call takes: another process had the processor.
pub(crate) const PREEMPTED: Duration = Duration::from_millis(1);
