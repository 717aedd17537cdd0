//! A process that is killed at any moment: what it was told is durable is there.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use trellis_wal::tools::{Verdict, verify};
use trellis_wal::{FileDisk, Lsn};

use crate::support::{Store, records_to};

#[test]
fn a_process_that_is_killed_has_kept_every_record_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (mut acknowledged, mut snapshots) = (0, 0);
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::works_until_it_is_killed", "--nocapture"])
            .env(PATH_VARIABLE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.filter_map(|line| line.unwrap().strip_prefix(ACKNOWLEDGED)?.parse::<u64>().ok());
        let mut heard = 0;
        for lsn in told {
            acknowledged = acknowledged.max(lsn);
            heard += 1;
            // Not always at the same step: rotations, snapshots and removals come every few records.
            if heard == 3 + round * 7 % 60 {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success(), "it works until it is killed");
        let found = verify(&FileDisk::read_only(&path).unwrap(), |_| {});
        assert!(found.verdict() <= Verdict::TornTail, "{found}");
        let store = Store::open(&FileDisk::new(&path).unwrap()).unwrap();
        let held = store.node.held;
        assert!(held.len() as u64 >= acknowledged, "{} of {acknowledged}", held.len());
        assert_eq!(held, records_to(held.len() as u64));
        snapshots += usize::from(store.node.report.start > Lsn::ZERO);
    }
    assert!(snapshots > 0 && acknowledged > 300, "{snapshots} snapshots, {acknowledged} records");
}

/// The other process; as a test of its own it does nothing.
#[test]
fn works_until_it_is_killed() {
    let Some(path) = std::env::var_os(PATH_VARIABLE) else { return };
    let mut store = Store::open(&FileDisk::new(path).unwrap()).unwrap();
    let mut out = std::io::stdout();
    loop {
        let last = store.node.log.last().as_u64() + 3;
        store.node.write_to(last);
        writeln!(out, "\n{ACKNOWLEDGED}{last}").unwrap();
        out.flush().unwrap();
        if last.is_multiple_of(5) {
            store.snapshot(last).unwrap();
            store.snapshots.retain().unwrap();
        }
    }
}

const PATH_VARIABLE: &str = "TRELLIS_WAL_TEST_LOG";
const ACKNOWLEDGED: &str = "acknowledged ";
const ROUNDS: u64 = 20;
