//! A shorter history that fails in the same way: fewer hosts, fewer faults, fewer requests.

use std::collections::BTreeSet;

use super::campaign::{Failure, History, STEPS_TOLD, run_history};
use super::plan::Plan;
use crate::invariants::Violation;

/// Leaves out of a failing history what its failure does not need, within so many runs.
///
/// Halves first, then smaller parts, as in delta debugging (Zeller and Hildebrandt 2002). What is left still breaks the
/// same invariant.
pub fn shrink(failure: Failure, runs_max: usize) -> Failure {
    let plan = plan_of(&failure);
    let (requests, faults) = whole(&plan);
    let mut search = Search { failure, requests, faults, runs_left: runs_max };
    search.drop_hosts(plan.hosts);
    let mut before = usize::MAX;
    while search.size() < before {
        before = search.size();
        search.drop_parts(Part::Faults);
        search.drop_parts(Part::Requests);
    }
    search.finish()
}

/// The plan of a failure, with what it keeps.
fn plan_of(failure: &Failure) -> Plan {
    let mut plan = Plan::of(failure.seed, failure.profile, failure.hosts);
    if let Some((requests, faults)) = &failure.kept {
        plan.keep(Some(requests), Some(faults));
    }
    plan
}

/// All requests and faults of a plan.
fn whole(plan: &Plan) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let requests = plan.requests.iter().map(|request| request.index).collect();
    (requests, plan.faults.iter().map(|fault| fault.index).collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Requests,
    Faults,
}

struct Search {
    failure: Failure,
    requests: BTreeSet<usize>,
    faults: BTreeSet<usize>,
    runs_left: usize,
}

impl Search {
    /// A history of fewer hosts is another history; now and then it fails in the same way.
    fn drop_hosts(&mut self, hosts: u8) {
        for fewer in 1..hosts {
            let plan = Plan::of(self.failure.seed, self.failure.profile, Some(fewer));
            let (requests, faults) = whole(&plan);
            let history = run_history(plan, 0);
            let is_same = |violation: Violation| violation.invariant == self.failure.violation.invariant;
            if history.violation.is_some_and(is_same) {
                (self.requests, self.faults) = (requests, faults);
                self.failure.hosts = Some(fewer);
                return;
            }
        }
    }

    fn drop_parts(&mut self, part: Part) {
        let mut size = self.of(part).len().div_ceil(2);
        while size > 0 && self.runs_left > 0 {
            let all: Vec<usize> = self.of(part).iter().copied().collect();
            for chunk in all.chunks(size) {
                let without: BTreeSet<usize> =
                    self.of(part).iter().copied().filter(|index| !chunk.contains(index)).collect();
                if without.len() < self.of(part).len() && self.still_fails(part, &without) {
                    match part {
                        Part::Requests => self.requests = without,
                        Part::Faults => self.faults = without,
                    }
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn size(&self) -> usize {
        self.requests.len() + self.faults.len()
    }

    fn of(&self, part: Part) -> &BTreeSet<usize> {
        match part {
            Part::Requests => &self.requests,
            Part::Faults => &self.faults,
        }
    }

    fn still_fails(&mut self, part: Part, kept: &BTreeSet<usize>) -> bool {
        if self.runs_left == 0 {
            return false;
        }
        self.runs_left -= 1;
        let (requests, faults) = match part {
            Part::Requests => (kept, &self.faults),
            Part::Faults => (&self.requests, kept),
        };
        let history = self.run(requests, faults, 0);
        history.violation.is_some_and(|violation| violation.invariant == self.failure.violation.invariant)
    }

    fn run(&self, requests: &BTreeSet<usize>, faults: &BTreeSet<usize>, told: usize) -> History {
        let mut plan = Plan::of(self.failure.seed, self.failure.profile, self.failure.hosts);
        plan.keep(Some(requests), Some(faults));
        run_history(plan, told)
    }

    fn finish(self) -> Failure {
        let history = self.run(&self.requests, &self.faults, STEPS_TOLD);
        let Some(violation) = history.violation else { return self.failure };
        Failure {
            violation,
            step: history.steps,
            micros: history.micros,
            kept: Some((self.requests, self.faults)),
            last_steps: history.last_steps,
            ..self.failure
        }
    }
}
