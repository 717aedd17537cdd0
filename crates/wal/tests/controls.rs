//! Each rule of the log and of its snapshots is missed when it is off. In a build with `--cfg trellis_fault` only.
#![cfg(trellis_fault)]
#![expect(clippy::unwrap_used, reason = "the lint does not take the helpers of tests for tests")]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::panic::catch_unwind;
use std::sync::mpsc::channel;
use std::thread;

use trellis_wal::fault::{OWN_RULES, RULES, SNAPSHOT_RULES, switch_off};
use trellis_wal::{Fault, Lsn, MemoryDisk, Operation};

use crate::child::{RULE_VARIABLE, skip};
use crate::power_cut::{FEATURES, NotSurvived, cut_power_often};
use crate::strace::{can_inject, every_sync_fails};
use crate::support::{End, Node, Store, chunks_to, flip, log_of_sixty, records_to, segments, snapshots};

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/child.rs"]
mod child;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/mounts.rs"]
mod mounts;
#[allow(dead_code, unused_imports, reason = "the test that all goes well is among the others")]
#[path = "it/power_cut.rs"]
mod power_cut;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/strace.rs"]
mod strace;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/support.rs"]
mod support;

/// One test, as what is switched off is so for the whole process.
#[test]
fn every_rule_is_missed_when_it_is_off() {
    assert_eq!(failures(None), BTreeSet::new(), "with all rules on");
    for rule in RULES.iter().chain(SNAPSHOT_RULES).chain(OWN_RULES) {
        let noticed = failures(Some(rule));
        println!("{rule}: {noticed:?}");
        assert!(!noticed.is_empty(), "nothing notices that this is off: {rule}");
    }
    switch_off(None);
    miss_rules_on_ext4();
    miss_rule_under_strace();
}

/// What a disk in memory shows, a real one shows as well, where this machine can cut one off.
fn miss_rules_on_ext4() {
    for (rule, features) in ON_EXT4 {
        let variables = [(RULE_VARIABLE, *rule)];
        match cut_power_often(features, CUTS_MAX, &variables) {
            Err(NotSurvived::Lost(what)) => println!("{rule}: ext4 with {features}: {what}"),
            Err(NotSurvived::Impossible(reason)) => return skip("rules on ext4", &reason),
            Ok(cuts) => panic!("nothing is lost when this is off: {rule}: {cuts:?}"),
        }
    }
}

/// A sync that fails goes unnoticed with this rule off, also where the kernel fails it.
fn miss_rule_under_strace() {
    if can_inject("rules under strace") {
        let unnoticed = every_sync_fails(&[(RULE_VARIABLE, "a failed sync poisons")]).unwrap_err();
        println!("a failed sync poisons: {unnoticed}");
    }
}

/// Each with the features of the file system on which it matters. A snapshot that nobody syncs is not among them: the
/// system has mostly written it before the power is cut, so one cut in 20 to 500 finds it missing. The disk in memory
/// keeps nothing that was not synced, and shows that rule each time.
const ON_EXT4: &[(&str, &str)] = &[
    ("a group is synced", FEATURES[0]),
    ("names are synced", FEATURES[1]),
    ("a snapshot's name is synced", FEATURES[0]),
];
const CUTS_MAX: u64 = 100;

/// Runs all checks with a rule off and names those that fail.
fn failures(rule: Option<&str>) -> BTreeSet<&'static str> {
    assert!(switch_off(rule));
    CHECKS.iter().filter(|(_, check)| catch_unwind(check).is_err()).map(|(name, _)| *name).collect()
}

const CHECKS: &[(&str, fn())] = &[
    ("power cuts while the log is written", cut_log),
    ("torn groups", torn_group),
    ("rot in the log", rotten_log),
    ("rot in the last group behind a snapshot", rot_behind_a_snapshot),
    ("failed syncs", failed_syncs),
    ("power cuts while snapshots are published and old ones removed", cut_snapshots),
    ("rot in snapshots", rotten_snapshots),
    ("a write that goes wrong", bad_write),
    ("a snapshot ahead of the log", early_snapshot),
    ("removing beside a failed log", failed_log),
    ("a failure of one who syncs", failed_lead),
    ("appending without room", no_room),
];

fn cut_log() {
    for changes in 0..90 {
        let disk = MemoryDisk::new();
        disk.cut_power_after(changes);
        let mut acknowledged = 0;
        if let Ok(mut node) = Node::open(&disk) {
            while acknowledged < 60 {
                node.append_to(acknowledged + 5);
                match node.syncer.sync_once() {
                    Ok(synced) => acknowledged = synced.durable.as_u64(),
                    Err(_) => break,
                }
            }
        }
        for names_kept in [0, disk.unsynced_names()] {
            let held = Node::open(&disk.crash(names_kept, |_| false)).unwrap().held;
            assert!(held.len() as u64 >= acknowledged);
            assert_eq!(held, records_to(held.len() as u64));
        }
    }
}

fn torn_group() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.write_to(5);
    node.append_batch_to(12);
    disk.cut_power_after(1);
    node.syncer.sync_once().unwrap_err();
    let sectors = disk.unsynced_sectors();
    for chosen in 0..1u32 << sectors.len() {
        let is_kept = |sector: &_| {
            sectors.iter().position(|other| other == sector).is_some_and(|at| chosen >> at & 1 == 1)
        };
        let held = Node::open(&disk.crash(0, is_kept)).unwrap().held;
        assert!(matches!(held.len(), 5 | 12));
        assert_eq!(held, records_to(held.len() as u64));
    }
}

