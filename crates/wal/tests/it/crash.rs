//! Power cuts at every point: what was acknowledged is there, and a batch is there whole or not at all.

use quickcheck::quickcheck;
use trellis_wal::{Disk, Lsn, MemoryDisk, Sector, Syncer};

use crate::spare::SPARE;
use crate::support::{Node, flip, records_to};

#[test]
fn a_torn_group_leaves_whole_units_whichever_of_its_sectors_survive() {
    let image = log_with_unsynced_group();
    let sectors = image.unsynced_sectors();
    assert!(sectors.len() >= 3, "{sectors:?}");
    for chosen in 0..1u32 << sectors.len() {
        let cut = image.crash(0, |sector| is_chosen(&sectors, sector, chosen));
        let node = Node::open(&cut).unwrap();
        let held = node.held.len() as u64;
        assert!(matches!(held, 5 | 12..=14), "sectors {chosen:b} left {held} records");
        assert_eq!(node.held, records_to(held));
        assert!(!node.report.tail_certain, "sectors {chosen:b}");
        drop(node);
        assert_eq!(Node::open(&cut).unwrap().held, records_to(held), "sectors {chosen:b}");
    }
}

#[test]
fn a_log_cut_after_any_number_of_sectors_of_its_last_group_keeps_what_was_acknowledged() {
    let image = log_with_unsynced_group();
    let sectors = image.unsynced_sectors();
    let lengths: Vec<_> = (0..=sectors.len())
        .map(|kept| {
            let cut = image.crash(0, |sector| sectors[..kept].contains(sector));
            Node::open(&cut).unwrap().held.len()
        })
        .collect();
    assert!(lengths.is_sorted(), "{lengths:?}");
    assert_eq!((lengths.first(), lengths.last()), (Some(&5), Some(&14)));
}

#[test]
fn a_torn_tail_is_set_aside_and_its_positions_are_given_again() {
    let image = log_with_unsynced_group();
    let last = image.unsynced_sectors().pop();
    let cut = image.crash(0, |sector| Some(sector) == last.as_ref());
    let mut node = Node::open(&cut).unwrap();
    let (name, bytes) = cut.quarantined().pop_first().unwrap();
    assert_eq!(node.report.quarantined, Some(name));
    assert_eq!(node.report.torn_bytes, bytes.len() as u64);
    assert!(bytes.iter().any(|&byte| byte != 0));
    assert!(!node.report.tail_certain);
    node.write_to(10);
    drop(node);
    assert_eq!(Node::open(&cut.crash(0, |_| false)).unwrap().held, records_to(10));
}

#[test]
fn unattested_records_are_durable_again_before_the_log_is_served() {
    let disk = MemoryDisk::new();
    Node::open(&disk).unwrap().write_to(10);
    let node = Node::open(&disk).unwrap();
    assert_eq!((node.report.relogged, node.report.tail_certain), (5, false));
    assert_eq!(node.held, records_to(10));
    assert_eq!(disk.unsynced_sectors(), []);
    assert_eq!(disk.unsynced_names(), 0);
}

#[test]
fn a_doubt_about_the_tail_lasts_until_a_record_is_appended() {
    let disk = MemoryDisk::new();
    Node::open(&disk).unwrap().write_to(10);
    for _ in 0..3 {
        let node = Node::open(&disk).unwrap();
        assert_eq!((node.report.relogged, node.report.tail_certain), (5, false));
        node.syncer.seal().unwrap();
    }
    let mut node = Node::open(&disk).unwrap();
    node.write_to(11);
    node.syncer.seal().unwrap();
    let node = Node::open(&disk).unwrap();
    assert!(node.report.tail_certain);
    assert_eq!(node.held, records_to(11));
}

#[test]
fn a_power_cut_after_any_change_to_the_disk_loses_nothing_acknowledged() {
    check_power_cuts(|_| {});
}

quickcheck! {
    fn any_history_of_appends_and_power_cuts_keeps_every_acknowledged_record(steps: Vec<u8>) -> bool {
        keeps_its_promises(&steps)
    }
}

