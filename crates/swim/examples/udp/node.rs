//! One member: a socket, a clock, and a loop around the state machine.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trellis_swim::{Config, Event, Handled, Local, Output, RequestId, SendFailure, Swim, TransmitId};

use crate::Outcome;
use crate::packet::{Kind, Packet};

/// Runs until it is killed. Says `up N` on its standard output whenever the number of members that are up changes,
/// and what it is told of others.
pub(crate) fn run(name: &str, addr: &str, seeds: &[&str]) -> Outcome {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let local = Local {
        id: name.to_owned(),
        epoch: since_epoch.as_millis() as u64,
        addr: addr.to_owned(),
        meta: Vec::new(),
    };
    let seed = since_epoch.as_nanos() as u64 ^ u64::from(std::process::id());
    let now = Instant::now();
    let mut swim = Swim::new(Config::default(), local, CLUSTER, seed, now)?;
    swim.join(seeds.iter().map(|seed| (*seed).to_owned()), now);
    let mut node = Node {
        name: name.to_owned(),
        swim,
        socket: UdpSocket::bind(addr)?,
        under_way: BTreeMap::new(),
        next_number: 0,
        deferred: VecDeque::new(),
        up_count: 0,
        message: Vec::new(),
        packet: Vec::new(),
    };
    let mut inbox = vec![0; 1 << 16];
    loop {
        node.perform()?;
        let wait = node
            .swim
            .poll_timeout()
            .map_or(LONGEST_WAIT, |due| due.saturating_duration_since(Instant::now()));
        if wait.is_zero() {
            node.swim.handle_timeout(Instant::now());
            continue;
        }
        node.socket.set_read_timeout(Some(wait.min(LONGEST_WAIT)))?;
        match node.socket.recv_from(&mut inbox) {
            Ok((length, from)) => node.on_packet(&inbox[..length], from)?,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // Nobody listens where something was sent to: for UDP that is told later, and not of whom.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
    }
}

struct Node {
    name: String,
    swim: Swim<String>,
    socket: UdpSocket,
    /// Requests without a reply: number, and until when one is of use.
    under_way: BTreeMap<u64, (TransmitId, Instant)>,
    next_number: u64,
    deferred: VecDeque<(RequestId, SocketAddr, u64)>,
    up_count: usize,
    message: Vec<u8>,
    packet: Vec<u8>,
}

impl Node {
    /// Does what the state machine asks for.
    fn perform(&mut self) -> Outcome {
        let mut message = std::mem::take(&mut self.message);
        while let Some(output) = self.swim.poll_output(&mut message) {
            match output {
                Output::Transmit(transmit) => {
                    let Ok(to) = transmit.to.parse::<SocketAddr>() else {
                        self.swim.handle_send_failure(transmit.id, SendFailure::Refused, Instant::now());
                        continue;
                    };
                    self.next_number += 1;
                    self.under_way.insert(self.next_number, (transmit.id, transmit.deadline));
                    self.send(to, Kind::Request, self.next_number, &message)?;
                }
                Output::Reply { request } => {
                    let place = self.deferred.iter().position(|(waiting, ..)| *waiting == request);
                    if let Some((_, to, number)) = place.and_then(|place| self.deferred.remove(place)) {
                        self.send(to, Kind::Reply, number, &message)?;
                    }
                }
                Output::Event(event) => self.tell(&event)?,
            }
        }
        self.message = message;
        let now = Instant::now();
        self.under_way.retain(|_, (_, deadline)| *deadline > now);
        self.tell_count()
    }

    fn on_packet(&mut self, bytes: &[u8], from: SocketAddr) -> Outcome {
        let Some(packet) = Packet::decode(bytes) else { return Ok(()) };
        let now = Instant::now();
        match packet.kind {
            Kind::Request => {
                let mut reply = std::mem::take(&mut self.message);
                let handled =
                    self.swim.handle_message(&packet.sender.to_owned(), packet.message, now, now, &mut reply);
                match handled {
                    Ok(Handled::Replied) => self.send(from, Kind::Reply, packet.number, &reply)?,
                    Ok(Handled::Deferred(request)) => {
                        self.deferred.push_back((request, from, packet.number));
                        if self.deferred.len() > DEFERRED_MAX {
                            self.deferred.pop_front();
                        }
                    }
                    Err(_) => self.send(from, Kind::Refusal, packet.number, &[])?,
                }
                self.message = reply;
            }
            Kind::Reply => {
                // What does not fit is as good as lost, and what was sent still waits: the state machine's own timers take
                // care of it.
                let from = packet.sender.to_owned();
                if let Some((transmit, _)) = self.under_way.get(&packet.number)
                    && self.swim.handle_reply(*transmit, &from, packet.message, now, now).is_ok()
                {
                    self.under_way.remove(&packet.number);
                }
            }
            Kind::Refusal => {
                if let Some((transmit, _)) = self.under_way.remove(&packet.number) {
                    self.swim.handle_send_failure(transmit, SendFailure::Refused, now);
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, to: SocketAddr, kind: Kind, number: u64, message: &[u8]) -> Outcome {
        let mut bytes = std::mem::take(&mut self.packet);
        Packet { kind, number, sender: &self.name, message }.encode(&mut bytes);
        let sent = self.socket.send_to(&bytes, to);
        self.packet = bytes;
        match sent {
            Err(error) if error.kind() != ErrorKind::ConnectionRefused => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn tell(&self, event: &Event<String>) -> Outcome {
        let mut out = std::io::stdout().lock();
        match event {
            Event::Dead { member, .. } => writeln!(out, "dead {}", member.id)?,
            Event::Left(member) => writeln!(out, "left {}", member.id)?,
            Event::Conflict(member) => writeln!(out, "conflict {}", member.addr)?,
            _ => {}
        }
        Ok(out.flush()?)
    }

    fn tell_count(&mut self) -> Outcome {
        let up_count = self.swim.members().filter(|member| member.is_up()).count();
        if up_count != self.up_count {
            self.up_count = up_count;
            let mut out = std::io::stdout().lock();
            writeln!(out, "up {up_count}")?;
            out.flush()?;
        }
        Ok(())
    }
}

const CLUSTER: u64 = 0x0d06_f00d;
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const DEFERRED_MAX: usize = 256;
