//! Streams: opened, carried, cut, broken, closed.

use trellis_replication::{
    LinkEvent, LinkId, LinkKind, Message, PushReply, PushRequest, Refusal, SyncReply, SyncRequest,
};

use super::{Event, World, content};
use crate::invariants::Held;
use crate::sim::agenda::Micros;
use crate::sim::network::{Arrival, End, STREAM_MESSAGES_MAX, Stream};

impl World {
    pub(super) fn open_stream(
        &mut self,
        host: u8,
        number: u32,
        link: LinkId,
        kind: LinkKind,
        peer: &str,
        address: &str,
    ) {
        let target = self.hosts.iter().position(|host| host.address == address);
        let stream = self.network.streams.len() as u32;
        let to = target.unwrap_or(usize::from(host)) as u8;
        let ends = [End::new(host, number, Some(link)), End::new(to, 0, None)];
        self.network.streams.push(Stream { kind, ends, is_over: false, chunks: 0 });
        if let Some(process) = self.process_mut(host, number) {
            process.links.insert(link, (stream, 0));
        }
        self.note(host, "open", link.as_u64(), u64::from(to));
        self.trace.tell(self.now, host, "opens", || format!("{kind:?} {link:?} to {peer} at {address}"));
        let is_there = target.is_some() && self.hosts[usize::from(to)].name == peer;
        if self.network.is_cut(host, to) {
            self.arrive(stream, 0, Arrival::Closed, CONNECT_TIMEOUT);
        } else if is_there {
            let takes = self.delay(to);
            self.agenda.enter(self.now + takes, Event::Accept { stream });
        } else {
            let takes = self.delay(host);
            self.arrive(stream, 0, Arrival::Closed, takes);
        }
    }

    pub(super) fn on_accept(&mut self, stream: u32) -> Held {
        let Stream { kind, ends, is_over, .. } = &self.network.streams[stream as usize];
        let (from, to, kind) = (ends[0].host, ends[1].host, *kind);
        if *is_over || ends[0].link.is_none() {
            return Ok(());
        }
        let clocks = self.clocks(to);
        let name = self.host(from).name;
        let is_open = self.host(to).refusing == 0 && !self.network.is_cut(from, to);
        let takes = self.delay(from);
        let process = self.hosts[usize::from(to)].process.as_mut().filter(|_| is_open);
        let Some(process) = process else {
            self.arrive(stream, 0, Arrival::Closed, takes);
            return Ok(());
        };
        let kind = if kind == LinkKind::PushOut { LinkKind::PushIn } else { LinkKind::SyncIn };
        let link = process.core.accept(name, kind, clocks);
        process.links.insert(link, (stream, 1));
        let end = &mut self.network.streams[stream as usize].ends[1];
        (end.process, end.link) = (process.number, Some(link));
        self.note(to, "accept", link.as_u64(), u64::from(from));
        self.arrive(stream, 0, Arrival::Opened, takes);
        self.settle(to)
    }

