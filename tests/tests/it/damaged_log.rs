//! A walk through a damaged log, as a user would take it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use trellis_tests::Cluster;

#[test]
fn a_damaged_log_is_refused_verified_cut_and_filled_up_again_by_the_peers() -> Result<()> {
    let mut cluster = Cluster::start(3)?;
    for (node, amount) in [("n1", "5"), ("n2", "20"), ("n3", "300")] {
        cluster.at(node, &["incr", "counter1", amount])?.answer()?;
    }
    for node in ["n1", "n2", "n3"] {
        cluster.await_counter(node, "counter1", 325)?;
    }
    // What n2 itself writes behind the damage is lost to it, and only the others still have it.
    for number in 1..=20 {
        let key = format!("key{number}");
        cluster.at("n2", &["set", &key, "a value"])?.answer()?;
    }
    cluster.at("n2", &["incr", "counter1", "4000"])?.answer()?;
    for node in ["n1", "n3"] {
        cluster.await_counter(node, "counter1", 4325)?;
    }

    let data = cluster.node("n2").data_dir();
    let data = data.to_str().context("a path of a test is UTF-8")?.to_owned();
    let wal = cluster.node("n2").data_dir().join("wal");
    let repair =
        |after: u64| ["wal", "repair", &data, "--truncate-after", &after.to_string()].map(str::to_owned);
    let locked = repair(1);
    let locked: Vec<&str> = locked.iter().map(String::as_str).chain(["--accept-data-loss"]).collect();
    let refused = cluster.trellis(&locked)?;
    assert!(refused.failure(3)?.contains("a running node has it locked"), "{refused}");
    cluster.node_mut("n2").stop()?;
    assert_eq!(cluster.at("n1", &["incr", "counter1", "50000"])?.answer()?, "54325");
    assert!(cluster.trellis(&["wal", "verify", &data])?.answer()?.contains("clean: "));

    let records: Vec<Value> = cluster.trellis(&["wal", "dump", &data, "-o", "json"])?.json()?;
    let records: Vec<&Value> = records.iter().filter(|record| record["kind"] == "data").collect();
    let victim = records[records.len() / 2];
    let number = |field: &str| victim[field].as_u64().context("a record has numbers");
    let (file, offset, lsn) =
        (victim["file"].as_str().context("a record has a file")?, number("offset")?, number("lsn")?);
    flip_bit(&wal.join(file), offset + HEADER_BYTES + number("bytes")? / 2)?;

    let refused = cluster.node_mut("n2").start_in_vain(&[])?;
    let message = refused.failure(2)?;
    let verify = message.lines().find_map(|line| line.strip_prefix("hint: trellis ")?.split("; or ").next());
    let verify: Vec<&str> = verify.context("the start names a command")?.split(' ').collect();
    assert_eq!(verify[..2], ["wal", "verify"]);

    let verified = cluster.trellis(&verify)?;
    assert_eq!(verified.code, Some(2), "{verified}");
    let place = format!("{file} is damaged at offset {offset}");
    assert!(verified.stdout.contains(&place) && message.contains(&place), "{verified}\n{message}");
    assert!(verified.stdout.contains(&format!("it should hold LSN {lsn} to ")), "{verified}");
    let hint = verified.stderr.lines().find_map(|line| line.strip_prefix("hint: trellis "));
    let hint: Vec<&str> = hint.context("the verification names a command")?.split(' ').collect();
    assert_eq!(hint[..2], ["wal", "repair"]);
    assert_eq!(hint[3..], ["--truncate-after", &(lsn - 1).to_string(), "--accept-data-loss"]);

    let without_consent = cluster.trellis(&hint[..5])?;
    assert!(without_consent.failure(64)?.contains("refusing to lose"), "{without_consent}");
    assert_eq!(cluster.trellis(&verify)?.stdout, verified.stdout, "nothing was changed");
    let repaired = cluster.trellis(&hint)?;
    let copy =
        repaired.answer()?.lines().find_map(|line| line.strip_prefix("kept ")).context("a copy is kept")?;
    assert!(Path::new(copy).starts_with(wal.join("quarantine")) && Path::new(copy).is_file(), "{copy}");

    cluster.node_mut("n2").start(&[])?;
    cluster.await_whole()?;
    for node in ["n1", "n2", "n3"] {
        cluster.await_counter(node, "counter1", 54_325)?;
    }
    for number in 1..=20 {
        let key = format!("key{number}");
        assert_eq!(cluster.at("n2", &["get", &key])?.answer()?, "a value");
    }
    assert_eq!(cluster.at("n2", &["incr", "counter1", "600000"])?.answer()?, "654325");
    for node in ["n1", "n3"] {
        cluster.await_counter(node, "counter1", 654_325)?;
    }
    assert!(Path::new(copy).is_file(), "a start removes no copy");
    cluster.node_mut("n2").stop()?;
    assert!(cluster.trellis(&verify)?.answer()?.contains("clean: "));
    cluster.finish()
}

fn flip_bit(path: &Path, offset: u64) -> Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    file.write_all_at(&[byte[0] ^ 0x10], offset)?;
    Ok(())
}

/// Of a record in the log, before what it holds.
const HEADER_BYTES: u64 = 24;
