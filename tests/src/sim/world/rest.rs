//! A whole history: trouble, healing, rest, quiet.

use std::collections::BTreeSet;

use trellis_replication::slot_clock_hash;

use super::World;
use crate::invariants::{Checks, Held, Violation};
use crate::sim::agenda::Micros;

impl World {
    /// Performs the plan to its end: after the trouble the cluster must come to rest, and then be quiet.
    ///
    /// # Errors
    ///
    /// The first invariant that does not hold.
    pub fn run(&mut self) -> Held {
        let heals_at = self.plan.heals_at;
        self.run_to(heals_at)?;
        self.heal()?;
        self.come_to_rest(heals_at + REST_WITHIN)?;
        self.checks.at_rest(&self.hosts)?;
        if self.plan.collects {
            self.collect_all()?;
        }
        self.stay_quiet()?;
        self.note_state();
        self.count_all();
        Ok(())
    }

    fn come_to_rest(&mut self, deadline: Micros) -> Held {
        while !self.is_at_rest() {
            if self.now >= deadline {
                return Err(Violation {
                    invariant: "the_cluster_comes_to_rest",
                    hosts: Vec::new(),
                    detail: self.unrest(),
                });
            }
            self.run_to(self.now + SLICE)?;
        }
        Ok(())
    }

    /// Whether everybody is awake, serves, and is in step with everybody else.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.hosts.iter().all(|host| host.paused_until <= self.now) && Checks::is_at_rest(&self.hosts)
    }

    /// A quiet cluster sends probes and in-sync checks, and nothing else.
    fn stay_quiet(&mut self) -> Held {
        self.run_to(self.now + SETTLING)?;
        self.loud.clear();
        let is_long = self.plan.seed.is_multiple_of(LONG_QUIET_ONE_IN);
        self.run_to(self.now + if is_long { LONG_QUIET } else { QUIET })?;
        if !self.loud.is_empty() {
            let said = self.loud.iter().map(|(at, host, what)| format!("{what} of n{} at {at} us", host + 1));
            let detail = format!("with nothing left to say: {}", said.collect::<Vec<_>>().join(", "));
            return Err(Violation { invariant: "a_cluster_at_rest_is_quiet", hosts: Vec::new(), detail });
        }
        self.checks.at_rest(&self.hosts)
    }

    /// Why the cluster is not at rest, in words.
    fn unrest(&self) -> String {
        let mut words = String::from("after two minutes without trouble");
        for (index, host) in self.hosts.iter().enumerate().filter(|(_, host)| !host.is_retired) {
            let Some(core) = host.core() else {
                words += &format!("; n{} is down", index + 1);
                continue;
            };
            let status = core.status(self.clocks(index as u8));
            let seen: Vec<String> =
                status.members.iter().map(|member| format!("{} {:?}", member.name, member.state)).collect();
            let (clock, peers) = core.look_at_peers(|replicator, _| {
                let peers = replicator.peers().map(|(name, peer)| {
                    let (is_connected, is_in_step) = (peer.is_connected, peer.is_in_step);
                    let lag = peer.unacknowledged;
                    format!("{name} connected {is_connected}, in step {is_in_step}, {lag} unacknowledged")
                });
                (replicator.clock().hash(), peers.collect::<Vec<_>>().join(", "))
            });
            words += &format!(
                "; n{} is {:?}, clock {clock:016x}, {} slots to adopt, log {} of {}, sees {}, knows {peers}",
                index + 1,
                status.phase,
                status.slots_remaining,
                core.log().durable(),
                core.log().last(),
                seen.join(", ")
            );
        }
        words
    }

    /// What all hosts hold in the end, for the trace.
    fn note_state(&mut self) {
        let slots: BTreeSet<u8> =
            self.checks.model.operations().iter().map(|operation| operation.slot).collect();
        for host in 0..self.hosts.len() as u8 {
            for slot in &slots {
                let Some(core) = self.host(host).core() else { continue };
                let (clock, digest) = core.look_at_slot(*slot, |keyspace| {
                    (slot_clock_hash(*slot, keyspace.clock(*slot)), keyspace.digest(*slot))
                });
                self.note(host, "ends with", clock, digest as u64);
            }
        }
    }

    fn count_all(&mut self) {
        for host in 0..self.hosts.len() as u8 {
            let status = self.host(host).core().map(|core| core.status(self.clocks(host)));
            if let Some(status) = status {
                self.count_process(&status);
            }
            if let Some(began) = self.host(host).process.as_ref().map(|process| process.began) {
                self.count_segments(host, began);
            }
        }
    }
}

/// How often the cluster is asked whether it is at rest.
const SLICE: Micros = 250_000;
/// Dead members are contacted every ten seconds, and a guest waits as long for its name.
const REST_WITHIN: Micros = 120_000_000;
/// For what is on its way.
const SETTLING: Micros = 1_500_000;
/// Longer than some rounds of gossip and probes.
const QUIET: Micros = 4_500_000;
/// Some histories go on until nothing from before the healing can be left in membership.
const LONG_QUIET: Micros = 25_000_000;
const LONG_QUIET_ONE_IN: u64 = 10;
