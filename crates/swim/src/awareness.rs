//! How well this member itself is, as far as it can tell (Dadgar, Phillips, Currey: Lifeguard, 2018, section IV-A).

use std::time::Duration;

/// A score from 0, which is healthy, to a maximum: each point makes the own probes slower and more patient by one
/// more interval, since whoever is slow itself finds others slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Awareness {
    score: u32,
}

impl Awareness {
    pub(crate) fn new() -> Self {
        Self { score: 0 }
    }

    pub(crate) fn worsen(&mut self, max: u32) {
        self.score = (self.score + 1).min(max);
    }

    pub(crate) fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    pub(crate) fn score(self) -> u32 {
        self.score
    }

    pub(crate) fn scale(self, span: Duration) -> Duration {
        span * (self.score + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_stays_within_its_bounds_and_scales_every_span() {
        let mut awareness = Awareness::new();
        awareness.improve();
        assert_eq!(awareness.scale(Duration::from_secs(1)), Duration::from_secs(1));
        for _ in 0..5 {
            awareness.worsen(3);
        }
        assert_eq!((awareness.score(), awareness.scale(Duration::from_secs(2))), (3, Duration::from_secs(8)));
        awareness.improve();
        assert_eq!(awareness.score(), 2);
    }
}
