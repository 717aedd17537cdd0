//! What is to happen, in its order.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Events by their moment, in microseconds; of what happens at one moment, what was entered first comes first.
pub(crate) struct Agenda<W> {
    items: BinaryHeap<Reverse<Item<W>>>,
    entered: u64,
}

impl<W> Agenda<W> {
    pub(crate) fn new() -> Self {
        Self { items: BinaryHeap::new(), entered: 0 }
    }

    pub(crate) fn enter(&mut self, at: u64, what: W) {
        self.entered += 1;
        self.items.push(Reverse(Item { at, order: self.entered, what }));
    }

    /// Takes what is next, unless that is later than `end`.
    pub(crate) fn next_until(&mut self, end: u64) -> Option<(u64, W)> {
        self.items.peek().filter(|Reverse(item)| item.at <= end)?;
        self.items.pop().map(|Reverse(item)| (item.at, item.what))
    }
}

struct Item<W> {
    at: u64,
    order: u64,
    what: W,
}

impl<W> PartialEq for Item<W> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<W> Eq for Item<W> {}

impl<W> PartialOrd for Item<W> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<W> Ord for Item<W> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