    /// Sends a message as the weather allows.
    pub(super) fn send(&mut self, host: u8, link: LinkId, message: Message) -> Held {
        let Some((stream, end)) = self.end_of(host, link) else { return Ok(()) };
        let other = 1 - end;
        let (to, is_gone) = {
            let Stream { ends, is_over, .. } = &self.network.streams[stream as usize];
            (ends[other].host, *is_over || ends[other].link.is_none())
        };
        let (name, numbers) = content::of_message(&message);
        self.trace.note(self.now, host, name, numbers);
        self.trace.tell(self.now, host, "says", || format!("to n{}: {message:?}", to + 1));
        if !is_check(&message) {
            self.loud.push((self.now, host, name));
        }
        let callee = self.process(to, self.network.streams[stream as usize].ends[other].process);
        self.checks.sent(host, &self.hosts[usize::from(host)], callee, &message)?;
        if is_gone {
            return Ok(());
        }
        let weather = self.network.weather();
        let message = if self.network.is_garbling { garbled(message) } else { message };
        self.network.has_garbled |= self.network.is_garbling;
        let is_chunk = matches!(message, Message::SyncReply(SyncReply::Chunk(_)));
        if is_chunk && self.network.starved == Some(to) {
            self.break_stream(stream);
            return Ok(());
        }
        if is_chunk && self.network.cutting_transfers > 0 {
            let chunks = &mut self.network.streams[stream as usize].chunks;
            *chunks += 1;
            if *chunks > u32::from(self.network.chunks_before_cut) {
                self.coverage.count("transfers cut");
                self.break_stream(stream);
                return Ok(());
            }
        }
        if self.dice.per_mille(weather.breaking_per_mille) {
            self.coverage.count("streams broken by a message");
            self.break_stream(stream);
            return Ok(());
        }
        if self.network.streams[stream as usize].ends[other].inbox.len() >= STREAM_MESSAGES_MAX {
            self.break_stream(stream);
            return Ok(());
        }
        if let (Some(kept), Message::PushRequest(PushRequest::Deltas(_))) = (&mut self.network.kept, &message)
        {
            kept.push((stream, other, message.clone()));
        }
        let is_loose = is_loose(&message);
        if is_loose && self.dice.per_mille(weather.lost_per_mille) {
            self.coverage.count("messages lost");
            return Ok(());
        }
        if is_loose && self.dice.per_mille(weather.doubled_per_mille) {
            self.coverage.count("messages doubled");
            let takes = self.delay(to);
            self.arrive(stream, other, Arrival::Message(message.clone()), takes);
        }
        let takes = self.delay(to);
        if is_loose && self.dice.per_mille(weather.overtaking_per_mille) {
            self.overtake(stream, other, message, takes);
        } else {
            self.arrive(stream, other, Arrival::Message(message), takes);
        }
        Ok(())
    }

    /// Sends once more what was kept, on streams that are not over.
    pub(super) fn repeat_kept(&mut self) {
        for (stream, end, message) in self.network.kept.take().unwrap_or_default() {
            if !self.network.streams[stream as usize].is_over {
                let takes = self.delay(self.network.streams[stream as usize].ends[end].host);
                self.arrive(stream, end, Arrival::Message(message), takes);
            }
        }
    }

    /// Puts something on its way to one end of a stream, behind all that is on its way already.
    fn arrive(&mut self, stream: u32, end: usize, arrival: Arrival, takes: Micros) {
        let place = &mut self.network.streams[stream as usize].ends[end];
        place.inbox.push_back(arrival);
        place.last_at = place.last_at.max(self.now + takes);
        self.agenda.enter(place.last_at, Event::Arrive { stream, end: end as u8 });
    }

    /// The same, before some of the messages that are on their way and may be overtaken.
    fn overtake(&mut self, stream: u32, end: usize, message: Message, takes: Micros) {
        let inbox = &self.network.streams[stream as usize].ends[end].inbox;
        let may_overtake = |arrival: &&Arrival| matches!(arrival, Arrival::Message(held) if is_loose(held));
        let overtaken = inbox.iter().rev().take_while(may_overtake).count() as u64;
        let back = self.dice.below(overtaken + 1) as usize;
        if back > 0 {
            self.coverage.count("messages overtaking");
        }
        self.arrive(stream, end, Arrival::Message(message), takes);
        let inbox = &mut self.network.streams[stream as usize].ends[end].inbox;
        let last = inbox.len() - 1;
        if let Some(arrival) = inbox.remove(last) {
            inbox.insert(last - back, arrival);
        }
    }

