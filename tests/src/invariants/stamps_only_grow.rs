//! R11: a register's write or deletion is stamped above all that its origin had seen of the register.

use trellis_crdt::Kind;

use super::{Held, Violation};
use crate::model::{Model, Operation};

pub(super) fn check(host: u8, model: &Model, operation: &Operation) -> Held {
    if operation.atom.kind != Kind::LwwRegister {
        return Ok(());
    }
    let seen = |(origin, seq): (&u64, &u64)| model.get(operation.slot, *origin, *seq);
    let higher = operation.observed.iter().filter_map(seen).find(|seen| seen.stamp >= operation.stamp);
    let Some(higher) = higher else { return Ok(()) };
    let detail = format!(
        "n{} stamps {:?} of {:?} with {} and had seen {}",
        host + 1,
        operation.what,
        operation.atom,
        operation.stamp,
        higher.stamp
    );
    Err(Violation { invariant: "stamps_only_grow", hosts: vec![host], detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Atom, What};

    #[test]
    fn a_stamp_below_one_that_was_seen_is_seen() {
        let write = |seq, stamp, observed: &[(u64, u64)]| Operation {
            slot: 1,
            origin: 5,
            seq,
            atom: Atom { key: "k", kind: Kind::LwwRegister, element: None },
            what: What::Write(seq),
            observed: observed.iter().copied().collect(),
            own_reset: 0,
            stamp,
        };
        let mut model = Model::default();
        model.insert(write(1, 100, &[]));
        assert_eq!(check(0, &model, &write(2, 101, &[(5, 1)])), Ok(()));
        assert!(check(0, &model, &write(2, 100, &[(5, 1)])).is_err());
    }
}
