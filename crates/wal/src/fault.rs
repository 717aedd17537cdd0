//! Rules that a build with `cfg(trellis_fault)` can switch off, to show that the simulator notices; no other build can.

#[cfg(trellis_fault)]
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tells whether this rule is switched off.
#[cfg(not(trellis_fault))]
#[inline(always)]
pub(crate) const fn is_off(_rule: &'static str) -> bool {
    false
}

#[cfg(trellis_fault)]
pub(crate) fn is_off(rule: &'static str) -> bool {
    let place = RULES.iter().position(|known| *known == rule);
    place.expect("every rule that is asked for is in the list") == OFF.load(Ordering::SeqCst)
}

/// The rules of this crate.
#[cfg(trellis_fault)]
pub const RULES: &[&str] = &[
    // What was called durable is lost with the power.
    "a group is synced",
    // A segment is lost with the power, though all in it was synced.
    "names are synced",
    // A torn or rotten record is replayed as it stands.
    "records have a checksum",
    // Damage to durable records passes for a torn tail.
    "records attest",
    // What a failed sync dropped is called durable by the next one.
    "a failed sync poisons",
    // Half a batch survives a crash.
    "a torn batch is dropped",
    // What is readable after a failed sync, and not durable, is relied on.
    "an unattested tail is logged again",
];

/// Switches off this rule, and every other one of this crate on; returns false for a name that is not of this crate.
#[cfg(trellis_fault)]
pub fn switch_off(rule: Option<&str>) -> bool {
    let place = rule.map(|rule| RULES.iter().position(|known| *known == rule));
    OFF.store(place.flatten().unwrap_or(usize::MAX), Ordering::SeqCst);
    place.is_none_or(|place| place.is_some())
}

/// Position of the rule that is off; beyond them while all are on.
#[cfg(trellis_fault)]
static OFF: AtomicUsize = AtomicUsize::new(usize::MAX);
