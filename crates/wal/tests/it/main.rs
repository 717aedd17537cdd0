//! The log as its callers and its disk see it. A build whose rules can be switched off runs tests/controls.rs.
#![cfg(not(any(trellis_fault, loom)))]
#![expect(clippy::unwrap_used, reason = "the lint does not take the helpers of tests for tests")]

mod child;
mod mounts;
mod second_reader;
mod slow_disk;
mod strace;
mod support;

mod append;
mod crash;
mod damage;
mod exhaustive;
mod failure;
mod files;
mod format;
mod full_disk;
mod history;
mod injected;
mod killed;
mod leading;
mod power_cut;
mod pressure;
mod readme;
mod repair;
mod retention;
mod snapshot;
mod snapshot_faults;
mod spare;
#[cfg(feature = "async")]
mod tasks;
mod tools;
