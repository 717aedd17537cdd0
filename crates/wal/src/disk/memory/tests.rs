//! The simulated directory keeps, loses and breaks what a real one would.

use super::*;

#[test]
fn a_power_cut_keeps_what_was_synced_and_the_chosen_sectors() {
    let disk = MemoryDisk::new();
    let mut file = disk.create("a").unwrap();
    file.allocate(4 * 512).unwrap();
    file.write_at(&[1; 1024], 0).unwrap();
    file.sync().unwrap();
    disk.sync_directory().unwrap();
    file.write_at(&[2; 1024], 512).unwrap();
    let sectors = [1, 2].map(|index| Sector { file: "a".to_owned(), index });
    assert_eq!(disk.unsynced_sectors(), sectors);
    let survived = disk.crash(0, |sector| sector.index == 2).contents("a").unwrap();
    assert_eq!(survived, [[1; 512], [1; 512], [2; 512], [0; 512]].concat());
}

#[test]
fn a_name_is_durable_only_after_the_directory_is_synced() {
    let disk = MemoryDisk::new();
    disk.create("old").unwrap().sync().unwrap();
    disk.sync_directory().unwrap();
    disk.rename("old", "new").unwrap();
    assert_eq!(disk.unsynced_names(), 1);
    assert_eq!(disk.crash(0, |_| true).list().unwrap(), ["old"]);
    assert_eq!(disk.crash(1, |_| true).list().unwrap(), ["new"]);
    disk.sync_directory().unwrap();
    assert_eq!(disk.crash(0, |_| true).list().unwrap(), ["new"]);
}

#[test]
fn a_failed_sync_leaves_readable_bytes_that_no_later_sync_makes_durable() {
    let disk = MemoryDisk::new();
    let mut file = disk.create("a").unwrap();
    file.allocate(512).unwrap();
    file.sync().unwrap();
    disk.sync_directory().unwrap();
    file.write_at(b"word", 0).unwrap();
    disk.inject(Fault { operation: Operation::Sync, after: 0, kind: io::ErrorKind::Other });
    file.sync().unwrap_err();
    file.sync().unwrap();
    assert_eq!(disk.contents("a").unwrap()[..4], *b"word");
    assert_eq!(disk.crash(0, |_| true).contents("a").unwrap()[..4], [0; 4]);
}

#[test]
fn space_is_limited_over_all_files() {
    let disk = MemoryDisk::new();
    disk.limit_bytes(Some(1000));
    disk.create("a").unwrap().allocate(600).unwrap();
    let mut second = disk.create("b").unwrap();
    assert_eq!(second.allocate(600).unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.remove("a").unwrap();
    second.allocate(600).unwrap();
}
