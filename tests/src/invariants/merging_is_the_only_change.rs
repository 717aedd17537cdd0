//! 2: merging, and dropping what is stable, are the only ways that state changes, so a replay of the log gives what is in
//! memory (R16).

use std::collections::BTreeSet;

use super::{Held, Violation};
use crate::sim::host::{Facts, Host};

/// Compares the slots that changed, when everything that was logged is durable.
pub(super) fn check(host: u8, target: &Host, changed: &mut BTreeSet<u8>) -> Held {
    let Some(process) = &target.process else { return Ok(()) };
    // What a failed log would not take is in memory, and is never shown.
    let has_failed = process.core.log().poisoned().is_some();
    if changed.is_empty() || has_failed || process.core.log().last() > target.directory.durable.upto {
        return Ok(());
    }
    for slot in std::mem::take(changed) {
        let replayed = target.directory.durable.recovery.look_at_slot(slot);
        let difference = process.core.look_at_slot(slot, |held| {
            let differs = |what: &str, held: String, replayed: String| {
                (held != replayed).then(|| format!("{what} {held}, replayed {replayed}"))
            };
            if held.clock(slot) != replayed.clock(slot) {
                let (held, replayed) = (held.clock(slot), replayed.clock(slot));
                return differs("clock", format!("{held:?}"), format!("{replayed:?}"));
            }
            if held.ceiling(slot) != replayed.ceiling(slot) {
                let (held, replayed) = (held.ceiling(slot), replayed.ceiling(slot));
                return differs("ceiling", format!("{held:?}"), format!("{replayed:?}"));
            }
            if held.digest(slot) != replayed.digest(slot) {
                return Some("another digest".to_owned());
            }
            if held.floor(slot) != replayed.floor(slot) {
                let (held, replayed) = (held.floor(slot), replayed.floor(slot));
                return differs("floor", format!("{held:?}"), format!("{replayed:?}"));
            }
            let (held, replayed) = (held.early_len(slot), replayed.early_len(slot));
            (held != replayed).then(|| format!("{held} early dots, replayed {replayed}"))
        });
        if let Some(difference) = difference {
            let detail = format!("slot {slot} of n{} in memory and by replay: {difference}", host + 1);
            return Err(Violation { invariant: "merging_is_the_only_change", hosts: vec![host], detail });
        }
    }
    Ok(())
}

/// Compares what a start knows besides the slots with a replay of every record that there ever was. A snapshot may know
/// more addresses, of seeds that nobody logged, and greater stamps, of peers of which nothing was logged.
pub(super) fn check_start(host: u8, target: &Host, started: &Facts) -> Held {
    let replayed = Facts::of(&target.directory.durable.recovery);
    let is_same = (&started.roster, &started.guest_of) == (&replayed.roster, &replayed.guest_of);
    let has_addresses = replayed.addresses.keys().all(|name| started.addresses.contains_key(name));
    if is_same && has_addresses && started.hlc >= replayed.hlc {
        return Ok(());
    }
    let detail = format!("n{} starts with {started:?}, replayed {replayed:?}", host + 1);
    Err(Violation { invariant: "merging_is_the_only_change", hosts: vec![host], detail })
}
