//! Tests that not every machine lets us do.

use std::env;
use std::io::{Write, stderr};

/// Says why a test is not done on this machine, past the harness, which hides what tests print that pass.
///
/// # Panics
///
/// If the variable `TRELLIS_TESTS_SKIPS_NOTHING` is set.
pub fn skip(test: &str, reason: &str) {
    assert!(env::var_os("TRELLIS_TESTS_SKIPS_NOTHING").is_none(), "{test} is not done: {reason}");
    // There is nobody else to tell when standard error is gone.
    let _ = writeln!(stderr().lock(), "skipped: {test}: {reason}");
}
