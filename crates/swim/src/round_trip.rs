//! How long a message and its answer take, as measured on the own ones.

use std::time::Duration;

/// The longest of late: a longer one counts at once, and what is not seen again fades within some dozens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoundTrip {
    longest: Duration,
}

impl RoundTrip {
    pub(crate) fn new() -> Self {
        Self { longest: Duration::ZERO }
    }

    /// What is beyond `cap` counts as that: it is members that are slow, or this one that slept, not the network, and
    /// it would take all the longer to fade.
    pub(crate) fn measure(&mut self, taken: Duration, cap: Duration) {
        self.longest = taken.min(cap).max(self.longest - self.longest / 16);
    }

    /// Not more than `cap`, which may be less than it was.
    pub(crate) fn longest(self, cap: Duration) -> Duration {
        self.longest.min(cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_counts_at_once_and_fades() {
        let millis = Duration::from_millis;
        let mut round_trip = RoundTrip::new();
        let measure = |round_trip: &mut RoundTrip, taken| round_trip.measure(millis(taken), millis(500));
        measure(&mut round_trip, 3);
        measure(&mut round_trip, 160);
        assert_eq!(round_trip.longest(millis(500)), millis(160));
        assert_eq!(round_trip.longest(millis(50)), millis(50));
        measure(&mut round_trip, 3);
        assert_eq!(round_trip.longest(millis(500)), millis(150));
        (0..80).for_each(|_| measure(&mut round_trip, 3));
        assert_eq!(round_trip.longest(millis(500)), millis(3));
    }
}
