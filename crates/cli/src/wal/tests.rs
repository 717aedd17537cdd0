//! A small log in a directory, whole, damaged, locked and cut.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use trellis_wal::{Config, OpenSeed, Opened, open};

use super::*;
use crate::output::Format;

#[test]
fn a_whole_log_is_verified_inspected_and_dumped() {
    let place = Place::new(5);
    for directory in [place.data_dir(), place.wal()] {
        let answer = verify(&directory).unwrap();
        assert_eq!(answer.exit_code(), Exit::Log(Verdict::Clean).into());
        assert!(answer.notes().is_empty());
        let json = answer.json();
        assert_eq!(
            (&json["verdict"], &json["exit"], &json["records"]),
            (&json!("clean"), &json!(0), &json!(5))
        );
        assert_eq!((&json["findings"], &json["hint"]), (&json!([]), &Value::Null));
    }
    let contents = inspect(&place.data_dir()).unwrap();
    assert_eq!(contents.json()["segments"][0]["lastLsn"], 5);
    assert_eq!(contents.json()["segments"][0]["log"], "07070707-0707-0707-0707-070707070707");
    assert!(contents.plain().starts_with(&format!("{SEGMENT}: log 07070707-0707")), "{}", contents.plain());

    let dumped: Value = serde_json::from_str(&place.dump(2, 3, true, Format::Json)).unwrap();
    let lsns: Vec<_> = dumped.as_array().unwrap().iter().map(|record| &record["lsn"]).collect();
    assert_eq!(lsns, [2, 3]);
    assert_eq!(dumped[0]["payload"], json!({ "base64": STANDARD.encode(payload(2)) }));
    let plain = place.dump(2, 2, false, Format::Plain);
    assert!(
        plain.starts_with(&format!("{SEGMENT} offset ")) && plain.contains("LSN 2 data, 100 bytes"),
        "{plain}"
    );
    assert_eq!(place.dump(0, 9, false, Format::Table).lines().next(), Some(TABLE_HEADER));
    assert_eq!(place.dump(8, 9, false, Format::Json), "[\n]\n");
}

#[test]
fn damage_is_told_with_file_offset_lsns_and_the_next_step() {
    let place = Place::new(20);
    let offset = place.damage(8);
    let answer = verify(&place.data_dir()).unwrap();
    assert_eq!(answer.exit_code(), Exit::Log(Verdict::Corrupt).into());
    let json = answer.json();
    let finding = &json["findings"][0];
    assert_eq!((&finding["file"], &finding["offset"]), (&json!(SEGMENT), &json!(offset)));
    assert_eq!(finding["firstLsn"], 8);
    assert_eq!(json["readableTo"], 7);
    let command =
        format!("trellis wal repair {} --truncate-after 7 --accept-data-loss", place.data_dir().display());
    assert_eq!(json["hint"], command);
    assert_eq!(answer.notes()[0], format!("hint: {command}"));
    assert!(
        answer.plain().contains(&format!("{SEGMENT} is damaged at offset {offset}")),
        "{}",
        answer.plain()
    );
    assert!(place.dump(0, 99, false, Format::Plain).contains("bytes are no record, LSN 8 should be there"));
}

#[test]
fn a_dump_whose_reader_has_gone_away_is_no_failure_and_ends() {
    /// Takes what fits into a pipe, and then nobody reads.
    struct Pipe(usize);
    impl io::Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let place = Place::new(200);
    let disk = open_log(&place.data_dir()).unwrap();
    for format in [Format::Plain, Format::Table, Format::Json] {
        let answer = dump::print(&disk, Lsn::ZERO..=Lsn::MAX, true, format, &mut Pipe(10_000)).unwrap();
        assert_eq!(answer.exit_code(), std::process::ExitCode::SUCCESS);
    }
}

#[test]
fn a_log_that_is_lost_from_its_beginning_on_is_not_to_be_cut() {
    let place = Place::new(3);
    fs::write(place.segment(), [0x55; 8192]).unwrap();
    let answer = verify(&place.data_dir()).unwrap();
    assert_eq!(answer.exit_code(), Exit::Log(Verdict::Corrupt).into());
    assert_eq!(answer.notes(), [format!("hint: {START_AFRESH}")]);
    assert!(answer.plain().contains("should hold LSN 1 and all behind it"), "{}", answer.plain());
}

