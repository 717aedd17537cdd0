//! SWIM's properties: what a member knows of another only grows, each incarnation says one thing, events come in a legal
//! order, and nobody who lives is called dead without cause.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use trellis_swim::State;

use super::{Held, Violation};
use crate::sim::Micros;
use crate::sim::host::Host;

/// What was seen of the membership.
#[derive(Debug, Default)]
pub(crate) struct Membership {
    /// Observer and member → the greatest record that the observer's process has shown.
    records: BTreeMap<(u8, String), (u64, u64, State)>,
    /// Member, epoch, incarnation → what it said of itself.
    said: BTreeMap<(String, u64, u64), (String, Vec<u8>)>,
    /// Observer and member → whether it was last told to be up.
    is_up: BTreeMap<(u8, String), bool>,
    /// Names that two processes may have borne with one epoch: what they say may differ.
    pub(crate) shared_names: BTreeSet<String>,
    /// Nothing is lost or late in this history: nobody may be suspected.
    pub(crate) is_calm: bool,
    pub(crate) healed_at: Option<Micros>,
}

impl Membership {
    pub(super) fn started(&mut self, host: u8) {
        self.stopped(host);
    }

    pub(super) fn stopped(&mut self, host: u8) {
        self.records.retain(|(observer, _), _| *observer != host);
        self.is_up.retain(|(observer, _), _| *observer != host);
    }

    /// P12: after a timeout was handled the next one is later.
    pub(crate) fn timer_was_handled(&self, host: u8, target: &Host, now: Instant) -> Held {
        let Some(core) = target.core() else { return Ok(()) };
        if core.poll_timeout().is_none_or(|due| due > now) {
            return Ok(());
        }
        let (replication, swim) =
            core.look_at_peers(|replicator, swim| (replicator.poll_timeout(), swim.poll_timeout()));
        let is_due = |timer: Option<Instant>| timer.is_some_and(|due| due <= now);
        let who = match (is_due(replication), is_due(swim)) {
            (true, _) => "replication",
            (false, true) => "membership",
            (false, false) => "the core itself",
        };
        Err(violation(host, format!("n{} handled its timers and {who} is due at once", host + 1)))
    }

    /// P1, P2: looks at every record of an observer.
    pub(crate) fn looked_at(&mut self, host: u8, target: &Host) -> Held {
        let Some(core) = target.core() else { return Ok(()) };
        core.look_at_peers(|_, swim| {
            if swim.local().state != State::Alive && target.process.as_ref().is_some_and(|it| !it.is_leaving)
            {
                return Err(violation(
                    host,
                    format!("n{} takes itself for {:?}", host + 1, swim.local().state),
                ));
            }
            for member in swim.members() {
                let record = (member.epoch, member.incarnation, member.state);
                let known = self.records.get_mut(&(host, member.id.clone()));
                let is_news = known.as_ref().is_none_or(|known| **known != record);
                if !is_news {
                    continue;
                }
                if let Some(known) = &known
                    && record < **known
                {
                    let detail = format!("n{} forgot {known:?} of {} for {record:?}", host + 1, member.id);
                    return Err(violation(host, detail));
                }
                self.records.insert((host, member.id.clone()), record);
                let said = (member.addr.to_string(), member.meta.to_vec());
                let key = (member.id.clone(), member.epoch, member.incarnation);
                let first = self.said.entry(key).or_insert_with(|| said.clone());
                if *first != said && !self.shared_names.contains(&member.id) {
                    let detail = format!("{} says two things at {:?}", member.id, (record.0, record.1));
                    return Err(violation(host, detail));
                }
            }
            Ok(())
        })
    }

