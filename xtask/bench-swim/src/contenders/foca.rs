//! foca: a state machine that calls its host back, and hands it every timer.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use foca::{Config, Foca, Identity, Member, NoCustomBroadcast, Notification, PostcardCodec, Runtime, Timer};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_10::SeedableRng as _;
use rand_10::rngs::SmallRng as OwnRng;
use serde::{Deserialize, Serialize};

use crate::agenda::Agenda;
use crate::contender::{Contender, Kind, Load, Renewals, Seen, Sight, Start};
use crate::network::Network;
use crate::tap::PREEMPTED;

pub(super) const LAN: Kind = Kind {
    name: "foca 2.0.0",
    settings: "Config::new_lan(N), PostcardCodec, an identity that renews itself; a host that \
               announces itself every second until it knows somebody",
    size_max: 1000,
    fewer_from: usize::MAX,
    suspects: true,
    start: |start| Box::new(FocaCluster::new(start)),
};

/// An address and a number that grows with each renewal, as foca's documentation advises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Id {
    addr: SocketAddrV4,
    bump: u16,
}

impl Id {
    fn new(index: usize) -> Self {
        let addr = SocketAddrV4::new(Ipv4Addr::from_bits(10 << 24 | index as u32), 7500);
        Self { addr, bump: 0 }
    }

    fn index(&self) -> usize {
        (self.addr.ip().to_bits() & 0xff_ffff) as usize
    }
}

impl Identity for Id {
    type Addr = SocketAddrV4;

    fn renew(&self) -> Option<Self> {
        Some(Self { bump: self.bump.wrapping_add(1), ..*self })
    }

    fn addr(&self) -> SocketAddrV4 {
        self.addr
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.bump > adversary.bump
    }
}

type Process = Foca<Id, PostcardCodec, OwnRng, NoCustomBroadcast>;

struct FocaCluster {
    network: Network,
    config: Config,
    /// Those that run.
    nodes: Vec<Option<Process>>,
    agenda: Agenda<What>,
    /// Microseconds.
    elapsed: u64,
    rng: SmallRng,
    asked: Asked,
    seen: Vec<Seen>,
    called_down: HashSet<Id>,
    load: Load,
    renewals: Renewals,
}

impl FocaCluster {
    fn new(start: &Start) -> Self {
        let size = NonZeroU32::new(start.count as u32).expect("a cluster has members");
        let mut cluster = Self {
            network: start.network(),
            config: Config::new_lan(size),
            nodes: Vec::new(),
            agenda: Agenda::new(),
            elapsed: 0,
            rng: SmallRng::seed_from_u64(start.seed),
            asked: Asked::default(),
            seen: Vec::new(),
            called_down: HashSet::new(),
            load: Load::default(),
            renewals: Renewals::default(),
        };
        if start.is_warm {
            cluster.know_each_other(start.count);
        } else {
            cluster.nodes.resize_with(start.count, || None);
            for index in 0..start.count {
                let at = index as u64 * 1_000_000 / start.count as u64;
                cluster.agenda.enter(at, What::Start(index));
            }
            cluster.run_for(Duration::from_secs(1));
        }
        cluster
    }

    /// Each learns of all others at some moment of the first second, and answers from the start.
    fn know_each_other(&mut self, count: usize) {
        for index in 0..count {
            let process = self.process(index);
            self.nodes.push(Some(process));
            let at = self.rng.random_range(0..1_000_000);
            self.agenda.enter(at, What::Learn(index));
        }
    }

    fn process(&mut self, index: usize) -> Process {
        let rng = OwnRng::seed_from_u64(self.rng.random());
        Foca::new(Id::new(index), self.config.clone(), rng, PostcardCodec)
    }

    fn step(&mut self, end: u64) -> bool {
        let Some((at, what)) = self.agenda.next_until(end) else {
            self.elapsed = end;
            return false;
        };
        self.elapsed = at;
        match what {
            What::Arrive { to, bytes } => self.act(to, |process, asked| {
                // What comes from a member that is down, or to an identity that was given up, is refused.
                let _ = process.handle_data(&bytes, asked);
            }),
            What::Timer { index, timer } => self.act(index, |process, asked| {
                let _ = process.handle_timer(timer, asked);
            }),
            What::Learn(index) => {
                let all = (0..self.nodes.len()).filter(|other| *other != index);
                let all: Vec<_> = all.map(|other| Member::alive(Id::new(other))).collect();
                self.act(index, |process, asked| {
                    process.apply_many(all.into_iter(), false, asked).expect("all are others");
                });
            }
            What::Start(index) => {
                self.nodes[index] = Some(self.process(index));
                self.announce(index);
            }
            What::Announce(index) => self.announce(index),
        }
        true
    }

    /// The first is who all others know.
    fn announce(&mut self, index: usize) {
        let is_alone = self.nodes[index].as_ref().is_some_and(|process| process.num_members() == 0);
        if index > 0 && is_alone {
            self.act(index, |process, asked| {
                let _ = process.announce(Id::new(0), asked);
            });
            self.agenda.enter(self.elapsed + 1_000_000, What::Announce(index));
        }
    }

