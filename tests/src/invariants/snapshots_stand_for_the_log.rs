//! What a snapshot stands for can be had again: one that was published is whole and stays, it holds nothing that the log
//! can still lose, and what it makes needless goes only while the log is sound and a second snapshot could stand in.

use trellis_wal::{Lsn, RejectedSnapshot, SnapshotDamage};

use super::{Held, Violation};

/// A snapshot has got its name.
pub(super) fn published(host: u8, end: Lsn, durable: Lsn) -> Held {
    if end <= durable {
        return Ok(());
    }
    Err(violation(
        host,
        format!("publishes what reaches to record {end} while the log is durable up to {durable}"),
    ))
}

/// So many files were removed, and these are left.
pub(super) fn removed(host: u8, files: usize, has_failed: bool, left: &[String]) -> Held {
    if files == 0 {
        return Ok(());
    }
    if has_failed {
        return Err(violation(host, format!("removes {files} files beside a log that has failed")));
    }
    let older = left.iter().rev().filter_map(|name| snapshot_start(name)).nth(1);
    let Some(older) = older else {
        return Err(violation(host, format!("keeps less than two snapshots: {left:?}")));
    };
    match left.iter().find_map(|name| segment_first(name)) {
        Some(first) if first <= older.next() => Ok(()),
        first => {
            Err(violation(host, format!("keeps the log from {first:?} on behind a snapshot of {older}")))
        }
    }
}

/// A start has found a snapshot that starts at `found`, or none, and passed these over.
pub(super) fn started(
    host: u8,
    published: Lsn,
    found: Option<Lsn>,
    rejected: &[RejectedSnapshot],
    has_rotted: impl Fn(&str) -> bool,
) -> Held {
    let is_unread = |damage: &SnapshotDamage| matches!(damage, SnapshotDamage::Unreadable { .. });
    let broken = rejected.iter().find(|it| !is_unread(&it.damage) && !has_rotted(&it.name));
    if let Some(broken) = broken {
        return Err(violation(host, format!("finds a snapshot that did not rot and is damaged: {broken}")));
    }
    let is_there = found.is_some_and(|start| start >= published)
        || rejected.iter().any(|it| snapshot_start(&it.name).is_some_and(|start| start >= published));
    if published == Lsn::ZERO || is_there {
        return Ok(());
    }
    Err(violation(host, format!("published a snapshot of {published} and starts from one of {found:?}")))
}

/// The LSN in the name of a snapshot; `None` for other files.
pub(crate) fn snapshot_start(name: &str) -> Option<Lsn> {
    name.strip_prefix("snap-")?.strip_suffix(".snap")?.parse().ok().map(Lsn::from_u64)
}

/// The LSN of the first record in the name of a segment; `None` for other files.
pub(crate) fn segment_first(name: &str) -> Option<Lsn> {
    name.strip_prefix("wal-")?.strip_suffix(".log")?.parse().ok().map(Lsn::from_u64)
}

fn violation(host: u8, detail: String) -> Violation {
    let detail = format!("n{} {detail}", host + 1);
    Violation { invariant: "snapshots_stand_for_the_log", hosts: vec![host], detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_ends_where_the_log_is_durable() {
        assert!(published(0, Lsn::from_u64(7), Lsn::from_u64(7)).is_ok());
        assert!(published(0, Lsn::from_u64(8), Lsn::from_u64(7)).is_err());
    }

    #[test]
    fn two_snapshots_are_kept_and_the_log_back_to_the_older() {
        let names = |snapshots: &[u64], first: u64| -> Vec<String> {
            let snapshots = snapshots.iter().map(|start| format!("snap-{start:020}.snap"));
            snapshots.chain([format!("wal-{first:020}.log")]).collect()
        };
        assert!(removed(0, 3, false, &names(&[20, 30], 21)).is_ok());
        assert!(removed(0, 3, false, &names(&[20, 30], 22)).is_err());
        assert!(removed(0, 3, false, &names(&[30], 21)).is_err());
        assert!(removed(0, 1, true, &names(&[20, 30], 21)).is_err());
        assert!(removed(0, 0, true, &names(&[30], 31)).is_ok());
    }

    #[test]
    fn what_was_published_is_found_whole_unless_it_rotted() {
        let start = |lsn| Some(Lsn::from_u64(lsn));
        let rejected =
            |damage| vec![RejectedSnapshot { name: "snap-00000000000000000030.snap".to_owned(), damage }];
        let never = |_: &str| false;
        let published = Lsn::from_u64(30);
        assert!(started(0, published, start(30), &[], never).is_ok());
        assert!(started(0, published, start(20), &[], never).is_err());
        assert!(started(0, published, None, &[], never).is_err());
        assert!(started(0, Lsn::ZERO, None, &[], never).is_ok());
        assert!(started(0, published, start(20), &rejected(SnapshotDamage::Header), never).is_err());
        assert!(started(0, published, start(20), &rejected(SnapshotDamage::Header), |_| true).is_ok());
    }
}
