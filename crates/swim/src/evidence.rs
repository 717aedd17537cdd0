//! Signs of life of a suspect that others tell of.
//!
//! Ages travel as durations, so a sign looks younger by the time that each message takes. Were it told back and forth
//! without a name, each side would take the other's word for a fresher sign, without end. So it is named by who had
//! it, and by that one's own clock, which is compared with nothing but itself; of what is told of one sign, the
//! greatest age is the truest.

use std::time::Instant;

use crate::fault;

/// Names a sign of life wherever it is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignId<I> {
    /// Who had it.
    pub(crate) witness: I,
    /// When, in milliseconds since the witness's process started, plus its epoch.
    pub(crate) stamp: u64,
}

impl<I> SignId<I> {
    pub(crate) fn as_ref(&self) -> SignId<&I> {
        SignId { witness: &self.witness, stamp: self.stamp }
    }
}

/// A sign of life that was told of, and when it was, as far as is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sign<I> {
    pub(crate) id: SignId<I>,
    pub(crate) at: Instant,
}

/// The newest sign of each witness, of at most [`WITNESSES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signs<I> {
    told: Vec<Sign<I>>,
}

impl<I: PartialEq> Signs<I> {
    pub(crate) fn new() -> Self {
        Self { told: Vec::new() }
    }

    pub(crate) fn hear(&mut self, sign: Sign<I>) {
        let Some(known) = self.told.iter_mut().find(|known| known.id.witness == sign.id.witness) else {
            self.told.push(sign);
            if self.told.len() > WITNESSES_MAX {
                let oldest = self.told.iter().enumerate().min_by_key(|(_, sign)| sign.at);
                let place = oldest.map_or(0, |(place, _)| place);
                self.told.swap_remove(place);
            }
            return;
        };
        if fault::is_off("a sign of life has a name") {
            known.at = known.at.max(sign.at);
        } else if sign.id.stamp > known.id.stamp {
            *known = sign;
        } else if sign.id.stamp == known.id.stamp {
            known.at = known.at.min(sign.at);
        }
    }

    pub(crate) fn newest(&self) -> Option<&Sign<I>> {
        self.told.iter().max_by_key(|sign| sign.at)
    }
}

/// So many witnesses have a sign within the time that news of one takes to get around, but in very noisy clusters.
const WITNESSES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn of_one_sign_the_greatest_age_counts_and_of_one_witness_the_newest_sign() {
        let at = moments();
        let mut signs = Signs::new();
        for (witness, stamp, second) in [("a", 7, 20), ("a", 7, 21), ("a", 7, 19), ("b", 1, 18), ("a", 6, 30)]
        {
            signs.hear(Sign { id: SignId { witness, stamp }, at: at(second) });
        }
        assert_eq!(signs.newest(), Some(&Sign { id: SignId { witness: "a", stamp: 7 }, at: at(19) }));
        signs.hear(Sign { id: SignId { witness: "a", stamp: 8 }, at: at(17) });
        assert_eq!(
            signs.newest().map(|sign| sign.at),
            Some(at(18)),
            "the newer one is older than it had seemed"
        );
    }

    #[test]
    fn of_too_many_witnesses_the_one_with_the_oldest_sign_is_let_go() {
        let at = moments();
        let mut signs = Signs::new();
        for witness in [3, 1, 9, 4, 2, 8] {
            signs.hear(Sign { id: SignId { witness, stamp: 0 }, at: at(witness) });
        }
        let mut kept: Vec<_> = signs.told.iter().map(|sign| sign.id.witness).collect();
        kept.sort_unstable();
        assert_eq!(kept, [3, 4, 8, 9]);
    }

    fn moments() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |seconds| start + Duration::from_secs(seconds)
    }
}
