//! What a client is told is what the node holds; and what it is told at once is durable.

use trellis_crdt::Kind;
use trellis_node::core::Core;
use trellis_storage::{Operation, Outcome, Read, ReadValue, Total, slot_of};
use trellis_wal::Lsn;

use super::{Held, Violation};
use crate::sim::host::Host;

/// The total that an increment is answered with.
pub(super) fn written(host: u8, core: &Core, asked: &Operation<'_>, outcome: Outcome) -> Held {
    let (Operation::Increment { key, kind, .. }, Outcome::Counter(told)) = (asked, outcome) else {
        return Ok(());
    };
    let held = core.look_at_slot(slot_of(key), |keyspace| keyspace.read(key, Some(*kind)));
    let held = match held.ok().and_then(|read| read.value) {
        Some(ReadValue::Counter(total)) => total,
        _ => Total::from(0),
    };
    if held == told {
        return Ok(());
    }
    Err(violation(host, format!("{asked:?} is answered with {told:?}, and the node holds {held:?}")))
}

/// What a read is answered with, at once if there is no `until`.
pub(super) fn read(
    host: u8,
    target: &Host,
    (key, kind): (&str, Option<Kind>),
    told: &Read,
    until: Option<Lsn>,
) -> Held {
    let Some(core) = target.core() else { return Ok(()) };
    let has_failed = core.log().poisoned().is_some();
    let held = core.look_at_slot(slot_of(key), |keyspace| keyspace.read(key, kind));
    if held.as_ref() != Ok(told) {
        return Err(violation(host, format!("{key} is read as {told:?}, and the node holds {held:?}")));
    }
    let durable = target.directory.durable.recovery.look_at_slot(slot_of(key)).read(key, kind);
    if until.is_none() && durable.as_ref() != Ok(told) {
        let words = if has_failed { ", whose log failed," } else { "" };
        return Err(violation(host, format!("{key} is read{words} as {told:?}, and durable is {durable:?}")));
    }
    Ok(())
}

fn violation(host: u8, detail: String) -> Violation {
    let detail = format!("at n{}: {detail}", host + 1);
    Violation { invariant: "what_clients_are_told_is_so", hosts: vec![host], detail }
}
