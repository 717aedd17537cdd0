//! Listeners and clients against each other over loopback, with handlers that keep everything in memory.

mod clients;
mod peers;
mod retries;
mod support;
mod trust;
