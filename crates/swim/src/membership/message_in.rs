//! What happens when a request, a reply, a failure or the state of a link comes in.

use std::time::Instant;

use super::compose::Extras;
use super::output::{InFlight, Purpose};
use super::update::Via;
use super::{Swim, Timer};
use crate::codec;
use crate::error::MessageError;
use crate::input::{Handled, Link, RequestId, SendFailure, TransmitId};
use crate::member::MemberId;
use crate::member_list::Slot;
use crate::message::{Body, Header, Message, Update};

impl<I: MemberId> Swim<I> {
    /// Takes a request of `from`, the id that its link proves, and says what becomes of it; an immediate reply is
    /// left in `reply`, in place of what it held. `received_at` is when the host got it: a host that was late to
    /// hand it in does not count it as fresh.
    ///
    /// # Errors
    ///
    /// The request is refused, the call is to fail, and nothing has changed.
    pub fn handle_message(
        &mut self,
        from: &I,
        message: &[u8],
        received_at: Instant,
        now: Instant,
        reply: &mut Vec<u8>,
    ) -> Result<Handled, MessageError> {
        let checked = self.check_request(from, message);
        match &checked {
            Ok(_) => self.counters.messages_received += 1,
            Err(_) => self.counters.messages_refused += 1,
        }
        let message = checked?;
        self.observe(now);
        self.observe_delay(received_at);
        Ok(self.on_request(from, message, received_at.min(now), reply))
    }

    /// Takes the reply of `from`, the id that its link proves, to a transmission. `received_at` is as in
    /// [`handle_message`](Self::handle_message).
    ///
    /// # Errors
    ///
    /// The reply is of no use; nothing has changed, and the transmission still waits.
    /// [`NotOfTheSender`](MessageError::NotOfTheSender) means that another member answers at the address than the one
    /// that was asked, or that what answers at a seed speaks in another's name.
    pub fn handle_reply(
        &mut self,
        to: TransmitId,
        from: &I,
        reply: &[u8],
        received_at: Instant,
        now: Instant,
    ) -> Result<(), MessageError> {
        let checked = self.check_reply(to, from, reply);
        if checked.is_err() {
            self.counters.messages_refused += 1;
        }
        let message = checked?;
        self.observe(now);
        self.observe_delay(received_at);
        if let Some(in_flight) = self.forget_transmit(to) {
            self.on_reply(in_flight, message, received_at.min(now));
        }
        Ok(())
    }

    /// Notes that a transmission gets no reply. To say nothing is as good, but slower.
    pub fn handle_send_failure(&mut self, to: TransmitId, why: SendFailure, now: Instant) {
        self.observe(now);
        let Some(in_flight) = self.forget_transmit(to) else {
            return;
        };
        match why {
            SendFailure::Refused => self.counters.sends_refused += 1,
            SendFailure::TimedOut => self.counters.sends_timed_out += 1,
            SendFailure::Closed => self.counters.sends_closed += 1,
        }
        match in_flight {
            InFlight { peer: Some(slot), purpose: Purpose::Probe, .. } => self.ask_helpers(slot),
            InFlight { peer: Some(slot), purpose: Purpose::Relay { request }, .. } => {
                self.answer_nack(slot, request);
            }
            _ => {}
        }
    }

    /// Takes the hint that a link to `peer` opened or broke. Links prove nothing by themselves: a member whose link
    /// broke is probed out of turn, at most once per probe interval; one that is down or out of reach and whose link
    /// opened is contacted at once.
    pub fn handle_link(&mut self, peer: &I, link: Link, now: Instant) {
        self.observe(now);
        let Some(slot) = self.members.slot(peer).filter(|slot| *slot != Slot::LOCAL) else {
            return;
        };
        if !self.is_running() || !self.has_room() {
            return;
        }
        match link {
            Link::Down if self.members.at(slot).is_reachable() => self.probe_at_hint(slot),
            Link::Up if !self.members.at(slot).is_reachable() => self.exchange_records(slot),
            Link::Up | Link::Down => {}
        }
    }

