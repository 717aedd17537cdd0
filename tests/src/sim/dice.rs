//! Every choice of the simulator, drawn from one seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A seeded source of choices.
#[derive(Clone, Debug)]
pub(crate) struct Dice(SmallRng);

impl Dice {
    /// Dice of one purpose: those of another draw independently from the same seed.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose))
    }

    /// A number below `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high.max(low))
    }

    /// True so many times in a thousand.
    pub(crate) fn per_mille(&mut self, chances: u64) -> bool {
        chances > 0 && self.below(1000) < chances
    }

    /// One of these; there must be one.
    pub(crate) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len() as u64) as usize]
    }

    /// 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.random()
    }
}