    /// P5, P6, P8, P9: a member came up, was suspected, died or left, as an observer tells its operator.
    pub(super) fn told(&mut self, host: u8, (name, state): (&str, &'static str), context: &Context) -> Held {
        let was_up = self.is_up.get(&(host, name.to_owned())).copied();
        let is_legal = match state {
            "alive" | "left" => true,
            _ => was_up == Some(true),
        };
        self.is_up.insert((host, name.to_owned()), matches!(state, "alive" | "suspect"));
        if !is_legal {
            return Err(violation(host, format!("n{} calls {name} {state}, which was not up", host + 1)));
        }
        if self.is_calm && matches!(state, "suspect" | "dead") {
            return Err(violation(host, format!("n{} calls {name} {state} in a calm history", host + 1)));
        }
        if state == "dead" && context.silence.is_some_and(|silence| silence < context.dead_after) {
            let detail =
                format!("n{} calls {name} dead and has heard it {:?} ago", host + 1, context.silence);
            return Err(violation(host, detail));
        }
        if state == "dead" && context.at_hand >= REFUTED_AFTER && !self.shared_names.contains(name) {
            let at_hand = context.at_hand;
            let detail =
                format!("n{} calls {name} dead, which was awake and within reach for {at_hand:?}", host + 1);
            return Err(violation(host, detail));
        }
        let is_late = self.healed_at.is_some_and(|healed| context.now > healed + HEAL_MICROS);
        if is_late && state == "dead" && context.up.contains(name) {
            let detail = format!("n{} calls {name} dead long after all was mended", host + 1);
            return Err(violation(host, detail));
        }
        Ok(())
    }
}

fn violation(host: u8, detail: String) -> Violation {
    Violation { invariant: "membership_is_sound", hosts: vec![host], detail }
}

/// What is so at the moment when a member's state is told.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) now: Micros,
    /// Names of hosts whose process runs and is awake.
    pub(crate) up: BTreeSet<String>,
    /// How long ago the observer heard the member itself.
    pub(crate) silence: Option<Duration>,
    pub(crate) dead_after: Duration,
    /// For how long the member's process has run, awake, while nothing kept anybody from anybody; 0 also where it is
    /// not known to be a member as any other, or the observer is not.
    pub(crate) at_hand: Duration,
}

/// A suspicion from before the healing has run out by then.
const HEAL_MICROS: Micros = 12_000_000;
/// By then a member has heard of any suspicion, of which it is reminded every five seconds, and refuted it. Whoever
/// slept through that waits for as long as it takes to hear it, two probe intervals, before it judges.
const REFUTED_AFTER: Duration = Duration::from_secs(7);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_without_life_before_it_is_seen() {
        let mut membership = Membership::default();
        let mut told = |state| membership.told(0, ("n2", state), &Context::default());
        assert!(told("dead").is_err());
        assert_eq!(told("alive"), Ok(()));
        assert_eq!(told("suspect"), Ok(()));
        assert_eq!(told("dead"), Ok(()));
        assert!(told("suspect").is_err());
    }

    #[test]
    fn a_death_of_one_that_had_time_to_refute_it_is_seen() {
        let context = |seconds| Context { at_hand: Duration::from_secs(seconds), ..Context::default() };
        let mut membership = Membership::default();
        let mut told = |state, at_hand| membership.told(0, ("n2", state), &context(at_hand));
        assert_eq!(told("alive", 9), Ok(()));
        assert_eq!(told("suspect", 9), Ok(()));
        let violation = told("dead", 9).unwrap_err();
        assert!(violation.detail.contains("within reach for 9s"), "{violation:?}");
        assert_eq!(told("alive", 0), Ok(()));
        assert_eq!(told("dead", 6), Ok(()), "the word of it may still be under way");
        membership.shared_names.insert("n2".to_owned());
        assert_eq!(membership.told(0, ("n2", "alive"), &context(9)), Ok(()));
        assert_eq!(membership.told(0, ("n2", "dead"), &context(9)), Ok(()), "it may have been the other one");
    }

    #[test]
    fn a_death_too_soon_after_a_sign_of_life_is_seen() {
        let seconds = Duration::from_secs;
        let context =
            |silence| Context { silence: Some(silence), dead_after: seconds(10), ..Context::default() };
        let mut membership = Membership::default();
        assert_eq!(membership.told(0, ("n2", "alive"), &context(seconds(0))), Ok(()));
        assert!(membership.told(0, ("n2", "dead"), &context(seconds(9))).is_err());
        assert_eq!(membership.told(0, ("n2", "alive"), &context(seconds(0))), Ok(()));
        assert_eq!(membership.told(0, ("n2", "dead"), &context(seconds(10))), Ok(()));
    }
}
