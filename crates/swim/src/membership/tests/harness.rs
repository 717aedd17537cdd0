//! One member under test, and outputs in a form that can be written down.

use std::time::{Duration, Instant};

use crate::codec;
use crate::evidence::SignId;
use crate::input::TransmitId;
use crate::message::{Body, Header, Update};
use crate::{
    Config, Event, Handled, Local, Member, MessageError, Output, RequestId, State, Swim, TransmitKind,
};

/// The member "me" of cluster 7, with its first probe at 1 s after its start.
pub(super) struct Subject {
    pub(super) swim: Swim<String>,
    pub(super) start: Instant,
}

/// An output without what is incidental: events as words, requests with their kind and decoded content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Out {
    Event(String),
    Sent { kind: TransmitKind, to: String, body: Body<String>, records: Vec<String> },
    Replied { body: Body<String> },
}

/// What became of a request, with the reply's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
    Reply(Vec<u8>),
    Deferred(RequestId),
}

impl Subject {
    /// Knows these members as alive at incarnation 0 from the start, as `import` leaves them.
    pub(super) fn knowing(ids: &[&str]) -> Self {
        Self::configured(Config::default(), ids)
    }

    pub(super) fn configured(config: Config, ids: &[&str]) -> Self {
        let start = Instant::now();
        let mut swim = Swim::new(config, local("me", 1), 7, 1, start).unwrap();
        swim.import(ids.iter().map(|id| record(id, 1, 0, State::Alive)), start);
        swim.timers.arm(crate::timer::Timer::ProbeRound, start + Duration::from_secs(1));
        let mut subject = Self { swim, start };
        subject.outputs();
        subject
    }

    pub(super) fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    /// Handles every timer up to the moment.
    pub(super) fn run_to(&mut self, millis: u64) {
        while let Some(next) = self.swim.poll_timeout().filter(|next| *next <= self.at(millis)) {
            self.swim.handle_timeout(next);
        }
    }

    /// A message of `from`, which speaks of itself as alive at (epoch 1, incarnation).
    pub(super) fn receive(
        &mut self,
        from: (&str, u64),
        body: &Body<String>,
        records: &[Member<String>],
        millis: u64,
    ) -> Result<Received, MessageError> {
        self.receive_bytes(from.0, &message(from.1, body, records), millis)
    }

    pub(super) fn receive_bytes(
        &mut self,
        from: &str,
        bytes: &[u8],
        millis: u64,
    ) -> Result<Received, MessageError> {
        self.run_to(millis);
        let (now, mut reply) = (self.at(millis), Vec::new());
        let handled = self.swim.handle_message(&from.to_owned(), bytes, now, now, &mut reply)?;
        Ok(match handled {
            Handled::Replied => Received::Reply(reply),
            Handled::Deferred(request) => Received::Deferred(request),
        })
    }

    /// The address of the next request, with its id, when it is the next output.
    pub(super) fn next_request(&mut self) -> (TransmitId, Vec<u8>) {
        let mut payload = Vec::new();
        match self.swim.poll_output(&mut payload) {
            Some(Output::Transmit(transmit)) => (transmit.id, payload),
            other => panic!("not a request: {other:?}"),
        }
    }

    /// What the reply to such a message says.
    pub(super) fn reply_to(
        &mut self,
        from: (&str, u64),
        body: &Body<String>,
        records: &[Member<String>],
        millis: u64,
    ) -> (Header, Body<String>, Vec<String>) {
        match self.receive(from, body, records, millis) {
            Ok(Received::Reply(bytes)) => {
                let message = codec::decode::<String>(&bytes, 7).unwrap();
                (message.header, message.body, message.updates.iter().map(brief).collect())
            }
            other => panic!("not answered at once: {other:?}"),
        }
    }

    /// The member that was asked answers, and speaks of itself as alive at (epoch 1, incarnation).
    pub(super) fn answer(&mut self, id: TransmitId, incarnation: u64, body: &Body<String>, millis: u64) {
        let place = self.swim.in_flight_place(id).expect("it waits for an answer");
        let slot = self.swim.in_flight[place].peer.expect("a member was asked");
        let from = self.swim.members.at(slot).member.id.clone();
        self.answer_bytes(id, &from, &message(incarnation, body, &[]), millis).unwrap();
    }

    pub(super) fn answer_bytes(
        &mut self,
        id: TransmitId,
        from: &str,
        bytes: &[u8],
        millis: u64,
    ) -> Result<(), MessageError> {
        self.run_to(millis);
        let now = self.at(millis);
        self.swim.handle_reply(id, &from.to_owned(), bytes, now, now)
    }

    pub(super) fn outputs(&mut self) -> Vec<Out> {
        self.outputs_with_ids().into_iter().map(|(_, out)| out).collect()
    }

