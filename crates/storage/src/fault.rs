//! Rules that a build with `cfg(trellis_fault)` can switch off, to show that the simulator notices; no other build can.

#[cfg(trellis_fault)]
use trellis_crdt::fault::Switch;

/// Tells whether this rule is switched off.
#[cfg(not(trellis_fault))]
#[inline(always)]
pub(crate) const fn is_off(_rule: &'static str) -> bool {
    false
}

#[cfg(trellis_fault)]
pub(crate) fn is_off(rule: &'static str) -> bool {
    SWITCH.is_off(rule)
}

/// The rules of this crate.
#[cfg(trellis_fault)]
pub const RULES: &[&str] = &[
    // After a delta that was lost the clock says that it is here, and nobody sends it again.
    "R2 the clock stops at a hole",
    // What the early set has no room for is in memory, though not in the log.
    "R2 what does not fit is not merged",
    // Who adopts a clock from here misses what came here under the other origins of a list.
    "R4 an entry is indexed under all its origins",
    // Of an entry with something new all is taken, and what was removed here comes back with it.
    "R6 the filter is per piece",
    // What was deleted, and the deletion forgotten, comes back with an old delta that is sent again.
    "T8 what the clock covers is no news",
    // A removal is forgotten whose list names what is still on its way here.
    "R10 the whole list must be stable",
    // A start from a snapshot drops what was removed anew after the collection that its log tells of.
    "R16 what changed since is not dropped again",
    // Of two kinds that were written under a key at once, each node keeps the one that it heard of first.
    "T18 two kinds under one key are two entries",
    // An increment by 0 takes a dot and leaves a record.
    "R18 nothing comes of nothing",
    // What an atom held before stays in the digest, which then tells how it came here.
    "7 digests count every piece once",
];

/// Switches off this rule, and every other one of this crate on; returns false for a name that is not of this crate.
#[cfg(trellis_fault)]
pub fn switch_off(rule: Option<&str>) -> bool {
    SWITCH.switch_off(rule)
}

#[cfg(trellis_fault)]
static SWITCH: Switch = Switch::new(RULES);