/// Plays a history against a log and checks it after every power cut.
fn keeps_its_promises(steps: &[u8]) -> bool {
    let mut disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    let mut acknowledged = 0;
    for (index, &step) in steps.iter().enumerate() {
        let last = node.log.last().as_u64();
        match step % 8 {
            0..=2 => node.append_to(last + u64::from(step / 64) + 1),
            3 => node.append_batch_to(last + u64::from(step / 64) + 1),
            4 | 5 => acknowledged = node.syncer.sync_once().unwrap().durable.as_u64(),
            6 => node.syncer.attest().unwrap(),
            _ => {
                if step & 8 == 0 {
                    disk.cut_power_after(1);
                    let _ = node.syncer.sync_once();
                }
                disk = disk.crash(disk.unsynced_names(), |sector| (sector.index + index) % 3 != 0);
                node = Node::open(&disk).unwrap();
                let held = node.held.len() as u64;
                let again = Node::open(&disk.crash(0, |_| false)).unwrap();
                if held < acknowledged || node.held != records_to(held) || again.held != node.held {
                    return false;
                }
                acknowledged = held;
            }
        }
    }
    true
}

/// Cuts the power after each change to the disk in its turn, and has whatever was not synced survive or not; what was
/// acknowledged is there, and nothing that was made ahead. `afterwards` is done after each group.
pub(crate) fn check_power_cuts(afterwards: impl Fn(&mut Syncer<MemoryDisk>)) {
    let mut changes = 0;
    loop {
        let disk = MemoryDisk::new();
        disk.cut_power_after(changes);
        let (acknowledged, is_cut) = work_until_cut(&disk, &afterwards);
        for names_kept in 0..=disk.unsynced_names() {
            for phase in 0..4 {
                let after = disk.crash(names_kept, |sector| phase == 3 || sector.index % 2 == phase);
                let held = Node::open(&after).unwrap().held;
                assert!(held.len() as u64 >= acknowledged, "{} left after {changes} changes", held.len());
                assert_eq!(held, records_to(held.len() as u64));
                assert!(!after.list().unwrap().contains(&SPARE.to_owned()), "after {changes} changes");
                assert_eq!(Node::open(&after.crash(0, |_| false)).unwrap().held, held);
            }
        }
        if !is_cut {
            break;
        }
        changes += 1;
    }
    assert!(changes > 60, "{changes} changes");
}

/// Works in two openings until the disk fails; returns what was acknowledged and whether it failed.
fn work_until_cut(disk: &MemoryDisk, afterwards: &impl Fn(&mut Syncer<MemoryDisk>)) -> (u64, bool) {
    let mut acknowledged = 0;
    for last in [40, 60] {
        let Ok(mut node) = Node::open(disk) else { return (acknowledged, true) };
        while node.log.last() < Lsn::from_u64(last) {
            node.append_batch_to(node.log.last().as_u64() + 5);
            if node.syncer.sync_once().is_err() {
                return (node.log.durable().as_u64(), true);
            }
            afterwards(&mut node.syncer);
        }
        acknowledged = last;
    }
    (acknowledged, false)
}

/// A log of five durable records, and behind them a group that is written and not synced: an atomic batch of
/// seven records and two more.
fn log_with_unsynced_group() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.write_to(5);
    node.append_batch_to(12);
    node.append_to(14);
    disk.cut_power_after(1);
    node.syncer.sync_once().unwrap_err();
    disk
}

fn is_chosen(sectors: &[Sector], sector: &Sector, chosen: u32) -> bool {
    sectors.iter().position(|other| other == sector).is_some_and(|index| chosen >> index & 1 == 1)
}

#[test]
fn a_torn_tail_is_set_aside_beside_an_earlier_one_of_the_same_name() {
    let disk = MemoryDisk::new();
    let name = "wal-00000000000000000001.log";
    let mut copies = Vec::new();
    for (group, copy) in [("first", "-4096"), ("second", "-4096.2")] {
        let mut node = Node::open(&disk).unwrap();
        node.log.enqueue(group.as_bytes()).unwrap();
        node.syncer.sync_once().unwrap();
        drop(node);
        // The only group there is: the segment that follows takes the place of this one.
        flip(&disk, name, 4096 + 24);
        for _ in 0..2 {
            // It is the same tail until something is appended.
            assert_eq!(Node::open(&disk).unwrap().report.quarantined, Some(format!("{name}{copy}")));
        }
        copies.push(format!("{name}{copy}"));
        assert!(disk.quarantined().keys().eq(&copies));
    }
    assert_ne!(disk.quarantined()[&copies[0]], disk.quarantined()[&copies[1]]);
}
