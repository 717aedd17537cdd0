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
    place_of(rule).expect("every rule that is asked for is in a list") == OFF.load(Ordering::SeqCst)
}

/// The rules of the log.
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

/// The rules of snapshots.
#[cfg(trellis_fault)]
pub const SNAPSHOT_RULES: &[&str] = &[
    // A power cut leaves a snapshot's name without its bytes.
    "a snapshot is synced",
    // The log that a snapshot makes needless is gone, and so is the snapshot's name.
    "a snapshot's name is synced",
    // A bad write is met when the log that could replace it is gone.
    "a snapshot is read back",
    // A rotten chunk is handed out.
    "chunks have a checksum",
    // The newest snapshot rots, and the log behind the older one is gone.
    "the log is kept back to the older snapshot",
    // A snapshot holds what the log can still lose.
    "a snapshot waits for the log",
    // Damage to the last group of records passes for a torn tail, though a snapshot was published behind it.
    "snapshots attest",
    // What a failed log may still be needed for is removed.
    "nothing is removed beside a failed log",
];

/// Switches off this rule, and every other one of this crate on; returns false for a name that is not of this crate.
#[cfg(trellis_fault)]
pub fn switch_off(rule: Option<&str>) -> bool {
    let place = rule.map(place_of);
    OFF.store(place.flatten().unwrap_or(usize::MAX), Ordering::SeqCst);
    place.is_none_or(|place| place.is_some())
}

/// Rules of the log that the simulator need not notice: its syncs are done by hand, in one thread.
#[cfg(trellis_fault)]
pub const OWN_RULES: &[&str] = &[
    // A segment has its name, and not the header that says which one it is.
    "a segment is synced before it has its name",
    // More waits for a slow disk than the limit allows.
    "appending waits for room",
    // A caller takes its record for durable although the one who synced it failed.
    "a failure reaches all who wait",
];

#[cfg(trellis_fault)]
fn place_of(rule: &str) -> Option<usize> {
    RULES.iter().chain(SNAPSHOT_RULES).chain(OWN_RULES).position(|known| *known == rule)
}

/// Position of the rule that is off; beyond them while all are on.
#[cfg(trellis_fault)]
static OFF: AtomicUsize = AtomicUsize::new(usize::MAX);
