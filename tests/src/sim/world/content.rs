//! What a message is, for the trace: a label, a number to read, and a hash of all that it says.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use trellis_crdt::VersionVector;
use trellis_node::core::{Answer, CallFailure, Request};
use trellis_replication::{Gossip, Hello, Message, PushReply, PushRequest, SyncReply, SyncRequest};

/// A message of a stream.
pub(super) fn of_message(message: &Message) -> (&'static str, [u64; 2]) {
    let mut hash = Content::default();
    let (label, number) = match message {
        Message::PushRequest(request) => push_request(request, &mut hash),
        Message::PushReply(reply) => push_reply(reply, &mut hash),
        Message::SyncRequest(request) => sync_request(request, &mut hash),
        Message::SyncReply(reply) => sync_reply(reply, &mut hash),
    };
    (label, [number, hash.finish()])
}

/// A request of a call.
pub(super) fn of_request(request: &Request) -> (&'static str, [u64; 2]) {
    let mut hash = Content::default();
    match request {
        Request::Ping(ping) => {
            hash.bytes(&ping.swim);
            hash.words(&ping.joining);
            ("ping", [ping.wall_millis, hash.finish()])
        }
        Request::Gossip(gossip) => {
            hash.gossip(gossip);
            ("gossip", [gossip.clock_hash, hash.finish()])
        }
    }
}

/// An answer to a call, or why there is none.
pub(super) fn of_answer(answer: &Result<Answer, CallFailure>) -> u64 {
    let mut hash = Content::default();
    match answer {
        Ok(Answer::Pong(pong)) => {
            hash.bytes(&pong.swim);
            hash.words(&(pong.identity.replica, pong.is_guest, pong.wall_millis, &pong.holder));
        }
        Ok(Answer::Gossip(gossip)) => hash.gossip(gossip),
        Err(failure) => hash.words(failure),
    }
    hash.finish()
}

fn push_request(request: &PushRequest, hash: &mut Content) -> (&'static str, u64) {
    match request {
        PushRequest::Hello(hello) => {
            hash.hello(hello);
            ("push hello", hello.durable_lsn)
        }
        PushRequest::Roster(roster) => ("push roster", roster.hash()),
        PushRequest::Deltas(deltas) => {
            for delta in deltas {
                hash.numbers(&[u64::from(delta.slot), delta.seq]);
                hash.bytes(&delta.payload);
            }
            ("push deltas", deltas.len() as u64)
        }
        PushRequest::Gone { slot } => ("push gone", u64::from(*slot)),
    }
}

fn push_reply(reply: &PushReply, hash: &mut Content) -> (&'static str, u64) {
    match reply {
        PushReply::Hello(hello) => {
            hash.hello(hello);
            ("push welcome", hello.durable_lsn)
        }
        PushReply::Refused(refusal) => {
            hash.words(refusal);
            ("push refused", 0)
        }
        PushReply::Acked(prefixes) => {
            prefixes.iter().for_each(|(slot, prefix)| hash.numbers(&[u64::from(*slot), *prefix]));
            ("push acked", prefixes.len() as u64)
        }
        PushReply::Wanted { slot, first, last } => {
            hash.numbers(&[u64::from(*slot), *last]);
            ("push wanted", *first)
        }
    }
}

fn sync_request(request: &SyncRequest, hash: &mut Content) -> (&'static str, u64) {
    match request {
        SyncRequest::Open(open) => {
            hash.numbers(&[open.roster_hash, open.replica.as_u64(), u64::from(open.hello.is_some())]);
            ("sync open", open.clock_hash)
        }
        SyncRequest::Clock { clock, adopt } => {
            hash.numbers(&[clock.hash()]);
            hash.bytes(adopt);
            ("sync clock", adopt.len() as u64)
        }
        SyncRequest::More => ("sync more", 0),
    }
}

fn sync_reply(reply: &SyncReply, hash: &mut Content) -> (&'static str, u64) {
    match reply {
        SyncReply::InSync => ("sync in step", 0),
        SyncReply::Unknown => ("sync unknown", 0),
        SyncReply::Differs(hello) => {
            hash.hello(hello);
            ("sync differs", hello.durable_lsn)
        }
        SyncReply::Chunk(chunk) => {
            hash.numbers(&[chunk.roster.hash()]);
            for part in &chunk.slots {
                hash.numbers(&[u64::from(part.slot), u64::from(part.end.is_some())]);
                part.entries.iter().for_each(|entry| hash.bytes(entry));
                part.end.iter().for_each(|end| hash.clock(&end.clock));
            }
            ("sync chunk", chunk.slots.len() as u64)
        }
        SyncReply::Done => ("sync done", 0),
        SyncReply::Refused(refusal) => {
            hash.words(refusal);
            ("sync refused", 0)
        }
    }
}

/// A hash of what was said.
struct Content(SipHasher13);

impl Default for Content {
    fn default() -> Self {
        Self(SipHasher13::new())
    }
}

impl Content {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.write_u64(bytes.len() as u64);
        self.0.write(bytes);
    }

    fn numbers(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| self.0.write_u64(*number));
    }

    /// For what is rare and has no numbers of its own.
    fn words(&mut self, words: &impl std::fmt::Debug) {
        self.bytes(format!("{words:?}").as_bytes());
    }

    fn clock(&mut self, clock: &VersionVector) {
        clock.iter().for_each(|(origin, seq)| self.numbers(&[origin.as_u64(), seq]));
    }

    fn hello(&mut self, hello: &Hello) {
        let Hello { identity, hlc, .. } = hello;
        self.numbers(&[hello.clock.hash(), hello.roster.hash(), identity.replica.as_u64(), hlc.as_u64()]);
    }

    fn gossip(&mut self, gossip: &Gossip) {
        self.bytes(&gossip.swim);
        self.numbers(&[gossip.roster_hash, gossip.clock_hash, gossip.replica.as_u64()]);
        for told in &gossip.digests {
            self.numbers(&[u64::from(told.slot), told.clock_hash, told.digest as u64]);
        }
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use trellis_replication::PushedDelta;

    use super::*;

    #[test]
    fn two_payloads_of_one_length_are_two_contents() {
        let deltas = |payload: &'static [u8]| {
            let delta = PushedDelta { slot: 1, seq: 2, payload: bytes::Bytes::from_static(payload) };
            of_message(&Message::PushRequest(PushRequest::Deltas(vec![delta])))
        };
        assert_eq!(deltas(b"one"), deltas(b"one"));
        assert_ne!(deltas(b"one"), deltas(b"two"));
    }
}
