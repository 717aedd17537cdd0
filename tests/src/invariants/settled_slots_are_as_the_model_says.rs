//! A settled slot holds what the model computes from the operations that its clock covers.

use std::collections::BTreeSet;

use trellis_crdt::Kind;
use trellis_storage::Keyspace;

use super::{Held, Violation};
use crate::model::{Atom, Content, List, Model};
use crate::sim::host::Host;
use crate::sim::marks::content_of;

/// Compares everything in a settled slot with the model.
pub(super) fn check(host: u8, slot: u8, keyspace: &Keyspace, model: &Model) -> Held {
    let clock = plain(keyspace, slot);
    let entries = model.entries(slot, &clock);
    let mut last = None;
    for atom in model.atoms(slot) {
        let Atom { key, kind, element } = atom;
        let expected = entries.get(&(key, kind)).cloned().map_or(Content::Nothing, as_told);
        if let Some(element) = element {
            let is_there = matches!(&expected, Content::Elements(elements) if elements.contains(&element));
            let told = keyspace.contains(key, kind, element.as_bytes()).map(|(is_there, _)| is_there);
            if told != Ok(is_there) {
                let detail = format!("that {atom:?} is there at n{} is {told:?} at {clock:?}", host + 1);
                return Err(violation(host, detail));
            }
        }
        if last.replace((key, kind)) == Some((key, kind)) {
            continue;
        }
        let held = content_of(keyspace, key, kind);
        if held.as_ref() != Ok(&expected) {
            let detail = format!(
                "{key} of n{} as a {kind} is {held:?}, the model says {expected:?} at {clock:?}",
                host + 1
            );
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
        keyspace.is_settled(slot).then(|| model.entries(slot, &clock).into_keys().collect::<BTreeSet<_>>())
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
