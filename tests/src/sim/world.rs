//! A cluster in virtual time: hosts, the network between them, their clients, and everything that is checked.

mod calls;
mod clients;
mod collecting;
mod content;
mod crashes;
mod deletions;
mod effects;
mod logs;
mod processes;
mod reads;
mod rest;
mod rot;
mod script;
mod snapshots;
mod streams;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Instant;

use trellis_crdt::VersionVector;
use trellis_node::core::{Answer, CallFailure, Now};
use trellis_replication::NodeId;

pub use self::clients::Outcome;
pub use self::script::{Disk, Scripted};

use self::clients::Clients;
use self::deletions::Deletion;
use super::agenda::{Agenda, Micros};
use super::coverage::Coverage;
use super::dice::Dice;
use super::directory::Directory;
use super::host::{Host, Process};
use super::network::Network;
use super::plan::Plan;
use super::trace::Trace;
use crate::invariants::{Checks, Held, Violation};

/// A history while it happens.
#[derive(Debug)]
pub struct World {
    pub(crate) plan: Plan,
    pub(crate) now: Micros,
    agenda: Agenda<Event>,
    dice: Dice,
    pub(crate) hosts: Vec<Host>,
    network: Network,
    clients: Clients,
    pub(crate) checks: Checks,
    /// What happened.
    pub trace: Trace,
    /// What was met.
    pub coverage: Coverage,
    /// Of each host, of each other one, and slot: the last clock of that one which its own one dominated.
    confirmed: BTreeMap<(u8, u8, u8), VersionVector>,
    axis: Instant,
    processes: u32,
    lineages: u32,
    happened: u64,
    /// Names of files that rot has touched, on whichever disk.
    rotted: BTreeSet<String>,
    /// No fault happens any more.
    is_healed: bool,
    /// Messages that a cluster at rest does not send.
    pub(crate) loud: Vec<(Micros, u8, &'static str)>,
    /// Notices of all nodes, for scripted histories: host and words.
    pub(crate) notices: Vec<(u8, String)>,
    keeps_notices: bool,
}

/// What can happen next.
#[derive(Debug)]
enum Event {
    Timer { host: u8, process: u32 },
    Sync { host: u8, process: u32 },
    Attest { host: u8, process: u32 },
    Snapshot { host: u8, process: u32 },
    LogFails { host: u8, process: u32 },
    Accept { stream: u32 },
    Arrive { stream: u32, end: u8 },
    CallArrives { call: u64 },
    CallAnswered { call: u64, answer: Box<Result<Answer, CallFailure>> },
    Request { index: usize, host: u8, attempt: u8 },
    DeletionGoesOn(Box<Deletion>),
    Collect,
    Impatient { ticket: u64 },
    FaultBegins { fault: usize },
    FaultEnds { fault: usize },
    Leave { host: u8, process: u32 },
    Start { host: u8 },
}

impl World {
    /// A cluster that is about to form: the first host founds, the others join.
    pub fn new(plan: Plan, is_verbose: bool) -> Self {
        let mut world = Self::empty(plan, is_verbose);
        for host in 0..world.plan.hosts {
            let at = if host == 0 { 0 } else { world.dice.between(1_000, 600_000) };
            world.agenda.enter(at, Event::Start { host });
        }
        for (index, request) in world.plan.requests.iter().enumerate() {
            world.agenda.enter(request.at, Event::Request { index, host: request.host, attempt: 0 });
        }
        if world.plan.collects {
            world.agenda.enter(FIRST_COLLECTION, Event::Collect);
        }
        for (fault, planned) in world.plan.faults.iter().enumerate() {
            world.agenda.enter(planned.at, Event::FaultBegins { fault });
        }
        world
    }

    /// Hosts that nobody has started.
    fn empty(plan: Plan, is_verbose: bool) -> Self {
        let mut world = Self {
            now: 0,
            agenda: Agenda::new(),
            dice: Dice::new(plan.seed, 3),
            hosts: Vec::new(),
            network: Network::new(plan.weather),
            clients: Clients::default(),
            checks: Checks::default(),
            trace: Trace::new(is_verbose),
            coverage: Coverage::default(),
            confirmed: BTreeMap::new(),
            axis: axis(),
            processes: 0,
            lineages: 0,
            happened: 0,
            rotted: BTreeSet::new(),
            is_healed: false,
            loud: Vec::new(),
            notices: Vec::new(),
            keeps_notices: false,
            plan,
        };
        world.checks.begin(&world.plan);
        for _ in 0..world.plan.hosts {
            world.add_host();
        }
        world
    }

    /// Adds a host with an empty disk and a name of its own.
    fn add_host(&mut self) -> u8 {
        let name = NAMES[self.hosts.len()];
        let directory = self.new_directory();
        self.hosts.push(Host::new(name, directory));
        (self.hosts.len() - 1) as u8
    }

    fn new_directory(&mut self) -> Directory {
        self.lineages += 1;
        Directory::new(NodeId::from_u64(self.dice.bits()), &self.plan.limits, self.lineages)
    }

