//! What must hold in every history, one file for each: numbered as the invariants of the design, and what follows from
//! them.

mod a_deletion_takes_what_was_there;
mod a_dot_names_one_change;
mod a_failed_log_says_nothing;
mod acknowledged_writes_survive;
mod all_end_equal;
mod equal_clocks_have_equal_digests;
mod everything_is_bounded;
mod logs_give_back_what_was_durable;
mod membership_is_sound;
mod merging_is_the_only_change;
mod no_clock_passes_a_hole;
mod nothing_comes_of_nothing;
mod nothing_leaves_before_it_is_durable;
mod removed_things_stay_removed;
mod settled_slots_are_as_the_model_says;
mod snapshots_stand_for_the_log;
mod stamps_only_grow;
mod what_clients_are_told_is_so;
mod who_is_out_is_not_heard;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use trellis_crdt::{Kind, VersionVector};
use trellis_node::core::{Core, Notice, Phase, RequestError, Written};
use trellis_replication::{Gossip, Message, NodeId, Roster};
use trellis_storage::{Operation as Asked, Outcome as Stored};
use trellis_wal::{Lsn, RecoveryReport};

pub(crate) use self::a_deletion_takes_what_was_there::Before;
use self::a_dot_names_one_change::Contents;
use self::acknowledged_writes_survive::Acknowledged;
use self::equal_clocks_have_equal_digests::Digests;
use self::everything_is_bounded::Bounds;
pub(crate) use self::membership_is_sound::Context;
use self::membership_is_sound::Membership;
use self::no_clock_passes_a_hole::Clocks;
pub(crate) use self::snapshots_stand_for_the_log::{segment_first, snapshot_start};
pub(crate) use self::what_clients_are_told_is_so::Told;
use crate::model::{Atom, List, Model};
use crate::sim::directory::{Directory, Lists, Noted, Seen};
use crate::sim::host::{Facts, Host, Process};
use crate::sim::marks::InHand;
use crate::sim::plan::Limits;
use crate::sim::{Micros, Plan, Profile};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name: the file that checks it.
    pub invariant: &'static str,
    /// The hosts concerned; none for all.
    pub hosts: Vec<u8>,
    /// What was seen.
    pub detail: String,
}

/// Whether an invariant holds.
pub type Held = Result<(), Violation>;

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

impl std::error::Error for Violation {}

/// Everything that is remembered of a history in order to judge it.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) model: Model,
    contents: Contents,
    digests: Digests,
    acknowledged: Acknowledged,
    pub(crate) membership: Membership,
    pub(crate) bounds: Bounds,
    /// Slot → what all members had heard of when something was last dropped.
    pub(crate) stable: BTreeMap<u8, VersionVector>,
    /// By host.
    views: BTreeMap<u8, View>,
}

/// What is remembered of a process.
#[derive(Debug, Default)]
struct View {
    /// Slots whose state changed since the last look.
    touched: BTreeSet<u8>,
    /// Slots whose state was not compared with a replay since they changed.
    uncompared: BTreeSet<u8>,
    clocks: Clocks,
    /// The end of the last record about each key.
    last_change: BTreeMap<&'static str, Lsn>,
    /// And about each slot.
    last_change_in: BTreeMap<u8, Lsn>,
}

impl Checks {
    /// A history begins.
    pub(crate) fn begin(&mut self, plan: &Plan) {
        self.bounds.limit(&plan.limits);
        self.membership.is_calm = plan.profile == Profile::Calm;
    }

    /// All trouble is over.
    pub(crate) fn healed(&mut self, now: Micros) {
        self.membership.healed_at = Some(now);
    }

    /// Looks at every queue and buffer of a host.
    pub(crate) fn is_bounded(&self, host: u8, hosts: &[Host], limits: &Limits) -> Held {
        everything_is_bounded::check(host, &hosts[usize::from(host)], hosts.len(), limits)
    }

    /// Records were appended.
    pub(crate) fn appended(&self, host: u8, records: &[(Lsn, Vec<u8>)], after: Lsn, last: Lsn) -> Held {
        logs_give_back_what_was_durable::appended(host, records, after, last)
    }

    /// A process begins.
    pub(crate) fn started(&mut self, host: u8, process: &Process) -> Held {
        let mut view = View::default();
        view.uncompared.extend(process.lists.keys().map(|(slot, _)| *slot));
        view.touched.clone_from(&view.uncompared);
        self.views.insert(host, view);
        self.membership.started(host);
        self.contents.replica_started(host, process.replica)
    }

