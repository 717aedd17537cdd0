//! A process under strace: a small history in which the kernel fails, interrupts or delays calls.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use trellis_wal::tools::{Verdict, verify};
use trellis_wal::{EnqueueError, FileDisk, Lsn, SyncError};

use crate::child::{Child, log_of_child, number_of, skip, tell};
use crate::mounts::run;
use crate::support::{Store, records_to};

/// What a history came to.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) acknowledged: u64,
    /// The last record that was durable when the log failed.
    pub(crate) failure: Option<u64>,
    pub(crate) snapshot_failure: Option<String>,
}

impl Told {
    pub(crate) fn by(mut child: Child) -> Self {
        let mut all = Self::default();
        while let Some(told) = child.next_told() {
            if let Some(rest) = told.strip_prefix("failed behind ") {
                all.failure = rest.split(',').next().and_then(|durable| durable.parse().ok());
                assert_ne!(all.failure, None, "{told}");
            }
            if let Some(why) = told.strip_prefix("no snapshot: ") {
                all.snapshot_failure = Some(why.to_owned());
            }
            if let Some(acknowledged) = number_of(&told, "acknowledged ") {
                assert_eq!(all.failure, None, "nothing is acknowledged behind a failure");
                all.acknowledged = acknowledged;
            }
        }
        assert!(child.wait().success(), "{all:?}");
        all
    }
}

/// Lets every sync of a history fail in its turn, in a process to which `variables` are passed, and returns how many
/// there are.
///
/// # Errors
///
/// Nobody was told of one of them.
pub(crate) fn every_sync_fails(variables: &[(&str, &str)]) -> Result<u64, String> {
    every_call(SYNCS, "error=EIO", variables, check_failure)
}

/// Lets every call go wrong in its turn, and returns how many there are, or what `check` found.
pub(crate) fn every_call(
    calls: &str,
    outcome: &str,
    variables: &[(&str, &str)],
    check: impl Fn(&Path, &Told) -> Result<(), String>,
) -> Result<u64, String> {
    let mut nth = 0;
    loop {
        nth += 1;
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        fs::create_dir(&log).unwrap();
        let trace = directory.path().join("trace");
        let launcher = strace(calls, &format!("{outcome}:when={nth}"), &trace);
        let told = Told::by(Child::run_under(&launcher, HISTORY, &log, variables));
        // One too far, and all went well.
        if !fs::read_to_string(&trace).unwrap().contains("(INJECTED)") {
            assert_eq!((told.acknowledged, told.failure, told.snapshot_failure), (LAST, None, None));
            return Ok(nth - 1);
        }
        check(&log, &told).map_err(|what| format!("call {nth} of {calls}: {what}"))?;
    }
}

/// Runs one history with calls that go wrong, and returns where its log is as well.
pub(crate) fn one_injection(calls: &str, outcome: &str) -> (TempDir, Told) {
    let directory = tempfile::tempdir().unwrap();
    let told = Told::by(Child::run_under(&strace(calls, outcome, nowhere()), HISTORY, directory.path(), &[]));
    (directory, told)
}

pub(crate) fn check_failure(log: &Path, told: &Told) -> Result<(), String> {
    if told.failure.is_none() && told.snapshot_failure.is_none() {
        return Err("it failed and nobody was told".to_owned());
    }
    check_kept(log, told);
    Ok(())
}

/// Opens the log twice: what was acknowledged is there, and what was not is only served once it is logged again.
pub(crate) fn check_kept(log: &Path, told: &Told) {
    let mut held = 0;
    for _ in 0..2 {
        let store = Store::open(&FileDisk::new(log).unwrap()).unwrap();
        check_held(&store, told);
        let report = &store.node.report;
        assert!(report.last.as_u64() >= held, "the second time there is less: {told:?}, {report}");
        if let (0, Some(durable)) = (held, told.failure) {
            assert!(report.relogged >= report.last.as_u64().saturating_sub(durable), "{told:?}, {report}");
        }
        held = report.last.as_u64();
    }
}

/// Opens a log on a disk that lied: it is refused, or holds all that was acknowledged.
pub(crate) fn check_lie(log: &Path, told: &Told) -> Result<(), String> {
    let found = verify(&FileDisk::read_only(log).unwrap(), |_| {});
    match Store::open(&FileDisk::new(log).unwrap()) {
        Ok(store) => check_held(&store, told),
        Err(error) => assert_eq!(Verdict::of_error(&error), found.verdict(), "{error}: {found}"),
    }
    Ok(())
}

fn check_held(store: &Store<FileDisk>, told: &Told) {
    let held = store.node.held.len() as u64;
    assert!(held >= told.acknowledged, "{held} records, {told:?}");
    assert_eq!(store.node.held, records_to(held));
}

/// A launcher that lets calls go wrong, and writes them down in `trace`. It counts them thread by thread.
pub(crate) fn strace(calls: &str, outcome: &str, trace: &Path) -> Vec<String> {
    let (shown, injected) = (format!("trace={calls}"), format!("inject={calls}:{outcome}"));
    let trace = trace.to_str().expect("the directory of temporary files has a name that is text");
    ["strace", "-f", "-o", trace, "-e", &shown, "-e", &injected].map(str::to_owned).into()
}

/// For a trace that nobody reads.
pub(crate) fn nowhere() -> &'static Path {
    Path::new("/dev/null")
}

/// Whether strace is here and the kernel lets it work; it says so if not.
pub(crate) fn can_inject(test: &str) -> bool {
    let tried = run("strace", &["-f", "-o/dev/null", "-e", "inject=fdatasync:error=EIO", "true"]);
    if let Err(reason) = &tried {
        skip(test, reason);
    }
    tried.is_ok()
}

/// The other process: groups, rotations, snapshots, removals and the end of a log. As a test of its own it
/// does nothing.
#[test]
fn writes_a_history() {
    let Some(path) = log_of_child() else { return };
    let disk = match FileDisk::new(path) {
        Ok(disk) => disk,
        Err(error) => return tell(format_args!("failed behind 0, making the directory: {error}")),
    };
    let mut store = match Store::open(&disk) {
        Ok(store) => store,
        Err(error) => return tell(format_args!("failed behind 0, opening: {error}")),
    };
    for last in (5..=LAST).step_by(5) {
        store.node.append_to(last);
        if let Err(error) = store.node.syncer.sync_once() {
            let SyncError::Poisoned(poisoned) = &error else { panic!("{error}") };
            assert!(matches!(store.node.log.enqueue(b"late"), Err(EnqueueError::Poisoned(_))));
            store.node.log.wait_durable_blocking(Lsn::from_u64(last)).unwrap_err();
            store.node.syncer.sync_once().unwrap_err();
            assert!(store.snapshots.retain().map_or(true, |retained| retained.removed.is_empty()));
            return tell(format_args!("failed behind {}, syncing: {error}", poisoned.durable));
        }
        tell(format_args!("acknowledged {last}"));
        if last % 20 == 0 {
            let taken = store.snapshot(last).map(|_| ()).map_err(|error| error.to_string());
            let removed = taken.and_then(|()| store.snapshots.retain().map_err(|error| error.to_string()));
            if let Err(error) = removed {
                tell(format_args!("no snapshot: {error}"));
            }
        }
    }
    if let Err(error) = store.node.syncer.seal() {
        tell(format_args!("failed behind {LAST}, sealing: {error}"));
    }
}

/// The test that is the history.
pub(crate) const HISTORY: &str = "strace::writes_a_history";
pub(crate) const SYNCS: &str = "fdatasync,fsync";
/// How many records a history has.
pub(crate) const LAST: u64 = 60;