    /// Lets a member act, and does what it asks for.
    fn act(&mut self, index: usize, act: impl FnOnce(&mut Process, &mut Asked)) {
        let Some(process) = self.nodes[index].as_mut() else {
            return;
        };
        let began = Instant::now();
        act(process, &mut self.asked);
        let taken = began.elapsed();
        if taken < PREEMPTED {
            self.load.taken += taken;
        }
        let mut asked = std::mem::take(&mut self.asked);
        let mut begin = 0;
        for (to, end) in asked.messages.drain(..) {
            let bytes = &asked.bytes[begin..end];
            begin = end;
            self.load.messages += 1;
            self.load.bytes += bytes.len() as u64;
            for delay in self.network.carry(index, to, false, &mut self.rng).into_iter().flatten() {
                self.agenda.enter(self.elapsed + delay, What::Arrive { to, bytes: bytes.into() });
            }
        }
        asked.bytes.clear();
        for (timer, after) in asked.timers.drain(..) {
            // A suspicion begins with the timer that ends it.
            if let Timer::ChangeSuspectToDown { member_id, .. } = &timer {
                self.see(index, member_id, Sight::Suspected);
            }
            let at = self.elapsed + after.as_micros() as u64;
            self.agenda.enter(at, What::Timer { index, timer });
        }
        for notice in asked.notices.drain(..) {
            match notice {
                Notice::Up(id) => self.see(index, &id, Sight::Up),
                Notice::Down(id) => {
                    self.called_down.insert(id);
                    self.see(index, &id, Sight::Down);
                }
                Notice::Rejoin(id) => {
                    let before = Id { bump: id.bump.wrapping_sub(1), ..id };
                    self.renewals.all += 1;
                    self.renewals.unprovoked += u64::from(!self.called_down.contains(&before));
                }
            }
        }
        self.asked = asked;
    }

    fn see(&mut self, observer: usize, id: &Id, what: Sight) {
        self.seen.push(Seen { at: self.elapsed(), observer, subject: id.index(), what });
    }
}

impl Contender for FocaCluster {
    fn run_for(&mut self, span: Duration) {
        let end = self.elapsed + span.as_micros() as u64;
        while self.step(end) {}
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed)
    }

    fn crash(&mut self, index: usize) {
        self.nodes[index] = None;
    }

    fn split_at(&mut self, index: usize) {
        self.network.split_at(index);
    }

    fn heal(&mut self) {
        self.network.heal();
    }

    fn seen_since(&self, since: Duration) -> Vec<Seen> {
        self.seen.iter().filter(|it| it.at >= since).copied().collect()
    }

    fn is_whole(&self) -> bool {
        let others = self.nodes.len() - 1;
        self.nodes.iter().flatten().all(|process| process.num_members() == others)
    }

    fn load(&self) -> Load {
        self.load
    }

    fn renewals(&self) -> Renewals {
        self.renewals
    }
}

/// What a member asked of its host during one call.
#[derive(Default)]
struct Asked {
    /// To whom, and where in `bytes` the message ends.
    messages: Vec<(usize, usize)>,
    bytes: Vec<u8>,
    timers: Vec<(Timer<Id>, Duration)>,
    notices: Vec<Notice>,
}

enum Notice {
    Up(Id),
    Down(Id),
    Rejoin(Id),
}

impl Runtime<Id> for Asked {
    fn notify(&mut self, notification: Notification<'_, Id>) {
        match notification {
            Notification::MemberUp(id) => self.notices.push(Notice::Up(*id)),
            Notification::MemberDown(id) => self.notices.push(Notice::Down(*id)),
            Notification::Rejoin(id) => self.notices.push(Notice::Rejoin(*id)),
            _ => {}
        }
    }

    fn send_to(&mut self, to: Id, data: &[u8]) {
        self.bytes.extend_from_slice(data);
        self.messages.push((to.index(), self.bytes.len()));
    }

    fn submit_after(&mut self, timer: Timer<Id>, after: Duration) {
        self.timers.push((timer, after));
    }
}

enum What {
    Arrive { to: usize, bytes: Box<[u8]> },
    Timer { index: usize, timer: Timer<Id> },
    Learn(usize),
    Start(usize),
    Announce(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen in foca 2.0.0: the timer of a suspicion that was refuted still tells the member that it is down.
    #[test]
    fn refuted_suspicions_cost_members_their_identities_though_nobody_called_them_down() {
        let renewals_at = |loss| {
            let mut cluster = FocaCluster::new(&Start { count: 64, seed: 1, loss, is_warm: true });
            cluster.run_for(Duration::from_secs(120));
            assert!(cluster.seen.iter().all(|it| it.what != Sight::Down), "nobody is called down");
            cluster.renewals
        };
        assert_eq!(renewals_at(0.0).all, 0);
        let renewals = renewals_at(0.05);
        assert!(renewals.unprovoked > 0);
        assert_eq!(renewals.unprovoked, renewals.all);
    }
}
