//! A file system that is full: nothing acknowledged is lost, and the log goes on by itself when there is room.

use std::fs::{self, File};
use std::path::Path;

use trellis_wal::{Config, FileDisk, Log, Lsn, Opened, SyncError, open};

use crate::child::skip;
use crate::mounts::Mount;
use crate::support::{SEED, payload, records_to};

#[test]
fn a_log_in_a_full_file_system_in_memory_goes_on_when_it_grows() {
    match Mount::tmpfs(MEGABYTES << 20) {
        Ok(mount) => fill_and_go_on(&mount.path(), || mount.resize(MEGABYTES << 21)),
        Err(reason) => skip("a full file system in memory", &reason),
    }
}

#[test]
fn a_log_on_a_full_ext4_goes_on_when_something_else_is_removed() {
    match Mount::ext4(4 * MEGABYTES, "extent") {
        Ok(mount) => {
            let other = mount.path().join("other");
            fs::write(&other, vec![1; (MEGABYTES << 20) as usize]).unwrap();
            fill_and_go_on(&mount.path(), || fs::remove_file(&other).unwrap());
        }
        Err(reason) => skip("a full ext4", &reason),
    }
}

/// Appends until the disk is full, makes room, and opens the log once more with no byte left.
fn fill_and_go_on(mount: &Path, make_room: impl FnOnce()) {
    let directory = mount.join("log");
    let mut last = 0;
    {
        let Opened { log, mut syncer, .. } = open_log(&directory);
        let acknowledged = loop {
            last = append_many(&log, last);
            match syncer.sync_once() {
                Ok(synced) => assert_eq!(synced.durable, Lsn::from_u64(last)),
                Err(error) => break assert_full(&error, &log),
            }
        };
        assert!(acknowledged > 0 && log.durable() < log.last(), "what did not fit is pending");
        // Another attempt changes nothing.
        assert_full(&syncer.sync_once().unwrap_err(), &log);
        let (outcomes, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            syncer.run(move |outcome| {
                let _ = outcomes.send(outcome);
            });
        });
        // Only once all know that the disk is full.
        assert_full(&told.recv().unwrap().unwrap_err(), &log);
        make_room();
        log.wait_durable_blocking(Lsn::from_u64(last)).unwrap();
        log.close();
        thread.join().unwrap();
        for outcome in told {
            match outcome {
                Err(error) => assert!(matches!(error, SyncError::DiskFull), "{error}"),
                Ok(durable) => assert!(durable.as_u64() > acknowledged),
            }
        }
    }
    check_with_no_space_left(&directory, last);
}

/// Opens a log that was not closed while another file has all the space there is, and then without that file.
fn check_with_no_space_left(directory: &Path, mut last: u64) {
    let Opened { log, mut syncer, .. } = open_log(directory);
    last = append_many(&log, last);
    syncer.sync_once().unwrap();
    drop((syncer, log));
    let filler = directory.with_file_name("filler");
    fill(&filler);
    for _ in 0..2 {
        let Opened { log, mut syncer, records, report } = open_log(directory);
        assert_eq!(report.last, Lsn::from_u64(last));
        assert_eq!(records.collect::<Result<Vec<_>, _>>().unwrap(), records_to(last));
        append_many(&log, last);
        assert_eq!(assert_full(&syncer.sync_once().unwrap_err(), &log), last);
    }
    fs::remove_file(filler).unwrap();
    let Opened { log, mut syncer, .. } = open_log(directory);
    last = append_many(&log, last);
    assert_eq!(syncer.sync_once().unwrap().durable, Lsn::from_u64(last));
    syncer.seal().unwrap();
    let records = open_log(directory).records.collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(records, records_to(last));
}

/// Asserts that the disk is full and the log in order, and returns up to where it is durable.
fn assert_full(error: &SyncError, log: &Log) -> u64 {
    assert!(matches!(error, SyncError::DiskFull), "{error}");
    assert_eq!(log.poisoned(), None);
    log.durable().as_u64()
}

fn append_many(log: &Log, last: u64) -> u64 {
    for number in last + 1..=last + 1000 {
        log.enqueue(&payload(number)).unwrap();
    }
    last + 1000
}

/// Writes until nothing fits.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = File::create(path).unwrap();
    for bytes in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![1; bytes]).is_ok() {}
    }
}

fn open_log(directory: &Path) -> Opened<FileDisk> {
    open(FileDisk::new(directory).unwrap(), CONFIG, SEED).unwrap()
}

const CONFIG: Config = Config {
    segment_bytes: 1 << 20,
    record_bytes_max: 200,
    pending_bytes_max: 1 << 18,
    batch_bytes_max: 1 << 16,
};
const MEGABYTES: u64 = 6;
