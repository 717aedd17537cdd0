//! All members with what only this process knows of them, the order in which they are probed, and their digest.

mod entry;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use rand::Rng;
use rand::rngs::SmallRng;

pub(crate) use self::entry::{Entry, Rank, content_hash};
use crate::fault;
use crate::member::{Member, MemberId, State};

/// Where a member is kept while it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u32);

impl Slot {
    /// The local member's.
    pub(crate) const LOCAL: Self = Self(0);

    pub(crate) fn new(index: usize) -> Self {
        Self(index as u32)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The members, the local one included.
///
/// `ring` and `circle` hold exactly the others that are up and within reach. A member enters the ring at a random place,
/// and its order is drawn anew after each round, so the members of a cluster probe in unrelated orders, each every other
/// once in N - 1 turns. The order of the circle, by a hash of the id, is the same at all members, so each has a
/// predecessor.
///
/// The digest of a bucket is the sum, without carry, of a hash of each record in it, so it changes in constant
/// time and depends on no order. Suspicions are no part of it; neither is what is to be forgotten soon, since
/// members forget at different moments.
#[derive(Debug)]
pub(crate) struct MemberList<I> {
    slots: Vec<Option<Entry<I>>>,
    free: Vec<Slot>,
    by_id: HashMap<I, Slot>,
    /// For what goes through all of them in order, by pages or at the host's wish.
    ordered: BTreeMap<I, Slot>,
    ring: Vec<Slot>,
    next: usize,
    circle: BTreeSet<(u64, Slot)>,
    /// The others that are not in the ring.
    gone: Vec<Slot>,
    /// The first of them to be let go of, while that is known.
    least: Option<Slot>,
    buckets: [u64; BUCKETS],
    version: u64,
}

impl<I: MemberId> MemberList<I> {
    pub(crate) fn new(local: Member<I>, now: Instant) -> Self {
        let mut list = Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            ordered: BTreeMap::new(),
            ring: Vec::new(),
            next: 0,
            circle: BTreeSet::new(),
            gone: Vec::new(),
            least: None,
            buckets: [0; BUCKETS],
            version: 0,
        };
        list.insert(local, now);
        list
    }

    /// Stores the first record of an id; it is in no ring yet.
    fn insert(&mut self, member: Member<I>, now: Instant) -> Slot {
        let slot = self.free.pop().unwrap_or(Slot::new(self.slots.len()));
        if slot.index() == self.slots.len() {
            self.slots.push(None);
        }
        self.by_id.insert(member.id.clone(), slot);
        self.ordered.insert(member.id.clone(), slot);
        let entry = Entry::new(member, now);
        self.buckets[entry.bucket()] ^= entry.hash();
        self.slots[slot.index()] = Some(entry);
        self.version += 1;
        slot
    }

    /// Stores a record, the first or a newer one of its id, and keeps ring and digest in step.
    pub(crate) fn put(&mut self, member: Member<I>, rng: &mut SmallRng, now: Instant) -> Slot {
        let is_reachable = member.is_up();
        let known = self.by_id.get(&member.id).copied();
        let (slot, was_reachable) = match known {
            Some(slot) => {
                let was_reachable = self.at(slot).is_reachable();
                self.change(slot, |entry| entry.replace(member, now));
                (slot, was_reachable)
            }
            None => (self.insert(member, now), false),
        };
        if slot == Slot::LOCAL {
            return slot;
        } else if !(was_reachable && is_reachable) {
            self.least = None;
        }
        match (known.is_some() && !was_reachable, !is_reachable) {
            (false, true) => self.gone.push(slot),
            (true, false) => self.gone.retain(|other| *other != slot),
            _ => {}
        }
        if was_reachable == is_reachable {
            return slot;
        } else if is_reachable {
            self.circle.insert((self.at(slot).id_hash, slot));
            let last = if fault::is_off("the turn is random") { 0 } else { self.ring.len() };
            self.ring.insert(rng.random_range(0..=last), slot);
        } else {
            self.take_out_of_ring(slot);
        }
        slot
    }

    fn take_out_of_ring(&mut self, slot: Slot) {
        self.circle.remove(&(self.at(slot).id_hash, slot));
        if let Some(place) = self.ring.iter().position(|other| *other == slot) {
            self.ring.remove(place);
            if place < self.next {
                self.next -= 1;
            }
        }
    }

    /// Counts a member that is up among those out of reach, until its record changes.
    pub(crate) fn set_unreachable(&mut self, slot: Slot) {
        self.take_out_of_ring(slot);
        self.gone.push(slot);
        self.at_mut(slot).is_unreachable = true;
    }

    /// Forgets a member that is not up.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let Some(entry) = self.slots[slot.index()].take() else {
            return;
        };
        self.buckets[entry.bucket()] ^= entry.hash();
        self.by_id.remove(&entry.member.id);
        self.ordered.remove(&entry.member.id);
        self.gone.retain(|other| *other != slot);
        self.least = None;
        self.free.push(slot);
        self.version += 1;
    }

    /// Takes a member that is to be forgotten out of the digest.
    pub(crate) fn retire(&mut self, slot: Slot) {
        self.least = None;
        self.change(slot, |entry| entry.is_retired = true);
    }

    /// Changes the local record.
    pub(crate) fn change_local(&mut self, change: impl FnOnce(&mut Member<I>)) {
        self.change(Slot::LOCAL, |entry| {
            change(&mut entry.member);
            entry.content_hash = content_hash(&entry.member.addr, &entry.member.meta);
        });
    }

    fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Entry<I>)) {
        let entry = self.slots[slot.index()].as_mut().expect(HELD);
        let before = entry.hash();
        change(entry);
        self.buckets[entry.bucket()] ^= before ^ entry.hash();
        self.version += 1;
    }

    /// The next member in turn that `is_free`.
    pub(crate) fn next_in_turn(
        &mut self,
        rng: &mut SmallRng,
        is_free: impl Fn(Slot) -> bool,
    ) -> Option<Slot> {
        for _ in 0..self.ring.len() {
            if self.next >= self.ring.len() {
                self.next = 0;
                self.shuffle(rng);
            }
            let slot = self.ring[self.next];
            self.next += 1;
            if is_free(slot) {
                return Some(slot);
            }
        }
        None
    }

    /// The next member on the circle that is alive, not suspected, and `is_free`. In constant time while few are
    /// suspected.
    pub(crate) fn successor(&self, is_free: impl Fn(Slot) -> bool) -> Option<Slot> {
        let own = (self.at(Slot::LOCAL).id_hash, Slot::LOCAL);
        let onwards = self.circle.range(own..).chain(self.circle.range(..own)).map(|(_, slot)| *slot);
        onwards.into_iter().find(|slot| self.at(*slot).member.state == State::Alive && is_free(*slot))
    }

    /// Whether the local member is among the `count` nearest that are alive before `slot` on the circle.
    pub(crate) fn is_predecessor(&self, slot: Slot, count: usize) -> bool {
        let [own, target] = [Slot::LOCAL, slot].map(|slot| (self.at(slot).id_hash, slot));
        let (straight, around) = match own < target {
            true => (self.circle.range(own..target), None),
            false => (self.circle.range(own..), Some(self.circle.range(..target))),
        };
        let between = straight.chain(around.into_iter().flatten());
        let alive = between.filter(|(_, slot)| self.at(*slot).member.state == State::Alive);
        alive.take(count).count() < count
    }

    fn shuffle(&mut self, rng: &mut SmallRng) {
        if fault::is_off("the turn is random") {
            return;
        }
        for place in (1..self.ring.len()).rev() {
            self.ring.swap(place, rng.random_range(0..=place));
        }
    }

    pub(crate) fn slot(&self, id: &I) -> Option<Slot> {
        self.by_id.get(id).copied()
    }

    /// The entry of a slot that is in use.
    pub(crate) fn at(&self, slot: Slot) -> &Entry<I> {
        self.slots[slot.index()].as_ref().expect(HELD)
    }

    /// Whether the slot is in use.
    #[cfg(test)]
    pub(crate) fn is_held(&self, slot: Slot) -> bool {
        self.slots.get(slot.index()).is_some_and(Option::is_some)
    }

    /// What is no part of the record may be changed here; records change by [`put`](Self::put).
    pub(crate) fn at_mut(&mut self, slot: Slot) -> &mut Entry<I> {
        self.slots[slot.index()].as_mut().expect(HELD)
    }

    pub(crate) fn local(&self) -> &Member<I> {
        &self.at(Slot::LOCAL).member
    }

    pub(crate) fn entry(&self, id: &I) -> Option<&Entry<I>> {
        self.slot(id).map(|slot| self.at(slot))
    }

    pub(crate) fn member(&self, id: &I) -> Option<&Member<I>> {
        self.entry(id).map(|entry| &entry.member)
    }

    pub(crate) fn is_reachable(&self, id: &I) -> bool {
        self.entry(id).is_some_and(Entry::is_reachable)
    }

    /// All entries, ordered by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Entry<I>)> {
        self.ordered.values().map(|slot| (*slot, self.at(*slot)))
    }

    /// Entries with a greater id, ordered by id.
    pub(crate) fn after<'a>(&'a self, id: Option<&I>) -> impl Iterator<Item = &'a Entry<I>> + use<'a, I> {
        let bound = id.map_or(std::ops::Bound::Unbounded, |id| std::ops::Bound::Excluded(id.clone()));
        self.ordered.range((bound, std::ops::Bound::Unbounded)).map(|(_, slot)| self.at(*slot))
    }

    /// The others that are dead, have left, or are up and out of reach, in no order.
    pub(crate) fn gone(&self) -> impl Iterator<Item = (Slot, &Entry<I>)> {
        self.gone.iter().map(|slot| (*slot, self.at(*slot)))
    }

    /// The dead or departed member of the least rank: linear in them, and constant while none of them changes.
    pub(crate) fn least_gone(&mut self) -> Option<Slot> {
        if self.least.is_none() {
            let gone = self.gone().filter(|(_, entry)| !entry.member.is_up());
            self.least = gone.min_by(|(_, a), (_, b)| a.rank().cmp(&b.rank())).map(|(slot, _)| slot);
        }
        self.least
    }

    pub(crate) fn suspects(&self) -> Vec<Slot> {
        self.iter().filter(|(_, entry)| entry.suspicion.is_some()).map(|(slot, _)| slot).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many others are up and within reach.
    pub(crate) fn peers_up_count(&self) -> usize {
        self.ring.len()
    }

    /// At most `count` distinct others that are up and within reach and not `except`, at random, in constant time
    /// per member.
    pub(crate) fn sample(&self, count: usize, except: Option<Slot>, rng: &mut SmallRng) -> Vec<Slot> {
        let count = count.min(self.ring.len());
        let mut picked = Vec::with_capacity(count);
        if self.ring.len() > 3 * count {
            while picked.len() < count {
                let slot = self.ring[rng.random_range(0..self.ring.len())];
                if Some(slot) != except && !picked.contains(&slot) {
                    picked.push(slot);
                }
            }
            return picked;
        }
        picked.extend(self.ring.iter().filter(|slot| Some(**slot) != except));
        for place in 0..count.min(picked.len()) {
            let other = rng.random_range(place..picked.len());
            picked.swap(place, other);
        }
        picked.truncate(count);
        picked
    }

    pub(crate) fn buckets(&self) -> &[u64; BUCKETS] {
        &self.buckets
    }

    pub(crate) fn digest(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, bucket| sum ^ bucket)
    }

    /// Grows with every change of a record.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }
}

/// Parts of the state that are compared separately, so that an exchange is of what differs.
pub(crate) const BUCKETS: usize = 16;
const HELD: &str = "what refers to a slot is dropped when its member is forgotten";

#[cfg(test)]
mod tests;
