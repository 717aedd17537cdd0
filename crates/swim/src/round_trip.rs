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

    pub(crate) fn measure(&mut self, taken: Duration) {
        self.longest = taken.max(self.longest - self.longest / 16);
    }

    /// Not more than `cap`: beyond that it is members that are slow, not the network.
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
        round_trip.measure(millis(3));
        round_trip.measure(millis(160));
        assert_eq!(round_trip.longest(millis(500)), millis(160));
        assert_eq!(round_trip.longest(millis(50)), millis(50));
        round_trip.measure(millis(3));
        assert_eq!(round_trip.longest(millis(500)), millis(150));
        (0..80).for_each(|_| round_trip.measure(millis(3)));
        assert_eq!(round_trip.longest(millis(500)), millis(3));
    }
}
