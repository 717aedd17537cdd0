//! Opens arbitrary bytes as several files of a log, and lets the tools at them.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "other targets use the rest")]
#[path = "../../tests/any_bytes/harness.rs"]
mod harness;

fuzz_target!(|input: &[u8]| harness::directory(input));
