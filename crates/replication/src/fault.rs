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
    // A transfer that is cut leaves a clock that covers entries which did not come.
    "R3 the clock comes last",
    // A write to an atom already scanned is covered by the clock, and missing for ever.
    "R3 the clock is of the start of the scan",
    // The clock of a transfer is adopted though an entry of it was not merged.
    "R3 a refused part ends the transfer",
    // A range that its origin no longer has is taken for empty: the clock passes the hole.
    "R5 exactly the range",
    // A member answers reads and gives to others without most of what the cluster holds.
    "R12 a guest waits for every slot",
    // A newcomer takes from one that has not got everything itself, and the cluster that it hears of first is founded
    // by nobody.
    "R12 a guest gives nothing",
    // What was removed goes on to count, and what it alone holds spreads.
    "R14 a removed node is refused",
    // A copy of a disk, or a process that nobody has ended, goes on to write beside the one that took its place.
    "R14 a process that has a successor is refused",
    // A write is answered as held by nodes that have not got it.
    "R15 a node counts when it is durable there",
    // What was acknowledged to its origin is lost with the power, and not offered again.
    "5 acknowledgements are of the durable clock",
];

/// Switches off this rule, and every other one of this crate on; returns false for a name that is not of this crate.
#[cfg(trellis_fault)]
pub fn switch_off(rule: Option<&str>) -> bool {
    SWITCH.switch_off(rule)
}

#[cfg(trellis_fault)]
static SWITCH: Switch = Switch::new(RULES);
