//! Clients: they ask, wait for as long as they have patience, and ask again elsewhere.
//!
//! What the runtime's service does with a request (wait for the log, then for other nodes, then answer) is done here
//! on the agenda.

use std::collections::{BTreeMap, BTreeSet};

use trellis_crdt::Kind;
use trellis_node::core::{Core, RequestError, Written};
use trellis_storage::{Operation, OperationError, Outcome as Stored};
use trellis_wal::Lsn;

use super::{Event, World};
use crate::invariants::{Checks, Held, Violation};
use crate::model::What;
use crate::sim::agenda::Micros;
use crate::sim::marks::{InHand, value_of};
use crate::sim::plan::{Request, RequestKind};

/// Requests that are not answered yet, and what a client was told.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    waiting: BTreeMap<u64, Waiting>,
    next_ticket: u64,
    next_token: u64,
    /// Tickets of clients that were answered, in histories that are written by hand.
    answered: BTreeSet<u64>,
    /// The write that a core is handling at this moment.
    pub(crate) in_hand: Option<InHand>,
}

/// A request that waits.
#[derive(Debug)]
struct Waiting {
    asked: Asked,
    process: u32,
    stage: Stage,
}

/// One attempt of a client at a request of the plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) index: usize,
    pub(super) host: u8,
    attempt: u8,
}

impl Asked {
    fn scripted(host: u8) -> Self {
        Self { index: NO_PLAN, host, attempt: 0 }
    }
}

#[derive(Debug)]
pub(super) enum Stage {
    /// A write, for the log.
    Log { until: Lsn, dots: Vec<(u8, u64)>, replicas: u32 },
    /// A write, for other nodes.
    Nodes { dots: Vec<(u8, u64)>, replicas: u32 },
    /// A read, for the log: what it is about to answer must be durable.
    Read { until: Lsn, last_change: Lsn },
}

/// What a scripted client is told at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The node took it.
    Taken(Option<Written>),
    /// The node refused it.
    Refused(RequestError),
    /// No process runs there.
    NobodyThere,
}

impl World {
    pub(super) fn on_request(&mut self, index: usize, host: u8, attempt: u8) -> Held {
        let planned = self.plan.requests.iter().find(|request| request.index == index && !self.is_healed);
        let Some(request) = planned.cloned() else { return Ok(()) };
        self.note(host, "request", index as u64, u64::from(attempt));
        self.trace.tell(self.now, host, "request", || format!("{:?} of {}", request.kind, request.key));
        let asked = Asked { index, host, attempt };
        if self.host(host).process.is_none() {
            self.coverage.count("writes refused");
            return self.try_again(asked);
        }
        let key = request.key;
        let token = self.clients.next_token;
        self.clients.next_token += 1;
        let padding = if let RequestKind::Set { padding, .. } = request.kind { padding } else { 0 };
        let value = value_of(token, padding);
        let (operation, what) = match request.kind {
            RequestKind::Increment { kind, amount } => {
                (Operation::Increment { key, kind, amount }, What::Add(amount))
            }
            RequestKind::Set { kind, .. } => {
                (Operation::Set { key, kind, value: &value }, What::Write(token))
            }
            RequestKind::Add { kind, element } => {
                (Operation::Add { key, kind, element: element.as_bytes() }, What::Enable)
            }
            RequestKind::Remove { element } => {
                (Operation::Remove { key, kind: Kind::OrSet, element: element.as_bytes() }, What::Disable)
            }
            RequestKind::Switch { kind, enabled } => {
                let what = if enabled { What::Enable } else { What::Disable };
                (Operation::Switch { key, kind, enabled }, what)
            }
            RequestKind::Delete { kind } => return self.begin_deletion(asked, key, kind),
            RequestKind::Read { kind } => return self.read(asked, key, kind),
            RequestKind::Contains { kind, element } => return self.contains(asked, (key, kind), element),
            RequestKind::Elements { kind } => return self.read_elements(asked, key, kind),
            RequestKind::List => return self.list(asked, key),
        };
        let (outcome, dots) = self.write(host, &operation, what)?;
        match outcome {
            Outcome::Taken(Some(written)) => self.await_write(asked, &request, written.lsn, dots),
            Outcome::Taken(None) | Outcome::NobodyThere => Ok(()),
            Outcome::Refused(error) => self.on_refused(asked, &error),
        }
    }

