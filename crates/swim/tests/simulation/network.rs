//! What becomes of a message on its way.

use std::collections::BTreeSet;
use std::ops::Range;

use rand::Rng;
use rand::rngs::SmallRng;

/// The weather; moments are in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// The probability that a message is lost.
    pub(crate) loss: f64,
    /// The probability that it arrives twice.
    pub(crate) repeats: f64,
    /// How long it takes. A wide range makes messages overtake each other.
    pub(crate) delay: Range<u64>,
    /// Whether a process that is down refuses at once; otherwise it is silent.
    pub(crate) refuses: bool,
    /// From whom nothing goes to whom.
    cut: BTreeSet<(usize, usize)>,
    /// Members of different sides do not reach each other.
    sides: Option<usize>,
}

impl Network {
    pub(crate) fn calm() -> Self {
        Self { loss: 0.0, repeats: 0.0, delay: 500..1500, refuses: false, cut: BTreeSet::new(), sides: None }
    }

    /// From here on nothing goes from one to the other.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// Cuts the members below `index` from the others.
    pub(crate) fn split_at(&mut self, index: usize) {
        self.sides = Some(index);
    }

    /// Mends all cuts, and nothing else.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        self.sides = None;
    }

    /// How long each copy of a message takes; none for one that is lost.
    ///
    /// What is sent reliably is repeated by the transport: each loss costs a while, and only a cut is for good.
    pub(crate) fn carry(
        &self,
        from: usize,
        to: usize,
        is_reliable: bool,
        rng: &mut SmallRng,
    ) -> [Option<u64>; 2] {
        let is_apart = self.sides.is_some_and(|middle| (from < middle) != (to < middle));
        if is_apart || self.cut.contains(&(from, to)) {
            return [None; 2];
        }
        let mut delay = rng.random_range(self.delay.clone());
        if self.loss > 0.0 {
            while rng.random_bool(self.loss) {
                if !is_reliable {
                    return [None; 2];
                }
                delay += REPEATED_AFTER;
            }
        }
        let again = self.repeats > 0.0 && rng.random_bool(self.repeats);
        [Some(delay), again.then(|| rng.random_range(self.delay.clone()))]
    }
}

const REPEATED_AFTER: u64 = 200_000;
