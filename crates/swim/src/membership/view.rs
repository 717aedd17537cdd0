//! What the host may see.

use std::time::Instant;

use super::Swim;
use crate::counters::Counters;
use crate::member::{Member, MemberId};
use crate::member_list::Slot;
use crate::output::Health;

impl<I: MemberId> Swim<I> {
    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` when nothing is awaited, as after a
    /// departure.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// All members, the local one included, ordered by id.
    pub fn members(&self) -> impl Iterator<Item = &Member<I>> {
        self.members.iter().map(|(_, entry)| &entry.member)
    }

    /// What is known of one member.
    #[must_use]
    pub fn member(&self, id: &I) -> Option<&Member<I>> {
        self.members.member(id)
    }

    /// The local member as the others are told.
    #[must_use]
    pub fn local(&self) -> &Member<I> {
        self.members.local()
    }

    /// When the member's current process was last heard, by a message of its own or through a helper.
    #[must_use]
    pub fn last_heard(&self, id: &I) -> Option<Instant> {
        self.members.entry(id)?.heard
    }

    /// When the member's state last changed here; of the dead and departed, when it did at whoever knew first.
    #[must_use]
    pub fn since(&self, id: &I) -> Option<Instant> {
        Some(self.members.entry(id)?.since)
    }

    /// Who has found a suspect silent, the first one first; empty unless it is suspected.
    #[must_use]
    pub fn accusers(&self, id: &I) -> &[I] {
        let suspicion = self.members.entry(id).and_then(|entry| entry.suspicion.as_ref());
        suspicion.map_or(&[], |suspicion| &suspicion.accusers)
    }

    /// Whether a suspect's time is over and the host is to say whether it is dead; see
    /// [`Event::Unreachable`](crate::Event::Unreachable).
    #[must_use]
    pub fn is_unreachable(&self, id: &I) -> bool {
        self.members.entry(id).is_some_and(|entry| entry.is_unreachable)
    }

    /// How well the local member is.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            awareness: self.awareness.score(),
            lag: self.lag,
            round_trip: self.round_trip.longest(self.config.probe_timeout),
            news_count: self.news.len(),
            broadcasts_count: self.broadcasts.len(),
            is_isolated: self.is_isolated,
        }
    }

    /// Members with equal digests know the same, but for suspicions and what is to be forgotten soon.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.members.digest()
    }

    /// Grows whenever a record changes: equal versions of one process mean an equal view.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.members.version()
    }

    /// What has happened since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// All records, for the host to keep and [`import`](Self::import) after its next start.
    #[must_use]
    pub fn export(&self) -> Vec<Member<I>> {
        self.members().cloned().collect()
    }

    pub(super) fn slot_of_up(&self, id: &I) -> Option<Slot> {
        self.members.slot(id).filter(|slot| *slot != Slot::LOCAL && self.members.at(*slot).member.is_up())
    }
}
