//! The dots that were merged beyond the contiguous prefix of their origin.
//!
//! Invariant: disjoint from what the clock covers, and never more than the limit.

use std::collections::BTreeSet;

use trellis_crdt::{Dot, ReplicaId, VersionVector};

/// A bounded set of dots of one slot, none of them covered by the slot's clock.
#[derive(Debug, Default)]
pub(crate) struct EarlySet {
    dots: BTreeSet<Dot>,
}

impl EarlySet {
    pub(crate) fn insert(&mut self, dot: Dot) {
        self.dots.insert(dot);
    }

    /// Moves the prefix of `origin` in `clock` over the dots that follow it without a gap.
    pub(crate) fn close(&mut self, origin: ReplicaId, clock: &mut VersionVector) {
        while let Some(next) = clock.get(origin).checked_add(1).map(|seq| Dot::new(origin, seq)) {
            if !self.dots.remove(&next) {
                break;
            }
            clock.raise(origin, next.seq);
        }
    }

    /// Forgets what `clock` covers, and moves it over all dots that follow its prefixes without a gap.
    pub(crate) fn settle(&mut self, clock: &mut VersionVector) {
        // Ascending by (actor, seq), so that each dot meets a clock that has taken all before it.
        self.dots.retain(|dot| {
            let is_beyond_a_gap = dot.seq - 1 > clock.get(dot.actor);
            if !is_beyond_a_gap {
                clock.raise(dot.actor, dot.seq);
            }
            is_beyond_a_gap
        });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Dot> + '_ {
        self.dots.iter().copied()
    }

    pub(crate) fn contains(&self, dot: Dot) -> bool {
        self.dots.contains(&dot)
    }

    pub(crate) fn len(&self) -> usize {
        self.dots.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use quickcheck::quickcheck;

    use super::*;

    fn dot(actor: u64, seq: u64) -> Dot {
        Dot::new(ReplicaId::from_u64(actor), seq)
    }

    /// The clock of T19: dots added one by one in any order, against a plain set of dots.
    fn agrees_with_a_set_of_dots(added: &[(u8, u8)]) {
        let (mut clock, mut early, mut model) = (VersionVector::new(), EarlySet::default(), HashSet::new());
        for &(actor, seq) in added {
            let dot = dot(u64::from(actor % 3), u64::from(seq % 24) + 1);
            model.insert((dot.actor, dot.seq));
            if dot.seq > clock.get(dot.actor) {
                early.insert(dot);
                early.close(dot.actor, &mut clock);
            }
            for actor in (0..3).map(ReplicaId::from_u64) {
                let prefix =
                    (1..).find(|seq| !model.contains(&(actor, *seq))).expect("the set is finite") - 1;
                assert_eq!(clock.get(actor), prefix);
                for seq in 1..=25 {
                    let is_early = seq > prefix && model.contains(&(actor, seq));
                    assert_eq!(early.contains(Dot::new(actor, seq)), is_early);
                }
            }
        }
    }

    quickcheck! {
        fn clock_and_early_set_together_are_the_set_of_dots_added(added: Vec<(u8, u8)>) -> bool {
            agrees_with_a_set_of_dots(&added);
            true
        }
    }

    #[test]
    fn a_million_random_dots_leave_the_prefix_of_the_set() {
        let (mut clock, mut early, mut model) = (VersionVector::new(), EarlySet::default(), HashSet::new());
        let actor = ReplicaId::from_u64(7);
        let mut state = 1_u64;
        for _ in 0..1_000_000 {
            // Knuth's MMIX generator: the low bits are poor, the high ones are not.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let dot = Dot::new(actor, clock.get(actor) + 1 + (state >> 61));
            model.insert(dot.seq);
            early.insert(dot);
            early.close(actor, &mut clock);
        }
        let prefix = clock.get(actor);
        assert!((1..=prefix).all(|seq| model.contains(&seq)) && !model.contains(&(prefix + 1)));
        assert_eq!(early.len(), model.iter().filter(|seq| **seq > prefix).count());
    }

    #[test]
    fn an_adopted_clock_prunes_and_closes_every_origin() {
        let mut early = EarlySet::default();
        for early_dot in [dot(1, 3), dot(1, 4), dot(1, 6), dot(2, 2), dot(3, 9), dot(4, u64::MAX)] {
            early.insert(early_dot);
        }
        let mut clock = VersionVector::from_iter([dot(1, 2), dot(2, 5), dot(4, u64::MAX)]);
        early.settle(&mut clock);
        assert_eq!(clock, VersionVector::from_iter([dot(1, 4), dot(2, 5), dot(4, u64::MAX)]));
        assert_eq!(early.dots, BTreeSet::from([dot(1, 6), dot(3, 9)]));
    }
}
