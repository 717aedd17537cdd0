//! A kind of one's own that passes the laws: when each of several watchers last saw something, until it is forgotten.
//!
//! A dot store with its context does the work: what hangs on a dot, here a time, is replaced by whoever saw it.

use trellis_crdt::laws::{self, Lawful};
use trellis_crdt::{Causal, Dot, DotFun, Hlc, ReplicaId, delegate_crdt};

#[derive(Clone, Debug, Default, PartialEq)]
struct LastSeen(Causal<DotFun<ReplicaId, Hlc>>);
delegate_crdt!(LastSeen, ReplicaId);

impl LastSeen {
    fn seen(&mut self, dot: Dot, time: Hlc) -> Self {
        // What is replaced must not be later than what is put in its place.
        Self(self.0.replace(dot, DotFun::one(dot, self.time().map_or(time, |held| held.max(time)))))
    }

    fn forget(&mut self, dot: Dot) -> Self {
        Self(self.0.replace(dot, DotFun::new()))
    }

    fn time(&self) -> Option<Hlc> {
        self.0.store().iter().map(|(_, time)| *time).max()
    }
}

impl Lawful for LastSeen {
    type Actor = ReplicaId;
    /// A time at which it was seen, or nothing to forget it.
    type Operation = Option<u32>;

    fn apply(&mut self, dot: Dot, operation: &Option<u32>) -> Option<Self> {
        Some(match operation {
            Some(millis) => self.seen(dot, Hlc::from_parts(u64::from(*millis), 0)),
            None => self.forget(dot),
        })
    }
}

fn main() {
    laws::check::<LastSeen>(CASES);
    println!("LastSeen keeps all laws in {CASES} cases");
}

const CASES: u64 = if cfg!(miri) { 2 } else { 10_000 };

#[cfg(test)]
mod tests {
    use trellis_crdt::Crdt;

    use super::*;

    #[test]
    fn the_laws_hold() {
        main();
    }

    #[test]
    fn the_latest_time_is_shown_and_a_time_that_was_not_seen_outlives_forgetting() {
        let [a, b] = [1, 2].map(ReplicaId::from_u64);
        let [early, late] = [1, 2].map(|millis| Hlc::from_parts(millis, 0));
        let (mut at_a, mut at_b) = (LastSeen::default(), LastSeen::default());
        let seen = at_a.seen(Dot::new(a, 1), late);
        at_b.seen(Dot::new(b, 1), early);
        at_b.apply_delta(&seen);
        assert_eq!(at_b.time(), Some(late));
        let forgotten = at_a.forget(Dot::new(a, 2));
        at_b.apply_delta(&forgotten);
        assert_eq!(at_b.time(), Some(early));
    }
}
