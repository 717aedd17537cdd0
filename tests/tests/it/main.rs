//! The shipped binary, run as processes. Every test has a cluster of its own, and waits for events only.

mod counting;
mod crash;
mod damaged_log;
mod durability;
mod joining;
mod kills;
mod log_failure;
mod lost_disk;
mod members;
mod readme;
mod requests;
mod shipped;
mod snapshots;
mod start;
mod stopping;
mod strangers;

mod load;
