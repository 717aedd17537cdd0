//! 9: what a clock covers as removed is not shown, also while the slot is not settled.

use trellis_crdt::Kind;
use trellis_storage::Keyspace;

use super::{Held, Violation};
use crate::model::{Atom, Content, List, Model, Operation, What};
use crate::sim::marks::content_of;

/// Looks at what the registers of a slot show while more may have been merged than its clock says.
pub(super) fn check(host: u8, slot: u8, keyspace: &Keyspace, model: &Model) -> Held {
    let clock: List = keyspace.clock(slot).iter().map(|(origin, seq)| (origin.as_u64(), seq)).collect();
    for atom in model.atoms(slot).filter(|(_, kind)| kind.is_register()) {
        let Ok(read) = keyspace.read(atom.0, Some(atom.1)) else { continue };
        let Content::Tokens(tokens) = content_of(&read) else { continue };
        for token in tokens {
            if let Some(detail) = returned(slot, atom, token, &clock, model) {
                let detail = format!("n{} in slot {slot}: {detail}", host + 1);
                return Err(Violation {
                    invariant: "removed_things_stay_removed",
                    hosts: vec![host],
                    detail,
                });
            }
        }
    }
    Ok(())
}

/// Why a token must not be shown by who has merged everything up to `clock`, if it must not.
fn returned(slot: u8, atom: Atom, token: u64, clock: &List, model: &Model) -> Option<String> {
    let Some(shown) = model.of_atom(slot, atom).find(|operation| operation.what == What::Write(token)) else {
        return Some(format!("{atom:?} shows {token}, which nobody wrote"));
    };
    let replaces = |later: &&Operation| match atom.1 {
        Kind::LwwRegister => (later.stamp, later.origin) > (shown.stamp, shown.origin),
        _ => later.saw(shown),
    };
    let later = model.of_atom(slot, atom).filter(|operation| operation.is_within(clock)).find(replaces)?;
    Some(format!("{atom:?} shows {token}, which {:016x}:{} had replaced", later.origin, later.seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_a_covered_deletion_saw_is_seen() {
        let atom = ("k", Kind::MvRegister);
        let operation = |origin, seq, what, observed: &[(u64, u64)]| Operation {
            slot: 1,
            origin,
            seq,
            atom,
            what,
            observed: observed.iter().copied().collect(),
            own_reset: 0,
            stamp: 0,
        };
        let mut model = Model::default();
        model.insert(operation(1, 1, What::Write(7), &[]));
        model.insert(operation(2, 1, What::Delete, &[(1, 1)]));
        let clock = |entries: &[(u64, u64)]| entries.iter().copied().collect::<List>();
        assert_eq!(returned(1, atom, 7, &clock(&[(1, 1)]), &model), None);
        assert!(returned(1, atom, 7, &clock(&[(2, 1)]), &model).is_some());
        assert!(returned(1, atom, 8, &clock(&[]), &model).is_some());
    }
}
