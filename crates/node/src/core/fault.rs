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
    // A peer has a chunk or a hello whose content its sender loses with the power.
    "R1 messages wait for the log",
    // A peer has, and acknowledges, an operation that its origin does not know after a crash.
    "R1 deltas wait for the log",
    // After a start with the wall clock behind, a write loses to what the log holds.
    "R11 the clock is raised by replay",
    // With the wall clock behind, a write loses to what came from other nodes.
    "R11 the clock is raised by arrival",
    // After a start with the wall clock behind, a write loses to what a snapshot and no record knows of.
    "R11 a snapshot holds the clock",
    // A newcomer stamps a write below a deletion that its donor has dropped and another member holds.
    "R11 hellos and transfers raise the clock",
    // The same, once the newcomer has started again.
    "R11 an adoption keeps the donor's clock",
    // What was written behind the capture of its atom is covered by the slot's clock, and replay takes it for old.
    "R16 a slot's header is captured first",
    // A snapshot is published that holds what the log can still lose.
    "R16 a capture tells its end",
    // Who was removed, and which process was whose, is forgotten with the log's first segments.
    "R16 a snapshot holds the roster",
    // A guest that restarts from a snapshot is a member, without most of what the cluster holds.
    "R16 a snapshot holds what a guest lacks",
    // What was not met yet of a slot when something else of it was dropped is in no snapshot.
    "R16 what is dropped voids a capture",
    // A slot's clock is behind after a restart: less is acknowledged than before.
    "R16 replay keeps adoptions",
    // What was dropped is there again after a restart, and what was dropped is not known.
    "R16 replay drops what was dropped",
    // A transfer leaves out what the scan would have come to, and its clock says that it is there.
    "R10 nothing is dropped during a scan",
    // A guest that restarts is a member, without most of what the cluster holds.
    "R12 a guest stays one over a restart",
    // Writes are acknowledged, and shown, that no disk holds.
    "R17 a failed log stops the node",
    // Its streams go on: peers are told that what they sent has come.
    "R17 a failed node says nothing",
    // A digest of what no disk holds raises a false alarm.
    "R17 a failed node tells no digests",
    // A client is told that a write is held, by a node whose writes nobody takes any more.
    "R15 a removed node counts nothing",
    // A slot that is ahead of its clock raises false alarms.
    "R13 settled slots only",
    // A read shows what a crash takes back.
    "4 reads wait for the log",
    // While the disk is slow, memory fills with records.
    "8 a full log takes no more",
    // What is remembered of streams grows with every one that this node closes.
    "8 streams that ended are forgotten",
];

/// Switches off this rule, and every other one of this crate on; returns false for a name that is not of this crate.
#[cfg(trellis_fault)]
pub fn switch_off(rule: Option<&str>) -> bool {
    SWITCH.switch_off(rule)
}

#[cfg(trellis_fault)]
static SWITCH: Switch = Switch::new(RULES);
