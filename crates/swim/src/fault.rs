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
    // A member that was suspected or called dead once stays so while it lives.
    "suspects refute",
    // One probe that is lost makes a live member dead.
    "suspicion comes first",
    // After a partition both sides take the other's members for dead, for ever.
    "the dead are contacted",
    // After a partition both sides believe the other's word of their own side's death.
    "a word of death is doubted",
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
