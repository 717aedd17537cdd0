//! A real file system that loses its power at any moment: what was acknowledged before is there after.

use std::fs::File;
use std::path::Path;

use trellis_wal::tools::{Verdict, verify};
use trellis_wal::{FileDisk, Lsn};

use crate::child::{Child, log_of_child, number_of, rounds, skip, tell};
use crate::mounts::Mount;
use crate::support::{Store, records_to};

#[cfg(not(trellis_fault))]
#[test]
fn a_power_cut_on_ext4_at_any_moment_loses_nothing_acknowledged() {
    for features in FEATURES {
        match cut_power_often(features, rounds(ROUNDS), &[]) {
            Ok(cuts) => assert!(cuts.records > 0 && cuts.snapshots > 0),
            Err(NotSurvived::Impossible(reason)) => skip("power cuts on ext4", &reason),
            Err(NotSurvived::Lost(what)) => panic!("ext4 with {features}: {what}"),
        }
    }
}

/// What there was to lose.
#[derive(Debug)]
pub(crate) struct Cuts {
    pub(crate) records: u64,
    pub(crate) snapshots: u64,
}

/// Why there was no other cut.
#[derive(Debug)]
pub(crate) enum NotSurvived {
    /// This machine cannot.
    Impossible(String),
    /// Something that the other process had been promised was lost.
    Lost(String),
}

/// Cuts the power so many times under another process, to which `variables` are passed, each time at another moment.
pub(crate) fn cut_power_often(
    features: &str,
    rounds: u64,
    variables: &[(&str, &str)],
) -> Result<Cuts, NotSurvived> {
    let mut mount = Mount::ext4(MEGABYTES, features).map_err(NotSurvived::Impossible)?;
    let mut cuts = Cuts { records: 0, snapshots: 0 };
    let mut promised = Promised::default();
    for round in 0..rounds {
        // A log of its own now and then, as snapshots of these tests get longer with the log.
        if round % ROUNDS_PER_LOG == 0 {
            promised = Promised::default();
        }
        let log = mount.path().join(format!("log-{}", round / ROUNDS_PER_LOG));
        let mut child = Child::run_under(&[], "power_cut::works_until_the_power_is_cut", &log, variables);
        let (mut heard, patience) = (0, 1 + round * 7 % 40);
        while let Some(told) = child.next_told() {
            promised.hear(&told);
            heard += 1;
            // Whatever it does at that moment: a group, a rotation, a snapshot, a removal, or a log that was opened.
            if heard == patience {
                mount.cut_power().map_err(NotSurvived::Impossible)?;
            }
        }
        assert!(child.wait().success() && heard >= patience, "it works until the power is cut");
        mount.start_again().unwrap();
        promised.check(&log).map_err(|what| NotSurvived::Lost(format!("cut {round}: {what}")))?;
        cuts.records += promised.records;
        cuts.snapshots += u64::from(promised.snapshot > 0);
    }
    Ok(cuts)
}

/// What the other process was told is durable.
#[derive(Debug, Default)]
struct Promised {
    records: u64,
    /// The start of the newest snapshot that was published.
    snapshot: u64,
}

impl Promised {
    fn hear(&mut self, told: &str) {
        let records = number_of(told, "acknowledged ").or(number_of(told, "serves "));
        self.records = self.records.max(records.unwrap_or(0));
        self.snapshot = self.snapshot.max(number_of(told, "published ").unwrap_or(0));
    }

    /// Opens the log twice and compares; what is served from then on is promised as well.
    fn check(&mut self, log: &Path) -> Result<(), String> {
        let found = verify(&FileDisk::read_only(log).map_err(|error| error.to_string())?, |_| {});
        if found.verdict() > Verdict::TornTail {
            return Err(found.to_string());
        }
        for _ in 0..2 {
            let store = Store::open(&FileDisk::new(log).unwrap()).map_err(|error| error.to_string())?;
            let (held, report) = (store.node.held, store.node.report);
            let is_all_there =
                held.len() as u64 >= self.records && report.start >= Lsn::from_u64(self.snapshot);
            if !is_all_there || held != records_to(held.len() as u64) {
                return Err(format!("{self:?}, and there are {} records; {report}", held.len()));
            }
            self.records = held.len() as u64;
        }
        Ok(())
    }
}

/// The other process; as a test of its own it does nothing.
#[test]
fn works_until_the_power_is_cut() {
    let Some(path) = log_of_child() else { return };
    // Without power every step fails, the first ones as well.
    let Ok(disk) = FileDisk::new(&path) else { return };
    // A sync that was on its way when the power went can still report success: ext4 looks whether a commit is in
    // progress, and none is any more. Only what is told while files can be opened was durable before.
    let has_power = || File::open(path.join("LOCK")).is_ok();
    let Ok(mut store) = Store::open(&disk) else { return };
    assert_eq!(store.node.held, records_to(store.node.held.len() as u64));
    if !has_power() {
        return;
    }
    tell(format_args!("serves {}", store.node.held.len()));
    loop {
        let last = store.node.log.last().as_u64() + 3;
        store.node.append_to(last);
        if store.node.syncer.sync_once().is_err() || !has_power() {
            return;
        }
        tell(format_args!("acknowledged {last}"));
        if last.is_multiple_of(5) {
            if store.snapshot(last).is_err() || !has_power() {
                return;
            }
            tell(format_args!("published {last}"));
            if store.snapshots.retain().is_err() {
                return;
            }
        }
    }
}

/// With extents a segment's space is reserved, and the first sync behind the reservation writes the journal with all
/// names in it. Without them it is written with zeroes, and a name that nobody syncs stays behind.
pub(crate) const FEATURES: [&str; 2] = ["extent", "^extent,^64bit"];
const MEGABYTES: u64 = 32;
const ROUNDS: u64 = 15;
const ROUNDS_PER_LOG: u64 = 25;