    /// Has a core do an operation, and notes it in the model. Returns its dots.
    pub(super) fn write(
        &mut self,
        host: u8,
        operation: &Operation<'_>,
        what: What,
    ) -> Result<(Outcome, Vec<(u8, u64)>), Violation> {
        let clocks = self.clocks(host);
        self.see_log(host)?;
        self.clients.in_hand = Some(InHand { what, dots: Vec::new() });
        let Some(process) = &self.host(host).process else {
            return Ok((Outcome::NobodyThere, Vec::new()));
        };
        let found = Checks::found(&process.core, operation);
        let written = process.core.write(operation, clocks);
        if let Ok(written) = &written {
            self.checks.told(host, &process.core, operation, written.outcome, found)?;
        }
        self.see_log(host)?;
        let in_hand = self.clients.in_hand.take();
        let dots = in_hand.map_or_else(Vec::new, |in_hand| in_hand.dots);
        if let ([(.., first), .., (.., last)], Some(process)) =
            (dots.as_slice(), &mut self.hosts[usize::from(host)].process)
        {
            process.batches.push((*first, *last));
            self.coverage.count("writes of several records");
        }
        self.settle(host)?;
        match written {
            Ok(written) => {
                self.checks.wrote(host, operation, &written, &dots)?;
                self.count_outcome(written.outcome);
                let dots = dots.into_iter().map(|(slot, seq, _)| (slot, seq)).collect();
                Ok((Outcome::Taken(Some(written)), dots))
            }
            Err(error) => {
                self.checks.refused(host, &error, &dots)?;
                Ok((Outcome::Refused(error), Vec::new()))
            }
        }
    }

    fn count_outcome(&mut self, outcome: Stored) {
        let what = match outcome {
            Stored::Counter(total) if !total.exact => "totals beyond 64 bits",
            Stored::Added { was_member: true } => "elements added again",
            Stored::Added { .. } => "elements added",
            Stored::Removed { was_member: true } => "elements removed",
            Stored::Removed { .. } => "elements removed that were not there",
            Stored::Switched { enabled: true } => "flags enabled",
            Stored::Switched { .. } => "flags disabled",
            _ => return,
        };
        self.coverage.count(what);
    }

    /// Answers a write that was taken, or has it wait as its client asked.
    pub(super) fn await_write(
        &mut self,
        asked: Asked,
        request: &Request,
        until: Option<Lsn>,
        dots: Vec<(u8, u64)>,
    ) -> Held {
        if !request.is_synced && request.replicas <= 1 {
            self.coverage.count("writes answered early");
            return Ok(());
        }
        let stage = Stage::Log { until: until.unwrap_or(Lsn::ZERO), dots, replicas: request.replicas };
        self.wait(asked, stage, request.patience);
        self.on_clients_durable(asked.host)
    }

    pub(super) fn wait(&mut self, asked: Asked, stage: Stage, patience: Micros) {
        let Some(process) = &self.host(asked.host).process else { return };
        let process = process.number;
        self.clients.next_ticket += 1;
        let ticket = self.clients.next_ticket;
        self.clients.waiting.insert(ticket, Waiting { asked, process, stage });
        self.agenda.enter(self.now + patience, Event::Impatient { ticket });
    }

    /// The log of a host is durable further than before.
    pub(super) fn on_clients_durable(&mut self, host: u8) -> Held {
        let Some(process) = &self.host(host).process else { return Ok(()) };
        let (number, durable) = (process.number, process.core.log().durable());
        let due = |waiting: &Waiting| {
            let until = match &waiting.stage {
                Stage::Log { until, .. } | Stage::Read { until, .. } => *until,
                Stage::Nodes { .. } => return false,
            };
            waiting.asked.host == host && waiting.process == number && until <= durable
        };
        let tickets: Vec<u64> = self
            .clients
            .waiting
            .iter()
            .filter(|(_, waiting)| due(waiting))
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in tickets {
            let Some(waiting) = self.clients.waiting.remove(&ticket) else { continue };
            match waiting.stage {
                Stage::Log { ref dots, .. } if !dots.is_empty() && !self.counts(host) => {
                    self.note(host, "removed meanwhile", ticket, 0);
                    self.coverage.count("writes of a node removed meanwhile");
                    self.try_again(waiting.asked)?;
                }
                Stage::Read { last_change, .. } => {
                    self.coverage.count("reads that waited for the log");
                    self.answer_read(host, last_change)?;
                }
                Stage::Log { dots, replicas, .. } if replicas > 1 && !dots.is_empty() => {
                    self.checks.is_durable_at(host, &self.hosts[usize::from(host)], &dots)?;
                    let last = dots[dots.len() - 1];
                    let stage = Stage::Nodes { dots, replicas };
                    self.clients.waiting.insert(ticket, Waiting { stage, ..waiting });
                    let clocks = self.clocks(host);
                    if let Some(process) = self.process(host, number) {
                        process.core.await_replicas(ticket, last, replicas, clocks);
                    }
                    self.settle(host)?;
                }
                Stage::Log { dots, .. } => {
                    self.note_answer(ticket);
                    self.checks.is_durable_at(host, &self.hosts[usize::from(host)], &dots)?;
                    self.coverage.count("writes answered");
                    self.checks.acknowledged(&self.hosts, host, &dots, 1)?;
                }
                Stage::Nodes { .. } => {}
            }
        }
        Ok(())
    }

