//! All members with what only this process knows of them, and the order in which they are probed.

use std::collections::BTreeMap;
use std::time::Instant;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::member::{Member, MemberId};
use crate::suspicion::Suspicion;

/// The members by id, the local one included.
///
/// `ring` holds exactly the others that are up. A member enters it at a random place and keeps that place, so the
/// members of a cluster probe in unrelated orders, and each of them probes every other once in N - 1 rounds.
#[derive(Debug)]
pub(crate) struct MemberList<I> {
    local: I,
    entries: BTreeMap<I, Entry<I>>,
    ring: Vec<I>,
    next: usize,
}

impl<I: MemberId> MemberList<I> {
    pub(crate) fn new(local: Member<I>, now: Instant) -> Self {
        let id = local.id.clone();
        let entries = BTreeMap::from([(id.clone(), Entry::new(local, now))]);
        Self { local: id, entries, ring: Vec::new(), next: 0 }
    }

    /// Stores a record, the first or a newer one of its id, and keeps the ring in step.
    pub(crate) fn put(&mut self, member: Member<I>, rng: &mut SmallRng, now: Instant) {
        let id = member.id.clone();
        let is_up = member.is_up();
        let was_up = self.entries.get(&id).is_some_and(|entry| entry.member.is_up());
        match self.entries.get_mut(&id) {
            Some(entry) => entry.replace(member, now),
            None => drop(self.entries.insert(id.clone(), Entry::new(member, now))),
        }
        if id == self.local || was_up == is_up {
            return;
        }
        if is_up {
            self.ring.insert(rng.random_range(0..=self.ring.len()), id);
        } else if let Some(place) = self.ring.iter().position(|other| *other == id) {
            self.ring.remove(place);
            if place < self.next {
                self.next -= 1;
            }
        }
    }

    /// The next member in turn that `is_free`.
    pub(crate) fn next_in_turn(&mut self, is_free: impl Fn(&I) -> bool) -> Option<I> {
        for _ in 0..self.ring.len() {
            let place = self.next % self.ring.len();
            self.next = place + 1;
            if is_free(&self.ring[place]) {
                return Some(self.ring[place].clone());
            }
        }
        None
    }

    pub(crate) fn entry_mut(&mut self, id: &I) -> Option<&mut Entry<I>> {
        self.entries.get_mut(id)
    }

    pub(crate) fn local_mut(&mut self) -> &mut Member<I> {
        let entry =
            self.entries.get_mut(&self.local).expect("the list holds the local member from its creation on");
        &mut entry.member
    }

    pub(crate) fn local(&self) -> &Member<I> {
        &self.entries.get(&self.local).expect("the list holds the local member from its creation on").member
    }

    pub(crate) fn entry(&self, id: &I) -> Option<&Entry<I>> {
        self.entries.get(id)
    }

    pub(crate) fn member(&self, id: &I) -> Option<&Member<I>> {
        self.entries.get(id).map(|entry| &entry.member)
    }

    pub(crate) fn is_up(&self, id: &I) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.member.is_up())
    }

    /// All records, ordered by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member<I>> {
        self.entries.values().map(|entry| &entry.member)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many others are up.
    pub(crate) fn peers_up_count(&self) -> usize {
        self.ring.len()
    }

    /// At most `count` distinct others that are up and not `except`, at random. Linear in the members.
    pub(crate) fn sample(&self, count: usize, except: Option<&I>, rng: &mut SmallRng) -> Vec<I> {
        let mut candidates: Vec<&I> = self.ring.iter().filter(|id| Some(*id) != except).collect();
        let count = count.min(candidates.len());
        for place in 0..count {
            let other = rng.random_range(place..candidates.len());
            candidates.swap(place, other);
        }
        candidates.into_iter().take(count).cloned().collect()
    }
}

/// A record and what this process alone knows of its member.
#[derive(Debug)]
pub(crate) struct Entry<I> {
    pub(crate) member: Member<I>,
    /// When the state last changed here.
    pub(crate) since: Instant,
    /// When the member's process of the recorded epoch last spoke to this one or answered a ping relayed for it.
    pub(crate) heard: Option<Instant>,
    /// When an exchange with it was last begun at its wish.
    pub(crate) exchanged: Option<Instant>,
    /// While it is suspected.
    pub(crate) suspicion: Option<Suspicion>,
    /// When this process of it became known as up.
    up_since: Instant,
}

impl<I: MemberId> Entry<I> {
    fn new(member: Member<I>, now: Instant) -> Self {
        Self { member, since: now, heard: None, exchanged: None, suspicion: None, up_since: now }
    }

    fn replace(&mut self, member: Member<I>, now: Instant) {
        if member.is_up() && (!self.member.is_up() || member.epoch != self.member.epoch) {
            self.up_since = now;
            self.heard = None;
        }
        if member.state != self.member.state || member.epoch != self.member.epoch {
            self.since = now;
        }
        self.member = member;
    }

    /// The newest evidence of life that this process holds or was told of. A member that nobody has heard counts
    /// as heard when it became known.
    pub(crate) fn evidence(&self) -> Instant {
        let told = self.suspicion.as_ref().and_then(|suspicion| suspicion.evidence_told);
        self.heard.max(told).unwrap_or(self.up_since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::State;
    use rand::SeedableRng;
    use std::collections::BTreeSet;

    #[test]
    fn every_member_that_is_up_has_its_turn_once_per_round() {
        let now = Instant::now();
        let mut rng = SmallRng::seed_from_u64(1);
        let mut list = MemberList::new(record("me", State::Alive), now);
        for id in ["a", "b", "c", "d"] {
            list.put(record(id, State::Alive), &mut rng, now);
        }
        list.put(record("d", State::Dead), &mut rng, now);
        for _ in 0..3 {
            let round: BTreeSet<_> = (0..3).filter_map(|_| list.next_in_turn(|_| true)).collect();
            assert_eq!(round, BTreeSet::from(["a", "b", "c"].map(str::to_owned)));
        }
        assert_eq!(list.next_in_turn(|id| id == "b"), Some("b".to_owned()));
        assert_eq!(list.next_in_turn(|_| false), None);
    }

    #[test]
    fn a_sample_is_of_distinct_members_that_are_up() {
        let now = Instant::now();
        let mut rng = SmallRng::seed_from_u64(2);
        let mut list = MemberList::new(record("me", State::Alive), now);
        for (id, state) in
            [("a", State::Alive), ("b", State::Suspect), ("c", State::Dead), ("d", State::Left)]
        {
            list.put(record(id, state), &mut rng, now);
        }
        let mut sample = list.sample(5, None, &mut rng);
        sample.sort();
        assert_eq!(sample, ["a", "b"]);
        assert_eq!(list.sample(5, Some(&"a".to_owned()), &mut rng), ["b"]);
    }

    fn record(id: &str, state: State) -> Member<String> {
        Member { id: id.to_owned(), epoch: 1, incarnation: 0, state, addr: String::new(), meta: Vec::new() }
    }
}