    /// A process is gone.
    pub(crate) fn stopped(&mut self, host: u8, _process: u32) {
        self.views.remove(&host);
        self.membership.stopped(host);
    }

    /// A record was appended.
    pub(crate) fn logged(
        &mut self,
        host: u8,
        target: &Host,
        noted: &mut Noted,
        in_hand: &mut Option<InHand>,
    ) -> Held {
        let Some(process) = &target.process else { return Ok(()) };
        if let Seen::Delta { slot, origin, seq } = noted.what {
            self.contents.seen(host, (slot, origin, seq), &noted.bytes)?;
            if origin == process.replica.as_u64() && self.model.get(slot, origin, seq).is_none() {
                let operation = self.contents.minted(host, process, noted, in_hand)?;
                stamps_only_grow::check(host, &self.model, &operation)?;
                self.model.insert(operation);
            }
        }
        self.complete(noted);
        let view = self.views.entry(host).or_default();
        if let Seen::Delta { slot, .. }
        | Seen::Entry { slot }
        | Seen::Adoption { slot }
        | Seen::Collected { slot } = noted.what
        {
            view.touched.insert(slot);
            view.uncompared.insert(slot);
        }
        if let Some(change) = &noted.change {
            view.last_change.insert(change.atom.key, noted.lsn);
            view.last_change_in.insert(change.slot, noted.lsn);
        }
        Ok(())
    }

    /// Adds to a record what it says of resets: of an operation its own word, of a catch-up entry what its slots show.
    pub(crate) fn complete(&self, noted: &mut Noted) {
        let Some(change) = &mut noted.change else { return };
        if !change.atom.kind.is_counter() {
            return;
        }
        let operation = match noted.what {
            Seen::Delta { slot, origin, seq } => self.model.get(slot, origin, seq),
            _ => None,
        };
        match operation {
            Some(operation) => change.resets = operation.resets(),
            None => self.contents.note_resets(change),
        }
    }

    /// Something changed at a host: looks at the slots that did.
    pub(crate) fn changed(&mut self, host: u8, target: &Host) -> Held {
        let (Some(view), Some(process)) = (self.views.get_mut(&host), &target.process) else { return Ok(()) };
        let nothing = VersionVector::new();
        for slot in std::mem::take(&mut view.touched) {
            process.core.look_at_slot(slot, |keyspace| {
                self.bounds.early(host, keyspace.early_len(slot), slot)?;
                let clock = keyspace.clock(slot);
                let forgotten = target.directory.forgotten.get(&slot);
                let heard = (&process.lists, forgotten.unwrap_or(&nothing));
                view.clocks.moved(host, slot, clock, &self.model, heard)?;
                if keyspace.is_settled(slot) {
                    self.bounds.settled(host, keyspace.early_len(slot), slot)?;
                    if self.digests.seen(host, slot, clock, keyspace.digest(slot))? {
                        settled_slots_are_as_the_model_says::check(host, slot, keyspace, &self.model)?;
                    }
                    Ok(())
                } else {
                    removed_things_stay_removed::check(host, slot, keyspace, &self.model, &process.lists)
                }
            })?;
        }
        Ok(())
    }

    /// Everything that a host has logged is durable, or not yet: compares memory with a replay when it is.
    pub(crate) fn is_as_replayed(&mut self, host: u8, target: &Host) -> Held {
        let Some(view) = self.views.get_mut(&host) else { return Ok(()) };
        merging_is_the_only_change::check(host, target, &mut view.uncompared)
    }

    /// A process begins with this: what its log and its snapshot say must be what a replay of all records says.
    pub(crate) fn starts_as_replayed(&self, host: u8, target: &Host, facts: &Facts) -> Held {
        merging_is_the_only_change::check_start(host, target, facts)
    }

    /// A snapshot has got its name, and holds what the records up to `end` did at most.
    pub(crate) fn published(&self, host: u8, end: Lsn, durable: Lsn) -> Held {
        snapshots_stand_for_the_log::published(host, end, durable)
    }

    /// Something of a slot is dropped of which all members have heard.
    pub(crate) fn dropped(&mut self, slot: u8, stable: &VersionVector) {
        self.stable.entry(slot).or_default().merge(stable);
    }

    /// Files were removed that snapshots make needless, and these are left.
    pub(crate) fn removed(&self, host: u8, files: usize, has_failed: bool, left: &[String]) -> Held {
        snapshots_stand_for_the_log::removed(host, files, has_failed, left)
    }

