//! Rules that a build with `cfg(trellis_fault)` can switch off, to show that the simulator notices; no other build can.

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
    // A counter that goes on after a reset counts nothing wherever the old amounts are still held.
    "R7 a fresh slot has a fresh generation",
    // An increment that overtakes a reset brings back what was reset, until the reset arrives.
    "R7 deltas carry whole slots",
    // An increment travels as its own amount, and of two the smaller is lost in the maximum.
    "R7 deltas carry sums",
    // A reset leaves out what an earlier one took back; its list then keeps out the earlier one's slots.
    "R7 a reset carries every slot",
    // Registers show what arrived last, which is not the same everywhere.
    "lww: the greatest stamp wins",
    // A deletion removes what it saw and has no stamp: where a greater write arrived first, it removes that alone, and
    // elsewhere a smaller one comes back after it.
    "T6 a deletion is ordered like a write",
    // Every write becomes a concurrent one: what it replaced stays at all other replicas.
    "mv: a write replaces what it saw",
    // A value whose successor arrived before it comes back.
    "mv: what was replaced stays away",
    // A removal takes away additions that it did not see, where they arrived first.
    "set: an addition wins over a removal that did not see it",
    // A flag reads as enabled while an enabling is held, whatever was disabled beside it.
    "flag: disabling wins",
    // After the wall clock went back, a write loses to what its writer had seen.
    "hlc: stamps only grow",
];

/// Switches off this rule, and every other one of this crate on; returns false for a name that is not of this crate.
#[cfg(trellis_fault)]
pub fn switch_off(rule: Option<&str>) -> bool {
    SWITCH.switch_off(rule)
}

#[cfg(trellis_fault)]
static SWITCH: Switch = Switch::new(RULES);

#[cfg(trellis_fault)]
pub use self::switch::{MARKER, Switch};

#[cfg(trellis_fault)]
mod switch;
