//! How far this node's wall clock is from its peers'.

use std::collections::BTreeMap;
use std::time::Duration;

/// The newest offset measured to each peer, of members that are up.
#[derive(Debug)]
pub(crate) struct Skew {
    max: Duration,
    /// Peer → its wall clock minus this one's, in milliseconds.
    offsets: BTreeMap<String, i64>,
}

impl Skew {
    pub(super) fn new(max: Duration) -> Self {
        Self { max, offsets: BTreeMap::new() }
    }

    /// Takes the wall clock of a peer as read between `sent` and `received` here.
    pub(super) fn measure(&mut self, peer: &str, theirs: u64, sent: u64, received: u64) {
        let middle = sent.midpoint(received);
        let offset = i128::from(theirs) - i128::from(middle);
        let offset = offset.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        self.offsets.insert(peer.to_owned(), i64::try_from(offset).unwrap_or(i64::MAX));
    }

    pub(super) fn forget(&mut self, peer: &str) {
        self.offsets.remove(peer);
    }

    /// Counts the peers that were measured.
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Milliseconds by which this clock is ahead of the median of all clocks, its own included.
    pub(super) fn ahead_millis(&self) -> i64 {
        let mut offsets: Vec<i64> = self.offsets.values().copied().chain([0]).collect();
        offsets.sort_unstable();
        let (lower, upper) = (offsets[(offsets.len() - 1) / 2], offsets[offsets.len() / 2]);
        lower.midpoint(upper).saturating_neg()
    }

    /// With three clocks or more a majority can be believed against this one.
    pub(super) fn is_beyond(&self) -> bool {
        self.offsets.len() >= 2 && u128::from(self.ahead_millis().unsigned_abs()) > self.max.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skew(offsets: &[i64]) -> Skew {
        let mut skew = Skew::new(Duration::from_millis(500));
        for (index, offset) in offsets.iter().enumerate() {
            skew.measure(&index.to_string(), (10_000 + offset) as u64, 9_990, 10_010);
        }
        skew
    }

    #[test]
    fn a_clock_is_judged_by_the_median_of_all() {
        assert!(!skew(&[900, 10]).is_beyond());
        assert!(skew(&[900, 910]).is_beyond());
        assert_eq!(skew(&[900, 910]).ahead_millis(), -900);
        assert!(!skew(&[-900, 900]).is_beyond());
        assert!(skew(&[-901, -902, -900]).is_beyond());
    }

    #[test]
    fn two_clocks_alone_do_not_judge_each_other() {
        assert!(!skew(&[90_000]).is_beyond());
    }
}
