//! 9: what a clock covers as removed is not shown, also while the slot is not settled.

use trellis_crdt::Kind;
use trellis_storage::Keyspace;

use super::{Held, Violation, list_of};
use crate::model::{Atom, Content, List, Model, Operation, What};
use crate::sim::directory::Lists;
use crate::sim::marks::content_of;

/// Looks at what a slot shows while more may have been merged than its clock says.
pub(super) fn check(host: u8, slot: u8, keyspace: &Keyspace, model: &Model, lists: &Lists) -> Held {
    let clock: List = keyspace.clock(slot).iter().map(|(origin, seq)| (origin.as_u64(), seq)).collect();
    for atom in model.atoms(slot) {
        let detail = if atom.kind.is_register() {
            let Ok(Content::Tokens(tokens)) = content_of(keyspace, atom.key, atom.kind) else { continue };
            tokens.into_iter().find_map(|token| returned(slot, atom, token, &clock, model))
        } else if atom.kind.is_counter() || !is_shown(keyspace, atom) {
            None
        } else {
            is_off(slot, atom, list_of(lists, slot, atom), model)
        };
        if let Some(detail) = detail {
            let detail = format!("n{} in slot {slot}: {detail}", host + 1);
            return Err(Violation { invariant: "removed_things_stay_removed", hosts: vec![host], detail });
        }
    }
    Ok(())
}

/// Whether an element is in its set, or a flag is enabled.
fn is_shown(keyspace: &Keyspace, atom: Atom) -> bool {
    match atom.element {
        Some(element) => {
            let told = keyspace.contains(atom.key, atom.kind, element.as_bytes());
            told.is_ok_and(|(is_there, _)| is_there)
        }
        None => keyspace.read(atom.key, Some(atom.kind)).is_ok_and(|read| read.value.is_some()),
    }
}

/// Why an element or a flag must not be shown by who has merged this much of it, if it must not. Of these kinds each
/// operation replaces what it saw, so the list says all, whatever the clock is.
fn is_off(slot: u8, atom: Atom, list: Option<&List>, model: &Model) -> Option<String> {
    let is_on = list.is_some_and(|list| model.content(slot, atom, list) != Content::Nothing);
    (!is_on).then(|| format!("{atom:?} is shown, and was removed by what is merged up to {list:?}"))
}

/// Why a token must not be shown by who has merged everything up to `clock`, if it must not.
fn returned(slot: u8, atom: Atom, token: u64, clock: &List, model: &Model) -> Option<String> {
    let Some(shown) = model.of_atom(slot, atom).find(|operation| operation.what == What::Write(token)) else {
        return Some(format!("{atom:?} shows {token}, which nobody wrote"));
    };
    let replaces = |later: &&Operation| match atom.kind {
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
        let atom = Atom { key: "k", kind: Kind::MvRegister, element: None };
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

    #[test]
    fn an_element_that_a_merged_removal_saw_is_seen() {
        let atom = Atom { key: "k", kind: Kind::OrSet, element: Some("e") };
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
        model.insert(operation(1, 1, What::Enable, &[]));
        model.insert(operation(2, 1, What::Disable, &[(1, 1)]));
        let merged = |entries: &[(u64, u64)]| entries.iter().copied().collect::<List>();
        assert_eq!(is_off(1, atom, Some(&merged(&[(1, 1)])), &model), None);
        assert!(is_off(1, atom, Some(&merged(&[(1, 1), (2, 1)])), &model).is_some());
        assert!(is_off(1, atom, None, &model).is_some());
    }
}
