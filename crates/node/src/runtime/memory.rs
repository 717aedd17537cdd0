//! How much memory the process takes, against its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Tells whether the process is over its limit, as of the last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryGauge {
    is_over: Arc<AtomicBool>,
}

impl MemoryGauge {
    /// Looks once a second for as long as somebody holds the gauge; without a limit it never looks.
    pub(crate) fn start(limit_bytes: Option<u64>) -> Self {
        let gauge = Self::default();
        let Some(limit) = limit_bytes else { return gauge };
        let is_over = Arc::downgrade(&gauge.is_over);
        tokio::spawn(async move {
            while let Some(is_over) = is_over.upgrade() {
                is_over.store(resident_bytes().is_some_and(|bytes| bytes > limit), Ordering::Relaxed);
                drop(is_over);
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        });
        gauge
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// What the process takes of memory, by the operating system's count; `None` where that cannot be asked.
pub(crate) fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The page of every platform that has `/proc/self/statm` and that this is built for.
const PAGE_BYTES: u64 = 4096;
