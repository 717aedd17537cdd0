//! What is to be done, and what has been asked of others and not been answered so far.

use std::sync::Arc;
use std::time::Instant;

use super::compose::Extras;
use super::sync::Exchange;
use super::{Swim, Timer};
use crate::input::{RequestId, TransmitId};
use crate::member::MemberId;
use crate::member_list::Slot;
use crate::message::Body;
use crate::output::{Event, Output, Transmit, TransmitKind};

/// Something to be done. Its bytes are written when the host takes it, so they carry what is newest then, and no
/// buffer is kept here.
#[derive(Debug)]
pub(super) enum Intent<I> {
    Send(Request<I>),
    Reply { request: RequestId, body: Body<I> },
    Event(Event<I>),
}

/// A request before it has bytes.
#[derive(Clone, Debug)]
pub(super) struct Request<I> {
    pub(super) id: TransmitId,
    pub(super) to: Arc<str>,
    pub(super) kind: TransmitKind,
    pub(super) body: Body<I>,
    pub(super) tells_own: bool,
    pub(super) deadline: Instant,
}

/// A transmission without a reply so far.
#[derive(Clone, Debug)]
pub(super) struct InFlight<I> {
    pub(super) id: TransmitId,
    pub(super) peer: Option<Slot>,
    pub(super) purpose: Purpose<I>,
    pub(super) sent_at: Instant,
    pub(super) deadline: Instant,
}

/// What a reply is good for.
#[derive(Clone, Debug)]
pub(super) enum Purpose<I> {
    /// The target of a probe answers.
    Probe,
    /// A helper answers for the target of a probe.
    IndirectProbe { target: Slot },
    /// The target answers a ping on behalf of the member that sent `request`.
    Relay { request: RequestId },
    /// News was taken, or a probe was answered in another way.
    News,
    /// A page of state comes back.
    Exchange(Exchange<I>),
}

impl<I: MemberId> Swim<I> {
    /// The next thing to do; `None` when everything is done. The bytes of a request or a reply are left in
    /// `payload`, in place of what it held.
    pub fn poll_output(&mut self, payload: &mut Vec<u8>) -> Option<Output<I>> {
        loop {
            match self.intents.pop_front()? {
                Intent::Event(event) => return Some(Output::Event(event)),
                Intent::Reply { request, body } => {
                    self.compose(payload, &body, None, Extras::default());
                    return Some(Output::Reply { request });
                }
                Intent::Send(request) => {
                    if let Some(transmit) = self.transmit(request, payload) {
                        return Some(Output::Transmit(transmit));
                    }
                }
            }
        }
    }

    pub(super) fn emit(&mut self, event: Event<I>) {
        self.intents.push_back(Intent::Event(event));
    }

    /// Gives a request its bytes, unless nothing waits for its reply any more.
    pub(super) fn transmit(&mut self, request: Request<I>, payload: &mut Vec<u8>) -> Option<Transmit<I>> {
        let Request { id, to, kind, body, tells_own, deadline } = request;
        let place = self.in_flight_place(id)?;
        let slot = self.in_flight[place].peer;
        match &mut self.in_flight[place].purpose {
            Purpose::Exchange(exchange) => {
                let mut exchange = exchange.clone();
                self.compose_page(payload, &mut exchange);
                self.in_flight[place].purpose = Purpose::Exchange(exchange);
            }
            _ => self.compose(payload, &body, slot, Extras { own: tells_own, ..Extras::default() }),
        }
        let peer = slot.map(|slot| self.members.at(slot).member.id.clone());
        Some(Transmit { id, to, peer, kind, deadline })
    }

    /// Asks the host to send a request, and remembers what its reply is for.
    pub(super) fn send(
        &mut self,
        (to, peer): (Arc<str>, Option<Slot>),
        kind: TransmitKind,
        purpose: Purpose<I>,
        body: Body<I>,
        deadline: Instant,
    ) -> TransmitId {
        let id = self.expect_reply(peer, purpose, deadline);
        let tells_own = false;
        self.intents.push_back(Intent::Send(Request { id, to, kind, body, tells_own, deadline }));
        id
    }

    pub(super) fn expect_reply(
        &mut self,
        peer: Option<Slot>,
        purpose: Purpose<I>,
        deadline: Instant,
    ) -> TransmitId {
        self.transmits += 1;
        let id = TransmitId(self.transmits);
        let sent_at = self.now;
        self.in_flight.push(InFlight { id, peer, purpose, sent_at, deadline });
        id
    }

    pub(super) fn in_flight_place(&self, id: TransmitId) -> Option<usize> {
        self.in_flight.binary_search_by_key(&id, |in_flight| in_flight.id).ok()
    }

    pub(super) fn forget_transmit(&mut self, id: TransmitId) -> Option<InFlight<I>> {
        let place = self.in_flight_place(id)?;
        self.timers.cancel(Timer::Relay(id));
        Some(self.in_flight.remove(place))
    }

    /// Lets go of transmissions whose reply has lost its use.
    pub(super) fn expire_transmits(&mut self) {
        let now = self.now;
        let before = self.in_flight.len();
        self.forget_transmits(|in_flight| in_flight.deadline <= now);
        self.counters.sends_timed_out += (before - self.in_flight.len()) as u64;
    }

    /// Lets go of some transmissions. Whoever had one of them sent is told that there is no answer.
    pub(super) fn forget_transmits(&mut self, is_to_go: impl Fn(&InFlight<I>) -> bool) {
        let mut relays = Vec::new();
        self.in_flight.retain(|in_flight| {
            let goes = is_to_go(in_flight);
            if let (true, Some(slot), &Purpose::Relay { request }) =
                (goes, in_flight.peer, &in_flight.purpose)
            {
                relays.push((in_flight.id, slot, request));
            }
            !goes
        });
        for (id, slot, request) in relays {
            self.timers.cancel(Timer::Relay(id));
            self.answer_nack(slot, request);
        }
    }

    /// Whether there is room for a transmission that is not a probe.
    pub(super) fn has_room(&mut self) -> bool {
        if self.in_flight.len() >= self.config.in_flight_max {
            self.expire_transmits();
        }
        self.in_flight.len() < self.config.in_flight_max
    }

    pub(super) fn addr_of(&self, slot: Slot) -> (Arc<str>, Option<Slot>) {
        (self.members.at(slot).member.addr.clone(), Some(slot))
    }
}
