//! A process that is killed at any moment: what it was told is durable is there.

use std::time::{Duration, Instant};

use trellis_wal::tools::{Verdict, verify};
use trellis_wal::{FileDisk, Lsn};

use crate::child::{Child, log_of_child, number_of, rounds, tell};
use crate::support::{Store, records_to};

#[test]
fn a_process_that_is_killed_has_kept_every_record_it_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let (mut records, mut snapshots) = (0, 0);
    let mut path = home.path().join("log");
    let mut acknowledged = 0;
    for round in 0..rounds(ROUNDS) {
        // A log of its own now and then, as snapshots of these tests get longer with the log.
        if round % ROUNDS_PER_LOG == 0 {
            (path, acknowledged) = (home.path().join(format!("log-{round}")), 0);
        }
        let mut child = Child::run("killed::works_until_it_is_killed", &path);
        // Rotations come with every seventh group; what comes next is told before it begins.
        let (phase, times) =
            [("acknowledged", 1 + round % 9), ("snapshot", 1), ("removal", 1)][round as usize % 3];
        let mut heard = 0;
        while let Some(told) = child.next_told() {
            acknowledged = number_of(&told, "acknowledged ").unwrap_or(acknowledged);
            heard += u64::from(told.starts_with(phase));
            if heard == times {
                spend(Duration::from_micros(round * 37 % 500));
                child.kill();
            }
        }
        assert!(heard >= times && !child.wait().success(), "it works until it is killed");
        let found = verify(&FileDisk::read_only(&path).unwrap(), |_| {});
        assert!(found.verdict() <= Verdict::TornTail, "{found}");
        for _ in 0..2 {
            let store = Store::open(&FileDisk::new(&path).unwrap()).unwrap();
            let held = store.node.held;
            assert!(held.len() as u64 >= acknowledged, "{} of {acknowledged}", held.len());
            assert_eq!(held, records_to(held.len() as u64));
            acknowledged = held.len() as u64;
            snapshots += usize::from(store.node.report.start > Lsn::ZERO);
        }
        records += acknowledged;
    }
    assert!(snapshots > 0 && records > 300, "{snapshots} snapshots, {records} records");
}

/// The other process; as a test of its own it does nothing.
#[test]
fn works_until_it_is_killed() {
    let Some(path) = log_of_child() else { return };
    let mut store = Store::open(&FileDisk::new(path).unwrap()).unwrap();
    loop {
        let last = store.node.log.last().as_u64() + 3;
        store.node.write_to(last);
        tell(format_args!("acknowledged {last}"));
        if last.is_multiple_of(5) {
            tell("snapshot");
            store.snapshot(last).unwrap();
            tell("removal");
            store.snapshots.retain().unwrap();
        }
    }
}

/// Lets the other process come to another place of the step that it has told of.
fn spend(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

const ROUNDS: u64 = 21;
const ROUNDS_PER_LOG: u64 = 50;