    /// Lets the next thing happen; false when nothing is left.
    ///
    /// # Errors
    ///
    /// The first invariant that does not hold.
    pub fn step(&mut self) -> Result<bool, Violation> {
        let Some((at, event)) = self.agenda.pop() else { return Ok(false) };
        debug_assert!(at >= self.now, "time does not go back");
        if at > self.now {
            // The choices of a moment are drawn from the moment: what is left out of a plan changes no others.
            self.dice = Dice::new(self.plan.seed, at);
        }
        self.now = at;
        if self.network.is_rough() || self.hosts.iter().any(Host::is_out_of_reach) {
            self.network.rough_at = at;
        }
        if let Some(host) = self.concerned(&event)
            && self.hosts[usize::from(host)].paused_until > at
        {
            self.agenda.enter(self.hosts[usize::from(host)].paused_until, event);
            return Ok(true);
        }
        self.happen(event)?;
        self.happened += 1;
        if self.happened > EVENTS_MAX {
            let detail = format!("{EVENTS_MAX} events and no end");
            return Err(Violation { invariant: "every_history_ends", hosts: Vec::new(), detail });
        }
        Ok(true)
    }

    /// Runs until a moment, which then is the present.
    ///
    /// # Errors
    ///
    /// The first invariant that does not hold.
    pub fn run_to(&mut self, end: Micros) -> Held {
        while self.agenda.next_at().is_some_and(|at| at <= end) {
            self.step()?;
        }
        self.now = self.now.max(end);
        Ok(())
    }

    /// The host whose process must be awake for an event.
    fn concerned(&self, event: &Event) -> Option<u8> {
        match event {
            Event::Timer { host, .. }
            | Event::Sync { host, .. }
            | Event::Attest { host, .. }
            | Event::Snapshot { host, .. }
            | Event::LogFails { host, .. }
            | Event::Leave { host, .. }
            | Event::Request { host, .. } => Some(*host),
            Event::Accept { stream } => Some(self.network.streams[*stream as usize].ends[1].host),
            Event::Arrive { stream, end } => {
                Some(self.network.streams[*stream as usize].ends[usize::from(*end)].host)
            }
            Event::CallArrives { call } => self.network.calls.get(call).map(|call| call.to),
            Event::CallAnswered { call, .. } => self.network.calls.get(call).map(|call| call.from),
            Event::DeletionGoesOn(deletion) => Some(deletion.asked.host),
            Event::Impatient { .. }
            | Event::Collect
            | Event::FaultBegins { .. }
            | Event::FaultEnds { .. }
            | Event::Start { .. } => None,
        }
    }

    fn happen(&mut self, event: Event) -> Held {
        match event {
            Event::Timer { host, process } => self.on_timer(host, process),
            Event::Sync { host, process } => self.on_sync(host, process),
            Event::Attest { host, process } => self.on_attest(host, process),
            Event::Snapshot { host, process } => self.on_snapshot(host, process),
            Event::LogFails { host, process } => self.on_log_failed(host, process),
            Event::Accept { stream } => self.on_accept(stream),
            Event::Arrive { stream, end } => self.on_arrival(stream, end),
            Event::CallArrives { call } => self.on_call(call),
            Event::CallAnswered { call, answer } => self.on_answer(call, *answer),
            Event::Request { index, host, attempt } => self.on_request(index, host, attempt),
            Event::DeletionGoesOn(deletion) => self.delete_step(*deletion),
            Event::Collect => self.on_collect(),
            Event::Impatient { ticket } => self.on_impatient(ticket),
            Event::FaultBegins { fault } => self.on_fault_begins(fault),
            Event::FaultEnds { fault } => self.on_fault_ends(fault),
            Event::Leave { host, process } => self.on_leave(host, process),
            Event::Start { host } => self.start(host),
        }
    }

    fn host(&self, host: u8) -> &Host {
        &self.hosts[usize::from(host)]
    }

    fn host_mut(&mut self, host: u8) -> &mut Host {
        &mut self.hosts[usize::from(host)]
    }

    /// The process of this number, if it still runs.
    fn process(&self, host: u8, number: u32) -> Option<&Process> {
        self.host(host).process.as_ref().filter(|process| process.number == number)
    }

    fn process_mut(&mut self, host: u8, number: u32) -> Option<&mut Process> {
        self.host_mut(host).process.as_mut().filter(|process| process.number == number)
    }

    fn clocks(&self, host: u8) -> Now {
        self.host(host).now(self.axis, self.now)
    }

    fn note(&mut self, host: u8, what: &'static str, a: u64, b: u64) {
        self.trace.note(self.now, host, what, [a, b]);
    }

    /// The host that goes by this name in histories that are written by hand: its address, which twins do not share.
    pub(crate) fn index_of(&self, name: &str) -> u8 {
        let index = self.hosts.iter().position(|host| host.address == name);
        index.unwrap_or_else(|| panic!("there is no host {name}")) as u8
    }
}

/// Where the axis of virtual time has its zero. `Instant` has no other origin than the machine's clock; everything
/// is measured from here, and nothing shows where it is.
fn axis() -> Instant {
    static AXIS: OnceLock<Instant> = OnceLock::new();
    *AXIS.get_or_init(Instant::now)
}

/// When the first writes have been made.
const FIRST_COLLECTION: Micros = 3_000_000;
/// Many times what a history of nine busy hosts takes.
const EVENTS_MAX: u64 = 2_000_000;

const NAMES: [&str; 16] =
    ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n10", "n11", "n12", "n13", "n14", "n15", "n16"];
