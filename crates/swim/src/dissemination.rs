//! The news that is still to be sent: one slot per member, least sent first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Ids of members whose record is news, each with how often it was sent.
///
/// The record itself is read when it is sent, so a slot always carries the newest one, and there are never more
/// slots than members.
#[derive(Debug)]
pub(crate) struct Dissemination<I> {
    slots: BTreeMap<I, (u32, Reverse<u64>)>,
    order: BTreeSet<(u32, Reverse<u64>, I)>,
    pushed: u64,
}

impl<I: Ord + Clone> Dissemination<I> {
    pub(crate) fn new() -> Self {
        Self { slots: BTreeMap::new(), order: BTreeSet::new(), pushed: 0 }
    }

    /// Makes the member's record news, from the first sending on.
    pub(crate) fn push(&mut self, id: I) {
        self.remove(&id);
        self.pushed += 1;
        let age = Reverse(self.pushed);
        self.order.insert((0, age, id.clone()));
        self.slots.insert(id, (0, age));
    }

    /// Notes one sending; after `limit` of them it is no news any more.
    pub(crate) fn on_sent(&mut self, id: &I, limit: u32) {
        let Some((sends, age)) = self.remove(id) else {
            return;
        };
        if sends + 1 < limit {
            self.order.insert((sends + 1, age, id.clone()));
            self.slots.insert(id.clone(), (sends + 1, age));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.order.clear();
    }

    /// What was sent least comes first, and of those the newest.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &I> {
        self.order.iter().map(|(_, _, id)| id)
    }

    pub(crate) fn contains(&self, id: &I) -> bool {
        self.slots.contains_key(id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn remove(&mut self, id: &I) -> Option<(u32, Reverse<u64>)> {
        let (sends, age) = self.slots.remove(id)?;
        self.order.remove(&(sends, age, id.clone()));
        Some((sends, age))
    }
}

/// How often each member sends a piece of news in a cluster of `members_count`: enough for all to hear it with
/// high probability (Das, Gupta, Motivala: SWIM, 2002, section 4.1).
pub(crate) fn retransmits(factor: u32, members_count: usize) -> u32 {
    let digits = (1..).find(|digits| 10_usize.pow(*digits) > members_count).unwrap_or(1);
    factor * digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_least_comes_first_and_of_those_the_newest() {
        let mut news = Dissemination::new();
        news.push("a");
        news.push("b");
        news.push("c");
        news.on_sent(&"c", 3);
        assert_eq!(news.in_order().copied().collect::<Vec<_>>(), ["b", "a", "c"]);
        news.push("c");
        assert_eq!(news.in_order().copied().collect::<Vec<_>>(), ["c", "b", "a"]);
    }

    #[test]
    fn a_piece_of_news_is_sent_so_many_times_and_holds_one_slot() {
        let mut news = Dissemination::new();
        news.push("a");
        news.push("a");
        assert_eq!(news.in_order().count(), 1);
        news.on_sent(&"a", 2);
        assert!(news.contains(&"a"));
        news.on_sent(&"a", 2);
        assert!(news.is_empty());
    }

    #[test]
    fn retransmits_grow_with_the_logarithm_of_the_members() {
        for (members_count, expected) in
            [(1, 4), (2, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12), (1000, 16)]
        {
            assert_eq!(retransmits(4, members_count), expected, "{members_count} members");
        }
    }
}
