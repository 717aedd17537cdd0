//! Any bytes as a request and as a reply: nothing panics, and what is refused changes nothing.
//!
//! `cargo +nightly fuzz run message -- ../testdata/corpus` in `crates/swim`. On stable the same check runs over the corpus
//! and over changes of it: `tests/corpus.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the other target uses the rest")]
#[path = "../../tests/corpus/check.rs"]
mod check;

fuzz_target!(|bytes: &[u8]| check::take(bytes));