    /// A start has found a snapshot, or none, and passed others over.
    pub(crate) fn started_behind(
        &self,
        host: u8,
        published: Lsn,
        report: &RecoveryReport,
        rotted: &BTreeSet<String>,
    ) -> Held {
        let found = report.snapshot.as_ref().map(|snapshot| snapshot.start);
        let has_rotted = |name: &str| rotted.contains(name);
        snapshots_stand_for_the_log::started(host, published, found, &report.rejected, has_rotted)
    }

    /// A message leaves a host towards a process.
    pub(crate) fn sent(&self, host: u8, target: &Host, to: Option<&Process>, message: &Message) -> Held {
        nothing_leaves_before_it_is_durable::message(host, target, to, message)?;
        who_is_out_is_not_heard::said(host, target, message)?;
        a_failed_log_says_nothing::message(host, target, message)
    }

    /// Whether nothing may be taken any more, by who knows this roster, from a process.
    pub(crate) fn is_out(&self, roster: &Roster, node: NodeId, from: &Process) -> bool {
        who_is_out_is_not_heard::is_out(roster, node, from)
    }

    /// What one who is out said has arrived.
    pub(crate) fn heard_out(&self, host: u8, from: &'static str, before: Lsn, after: Lsn) -> Held {
        who_is_out_is_not_heard::heard(host, from, before, after)
    }

    /// Gossip leaves a host.
    pub(crate) fn gossiped(&self, host: u8, target: &Host, gossip: &Gossip) -> Held {
        nothing_leaves_before_it_is_durable::gossip(host, target, gossip)?;
        a_failed_log_says_nothing::gossip(host, target, gossip)
    }

    /// A guest became a member.
    pub(crate) fn joined(&self, host: u8, target: &Host) -> Held {
        let remaining = usize::from(u8::MAX) + 1 - target.directory.durable.adopted.len();
        if remaining == 0 {
            return Ok(());
        }
        let detail = format!("n{} serves and has not adopted {remaining} slots", host + 1);
        Err(Violation { invariant: "a_guest_waits_for_every_slot", hosts: vec![host], detail })
    }

    /// A node says something to its operator.
    pub(crate) fn noticed(&mut self, host: u8, notice: &Notice, context: &Context) -> Held {
        match notice {
            Notice::Diverged { peer, slot } => {
                let detail =
                    format!("n{} sees another digest at {peer} in slot {slot} at equal clocks", host + 1);
                Err(equal_clocks_have_equal_digests::violation(vec![host], detail))
            }
            Notice::Unmergeable { slot, detail } => {
                let detail = format!("n{} refuses what a peer sent in slot {slot}: {detail}", host + 1);
                Err(Violation { invariant: "a_dot_names_one_change", hosts: vec![host], detail })
            }
            Notice::Membership { name, state } => self.membership.told(host, (name, *state), context),
            _ => Ok(()),
        }
    }

    /// A write was taken.
    pub(crate) fn wrote(
        &self,
        host: u8,
        asked: &Asked<'_>,
        written: &Written,
        dots: &[(u8, u64, Lsn)],
    ) -> Held {
        let told = dots.last().map(|(slot, seq, _)| (*slot, *seq));
        if written.dot != told {
            let detail = format!("n{} says {:?} of {asked:?} and logged {told:?}", host + 1, written.dot);
            return Err(a_dot_names_one_change::violation(host, detail));
        }
        nothing_comes_of_nothing::check(host, asked, written.outcome, dots.len())
    }

    /// A write was refused: nothing may have changed.
    pub(crate) fn refused(&self, host: u8, error: &RequestError, dots: &[(u8, u64, Lsn)]) -> Held {
        if dots.is_empty() {
            return Ok(());
        }
        let detail = format!("n{} refused a write ({error}) and logged {dots:?}", host + 1);
        Err(a_dot_names_one_change::violation(host, detail))
    }

    /// What an operation is about to find.
    pub(crate) fn found(core: &Core, asked: &Asked<'_>) -> bool {
        what_clients_are_told_is_so::found(core, asked)
    }

    /// A write is about to be answered with this, and found that before.
    pub(crate) fn told(
        &self,
        host: u8,
        core: &Core,
        asked: &Asked<'_>,
        outcome: Stored,
        found: bool,
    ) -> Held {
        what_clients_are_told_is_so::written(host, core, asked, outcome, found)
    }

