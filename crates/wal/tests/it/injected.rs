//! A kernel that fails, interrupts and delays calls, by strace: every call of a small history in its turn.

use std::fs;

use trellis_wal::tools::Verdict;
use trellis_wal::{EnqueueError, FileDisk, open};

use crate::child::{Child, log_of_child, number_of, tell};
use crate::strace::{
    HISTORY, LAST, SYNCS, Told, can_inject, check_failure, check_kept, check_lie, every_call,
    every_sync_fails, nowhere, one_injection, strace,
};
use crate::support::{CONFIG, SEED, Store, listing, payload, records_to};

#[test]
fn a_sync_that_fails_at_any_call_acknowledges_nothing_more() {
    if !can_inject("syncs that fail") {
        return;
    }
    let failed = every_sync_fails(&[]).unwrap();
    assert!(failed > 20, "the history has {failed} syncs of files and the directory");
}

#[test]
fn a_directory_whose_name_may_not_be_durable_is_used_by_nobody() {
    if !can_inject("the name of a directory") {
        return;
    }
    // As it is left by a process that was killed when it had made it.
    let (log, told) = one_injection("fsync", "error=EIO:when=1");
    assert_eq!((told.failure, told.acknowledged), (Some(0), 0));
    assert_eq!(listing(log.path()), []);
}

#[test]
fn a_write_that_fails_at_any_call_acknowledges_nothing_more() {
    if !can_inject("writes that fail") {
        return;
    }
    let failed = every_call("pwrite64", "error=EIO", &[], check_failure).unwrap();
    assert!(failed > 20, "the history has {failed} writes");
    // The calls of a group, of a new segment and of a snapshot.
    for nth in [1, 2, 5, 8, 14] {
        let (log, told) = one_injection("pwrite64", &format!("error=EAGAIN:when={nth}"));
        check_failure(log.path(), &told).unwrap();
    }
}

#[test]
fn calls_that_are_interrupted_are_made_again() {
    if !can_inject("interrupted calls") {
        return;
    }
    let calls = format!("pwrite64,fallocate,ftruncate,{SYNCS}");
    // Every second one.
    let (log, told) = one_injection(&calls, "error=EINTR:when=1+2");
    check_kept(log.path(), &told);
    assert_eq!((told.failure, told.acknowledged, told.snapshot_failure), (None, LAST, None));
}

#[test]
fn a_write_that_the_disk_only_claims_to_have_made_is_never_fewer_records_with_an_ok() {
    if !can_inject("writes that lie") {
        return;
    }
    let lied = every_call("pwrite64", "retval=4", &[], check_lie).unwrap();
    assert!(lied > 20, "the history has {lied} writes");
}

#[test]
fn a_write_that_comes_up_short_is_completed_or_fails_the_log() {
    if !can_inject("short writes") {
        return;
    }
    // The reservation is only pretended, so that a limit of the length of files is met by the write of a group.
    for kilobytes in [1, 5] {
        let directory = tempfile::tempdir().unwrap();
        let (log, trace) = (directory.path().join("log"), directory.path().join("trace"));
        fs::create_dir(&log).unwrap();
        let limited = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", 2 * kilobytes);
        let shell = ["sh", "-c", &limited, "sh"].map(str::to_owned);
        let strace = strace("fallocate", "retval=0", &trace);
        let writes = ["-e", "trace=fallocate,pwrite64"].map(str::to_owned);
        let launcher = [&shell[..], &strace, &writes].concat();
        let told = Told::by(Child::run_under(&launcher, HISTORY, &log, &[]));
        assert_ne!(told.failure, None, "a file cannot have more than {kilobytes} KiB");
        check_lie(&log, &told).unwrap();
        let is_short = |line: &str| {
            let count = |text: &str| text.trim().parse::<u64>().ok();
            let (arguments, returned) = line.rsplit_once(") = ")?;
            let asked = count(arguments.rsplit(", ").nth(1)?)?;
            Some(count(returned)? < asked)
        };
        let trace = fs::read_to_string(trace).unwrap();
        assert!(trace.lines().any(|line| is_short(line) == Some(true)), "{trace}");
    }
}

#[test]
fn a_read_that_fails_at_any_call_of_a_recovery_refuses_the_log_and_changes_nothing() {
    if !can_inject("reads that fail") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut store = Store::open(&FileDisk::new(&log).unwrap()).unwrap();
    store.write_and_snapshot(40).unwrap();
    store.node.write_to(LAST);
    drop(store);
    let recover = |outcome: &str| {
        // Of this log alone: what loads a program reads as well.
        let files = listing(&log);
        let files = files.iter().flat_map(|(path, _)| ["-P".to_owned(), path.clone()]);
        let launcher: Vec<_> = strace("pread64", outcome, nowhere()).into_iter().chain(files).collect();
        let mut child = Child::run_under(&launcher, "injected::recovers_while_reads_fail", &log, &[]);
        let told = child.next_told();
        assert!(child.wait().success());
        told.expect("it tells what came of it")
    };
    let all = format!("serves {LAST}");
    assert_eq!(recover("error=EINTR:when=1+2"), all);
    let mut refused = 0;
    for nth in 1.. {
        let before = listing(&log);
        let told = recover(&format!("error=EIO:when={nth}"));
        if told == "refused" {
            refused += 1;
            assert_eq!(listing(&log), before, "read {nth}");
        } else if told == all {
            break;
        } else {
            // A snapshot that cannot be read is passed over, as the log still has all of it.
            assert_eq!(told.strip_suffix(" without the snapshot"), Some(&*all), "read {nth}");
        }
    }
    assert!(refused > 5, "{refused} reads of a segment failed");
    assert_eq!(Store::open(&FileDisk::new(&log).unwrap()).unwrap().node.held, records_to(LAST));
}