    fn check_request<'a>(&self, from: &I, message: &'a [u8]) -> Result<Message<'a, I>, MessageError> {
        let message = self.decode(message)?;
        match &message.body {
            Body::Ping { target } if *target != self.local().id => Err(MessageError::NotForThisMember),
            Body::PingRequest { target } if self.slot_of_up(target).is_none() => {
                Err(MessageError::UnknownTarget)
            }
            Body::PingRequest { .. } if self.relays_count() >= self.config.relays_max => {
                Err(MessageError::Busy { limit: self.config.relays_max })
            }
            Body::Sync { .. } if message.updates.first().is_none_or(|update| update.id != *from) => {
                Err(MessageError::NotOfTheSender)
            }
            Body::Ack | Body::RelayedAck { .. } | Body::RelayedNack { .. } | Body::State { .. } => {
                Err(MessageError::Malformed("a reply came as a request"))
            }
            _ => Ok(message),
        }
    }

    fn on_request(
        &mut self,
        from: &I,
        message: Message<'_, I>,
        received_at: Instant,
        reply: &mut Vec<u8>,
    ) -> Handled {
        let Message { header, body, updates, unknown_count, broadcasts, spoiled_count } = message;
        self.counters.updates_unknown += unknown_count;
        self.counters.broadcasts_refused += spoiled_count;
        if *from == self.local().id {
            self.on_request_of_own_name(&body, &updates, reply);
            return Handled::Replied;
        }
        if let Body::Sync { ask, .. } = &body {
            // What was known before the request: a process sees in it the one that bears its name already.
            self.compose_state(reply, ask);
            self.learn_in_exchange(from, &updates);
            self.on_header(from, header, received_at);
            return Handled::Replied;
        }
        let before = self.local().stamp();
        self.learn_all(&updates, Via::Request(from));
        let slot = self.on_header(from, header, received_at);
        self.hear_broadcasts(from, &broadcasts);
        if let (Body::PingRequest { target }, Some(target_slot)) = (&body, self.target_of(&body)) {
            self.requests += 1;
            let request = RequestId(self.requests);
            self.relay_ping(target.clone(), target_slot, request);
            return Handled::Deferred(request);
        }
        let extras = Extras {
            own: header.wants_record || self.local().stamp() != before,
            // One that speaks of itself less than is recorded is told the record, to raise its epoch above it.
            receiver: slot.is_some_and(|slot| header.stamp() < self.members.at(slot).member.stamp()),
            wants: slot.is_none(),
        };
        self.compose(reply, &Body::Ack, slot, extras);
        Handled::Replied
    }

    fn target_of(&self, body: &Body<I>) -> Option<Slot> {
        match body {
            Body::PingRequest { target } => self.slot_of_up(target),
            _ => None,
        }
    }

    fn check_reply<'a>(
        &self,
        to: TransmitId,
        from: &I,
        reply: &'a [u8],
    ) -> Result<Message<'a, I>, MessageError> {
        let place = self.in_flight_place(to).ok_or(MessageError::UnknownTransmit)?;
        let in_flight = &self.in_flight[place];
        let message = self.decode(reply)?;
        let is_member = |slot: Slot, id: &I| self.members.at(slot).member.id == *id;
        // An address may be another member's by this time, and nobody knows beforehand who is at a seed's.
        let is_of_another = in_flight.peer.is_some_and(|slot| !is_member(slot, from));
        let speaks_for_another = matches!(message.body, Body::State { .. })
            && message.updates.first().is_none_or(|update| update.id != *from);
        if is_of_another || speaks_for_another {
            return Err(MessageError::NotOfTheSender);
        }
        let fits = match (&in_flight.purpose, &message.body) {
            (Purpose::Probe | Purpose::Relay { .. }, Body::Ack) => true,
            (Purpose::News, Body::Ack | Body::RelayedAck { .. } | Body::RelayedNack { .. }) => true,
            (
                Purpose::IndirectProbe { target },
                Body::RelayedAck { target: id, .. } | Body::RelayedNack { target: id },
            ) => is_member(*target, id),
            (Purpose::Exchange(_), Body::State { .. }) => true,
            _ => false,
        };
        if fits { Ok(message) } else { Err(MessageError::UnexpectedReply) }
    }

    fn on_reply(&mut self, in_flight: InFlight<I>, message: Message<'_, I>, received_at: Instant) {
        let Message { header, body, updates, unknown_count, broadcasts, spoiled_count } = message;
        self.counters.updates_unknown += unknown_count;
        let InFlight { id, peer, purpose, sent_at, .. } = in_flight;
        self.counters.broadcasts_refused += spoiled_count;
        if let (Purpose::Exchange(exchange), Body::State { .. }) = (&purpose, &body) {
            self.on_state(exchange.clone(), &body, &updates);
            if let Some(sender) = updates.first() {
                self.on_header(&sender.id, header, received_at);
            }
            return;
        }
        let Some(slot) = peer else {
            return;
        };
        if matches!(body, Body::Ack) {
            let taken = received_at.saturating_duration_since(sent_at);
            self.round_trip.measure(taken, self.config.probe_timeout);
        }
        let peer = self.members.at(slot).member.id.clone();
        self.learn_all(&updates, Via::Reply(&peer));
        if let Purpose::Relay { request } = purpose {
            self.answer(request, Body::RelayedAck { target: peer.clone(), epoch: header.epoch });
        }
        // News may have taken the place of a member that is not up, be it the sender.
        let Some(slot) = self.on_header(&peer, header, received_at) else {
            return;
        };
        self.hear_broadcasts(&peer, &broadcasts);
        match (purpose, body) {
            (Purpose::Probe, _) => self.on_probe_answered(slot, header.epoch, id),
            (Purpose::IndirectProbe { .. }, Body::RelayedAck { target, epoch }) => {
                if let Some(target) = self.members.slot(&target) {
                    self.on_life(target, epoch, received_at);
                    self.on_probe_answered(target, epoch, id);
                }
            }
            // That there is an answer is what counts of one that says no.
            _ => {}
        }
        if header.wants_record || self.lacks_record_of(slot) {
            self.exchange_records(slot);
        }
        self.compare_digest(slot, header);
    }

    /// Takes in what a sender says of itself; returns where it is kept, if it is known.
    fn on_header(&mut self, from: &I, header: Header, received_at: Instant) -> Option<Slot> {
        let slot = self.members.slot(from)?;
        let entry = self.members.at_mut(slot);
        entry.stamp_seen = entry.stamp_seen.max(header.stamp());
        self.on_life(slot, header.epoch, received_at);
        Some(slot)
    }

    /// A message of the member's recorded process is evidence of its life; one of an earlier process is not.
    pub(super) fn on_life(&mut self, slot: Slot, epoch: u64, at: Instant) {
        let entry = self.members.at_mut(slot);
        if entry.member.epoch == epoch {
            entry.heard = entry.heard.max(Some(at));
        }
    }

    pub(super) fn learn_all(&mut self, updates: &[Update<'_, I>], via: Via<'_, I>) {
        for update in updates {
            self.learn(update, via);
        }
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Message<'a, I>, MessageError> {
        let limit = codec::MESSAGE_BYTES_MAX;
        if bytes.len() > limit {
            return Err(MessageError::TooLong { length: bytes.len(), limit });
        }
        codec::decode(bytes, self.cluster)
    }

    pub(super) fn answer_nack(&mut self, target: Slot, request: RequestId) {
        let target = self.members.at(target).member.id.clone();
        self.answer(request, Body::RelayedNack { target });
    }

    fn answer(&mut self, request: RequestId, body: Body<I>) {
        self.intents.push_back(super::output::Intent::Reply { request, body });
    }

    /// The target of a ping on behalf of another has not answered. It may still do so, but the one that asked is to
    /// know in time that the request came through.
    pub(super) fn on_relay_timeout(&mut self, id: TransmitId) {
        let relay = self.forget_transmit(id);
        if let Some(InFlight { peer: Some(slot), purpose: Purpose::Relay { request }, .. }) = relay {
            self.answer_nack(slot, request);
        }
    }

    pub(super) fn arm_relay(&mut self, id: TransmitId) {
        // Four fifths of the time, so that the word of it arrives before the verdict.
        self.timers.arm(Timer::Relay(id), self.now + self.config.probe_timeout * 4 / 5);
    }
}
