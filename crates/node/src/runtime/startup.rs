//! How far a start is: for whoever asks on the status port, and now and then in the node's own log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use trellis_wal::{RecoveryProgress, RecoveryStage};

/// The progress of a start, and the wish that it be given up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Startup {
    shared: Arc<Shared>,
}

/// How far a stage of a start is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) stage: Stage,
    pub(crate) bytes_done: u64,
    pub(crate) bytes_total: u64,
}

/// What a start does: the stages of the log, and between its tail and its replay one of the node's own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    Log(RecoveryStage),
    /// What the snapshot holds is put into memory.
    Restore,
}

impl From<RecoveryProgress> for Progress {
    fn from(progress: RecoveryProgress) -> Self {
        let RecoveryProgress { stage, bytes_done, bytes_total } = progress;
        Self { stage: Stage::Log(stage), bytes_done, bytes_total }
    }
}

#[derive(Debug, Default)]
struct Shared {
    told: Mutex<Told>,
    is_cancelled: AtomicBool,
}

#[derive(Debug, Default)]
struct Told {
    progress: Option<Progress>,
    logged: Option<Instant>,
}

impl Startup {
    /// Notes how far it is.
    pub(crate) fn on_progress(&self, progress: Progress) {
        let mut told = self.shared.told.lock();
        told.progress = Some(progress);
        let logged = *told.logged.get_or_insert_with(Instant::now);
        if logged.elapsed() >= LOG_INTERVAL {
            told.logged = Some(Instant::now());
            drop(told);
            tracing::info!("{self}");
        }
    }

    /// Asks the start to stop at its next step.
    pub(crate) fn cancel(&self) {
        self.shared.is_cancelled.store(true, Ordering::Release);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.shared.is_cancelled.load(Ordering::Acquire)
    }
}

impl fmt::Display for Startup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(progress) = self.shared.told.lock().progress else { return f.write_str("opening the log") };
        let Progress { stage, bytes_done, bytes_total } = progress;
        let what = match stage {
            Stage::Log(RecoveryStage::Snapshot) => "verifying the snapshot",
            Stage::Log(RecoveryStage::Tail) => "reading the end of the log",
            Stage::Restore => "restoring the snapshot",
            Stage::Log(RecoveryStage::Replay) => "replaying the log",
        };
        let percent = bytes_done.min(bytes_total).saturating_mul(100).checked_div(bytes_total).unwrap_or(100);
        write!(f, "{what}: {percent} % of {} MiB", bytes_total.div_ceil(1 << 20))
    }
}

/// Between two lines in the node's own log: a start that is sooner done writes none.
const LOG_INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_tells_its_stage_and_how_much_of_it_is_done() {
        let startup = Startup::default();
        assert_eq!(startup.to_string(), "opening the log");
        let progress =
            RecoveryProgress { stage: RecoveryStage::Replay, bytes_done: 1 << 20, bytes_total: 3 << 20 };
        startup.clone().on_progress(progress.into());
        assert_eq!(startup.to_string(), "replaying the log: 33 % of 3 MiB");
        startup.on_progress(RecoveryProgress { bytes_done: 0, bytes_total: 0, ..progress }.into());
        assert_eq!(startup.to_string(), "replaying the log: 100 % of 0 MiB");
    }
}
