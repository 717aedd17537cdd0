//! Listeners and clients against each other over loopback, with handlers that keep everything in memory.

#![allow(clippy::unwrap_used, reason = "the rule spares tests, and the helpers of these are tests as well")]

mod clients;
mod peers;
mod retries;
mod support;
mod trust;
