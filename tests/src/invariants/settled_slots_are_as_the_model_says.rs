//! A settled slot holds what the model computes from the operations that its clock covers.

use std::collections::BTreeSet;

use trellis_crdt::Kind;
use trellis_storage::Keyspace;

use super::{Held, Violation};
use crate::model::{Content, List, Model};
use crate::sim::host::Host;
use crate::sim::marks::content_of;

/// Compares every atom of a settled slot with the model.
pub(super) fn check(host: u8, slot: u8, keyspace: &Keyspace, model: &Model) -> Held {
    let clock = plain(keyspace, slot);
    for atom in model.atoms(slot) {
        let expected = as_told(model.content(slot, atom, &clock));
        let held = keyspace.read(atom.0, Some(atom.1)).map(|read| content_of(&read));
        if held.as_ref() != Ok(&expected) {
            let detail =
                format!("{atom:?} of n{} is {held:?}, the model says {expected:?} at {clock:?}", host + 1);
            return Err(violation(host, detail));
        }
    }
    Ok(())
}

/// Compares a listing with the model, if the slot is settled.
pub(super) fn check_listing(
    host: u8,
    target: &Host,
    slot: u8,
    listed: &[(String, Kind)],
    model: &Model,
) -> Held {
    // What a failed log would not take is in memory, and a listing with it is never answered.
    let Some(core) = target.core().filter(|core| core.log().poisoned().is_none()) else { return Ok(()) };
    let expected = core.look_at_slot(slot, |keyspace| {
        let clock = plain(keyspace, slot);
        let exists = |atom: &crate::model::Atom| model.content(slot, *atom, &clock) != Content::Nothing;
        keyspace.is_settled(slot).then(|| model.atoms(slot).filter(exists).collect::<BTreeSet<_>>())
    });
    let Some(expected) = expected else { return Ok(()) };
    let told: BTreeSet<(&str, Kind)> = listed.iter().map(|(key, kind)| (key.as_str(), *kind)).collect();
    if told == expected && told.len() == listed.len() {
        return Ok(());
    }
    let detail = format!("n{} lists {listed:?} in slot {slot}, the model {expected:?}", host + 1);
    Err(violation(host, detail))
}

/// A total as 64 bits can tell it.
fn as_told(content: Content) -> Content {
    match content {
        Content::Total(total) => Content::Total(total.clamp(i128::from(i64::MIN), i128::from(i64::MAX))),
        other => other,
    }
}

fn plain(keyspace: &Keyspace, slot: u8) -> List {
    keyspace.clock(slot).iter().map(|(origin, seq)| (origin.as_u64(), seq)).collect()
}

fn violation(host: u8, detail: String) -> Violation {
    Violation { invariant: "settled_slots_are_as_the_model_says", hosts: vec![host], detail }
}
