//! Rules that a build with `cfg(trellis_fault)` can switch off, to show that the checks notice; no other build can.

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
    place_of(rule).expect("every rule that is asked for is in a list") == OFF.load(Ordering::SeqCst)
}

/// The rules of this crate that histories of whole nodes show.
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
    // A member that slept judges others by what it has missed.
    "a late member judges nobody",
];

/// The rules that it takes this crate's own simulation to show.
#[cfg(trellis_fault)]
pub const TIMING_RULES: &[&str] = &[
    // Suspects hear of it when the news comes by, which slow ones may not live to see.
    "a suspect is told first",
    // Whoever was missed by the news never hears it.
    "digests are compared",
    // Suspicions are confirmed by chance only, and wait for longer.
    "suspects are probed out of turn",
    // Who is asked is drawn alone, and by chance nobody asks a member for long.
    "a member is asked by its predecessor",
    // Members keep their fixed order; two failures in it hide a third for long.
    "the turn is random",
    // The deadline is a fixed time after the suspicion, as in plain SWIM.
    "suspicions carry the age of the evidence",
    // Where messages take long, members take what they are told back for fresher evidence, again and again.
    "a sign of life has a name",
];

/// Switches off this rule, and every other one of this crate on; returns false for a name that is not of this crate.
#[cfg(trellis_fault)]
pub fn switch_off(rule: Option<&str>) -> bool {
    let place = rule.map(place_of);
    OFF.store(place.flatten().unwrap_or(usize::MAX), Ordering::SeqCst);
    place.is_none_or(|place| place.is_some())
}

#[cfg(trellis_fault)]
fn place_of(rule: &str) -> Option<usize> {
    RULES.iter().chain(TIMING_RULES).position(|known| *known == rule)
}

/// Position of the rule that is off; beyond them while all are on.
#[cfg(trellis_fault)]
static OFF: AtomicUsize = AtomicUsize::new(usize::MAX);
