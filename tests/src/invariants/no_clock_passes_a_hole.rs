//! 6: a clock covers only what was merged here, or superseded by what was.

use std::collections::BTreeMap;

use trellis_crdt::VersionVector;

use super::{Held, Violation, list_of};
use crate::model::{List, Model};
use crate::sim::directory::Lists;

/// The clocks of a process as they were seen last.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    by_slot: BTreeMap<u8, List>,
}

impl Clocks {
    /// Looks at every dot that a clock has come to cover since the last look.
    pub(super) fn moved(
        &mut self,
        host: u8,
        slot: u8,
        clock: &VersionVector,
        model: &Model,
        (lists, forgotten): (&Lists, &VersionVector),
    ) -> Held {
        let known = self.by_slot.entry(slot).or_default();
        for (replica, seq) in clock.iter() {
            let origin = replica.as_u64();
            let before = known.get(&origin).copied().unwrap_or(0);
            if seq < before {
                return Err(violation(host, format!("the clock of slot {slot} of n{} went back", host + 1)));
            }
            // A newcomer never hears of what all members had dropped before it came.
            let heard_of = before.max(forgotten.get(replica));
            for covered in heard_of + 1..=seq {
                check_dot(host, (slot, origin, covered), model, lists)?;
            }
            if seq > before {
                known.insert(origin, seq);
            }
        }
        Ok(())
    }
}

fn check_dot(host: u8, (slot, origin, seq): (u8, u64, u64), model: &Model, lists: &Lists) -> Held {
    let Some(operation) = model.get(slot, origin, seq) else {
        let detail = format!("slot {slot} of n{} covers {origin:016x}:{seq}, which nobody made", host + 1);
        return Err(violation(host, detail));
    };
    let merged =
        list_of(lists, slot, operation.atom).and_then(|list| list.get(&origin)).copied().unwrap_or(0);
    if merged >= seq {
        return Ok(());
    }
    let detail = format!(
        "slot {slot} of n{} covers {origin:016x}:{seq} ({:?} of {:?}), of which it has merged up to {merged}",
        host + 1,
        operation.what,
        operation.atom
    );
    Err(violation(host, detail))
}

fn violation(host: u8, detail: String) -> Violation {
    Violation { invariant: "no_clock_passes_a_hole", hosts: vec![host], detail }
}

#[cfg(test)]
mod tests {
    use trellis_crdt::{Kind, ReplicaId};

    use super::*;
    use crate::model::{Atom, Operation, What};
    use crate::sim::directory::Known;

    #[test]
    fn a_clock_over_what_was_not_merged_and_one_that_goes_back_are_seen() {
        let atom = Atom { key: "k", kind: Kind::PnCounter, element: None };
        let mut model = Model::default();
        for seq in 1..=2 {
            let (observed, what) = (List::new(), What::Add(1));
            model.insert(Operation { slot: 3, origin: 5, seq, atom, what, observed, own_reset: 0, stamp: 0 });
        }
        let known = |seq| Known { list: List::from([(5, seq)]), resets: List::new() };
        let lists = Lists::from([((3, atom), known(1))]);
        let clock = |seq| VersionVector::from_iter([(ReplicaId::from_u64(5), seq)]);
        let mut clocks = Clocks::default();
        let nothing = clock(0);
        assert_eq!(clocks.moved(0, 3, &clock(1), &model, (&lists, &nothing)), Ok(()));
        assert!(clocks.moved(0, 3, &clock(2), &model, (&lists, &nothing)).is_err());
        assert!(Clocks::default().moved(0, 3, &clock(3), &model, (&lists, &nothing)).is_err());
        assert_eq!(Clocks::default().moved(0, 3, &clock(2), &model, (&lists, &clock(2))), Ok(()));
        let lists = Lists::from([((3, atom), known(2))]);
        assert_eq!(clocks.moved(0, 3, &clock(2), &model, (&lists, &nothing)), Ok(()));
        assert!(clocks.moved(0, 3, &clock(1), &model, (&lists, &nothing)).is_err());
    }
}
