//! Any bytes as what several peers say and do one after another: nothing panics, what is refused changes nothing, no
//! record of a member falls back, and every bound holds.
//!
//! `cargo +nightly fuzz run conversation` in `crates/swim`. On stable the same check runs over conversations made of the
//! corpus: `tests/corpus.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the other target uses the rest")]
#[path = "../../tests/corpus/check.rs"]
mod check;

fuzz_target!(|bytes: &[u8]| check::converse(bytes));
