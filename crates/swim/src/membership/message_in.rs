//! What happens when a request, a reply or a failure comes in.

use std::time::Instant;

use super::update::Via;
use super::{InFlight, Purpose, Swim};
use crate::codec;
use crate::error::MessageError;
use crate::input::{Handled, RequestId, SendFailure, TransmitId};
use crate::member::MemberId;
use crate::message::{Body, Header, Message, Update};
use crate::output::Output;

impl<I: MemberId> Swim<I> {
    /// Takes a request of `from`, the id that its link proves, and says what becomes of it.
    ///
    /// # Errors
    ///
    /// The request is refused, the call is to fail, and nothing has changed.
    pub fn handle_message(
        &mut self,
        from: &I,
        message: &[u8],
        now: Instant,
    ) -> Result<Handled, MessageError> {
        let handled = self.check_request(message).and_then(|message| self.on_request(from, message, now));
        match handled {
            Ok(_) => self.counters.messages_received += 1,
            Err(_) => self.counters.messages_refused += 1,
        }
        handled
    }

    /// Takes the reply to a transmission.
    ///
    /// # Errors
    ///
    /// The reply is of no use; nothing has changed, and the transmission still waits.
    pub fn handle_reply(&mut self, to: TransmitId, reply: &[u8], now: Instant) -> Result<(), MessageError> {
        let handled = self.check_reply(to, reply);
        match handled {
            Ok((in_flight, message)) => {
                self.forget_transmit(to);
                self.on_reply(in_flight, message, now);
                Ok(())
            }
            Err(error) => {
                self.counters.messages_refused += 1;
                Err(error)
            }
        }
    }

    /// Notes that a transmission gets no reply. To say nothing is as good, but slower.
    pub fn handle_send_failure(&mut self, to: TransmitId, why: SendFailure, now: Instant) {
        let Some(in_flight) = self.forget_transmit(to) else {
            return;
        };
        match why {
            SendFailure::Refused => self.counters.sends_refused += 1,
            SendFailure::TimedOut => self.counters.sends_timed_out += 1,
            SendFailure::Closed => self.counters.sends_closed += 1,
        }
        if let InFlight { peer: Some(peer), purpose: Purpose::Probe } = in_flight {
            self.ask_helpers(&peer, now);
        }
    }

    /// Takes the hint that a link to `peer` broke, and probes it out of turn. Links prove nothing by themselves.
    pub fn handle_link_down(&mut self, peer: &I, now: Instant) {
        if self.is_running() && self.members.is_up(peer) && *peer != self.local().id && self.has_room() {
            self.probe(peer.clone(), now);
        }
    }

    fn check_request(&self, message: &[u8]) -> Result<Message<I>, MessageError> {
        let message = self.decode(message)?;
        match &message.body {
            Body::Ping { target } if *target != self.local().id => Err(MessageError::NotForThisMember),
            Body::PingRequest { target } if *target == self.local().id || !self.members.is_up(target) => {
                Err(MessageError::UnknownTarget)
            }
            Body::PingRequest { .. } if self.relays_count() >= self.config.relays_max => {
                Err(MessageError::Busy { limit: self.config.relays_max })
            }
            Body::Ack | Body::RelayedAck { .. } | Body::State { .. } => {
                Err(MessageError::Malformed("a reply came as a request"))
            }
            _ => Ok(message),
        }
    }

