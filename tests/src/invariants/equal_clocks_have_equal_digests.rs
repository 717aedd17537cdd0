//! 7: two settled slots with equal clocks have equal digests, whenever and wherever in a history they are seen.

use std::collections::HashMap;
use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};
use trellis_crdt::VersionVector;

use super::Violation;

/// Slot and clock of every settled slot that was ever seen, with its digest and who had it first.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    by_clock: HashMap<(u8, u128), (u128, u8)>,
}

impl Digests {
    /// Takes a settled slot; true if nobody has had this clock before.
    pub(super) fn seen(
        &mut self,
        host: u8,
        slot: u8,
        clock: &VersionVector,
        digest: u128,
    ) -> Result<bool, Violation> {
        let known = self.by_clock.get(&(slot, hash_of(clock))).copied();
        match known {
            None => {
                self.by_clock.insert((slot, hash_of(clock)), (digest, host));
                Ok(true)
            }
            Some((first, _)) if first == digest => Ok(false),
            Some((_, first)) => {
                let detail = format!("slot {slot} of n{} and n{} at clock {clock:?}", first + 1, host + 1);
                Err(violation(vec![first, host], detail))
            }
        }
    }
}

fn hash_of(clock: &VersionVector) -> u128 {
    let mut hasher = SipHasher13::new();
    for (origin, seq) in clock.iter() {
        hasher.write_u64(origin.as_u64());
        hasher.write_u64(seq);
    }
    hasher.finish128().as_u128()
}

pub(super) fn violation(hosts: Vec<u8>, detail: String) -> Violation {
    Violation { invariant: "equal_clocks_have_equal_digests", hosts, detail }
}

#[cfg(test)]
mod tests {
    use trellis_crdt::ReplicaId;

    use super::*;

    #[test]
    fn two_digests_of_one_clock_are_seen() {
        let clock = VersionVector::from_iter([(ReplicaId::from_u64(1), 4)]);
        let mut digests = Digests::default();
        assert_eq!(digests.seen(0, 3, &clock, 1), Ok(true));
        assert_eq!(digests.seen(1, 3, &clock, 1), Ok(false));
        assert_eq!(digests.seen(1, 4, &clock, 2), Ok(true));
        assert!(digests.seen(1, 3, &clock, 2).is_err());
    }
}
