//! What a client is told is what the node holds; and what it is told at once is durable.

use trellis_crdt::Kind;
use trellis_node::core::Core;
use trellis_storage::{
    ElementCursor, ElementsPage, Keyspace, Operation, Outcome, Read, ReadValue, Total, slot_of,
};
use trellis_wal::Lsn;

use super::{Held, Violation};
use crate::sim::host::Host;

/// What a read is answered with.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    Key { key: &'a str, kind: Option<Kind>, read: Read },
    Member { key: &'a str, kind: Kind, element: &'a str, is_there: bool },
    Page { key: &'a str, kind: Kind, cursor: ElementCursor, page: ElementsPage },
}

impl Told<'_> {
    fn key(&self) -> &str {
        match self {
            Self::Key { key, .. } | Self::Member { key, .. } | Self::Page { key, .. } => key,
        }
    }

    /// Whether a keyspace answers the same, apart from what it has dropped of lists and removals.
    fn is_so(&self, keyspace: &Keyspace) -> bool {
        match self {
            Self::Key { key, kind, read } => keyspace.read(key, *kind).is_ok_and(|held| {
                (&held.kinds, held.kind, &held.value) == (&read.kinds, read.kind, &read.value)
                    && held.dots.dominates(&read.dots)
            }),
            Self::Member { key, kind, element, is_there } => {
                let held = keyspace.contains(key, *kind, element.as_bytes());
                held.is_ok_and(|(held, _)| held == *is_there)
            }
            Self::Page { key, kind, cursor, page } => {
                let rest = keyspace.elements(key, *kind, *cursor, usize::MAX, usize::MAX);
                rest.is_ok_and(|rest| match page.next {
                    None => rest.elements == page.elements,
                    Some(_) => rest.elements.starts_with(&page.elements),
                })
            }
        }
    }
}

/// What an operation finds: the element in the set, the flag enabled, anything under the key.
pub(super) fn found(core: &Core, asked: &Operation<'_>) -> bool {
    core.look_at_slot(slot_of(asked.key()), |keyspace| match *asked {
        Operation::Add { key, kind, element } | Operation::Remove { key, kind, element } => {
            keyspace.contains(key, kind, element).is_ok_and(|(is_there, _)| is_there)
        }
        Operation::Delete { key, kind: None, .. } => {
            keyspace.read(key, None).is_ok_and(|read| !read.kinds.is_empty())
        }
        Operation::Switch { key, kind, .. } | Operation::Delete { key, kind: Some(kind), .. } => {
            keyspace.read(key, Some(kind)).is_ok_and(|read| read.value.is_some())
        }
        _ => false,
    })
}

/// What a write is answered with, against what there was before and what there is now.
pub(super) fn written(
    host: u8,
    core: &Core,
    asked: &Operation<'_>,
    outcome: Outcome,
    was_found: bool,
) -> Held {
    let is_found = found(core, asked);
    let is_so = match (asked, outcome) {
        (Operation::Increment { key, kind, .. }, Outcome::Counter(told)) => {
            let held = core.look_at_slot(slot_of(key), |keyspace| keyspace.read(key, Some(*kind)));
            let held = match held.ok().and_then(|read| read.value) {
                Some(ReadValue::Counter(total)) => total,
                _ => Total::from(0),
            };
            held == told
        }
        (Operation::Set { .. }, Outcome::Set) => true,
        (Operation::Add { .. }, Outcome::Added { was_member }) => is_found && was_member == was_found,
        (Operation::Remove { .. }, Outcome::Removed { was_member }) => !is_found && was_member == was_found,
        (Operation::Switch { enabled: asked, .. }, Outcome::Switched { enabled }) => {
            (enabled, is_found) == (*asked, *asked)
        }
        (Operation::Delete { .. }, Outcome::Deleted { existed, next: Some(_) }) => was_found || !existed,
        // The last step; where there were others before it, something may have come back behind them.
        (Operation::Delete { from, .. }, Outcome::Deleted { existed, next: None }) => {
            *from != ElementCursor::START || (!is_found && existed == was_found)
        }
        _ => false,
    };
    if is_so {
        return Ok(());
    }
    let words = |is_there| if is_there { "something" } else { "nothing" };
    let (before, after) = (words(was_found), words(is_found));
    let detail = format!("{asked:?} is answered with {outcome:?}; {before} was found before, {after} after");
    Err(violation(host, detail))
}

/// What a read is answered with, at once if there is no `until`.
pub(super) fn read(host: u8, target: &Host, told: &Told<'_>, until: Option<Lsn>) -> Held {
    let Some(core) = target.core() else { return Ok(()) };
    let slot = slot_of(told.key());
    if !core.look_at_slot(slot, |keyspace| told.is_so(keyspace)) {
        return Err(violation(
            host,
            format!("a read is answered with {told:?}, and the node holds something else"),
        ));
    }
    if until.is_none() && !told.is_so(target.directory.durable.recovery.look_at_slot(slot)) {
        let words = if core.log().poisoned().is_some() { ", whose log failed," } else { "" };
        let detail =
            format!("a read{words} is answered at once with {told:?}, and durable is something else");
        return Err(violation(host, detail));
    }
    Ok(())
}

fn violation(host: u8, detail: String) -> Violation {
    let detail = format!("at n{}: {detail}", host + 1);
    Violation { invariant: "what_clients_are_told_is_so", hosts: vec![host], detail }
}