    fn on_request(&mut self, from: &I, message: Message<I>, now: Instant) -> Result<Handled, MessageError> {
        let Message { header, body, updates, unknown_count } = message;
        self.counters.updates_unknown += unknown_count;
        if *from == self.local().id {
            return Ok(Handled::Reply(self.on_request_of_own_name(&body, updates, now)));
        }
        if let Body::Join { .. } = body {
            // What was known before the request: a process sees in it the one that bears its name already.
            let reply = self.whole_state(self.state_body(), now);
            self.learn_all(updates, Via::Exchange(from), now);
            self.on_life(from, header.epoch, now);
            return Ok(Handled::Reply(reply));
        }
        self.learn_all(updates, Via::Gossip(from), now);
        self.on_life(from, header.epoch, now);
        match body {
            Body::PingRequest { target } => {
                self.requests += 1;
                let request = RequestId(self.requests);
                self.relay_ping(target, request, now);
                Ok(Handled::Deferred(request))
            }
            _ => {
                let wants_exchange = self.lacks_record_of(from, header);
                Ok(Handled::Reply(self.reply_to(from, header, wants_exchange, now)))
            }
        }
    }

    fn check_reply(&self, to: TransmitId, reply: &[u8]) -> Result<(InFlight<I>, Message<I>), MessageError> {
        let in_flight = self.in_flight.get(&to).ok_or(MessageError::UnknownTransmit)?;
        let message = self.decode(reply)?;
        let fits = match (&in_flight.purpose, &message.body) {
            (Purpose::Probe | Purpose::Relay { .. } | Purpose::Gossip, Body::Ack) => true,
            (Purpose::IndirectProbe { target }, Body::RelayedAck { target: answered, .. }) => {
                target == answered
            }
            (Purpose::Exchange { .. }, Body::State { .. }) => {
                let sender = message.updates.first().map(|update| &update.member.id);
                sender.is_some() && (in_flight.peer.is_none() || in_flight.peer.as_ref() == sender)
            }
            _ => false,
        };
        if fits { Ok((in_flight.clone(), message)) } else { Err(MessageError::UnexpectedReply) }
    }

    fn on_reply(&mut self, in_flight: InFlight<I>, message: Message<I>, now: Instant) {
        let Message { header, body, updates, unknown_count } = message;
        self.counters.updates_unknown += unknown_count;
        if let Body::State { instance } = body {
            self.on_whole_state(in_flight.purpose, header, instance, updates, now);
            return;
        }
        let Some(peer) = in_flight.peer else {
            return;
        };
        self.learn_all(updates, Via::Gossip(&peer), now);
        self.on_life(&peer, header.epoch, now);
        match (in_flight.purpose, body) {
            (Purpose::Probe, _) => self.on_probe_answered(&peer, header.epoch),
            (Purpose::IndirectProbe { target }, Body::RelayedAck { epoch, .. }) => {
                self.on_life(&target, epoch, now);
                self.on_probe_answered(&target, epoch);
            }
            (Purpose::Relay { request }, _) => {
                let body = Body::RelayedAck { target: peer.clone(), epoch: header.epoch };
                let payload = self.compose(&body, None, false, now);
                self.outputs.push_back(Output::Reply { request, payload });
            }
            _ => {}
        }
        if header.wants_exchange || self.lacks_record_of(&peer, header) {
            self.exchange_at_wish_of(&peer, now);
        }
    }

    /// A message of the member's recorded process is evidence of its life; one of an earlier process is not.
    pub(super) fn on_life(&mut self, peer: &I, epoch: u64, now: Instant) {
        if let Some(entry) = self.members.entry_mut(peer).filter(|entry| entry.member.epoch == epoch) {
            entry.heard = Some(now);
        }
    }

    pub(super) fn learn_all(&mut self, updates: Vec<Update<I>>, via: Via<'_, I>, now: Instant) {
        for update in updates {
            self.learn(update, via, now);
        }
    }

    /// Whether `peer` says of itself something newer than what is recorded.
    fn lacks_record_of(&self, peer: &I, header: Header) -> bool {
        self.members.member(peer).is_none_or(|member| member.stamp() < header.stamp())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message<I>, MessageError> {
        let limit = self.config.message_bytes_max;
        if bytes.len() > limit {
            return Err(MessageError::TooLong { length: bytes.len(), limit });
        }
        codec::decode(bytes, self.cluster)
    }
}