    /// Becomes another member than "me".
    pub(super) fn rename(&mut self, id: &str) {
        let config = self.swim.config.clone();
        let others: Vec<_> = self.swim.members().filter(|member| member.id != "me").cloned().collect();
        self.swim = Swim::new(config, local(id, 1), 7, 2, self.start).unwrap();
        self.swim.import(others, self.start);
        self.outputs();
    }

    /// What was reported; what was sent meanwhile is of no interest.
    pub(super) fn events(&mut self) -> Vec<Out> {
        self.outputs().into_iter().filter(|out| matches!(out, Out::Event(_))).collect()
    }

    /// No more probes in turn, for what is not about them.
    pub(super) fn stop_probing(&mut self) {
        self.swim.timers.cancel(crate::timer::Timer::ProbeRound);
    }

    pub(super) fn outputs_with_ids(&mut self) -> Vec<(Option<TransmitId>, Out)> {
        let mut outs = Vec::new();
        let mut payload = Vec::new();
        while let Some(output) = self.swim.poll_output(&mut payload) {
            outs.push(out_of(output, &payload));
        }
        outs
    }

    pub(super) fn state_of(&self, id: &str) -> (u64, State) {
        let member = self.swim.member(&id.to_owned()).expect("the member is known");
        (member.incarnation, member.state)
    }
}

pub(super) fn local(id: &str, epoch: u64) -> Local<String> {
    Local { id: id.to_owned(), epoch, addr: format!("{id}:7500"), meta: Vec::new() }
}

pub(super) fn record(id: &str, epoch: u64, incarnation: u64, state: State) -> Member<String> {
    Member {
        id: id.to_owned(),
        epoch,
        incarnation,
        state,
        addr: format!("{id}:7500").into(),
        meta: [].into(),
    }
}

/// A message of a process of epoch 1. Suspects are said to have been heard by "c" 3 s ago, the dead to be so for as long;
/// "c" is who accuses.
pub(super) fn message(incarnation: u64, body: &Body<String>, records: &[Member<String>]) -> Vec<u8> {
    let header = Header { epoch: 1, incarnation, digest: 0, wants_record: false, is_quiet: false };
    let mut bytes = Vec::new();
    codec::encode_head(&mut bytes, 7, header, body);
    let c = "c".to_owned();
    for record in records {
        let sign = Some(SignId { witness: &c, stamp: 1 });
        codec::encode_record(&mut bytes, record, Duration::from_secs(3), sign, std::slice::from_ref(&c));
    }
    bytes
}

pub(super) fn event(text: &str) -> Out {
    Out::Event(text.to_owned())
}

pub(super) fn sent(kind: TransmitKind, to: &str, body: Body<String>, records: &[&str]) -> Out {
    let records = records.iter().map(|record| (*record).to_owned()).collect();
    Out::Sent { kind, to: format!("{to}:7500"), body, records }
}

pub(super) fn ping(target: &str) -> Body<String> {
    Body::Ping { target: target.to_owned() }
}

fn out_of(output: Output<String>, payload: &[u8]) -> (Option<TransmitId>, Out) {
    match output {
        Output::Transmit(transmit) => {
            let message = codec::decode::<String>(payload, 7).unwrap();
            let records = message.updates.iter().map(brief).collect();
            let (kind, to, body) = (transmit.kind, transmit.to.to_string(), message.body);
            (Some(transmit.id), Out::Sent { kind, to, body, records })
        }
        Output::Reply { .. } => {
            (None, Out::Replied { body: codec::decode::<String>(payload, 7).unwrap().body })
        }
        Output::Event(event) => (None, Out::Event(event_text(&event))),
    }
}

fn event_text(event: &Event<String>) -> String {
    let (word, member) = match event {
        Event::Up(member) => ("up", member),
        Event::Suspected { member, .. } => ("suspected", member),
        Event::Unreachable(member) => ("unreachable", member),
        Event::Refuted(member) => ("refuted", member),
        Event::Dead { member, .. } => ("dead", member),
        Event::Left(member) => ("left", member),
        Event::Updated(member) => ("updated", member),
        Event::Conflict(member) => ("conflict", member),
        Event::SelfAccused(member) => ("accused", member),
        Event::SelfLagging(_) => return "lagging".to_owned(),
        Event::Isolated => return "isolated".to_owned(),
        Event::Healed => return "healed".to_owned(),
        Event::LeaveDrained => return "drained".to_owned(),
        Event::Broadcast { origin, key, payload } => {
            let [key, payload] = [key, payload].map(|bytes| String::from_utf8_lossy(bytes));
            return format!("broadcast of {origin}: {key} = {payload}");
        }
    };
    format!("{word} {}", brief_member(member))
}

pub(super) fn brief(update: &Update<'_, String>) -> String {
    brief_member(&update.to_member(None))
}

fn brief_member(member: &Member<String>) -> String {
    let Member { id, epoch, incarnation, state, .. } = member;
    format!("{id} {epoch}.{incarnation} {state:?}")
}