    pub(super) fn on_arrival(&mut self, stream: u32, end: u8) -> Held {
        let index = usize::from(end);
        let (host, from, sender) = {
            let ends = &self.network.streams[stream as usize].ends;
            (ends[index].host, ends[1 - index].host, ends[1 - index].process)
        };
        let is_cut = self.network.is_cut(from, host);
        let Stream { ends, is_over, .. } = &mut self.network.streams[stream as usize];
        let place = &mut ends[index];
        let is_local = matches!(place.inbox.front(), Some(Arrival::Closed));
        if is_cut && !is_local && !*is_over {
            place.owed += 1;
            return Ok(());
        }
        let (Some(arrival), Some(link)) = (place.inbox.pop_front(), place.link) else { return Ok(()) };
        let number = place.process;
        let event = match arrival {
            Arrival::Message(_) if *is_over => return Ok(()),
            Arrival::Message(message) => as_event(message),
            Arrival::Opened => LinkEvent::Opened,
            Arrival::Closed => {
                place.link = None;
                *is_over = true;
                LinkEvent::Closed
            }
        };
        let clocks = self.clocks(host);
        let out = self.is_of_one_who_is_out(host, number, (from, sender), &event);
        let Some(process) = self.process_mut(host, number) else { return Ok(()) };
        if event == LinkEvent::Closed {
            process.links.remove(&link);
        }
        let before = process.core.log().last();
        process.core.handle_link(link, event, clocks);
        let after = process.core.log().last();
        self.note(host, "arrival", link.as_u64(), u64::from(from));
        if let Some(name) = out {
            self.coverage.count("words of who is out");
            self.checks.heard_out(host, name, before, after)?;
        }
        self.settle(host)?;
        self.checks.is_bounded(host, &self.hosts, &self.plan.limits)
    }

    /// The name of who says something that changes state, if the host knows that it is removed or has a successor.
    fn is_of_one_who_is_out(
        &self,
        host: u8,
        number: u32,
        (from, sender): (u8, u32),
        event: &LinkEvent,
    ) -> Option<&'static str> {
        let changes = matches!(
            event,
            LinkEvent::PushRequest(PushRequest::Hello(_) | PushRequest::Deltas(_))
                | LinkEvent::SyncReply(SyncReply::Chunk(_))
        );
        let source = self.host(from);
        let speaker = source.process.as_ref().filter(|process| changes && process.number == sender)?;
        let node = source.directory.node;
        let core = &self.process(host, number)?.core;
        let is_out =
            core.look_at_peers(|replicator, _| self.checks.is_out(replicator.roster(), node, speaker));
        is_out.then_some(source.name)
    }

    /// The core has closed a stream: the other end hears of it after what was sent before.
    pub(super) fn close(&mut self, host: u8, link: LinkId) {
        let Some((stream, end)) = self.end_of(host, link) else { return };
        if let Some(process) = &mut self.hosts[usize::from(host)].process {
            process.links.remove(&link);
        }
        let ends = &mut self.network.streams[stream as usize].ends;
        ends[end].link = None;
        ends[end].inbox.clear();
        let (to, is_heard) = (ends[1 - end].host, ends[1 - end].link.is_some());
        if is_heard {
            let takes = self.delay(to);
            self.arrive(stream, 1 - end, Arrival::Closed, takes);
        } else {
            self.network.streams[stream as usize].is_over = true;
        }
    }

    /// What is on its way is lost, and both ends notice.
    pub(super) fn break_stream(&mut self, stream: u32) {
        let Stream { ends, is_over, .. } = &mut self.network.streams[stream as usize];
        *is_over = true;
        ends.iter_mut().for_each(|end| end.inbox.clear());
        for end in 0..2 {
            if self.network.streams[stream as usize].ends[end].link.is_some() {
                let takes = self.dice.between(50, 1_500);
                self.arrive(stream, end, Arrival::Closed, takes);
            }
        }
    }

    /// A process is gone: its peers notice at once, or much later when nothing tells them.
    pub(super) fn abandon_streams(&mut self, host: u8, links: Vec<(u32, usize)>) {
        for (stream, end) in links {
            let ends = &mut self.network.streams[stream as usize].ends;
            ends[end].link = None;
            ends[end].inbox.clear();
            if ends[1 - end].link.is_none() {
                self.network.streams[stream as usize].is_over = true;
                continue;
            }
            let to = ends[1 - end].host;
            let is_told = !self.network.is_cut(host, to) && self.dice.per_mille(800);
            let takes = if is_told { self.delay(to) } else { self.dice.between(1_000_000, 12_000_000) };
            self.arrive(stream, 1 - end, Arrival::Closed, takes);
        }
    }

    /// What could not arrive while the way was cut does so.
    pub(super) fn flush_owed(&mut self) {
        for stream in 0..self.network.streams.len() {
            for end in 0..2 {
                let ends = &self.network.streams[stream].ends;
                let (owed, to, from) = (ends[end].owed, ends[end].host, ends[1 - end].host);
                if owed == 0 || self.network.is_cut(from, to) {
                    continue;
                }
                let at = self.now + self.delay(to);
                self.network.streams[stream].ends[end].owed = 0;
                for _ in 0..owed {
                    self.agenda.enter(at, Event::Arrive { stream: stream as u32, end: end as u8 });
                }
            }
        }
    }

    /// Streams between these hosts that are not over.
    pub(super) fn streams_between(&self, are_meant: impl Fn(u8, u8) -> bool) -> Vec<u32> {
        let streams = self.network.streams.iter().enumerate();
        let meant = streams.filter(|(_, stream)| {
            let [a, b] = &stream.ends;
            !stream.is_over && (are_meant(a.host, b.host) || are_meant(b.host, a.host))
        });
        meant.map(|(index, _)| index as u32).collect()
    }

    fn end_of(&self, host: u8, link: LinkId) -> Option<(u32, usize)> {
        self.host(host).process.as_ref()?.links.get(&link).copied()
    }

    /// Time that a message takes to a host.
    pub(super) fn delay(&mut self, to: u8) -> Micros {
        let weather = self.network.weather();
        let (low, high) = weather.delay_micros;
        let usual = self.dice.between(low, high);
        let inbox = self.host(to).inbox_delay;
        if self.dice.per_mille(weather.late_per_mille) {
            self.coverage.count("messages late");
            return usual * 50 + inbox;
        }
        usual + inbox
    }
}

