//! Snapshots in a directory, whole, damaged and absent.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use trellis_wal::{Config, FileDisk, OpenSeed, recover};

use super::*;

#[test]
fn snapshots_are_verified_and_inspected_by_directory_and_by_file() {
    let home = tempfile::tempdir().unwrap();
    let file = write(home.path());
    for path in [home.path().to_owned(), file.clone()] {
        let answer = verify(&path).unwrap();
        assert_eq!(answer.exit_code(), Exit::Log(Verdict::Clean).into());
        let json = answer.json();
        assert_eq!(json["snapshots"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&json["snapshots"][0]["chunks"], &json["snapshots"][0]["startLsn"]),
            (&json!(2), &json!(1))
        );
        let inspected = look(&path, true).unwrap();
        assert_eq!(inspected.json()["snapshots"][0]["chunkList"][1]["bytes"], 5);
        assert!(inspected.plain().contains("\n  chunk 1 offset "), "{}", inspected.plain());
    }

    let mut bytes = fs::read(&file).unwrap();
    bytes[4096 + 30] ^= 1;
    fs::write(&file, bytes).unwrap();
    let answer = verify(home.path()).unwrap();
    assert_eq!(answer.exit_code(), Exit::Log(Verdict::Corrupt).into());
    assert!(answer.plain().contains("chunk 0 at offset 4096 is damaged"), "{}", answer.plain());
    let hint = &answer.notes()[0];
    assert!(hint.starts_with("hint: trellis wal verify "), "no whole one is left to start from: {hint}");
    assert!(verify(&file).unwrap().notes()[0].starts_with("hint: start the node"));
}

#[test]
fn a_log_without_snapshots_is_no_error_and_a_directory_without_a_log_is_one() {
    let home = tempfile::tempdir().unwrap();
    let failure = verify(home.path()).unwrap_err();
    assert_eq!(failure.exit, UNREADABLE);
    fs::remove_file(write(home.path())).unwrap();
    let answer = verify(home.path()).unwrap();
    assert_eq!(answer.exit_code(), std::process::ExitCode::SUCCESS);
    assert!(answer.notes()[0].ends_with("has none"));
}

fn verify(path: &Path) -> Result<Answer, Failure> {
    look(path, false)
}

/// Writes a log of one record with a snapshot of two chunks, and returns the snapshot.
fn write(directory: &Path) -> PathBuf {
    let disk = FileDisk::new(directory).unwrap();
    let config = Config {
        segment_bytes: 64 << 10,
        record_bytes_max: 4096,
        pending_bytes_max: 16 << 10,
        batch_bytes_max: 8 << 10,
    };
    let mut recovered = recover(disk, config, OpenSeed { log_uuid: [7; 16], salt: 11 }, |_| {}).unwrap();
    let lsn = recovered.opened.log.enqueue(b"a record").unwrap();
    recovered.opened.syncer.sync_once().unwrap();
    let mut writer = recovered.snapshots.begin(lsn).unwrap();
    writer.append_chunk(b"a first chunk").unwrap();
    writer.append_chunk(b"chunk").unwrap();
    directory.join(writer.finish(&recovered.opened.log, lsn).unwrap().name)
}