    /// A deletion of several steps has come to its end.
    pub(crate) fn deleted(&self, host: u8, process: &Process, before: &Before) -> Held {
        a_deletion_takes_what_was_there::check(host, process, before)
    }

    /// A read is about to be answered with this, once the log is durable that far.
    pub(crate) fn read(&self, host: u8, target: &Host, told: &Told<'_>, until: Option<Lsn>) -> Held {
        what_clients_are_told_is_so::read(host, target, told, until)
    }

    /// The end of the last record about any key of a slot, at the process of a host.
    pub(crate) fn last_change_in(&self, host: u8, slot: u8) -> Lsn {
        self.views.get(&host).and_then(|view| view.last_change_in.get(&slot)).copied().unwrap_or(Lsn::ZERO)
    }

    /// The end of the last record about a key, at the process of a host.
    pub(crate) fn last_change(&self, host: u8, key: &str) -> Lsn {
        self.views.get(&host).and_then(|view| view.last_change.get(key)).copied().unwrap_or(Lsn::ZERO)
    }

    /// A read is answered.
    pub(crate) fn read_is_durable(&self, host: u8, target: &Host, last_change: Lsn) -> Held {
        nothing_leaves_before_it_is_durable::read(host, target, last_change)
    }

    /// A write is answered by the node that took it.
    pub(crate) fn is_durable_at(&self, host: u8, target: &Host, dots: &[(u8, u64)]) -> Held {
        nothing_leaves_before_it_is_durable::reply(host, target, dots)
    }

    /// A write is answered by so many nodes.
    pub(crate) fn acknowledged(
        &mut self,
        hosts: &[Host],
        host: u8,
        dots: &[(u8, u64)],
        replicas: u32,
    ) -> Held {
        a_failed_log_says_nothing::reply(host, &hosts[usize::from(host)])?;
        self.acknowledged.take(hosts, host, dots, replicas)
    }

    /// A disk is about to be lost, with all that it had acknowledged.
    pub(crate) fn lost_disk(&mut self, directory: &Directory) {
        self.acknowledged.lost(directory);
    }

    /// A listing of a slot was answered.
    pub(crate) fn listed(&self, host: u8, target: &Host, slot: u8, listed: &[(String, Kind)]) -> Held {
        settled_slots_are_as_the_model_says::check_listing(host, target, slot, listed, &self.model)
    }

    /// The network is whole and everybody up since a while: judges what is left.
    pub(crate) fn at_rest(&self, hosts: &[Host]) -> Held {
        all_end_equal::check(hosts, &self.model)?;
        self.acknowledged.check(hosts, &self.model)
    }

    /// Whether every host serves and is in step with every other.
    pub(crate) fn is_at_rest(hosts: &[Host]) -> bool {
        let lasting = || hosts.iter().filter(|host| !host.is_retired);
        lasting().all(|host| host.phase() == Some(Phase::Serving)) && all_end_equal::are_in_step(hosts)
    }

    pub(crate) fn unreadable(&self, host: u8, detail: &str) -> Violation {
        logs_give_back_what_was_durable::violation(host, detail.to_owned())
    }

    pub(crate) fn lost(&self, host: u8, found: Lsn, durable: Lsn) -> Violation {
        let detail = format!("n{} was durable up to record {durable} and its log ends at {found}", host + 1);
        logs_give_back_what_was_durable::violation(host, detail)
    }

    pub(crate) fn torn(&self, host: u8, first: Lsn, last: Lsn, found: Lsn) -> Violation {
        let detail =
            format!("one write of n{} is records {first} to {last}, and its log ends at {found}", host + 1);
        logs_give_back_what_was_durable::violation(host, detail)
    }

    pub(crate) fn changed_on_disk(&self, host: u8, lsn: Lsn) -> Violation {
        let detail = format!("record {lsn} of n{} is not what it was when it became durable", host + 1);
        logs_give_back_what_was_durable::violation(host, detail)
    }

    /// A record turned up that nobody was promised: it must be one that was appended.
    pub(crate) fn was_submitted(
        &self,
        host: u8,
        lsn: Lsn,
        bytes: &[u8],
        submitted: &[Noted],
        is_unknown_copy: bool,
    ) -> Held {
        logs_give_back_what_was_durable::was_submitted(host, lsn, bytes, submitted, is_unknown_copy)
    }
}

/// The list of an atom as the records of a process say it.
fn list_of(lists: &Lists, slot: u8, atom: Atom) -> Option<&List> {
    lists.get(&(slot, atom)).map(|known| &known.list)
}