#[test]
fn a_repair_asks_for_consent_and_keeps_a_copy() {
    let place = Place::new(20);
    place.damage(8);
    let before = fs::read(place.segment()).unwrap();
    let refused = repair(&place.data_dir(), Lsn::from_u64(7), DataLoss::Refused).unwrap_err();
    assert_eq!(refused.exit, Exit::LogUsage);
    assert!(refused.causes[0].contains("go to quarantine/"), "{refused:?}");
    assert!(
        refused.hint.as_ref().is_some_and(|hint| hint.ends_with("--truncate-after 7 --accept-data-loss"))
    );
    assert_eq!(fs::read(place.segment()).unwrap(), before);

    let too_far = repair(&place.data_dir(), Lsn::from_u64(9), DataLoss::Accepted).unwrap_err();
    assert!(too_far.hint.is_some_and(|hint| hint.ends_with("--truncate-after 7 --accept-data-loss")));
    assert_eq!(fs::read(place.segment()).unwrap(), before);

    let answer = repair(&place.data_dir(), Lsn::from_u64(7), DataLoss::Accepted).unwrap();
    let copy = answer.json()["taken"][0]["copy"].as_str().unwrap().to_owned();
    assert!(answer.plain().contains(&copy));
    let copy = fs::read(copy).unwrap();
    assert!(copy.windows(100).any(|window| window == payload(20)), "the last record is in the copy");
    assert_eq!(verify(&place.data_dir()).unwrap().exit_code(), Exit::Log(Verdict::TornTail).into());
    assert_eq!(verify(&place.data_dir()).unwrap().json()["readableTo"], 7);
}

#[test]
fn a_log_that_is_open_is_not_cut() {
    let place = Place::new(3);
    let opened = place.open();
    let failure = repair(&place.data_dir(), Lsn::from_u64(1), DataLoss::Accepted).unwrap_err();
    assert_eq!(failure.exit, UNREADABLE);
    assert_eq!(failure.causes, ["a running node has it locked"]);
    assert!(failure.hint.is_some_and(|hint| hint.contains("stop the node")));
    drop(opened);
}

#[test]
fn nothing_is_cut_where_the_log_ends_by_itself() {
    let place = Place::new(3);
    let answer = repair(&place.data_dir(), Lsn::from_u64(3), DataLoss::Refused).unwrap();
    assert_eq!(answer.plain(), "nothing is behind LSN 3: the log is as it was\n");
    assert!(answer.notes().is_empty());
}

#[test]
fn a_directory_without_a_log_is_named_and_nothing_is_made_in_it() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().to_owned(), directory.path().join("nowhere")] {
        for failure in [
            verify(&path).unwrap_err(),
            inspect(&path).unwrap_err(),
            repair(&path, Lsn::from_u64(1), DataLoss::Accepted).unwrap_err(),
        ] {
            assert_eq!(failure.exit, UNREADABLE);
            assert!(failure.message.contains(&path.display().to_string()), "{failure:?}");
            assert!(failure.hint.is_some());
        }
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// A data directory with a log whose records are those of [`payload`].
struct Place {
    home: TempDir,
}

impl Place {
    fn new(records: u8) -> Self {
        let place = Self { home: tempfile::tempdir().unwrap() };
        fs::create_dir(place.data_dir()).unwrap();
        let Opened { log, mut syncer, .. } = place.open();
        for number in 1..=records {
            log.enqueue(&payload(number)).unwrap();
            syncer.sync_once().unwrap();
        }
        log.close();
        syncer.run(|_| {});
        place
    }

    fn open(&self) -> Opened<FileDisk> {
        let disk = FileDisk::new(self.wal()).unwrap();
        let config = Config {
            segment_bytes: 64 << 10,
            record_bytes_max: 4096,
            pending_bytes_max: 16 << 10,
            batch_bytes_max: 8 << 10,
        };
        open(disk, config, OpenSeed { log_uuid: [7; 16], salt: 11 }).unwrap()
    }

    /// Flips a bit in a record and returns where the record starts.
    fn damage(&self, lsn: u64) -> u64 {
        let dumped: Value = serde_json::from_str(&self.dump(lsn, lsn, false, Format::Json)).unwrap();
        let offset = dumped[0]["offset"].as_u64().unwrap();
        let file = File::options().read(true).write(true).open(self.segment()).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset + 50).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset + 50).unwrap();
        offset
    }

    fn dump(&self, from: u64, to: u64, has_payload: bool, format: Format) -> String {
        let mut out = Vec::new();
        let disk = open_log(&self.data_dir()).unwrap();
        dump::print(&disk, Lsn::from_u64(from)..=Lsn::from_u64(to), has_payload, format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn wal(&self) -> PathBuf {
        self.data_dir().join("wal")
    }

    fn segment(&self) -> PathBuf {
        self.wal().join(SEGMENT)
    }
}

fn payload(number: u8) -> [u8; 100] {
    [number; 100]
}

const SEGMENT: &str = "wal-00000000000000000001.log";
const TABLE_HEADER: &str =
    "LSN         KIND                   BYTES     ATTESTS     FILE                          OFFSET";