#[test]
fn all_who_wait_for_a_sync_that_fails_are_told() {
    if !can_inject("waiting for a sync that fails") {
        return;
    }
    // The first segment, its name behind that of the directory, and groups.
    for (calls, nth) in [("fdatasync", 1), ("fsync", 2), ("fdatasync", 2), ("fdatasync", 4), ("pwrite64", 3)]
    {
        let directory = tempfile::tempdir().unwrap();
        let launcher = strace(calls, &format!("error=EIO:when={nth}"), nowhere());
        let mut child = Child::run_under(&launcher, "injected::waits_in_many_threads", directory.path(), &[]);
        let (mut acknowledged, mut refused, mut durable) = (0, 0, None);
        while let Some(told) = child.next_told() {
            acknowledged = acknowledged.max(number_of(&told, "acknowledged ").unwrap_or(0));
            refused += u64::from(told == "refused");
            durable = number_of(&told, "failed behind ").or(durable);
        }
        assert!(child.wait().success());
        assert_eq!(refused, WAITERS, "{calls} {nth}: all have ended, and each was told");
        assert!(
            durable.is_some_and(|durable| acknowledged <= durable),
            "{calls} {nth}: {acknowledged}, {durable:?}"
        );
        let store = Store::open(&FileDisk::new(directory.path()).unwrap()).unwrap();
        let held = store.node.held.len() as u64;
        assert!(held >= acknowledged);
        assert_eq!(store.node.held, records_to(held));
    }
}

#[test]
fn a_slow_disk_makes_callers_wait_and_not_the_queue_grow() {
    if !can_inject("a slow disk") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let launcher = strace("fdatasync", "delay_exit=100000", nowhere());
    let mut child = Child::run_under(&launcher, "injected::appends_without_patience", directory.path(), &[]);
    let told = child.next_told();
    let busy = told.as_deref().and_then(|told| number_of(told, "busy "));
    assert!(busy > Some(0) && child.wait().success(), "{told:?}");
    let store = Store::open(&FileDisk::new(directory.path()).unwrap()).unwrap();
    assert_eq!(store.node.held, records_to(IMPATIENT));
}

/// The other process, here and below; as a test of its own it does nothing.
#[test]
fn recovers_while_reads_fail() {
    let Some(path) = log_of_child() else { return };
    match Store::open(&FileDisk::new(path).unwrap()) {
        Ok(store) if !store.node.report.rejected.is_empty() => {
            tell(format_args!("serves {} without the snapshot", store.node.held.len()));
        }
        Ok(store) => tell(format_args!("serves {}", store.node.held.len())),
        Err(error) => {
            assert_eq!(Verdict::of_error(&error), Verdict::Unreadable, "{error}");
            tell("refused");
        }
    }
}

#[test]
fn waits_in_many_threads() {
    let Some(path) = log_of_child() else { return };
    let opened = open(FileDisk::new(path).unwrap(), CONFIG, SEED).unwrap();
    let (log, syncer) = (opened.log, opened.syncer);
    let order = parking_lot::Mutex::new(());
    let append = || {
        let _others_wait = order.lock();
        let next = log.last().as_u64() + 1;
        log.enqueue(&payload(next))
    };
    let wait = || {
        while let Ok(lsn) = append()
            && log.wait_durable_blocking(lsn).is_ok()
        {
            tell(format_args!("acknowledged {lsn}"));
        }
        tell("refused");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| syncer.run(|_| {}));
        (0..WAITERS).for_each(|_| drop(scope.spawn(wait)));
    });
    tell(format_args!("failed behind {}", log.poisoned().unwrap().durable));
}

#[test]
fn appends_without_patience() {
    let Some(path) = log_of_child() else { return };
    let opened = open(FileDisk::new(path).unwrap(), CONFIG, SEED).unwrap();
    let (log, syncer) = (opened.log, opened.syncer);
    let mut busy = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| syncer.run(|outcome| assert!(outcome.is_ok(), "{outcome:?}")));
        for number in 1..=IMPATIENT {
            while let Err(error) = log.try_enqueue(&payload(number)) {
                assert!(matches!(error, EnqueueError::Busy { .. }), "{error}");
                busy += 1;
                log.wait_durable_blocking(log.durable().next()).unwrap();
            }
            let longest = 24 + CONFIG.record_bytes_max as usize;
            assert!(log.pending_bytes() < CONFIG.pending_bytes_max + longest);
        }
        log.close();
    });
    tell(format_args!("busy {busy}"));
}

const WAITERS: u64 = 8;
const IMPATIENT: u64 = 400;