fn rotten_log() {
    let disk = log_of_sixty(End::Attested);
    for name in segments(&disk) {
        for offset in (0..disk.contents(&name).unwrap().len()).step_by(3) {
            let copy = disk.duplicate();
            flip(&copy, &name, offset);
            if let Ok(node) = Node::open(&copy) {
                assert_eq!(node.held, records_to(60));
            }
        }
    }
}

fn rot_behind_a_snapshot() {
    let disk = MemoryDisk::new();
    Store::open(&disk).unwrap().write_and_snapshot(20).unwrap();
    let name = segments(&disk).pop().unwrap();
    let end = disk.contents(&name).unwrap().iter().rposition(|&byte| byte != 0).unwrap();
    flip(&disk, &name, end);
    assert!(Store::open(&disk).is_err());
}

fn failed_syncs() {
    for after in 0..20 {
        let disk = MemoryDisk::new();
        let mut node = Node::open(&disk).unwrap();
        disk.inject(Fault { operation: Operation::Sync, after, kind: ErrorKind::Other });
        let mut acknowledged = 0;
        for last in (5..=60).step_by(5) {
            node.append_to(last);
            match node.syncer.sync_once() {
                Ok(synced) => acknowledged = synced.durable.as_u64(),
                Err(_) => break,
            }
        }
        drop(node);
        let cut = Node::open(&disk.crash(0, |_| false)).unwrap().held;
        assert!(cut.len() as u64 >= acknowledged);
        // The process starts again without the machine: what it serves must survive from then on.
        let served = Node::open(&disk).unwrap().held;
        assert_eq!(Node::open(&disk.crash(0, |_| false)).unwrap().held, served);
    }
}

fn cut_snapshots() {
    for changes in 0..40 {
        let disk = MemoryDisk::new();
        let mut store = Store::open(&disk).unwrap();
        for last in [40, 80] {
            store.node.write_to(last);
            if last == 80 {
                disk.cut_power_after(changes);
            }
            let Ok(info) = store.snapshot(last) else { break };
            assert!(snapshots(&disk.crash(0, |_| false)).contains(&info.name), "what is published stays");
            if store.snapshots.retain().is_err() {
                break;
            }
        }
        drop(store);
        for names_kept in 0..=disk.unsynced_names() {
            let cut = disk.crash(names_kept, |_| false);
            let store = Store::open(&cut).unwrap();
            assert_eq!(store.node.report.rejected, [], "a snapshot with a name is whole");
            assert_eq!(store.node.held, records_to(80));
        }
    }
}

fn rotten_snapshots() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    for last in [40, 80] {
        store.write_and_snapshot(last).unwrap();
        store.snapshots.retain().unwrap();
    }
    drop(store);
    let newest = snapshots(&disk).pop().unwrap();
    for offset in (0..disk.contents(&newest).unwrap().len()).step_by(3) {
        let copy = disk.duplicate();
        flip(&copy, &newest, offset);
        assert_eq!(Store::open(&copy).unwrap().node.held, records_to(80));
    }
}

fn bad_write() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.node.write_to(20);
    let mut writer = store.snapshots.begin(Lsn::from_u64(20)).unwrap();
    chunks_to(20).iter().for_each(|chunk| assert!(writer.append_chunk(chunk).is_ok()));
    let publication = writer.end(&store.node.log, Lsn::from_u64(20)).unwrap();
    rot_in_place(&disk, "snap-00000000000000000020.tmp");
    publication.publish().unwrap_err();
}

fn early_snapshot() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.node.write_to(10);
    let writer = store.snapshots.begin(Lsn::from_u64(10)).unwrap();
    store.node.append_to(11);
    writer.finish(&store.node.log, Lsn::from_u64(11)).unwrap_err();
}

fn failed_log() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(&disk).unwrap();
    store.write_and_snapshot(40).unwrap();
    store.write_and_snapshot(80).unwrap();
    store.node.append_to(81);
    disk.inject(Fault { operation: Operation::Write, after: 0, kind: ErrorKind::Other });
    store.node.syncer.sync_once().unwrap_err();
    store.snapshots.retain().unwrap_err();
}

fn failed_lead() {
    let disk = MemoryDisk::new();
    let node = Node::open(&disk).unwrap();
    disk.inject(Fault { operation: Operation::Sync, after: 0, kind: ErrorKind::Other });
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let log = node.log.clone();
            thread::spawn(move || log.append(b"record").is_ok())
        })
        .collect();
    node.syncer.run(|_| {});
    assert!(callers.into_iter().all(|caller| !caller.join().unwrap()), "nobody's record is durable");
}

fn no_room() {
    let mut node = Node::open(&MemoryDisk::new()).unwrap();
    while node.log.has_room() {
        node.log.enqueue(&[7; 104]).unwrap();
    }
    let (last, log) = (node.log.last(), node.log.clone());
    let (begin, begun) = channel();
    let caller = thread::spawn(move || {
        begin.send(()).unwrap();
        log.append(b"one too many")
    });
    begun.recv().unwrap();
    // There is nothing to be told by who waits for room: it is given the time to go wrong.
    (0..10_000).for_each(|_| thread::yield_now());
    let found = node.log.last();
    while !caller.is_finished() {
        node.syncer.sync_once().unwrap();
    }
    caller.join().unwrap().unwrap();
    assert_eq!(found, last);
}

/// Changes a byte of a file that is open.
fn rot_in_place(disk: &MemoryDisk, name: &str) {
    use trellis_wal::{Disk, DiskFile};
    let mut file = disk.open(name).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, 4200).unwrap();
    file.write_at(&[byte[0] ^ 1], 4200).unwrap();
}