    /// As the service asks before it answers a write.
    fn counts(&self, host: u8) -> bool {
        self.host(host).core().is_some_and(Core::counts)
    }

    pub(super) fn on_replicated(&mut self, ticket: u64) -> Held {
        let Some(waiting) = self.clients.waiting.remove(&ticket) else { return Ok(()) };
        let Stage::Nodes { dots, replicas } = waiting.stage else { return Ok(()) };
        if !self.counts(waiting.asked.host) {
            return self.try_again(waiting.asked);
        }
        self.note(waiting.asked.host, "replicated", ticket, u64::from(replicas));
        self.note_answer(ticket);
        self.coverage.count("writes answered by several nodes");
        self.checks.acknowledged(&self.hosts, waiting.asked.host, &dots, replicas)
    }

    pub(super) fn on_impatient(&mut self, ticket: u64) -> Held {
        let Some(waiting) = self.clients.waiting.remove(&ticket) else { return Ok(()) };
        if let (Stage::Nodes { .. }, Some(process)) =
            (&waiting.stage, self.process(waiting.asked.host, waiting.process))
        {
            process.core.cancel_replicas(ticket);
        }
        self.note(waiting.asked.host, "no answer", ticket, 0);
        self.coverage.count("writes without an answer");
        self.try_again(waiting.asked)
    }

    /// A process is gone, or its log failed: none of its clients is answered any more.
    pub(super) fn on_clients_process_gone(&mut self, host: u8, number: u32) {
        self.clients.waiting.retain(|_, waiting| waiting.asked.host != host || waiting.process != number);
    }

    /// A client without an answer asks another host, if it has the will.
    pub(super) fn try_again(&mut self, asked: Asked) -> Held {
        let Asked { index, attempt, .. } = asked;
        let request = self.plan.requests.iter().find(|request| request.index == index && !self.is_healed);
        let Some(request) = request.filter(|request| attempt < request.retries) else { return Ok(()) };
        let hosts = u64::from(self.plan.hosts);
        let other = (u64::from(request.host) + 1 + self.dice.below(hosts.max(2) - 1)) % hosts;
        self.coverage.count("writes tried again");
        let at = self.now + self.dice.between(1_000, 200_000);
        self.agenda.enter(at, Event::Request { index, host: other as u8, attempt: attempt + 1 });
        Ok(())
    }

    /// A node that cannot take a request at the moment is asked again; one that never will is not.
    pub(super) fn on_refused(&mut self, asked: Asked, error: &RequestError) -> Held {
        self.coverage.count(match error {
            RequestError::ClockSkew => "register writes refused for skew",
            RequestError::Operation(OperationError::CounterOverflow { .. }) => "overflows refused",
            RequestError::Operation(OperationError::WrongKind { .. }) => "kinds refused",
            _ => "writes refused",
        });
        if matches!(error, RequestError::Operation(_)) { Ok(()) } else { self.try_again(asked) }
    }

    /// Has a scripted client wait for its write. Returns its ticket.
    pub(super) fn wait_for_write(
        &mut self,
        host: u8,
        until: Option<Lsn>,
        dots: Vec<(u8, u64)>,
        replicas: u32,
    ) -> Result<u64, Violation> {
        let asked = Asked::scripted(host);
        let stage = Stage::Log { until: until.unwrap_or(Lsn::ZERO), dots, replicas };
        self.wait(asked, stage, SCRIPTED_PATIENCE);
        let ticket = self.clients.next_ticket;
        self.on_clients_durable(host)?;
        Ok(ticket)
    }

    pub(super) fn is_client_answered(&self, ticket: u64) -> bool {
        self.clients.answered.contains(&ticket)
    }

    /// Has a scripted client read a key.
    pub(super) fn read_for_script(&mut self, host: u8, key: &'static str) -> Held {
        self.read(Asked::scripted(host), key, None)
    }

    fn note_answer(&mut self, ticket: u64) {
        if self.keeps_notices {
            self.clients.answered.insert(ticket);
        }
    }
}

/// The index of a request that no plan has: nobody tries it again.
const NO_PLAN: usize = usize::MAX;
/// Longer than any scripted history waits for anything.
const SCRIPTED_PATIENCE: Micros = 300_000_000;
