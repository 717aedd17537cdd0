//! The keyspace from outside: named histories of protocol.md, and random ones against an independent reference.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, what fails shall fail loudly; the lint does not know helpers of tests"
)]

mod batches;
mod collection;
mod damage;
mod histories;
mod index;
mod listing;
mod model;
mod nonsense;
mod operations;
mod orders;
mod sets;
mod snapshots;

mod reference;
mod support;
