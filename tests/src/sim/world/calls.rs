//! Unary calls: pings and gossip.

use trellis_node::core::{Answer, Answered, CallFailure, CallId, PingAnswer, Request};
use trellis_replication::Pong;

use super::{Event, World, content};
use crate::invariants::Held;
use crate::sim::agenda::Micros;
use crate::sim::network::Call;

impl World {
    pub(super) fn call(
        &mut self,
        host: u8,
        number: u32,
        id: CallId,
        (peer, address): (Option<String>, &str),
        request: Request,
        deadline: Micros,
    ) -> Held {
        let target = self.hosts.iter().position(|host| host.address == address);
        let to = target.unwrap_or(usize::from(host)) as u8;
        let (what, numbers) = content::of_request(&request);
        self.trace.note(self.now, host, what, numbers);
        self.trace.tell(self.now, host, "calls", || format!("n{}: {}", to + 1, words(&request)));
        if let Request::Gossip(gossip) = &request {
            self.checks.gossiped(host, &self.hosts[usize::from(host)], gossip)?;
        }
        let call = self.network.next_call;
        self.network.next_call += 1;
        let entry = Call { from: host, process: number, id, to, peer, request, deadline, later: None };
        self.network.calls.insert(call, entry);
        let weather = self.network.weather();
        let is_deaf = self.host(host).loses_calls || self.host(to).loses_calls;
        if target.is_none() {
            self.answer(call, Err(CallFailure::Refused));
        } else if is_deaf || self.network.is_cut(host, to) || self.dice.per_mille(weather.lost_per_mille) {
            self.coverage.count("calls lost");
            self.answer_at(call, deadline, Err(CallFailure::TimedOut));
        } else {
            let copies = if self.dice.per_mille(weather.doubled_per_mille) { 2 } else { 1 };
            self.coverage.add("calls doubled", copies - 1);
            for _ in 0..copies {
                let takes = self.delay(to);
                self.agenda.enter(self.now + takes, Event::CallArrives { call });
            }
        }
        Ok(())
    }

    pub(super) fn on_call(&mut self, number: u64) -> Held {
        let Some(call) = self.network.calls.get(&number) else { return Ok(()) };
        let (to, deadline) = (call.to, call.deadline);
        let (from, clocks) = (self.host(call.from).name, self.clocks(to));
        let target = self.host(to);
        let Some(process) = target.process.as_ref().filter(|_| target.refusing == 0) else {
            self.coverage.count("calls refused");
            self.answer(number, Err(CallFailure::Refused));
            return Ok(());
        };
        if call.peer.as_deref().is_some_and(|peer| peer != target.name) {
            self.answer(number, Err(CallFailure::Closed));
            return Ok(());
        }
        let callee = process.number;
        let answer = match &call.request {
            Request::Ping(ping) => match process.core.answer_ping(from, ping, clocks) {
                PingAnswer::Now(pong) => Some(Ok(Answer::Pong(pong))),
                PingAnswer::Later(id) => {
                    if let Some(call) = self.network.calls.get_mut(&number) {
                        call.later = Some((callee, id));
                    }
                    self.answer_at(number, deadline, Err(CallFailure::TimedOut));
                    None
                }
            },
            Request::Gossip(gossip) => match process.core.answer_gossip(from, gossip, clocks) {
                Ok(answer) => {
                    self.checks.gossiped(to, &self.hosts[usize::from(to)], &answer)?;
                    Some(Ok(Answer::Gossip(Box::new(answer))))
                }
                Err(_) => Some(Err(CallFailure::Closed)),
            },
        };
        if let Some(answer) = answer {
            self.answer(number, answer);
        }
        self.note(to, "called", number, 0);
        self.settle(to)
    }

    /// A ping that was deferred is answered.
    pub(super) fn answer_later(&mut self, host: u8, process: u32, id: u64, pong: Box<Pong>) -> Held {
        let waiting = |call: &Call| call.to == host && call.later == Some((process, id));
        let found = self.network.calls.iter().find(|(_, call)| waiting(call)).map(|(number, _)| *number);
        if let Some(number) = found {
            self.answer(number, Ok(Answer::Pong(pong)));
        }
        Ok(())
    }

    /// Sends an answer back, if it gets there before the caller gives up.
    fn answer(&mut self, number: u64, answer: Result<Answer, CallFailure>) {
        let Some(call) = self.network.calls.get(&number) else { return };
        let (from, to, deadline) = (call.from, call.to, call.deadline);
        let at = self.now + self.delay(from);
        let weather = self.network.weather();
        let is_lost = self.network.is_cut(to, from) || self.dice.per_mille(weather.lost_per_mille);
        if is_lost || at > deadline {
            self.answer_at(number, deadline, Err(CallFailure::TimedOut));
        } else {
            self.answer_at(number, at, answer);
        }
    }

    fn answer_at(&mut self, call: u64, at: Micros, answer: Result<Answer, CallFailure>) {
        self.agenda.enter(at.max(self.now), Event::CallAnswered { call, answer: Box::new(answer) });
    }

    pub(super) fn on_answer(&mut self, number: u64, answer: Result<Answer, CallFailure>) -> Held {
        let Some(call) = self.network.calls.remove(&number) else { return Ok(()) };
        let (host, clocks) = (call.from, self.clocks(call.from));
        let Some(process) = self.process(host, call.process) else { return Ok(()) };
        let said = content::of_answer(&answer);
        let from = self.host(call.to).name.to_owned();
        process.core.handle_answer(call.id, answer.map(|answer| Answered { from, answer }), clocks);
        self.note(host, "answered", number, said);
        self.checks.membership.looked_at(host, &self.hosts[usize::from(host)])?;
        self.settle(host)
    }
}

fn words(request: &Request) -> String {
    match request {
        Request::Ping(ping) => format!("{ping:?}"),
        Request::Gossip(gossip) => {
            let (clock, roster) = (gossip.clock_hash, gossip.roster_hash);
            format!("Gossip {{ swim: {:?}, clock {clock:016x}, roster {roster:016x} }}", gossip.swim)
        }
    }
}
