//! Pn-counters of `crdts`.

use std::collections::HashMap;

use crdts::{CmRDT, CvRDT, PNCounter};

use crate::contender::Contender;

/// Merges a counter of so many actors, each of which counted up and down, into one that lacks the last increment and
/// the last decrement of each.
pub fn pn_counter_merge(actors: u64) -> Contender<'static> {
    let mut held = PNCounter::new();
    (1..=actors).for_each(|actor| count_both_ways(&mut held, actor));
    let mut newer = held.clone();
    (1..=actors).for_each(|actor| count_both_ways(&mut newer, actor));
    // Merging takes the other one by value, so each time has its own.
    Contender::on_clones("crdts", (held, newer), |(held, newer)| {
        held.merge(std::mem::take(newer));
    })
}

fn count_both_ways(counter: &mut PNCounter<u64>, actor: u64) {
    counter.apply(counter.inc_many(actor, 5));
    counter.apply(counter.dec(actor));
}

/// Pn-counters by key, as one would keep them with nothing but the crate.
#[derive(Debug, Default)]
pub struct CounterMap {
    counters: HashMap<Box<str>, PNCounter<u64>, foldhash::fast::FixedState>,
}

impl CounterMap {
    /// Returns a map without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds 1 to the counter of `key`, which is made if it is not there.
    pub fn increment(&mut self, key: &str, actor: u64) {
        if let Some(counter) = self.counters.get_mut(key) {
            counter.apply(counter.inc(actor));
        } else {
            let mut counter = PNCounter::new();
            counter.apply(counter.inc(actor));
            self.counters.insert(key.into(), counter);
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Tells whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }
}