/// What nodes say that have nothing to say: asking whether they are in step, the answer that they are, and that another
/// is being answered at the moment.
fn is_check(message: &Message) -> bool {
    matches!(
        message,
        Message::SyncRequest(SyncRequest::Open(_))
            | Message::SyncReply(SyncReply::InSync | SyncReply::Refused(Refusal::NotReady))
    )
}

/// Messages that a stream may lose, repeat and reorder in a history. It carries all others as its transport promises:
/// a transfer is whole or cut.
fn is_loose(message: &Message) -> bool {
    matches!(
        message,
        Message::PushRequest(PushRequest::Deltas(_))
            | Message::PushReply(PushReply::Acked(_) | PushReply::Wanted { .. })
    )
}

/// A chunk whose entries nobody can read; any other message as it is.
fn garbled(mut message: Message) -> Message {
    if let Message::SyncReply(SyncReply::Chunk(chunk)) = &mut message {
        let entries = chunk.slots.iter_mut().flat_map(|part| &mut part.entries);
        entries.for_each(|entry| *entry = bytes::Bytes::from_static(b"?"));
    }
    message
}

fn as_event(message: Message) -> LinkEvent {
    match message {
        Message::PushRequest(message) => LinkEvent::PushRequest(message),
        Message::PushReply(message) => LinkEvent::PushReply(message),
        Message::SyncRequest(message) => LinkEvent::SyncRequest(message),
        Message::SyncReply(message) => LinkEvent::SyncReply(message),
    }
}

/// As the client of the runtime waits for a connection.
const CONNECT_TIMEOUT: Micros = 2_000_000;
