//! The news that is still to be sent: one slot per member, least sent first.

use crate::member_list::Slot;

/// Members whose record is news, in tiers by how often it was sent.
///
/// The record itself is read when it is sent, so each carries what is newest, and there are never more than
/// members. Every operation takes constant time, on average over many: what is superseded stays in its tier until
/// it is met, or until half of all is so.
#[derive(Debug)]
pub(crate) struct Dissemination {
    tiers: Vec<Vec<(Slot, u64)>>,
    /// By slot: the stamp of the entry that counts, 0 for none.
    valid: Vec<u64>,
    len: usize,
    entries_count: usize,
    pushed: u64,
}

/// A piece of news that was taken out to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) slot: Slot,
    stamp: u64,
    sends: usize,
}

impl Dissemination {
    pub(crate) fn new() -> Self {
        Self { tiers: Vec::new(), valid: Vec::new(), len: 0, entries_count: 0, pushed: 0 }
    }

    /// Makes the member's record news, from the first sending on.
    pub(crate) fn push(&mut self, slot: Slot) {
        if self.valid.len() <= slot.index() {
            self.valid.resize(slot.index() + 1, 0);
        }
        if self.entries_count > 2 * self.len + 64 {
            self.compact();
        }
        self.pushed += 1;
        self.len += usize::from(self.valid[slot.index()] == 0);
        self.valid[slot.index()] = self.pushed;
        self.put(Item { slot, stamp: self.pushed, sends: 0 });
    }

    /// Takes what was sent least, and of that the newest. It goes back by [`put_back`](Self::put_back) or
    /// [`on_sent`](Self::on_sent).
    pub(crate) fn pop(&mut self) -> Option<Item> {
        for sends in 0..self.tiers.len() {
            while let Some((slot, stamp)) = self.tiers[sends].pop() {
                self.entries_count -= 1;
                if self.valid[slot.index()] == stamp {
                    return Some(Item { slot, stamp, sends });
                }
            }
        }
        None
    }

    pub(crate) fn put_back(&mut self, item: Item) {
        self.put(item);
    }

    /// Notes one sending; after `limit` of them it is no news any more.
    pub(crate) fn on_sent(&mut self, item: Item, limit: usize) {
        if item.sends + 1 < limit {
            self.put(Item { sends: item.sends + 1, ..item });
        } else {
            self.remove(item.slot);
        }
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        if let Some(stamp) = self.valid.get_mut(slot.index()) {
            self.len -= usize::from(*stamp != 0);
            *stamp = 0;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.tiers.iter_mut().for_each(Vec::clear);
        self.valid.fill(0);
        (self.len, self.entries_count) = (0, 0);
    }

    pub(crate) fn contains(&self, slot: Slot) -> bool {
        self.valid.get(slot.index()).is_some_and(|stamp| *stamp != 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn put(&mut self, item: Item) {
        if self.tiers.len() <= item.sends {
            self.tiers.resize(item.sends + 1, Vec::new());
        }
        self.tiers[item.sends].push((item.slot, item.stamp));
        self.entries_count += 1;
    }

    fn compact(&mut self) {
        for tier in &mut self.tiers {
            tier.retain(|(slot, stamp)| self.valid[slot.index()] == *stamp);
        }
        self.entries_count = self.tiers.iter().map(Vec::len).sum();
    }
}

/// How often each member sends a piece of news in a cluster of `members_count`: enough for all to hear it with
/// high probability (Das, Gupta, Motivala: SWIM, 2002, section 4.1).
pub(crate) fn retransmits(factor: u32, members_count: usize) -> usize {
    let digits = (1..).find(|digits| 10_usize.pow(*digits) > members_count).unwrap_or(1);
    (factor * digits) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_least_comes_first_and_of_those_the_newest() {
        let [a, b, c] = [1, 2, 3].map(Slot::new);
        let mut news = Dissemination::new();
        for slot in [a, b, c] {
            news.push(slot);
        }
        let newest = news.pop().unwrap();
        assert_eq!(newest.slot, c);
        news.on_sent(newest, 3);
        assert_eq!(all_of(&mut news), [b, a, c]);
        news.push(c);
        assert_eq!(all_of(&mut news), [c, b, a]);
    }

    #[test]
    fn a_piece_of_news_is_sent_so_many_times_and_holds_one_slot() {
        let a = Slot::new(1);
        let mut news = Dissemination::new();
        news.push(a);
        news.push(a);
        assert_eq!((all_of(&mut news), news.len()), (vec![a], 1));
        let item = news.pop().unwrap();
        news.on_sent(item, 2);
        assert!(news.contains(a));
        let item = news.pop().unwrap();
        news.on_sent(item, 2);
        assert!(news.is_empty() && !news.contains(a) && news.pop().is_none());
    }

    #[test]
    fn what_is_superseded_does_not_pile_up() {
        let mut news = Dissemination::new();
        for _ in 0..10_000 {
            news.push(Slot::new(5));
        }
        assert!(news.entries_count <= 70, "{} entries", news.entries_count);
        assert_eq!(all_of(&mut news), [Slot::new(5)]);
    }

    #[test]
    fn retransmits_grow_with_the_logarithm_of_the_members() {
        for (members_count, expected) in
            [(1, 4), (2, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12), (1000, 16)]
        {
            assert_eq!(retransmits(4, members_count), expected, "{members_count} members");
        }
    }

    fn all_of(news: &mut Dissemination) -> Vec<Slot> {
        let items: Vec<_> = std::iter::from_fn(|| news.pop()).collect();
        items.iter().rev().for_each(|item| news.put_back(*item));
        items.iter().map(|item| item.slot).collect()
    }
}
