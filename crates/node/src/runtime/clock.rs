//! The only place of a node that reads clocks and draws randomness.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::core::Now;

/// Reads both clocks. A wall clock before 1970 reads as 0.
pub(crate) fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { instant: Instant::now(), wall_millis: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
}

/// Draws 64 bits from the operating system.
///
/// # Errors
///
/// When the operating system has none to give.
pub(crate) fn random() -> std::io::Result<u64> {
    use rand::TryRngCore;
    rand::rngs::OsRng.try_next_u64().map_err(std::io::Error::other)
}
