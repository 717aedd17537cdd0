//! One member under test, and outputs in a form that can be written down.

use std::time::{Duration, Instant};

use crate::codec;
use crate::input::TransmitId;
use crate::message::{Body, Header, Update};
use crate::{Config, Event, Handled, Local, Member, MessageError, Output, State, Swim, TransmitKind};

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
    ) -> Result<Handled, MessageError> {
        let bytes = message(from.1, body, records);
        self.swim.handle_message(&from.0.to_owned(), &bytes, self.at(millis))
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
            Ok(Handled::Reply(bytes)) => {
                let message = codec::decode::<String>(&bytes, 7).unwrap();
                (message.header, message.body, message.updates.iter().map(brief).collect())
            }
            other => panic!("not answered at once: {other:?}"),
        }
    }

    pub(super) fn answer(&mut self, id: TransmitId, incarnation: u64, body: &Body<String>, millis: u64) {
        let bytes = message(incarnation, body, &[]);
        self.swim.handle_reply(id, &bytes, self.at(millis)).unwrap();
    }

    pub(super) fn outputs(&mut self) -> Vec<Out> {
        self.outputs_with_ids().into_iter().map(|(_, out)| out).collect()
    }

    pub(super) fn outputs_with_ids(&mut self) -> Vec<(Option<TransmitId>, Out)> {
        std::iter::from_fn(|| self.swim.poll_output()).map(out_of).collect()
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
    Member { id: id.to_owned(), epoch, incarnation, state, addr: format!("{id}:7500"), meta: Vec::new() }
}

/// A message of a process of epoch 1; suspects are said to have been heard 3 s ago.
pub(super) fn message(incarnation: u64, body: &Body<String>, records: &[Member<String>]) -> Vec<u8> {
    let header = Header { epoch: 1, incarnation, wants_exchange: false };
    let mut bytes = codec::encode_head(7, header, body);
    for record in records {
        codec::encode_update(&mut bytes, record, Duration::from_secs(3));
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

fn out_of(output: Output<String>) -> (Option<TransmitId>, Out) {
    match output {
        Output::Transmit(transmit) => {
            let message = codec::decode::<String>(&transmit.payload, 7).unwrap();
            let records = message.updates.iter().map(brief).collect();
            let (kind, to, body) = (transmit.kind, transmit.to, message.body);
            (Some(transmit.id), Out::Sent { kind, to, body, records })
        }
        Output::Reply { payload, .. } => {
            (None, Out::Replied { body: codec::decode::<String>(&payload, 7).unwrap().body })
        }
        Output::Event(event) => (None, Out::Event(event_text(&event))),
    }
}

fn event_text(event: &Event<String>) -> String {
    let (word, member) = match event {
        Event::Up(member) => ("up", member),
        Event::Suspected(member) => ("suspected", member),
        Event::Refuted(member) => ("refuted", member),
        Event::Dead(member) => ("dead", member),
        Event::Left(member) => ("left", member),
        Event::Updated(member) => ("updated", member),
        Event::Conflict(member) => ("conflict", member),
        Event::LeaveDrained => return "drained".to_owned(),
    };
    format!("{word} {}", brief_member(member))
}

fn brief(update: &Update<String>) -> String {
    brief_member(&update.member)
}

fn brief_member(member: &Member<String>) -> String {
    let Member { id, epoch, incarnation, state, .. } = member;
    format!("{id} {epoch}.{incarnation} {state:?}")
}
