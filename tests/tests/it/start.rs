//! Starts that are refused, each with all that is wrong and a next step.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::Result;
use trellis_tests::{Cluster, Outcome};

#[test]
fn all_problems_of_a_configuration_are_told_at_once() -> Result<()> {
    let mut cluster = Cluster::prepare(1)?;
    let node = cluster.node_mut("n1");
    node.set("shard", 4);
    node.set("wal.segment_byte", "64MiB");
    node.set("wal.pending_bytes_max", "many");
    node.set("swim.probe_interval", "300ms");
    node.set("swim.probe_timeout", "400ms");
    let outcome = node.start_in_vain(&["--set", "limits.conections=5"])?;
    let message = outcome.failure(2)?;
    for part in [
        "node.toml:",
        "there is no setting shard",
        "did you mean shards?",
        "wal.segment_byte",
        "wal.pending_bytes_max",
        "limits.conections",
        "did you mean limits.connections?",
        "hint:",
    ] {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
    assert!(!node.data_dir().exists());
    cluster.finish()
}

#[test]
fn a_setting_in_the_environment_that_does_not_exist_is_refused() -> Result<()> {
    let cluster = Cluster::prepare(1)?;
    let outcome = Outcome::of(cluster.command()?.env("TRELLIS_CFG__WAL__SEGMENT", "64MiB").arg("serve"))?;
    let message = outcome.failure(2)?;
    assert!(message.contains("TRELLIS_CFG__WAL__SEGMENT"), "{message}");
    assert!(message.contains("data_dir"), "what is missing is told with it: {message}");
    cluster.finish()
}

#[test]
fn a_certificate_that_is_missing_damaged_or_of_another_is_refused() -> Result<()> {
    let mut cluster = Cluster::prepare(2)?;
    let other = cluster.tls_files("n2");
    let client = cluster.tls_files("app");
    let damaged = cluster.home().join("damaged.crt");
    fs::write(&damaged, "-----BEGIN CERTIFICATE-----\nno\n")?;
    let own = cluster.tls_files("n1");
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    for (cert, key, part) in [
        (cluster.home().join("nowhere.crt"), &own.key, "nowhere.crt"),
        (damaged, &own.key, "damaged.crt"),
        (other.cert.clone(), &other.key, "/node/n2"),
        (client.cert.clone(), &client.key, "/client/app"),
        (own.cert.clone(), &other.key, "do not fit"),
    ] {
        let node = cluster.node_mut("n1");
        node.set("tls.cert", text(&cert));
        node.set("tls.key", text(key));
        let outcome = node.start_in_vain(&["--found"])?;
        let message = outcome.failure(2)?;
        assert!(message.contains(part) && message.contains("hint:"), "{part:?} is missing in: {message}");
    }
    cluster.finish()
}

#[test]
fn a_port_that_is_taken_is_named() -> Result<()> {
    let mut cluster = Cluster::prepare(1)?;
    let ports = cluster.node("n1").ports();
    for port in [ports.client, ports.peer, ports.status] {
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let outcome = cluster.node_mut("n1").start_in_vain(&["--found"])?;
        let message = outcome.failure(2)?;
        assert!(message.contains(&format!("127.0.0.1:{port}")) && message.contains("hint:"), "{message}");
    }
    cluster.finish()
}

#[test]
fn a_data_directory_belongs_to_one_process_one_name_and_one_cluster() -> Result<()> {
    let mut cluster = Cluster::start(1)?;
    cluster.trellis(&["incr", "k", "5"])?.answer()?;
    let data = cluster.node("n1").data_dir().to_string_lossy().into_owned();
    let twin = cluster.add_node("n2", trellis_tests::Ports::find()?)?;
    twin.set("data_dir", data.as_str());
    let outcome = twin.start_in_vain(&[])?;
    assert!(outcome.failure(2)?.contains("belongs to node n1"), "{outcome}");

    let files = cluster.tls_files("n1");
    let twin = cluster.node_mut("n2");
    twin.set("name", "n1");
    twin.set("tls.cert", files.cert.to_string_lossy().into_owned());
    twin.set("tls.key", files.key.to_string_lossy().into_owned());
    let outcome = twin.start_in_vain(&[])?;
    let message = outcome.failure(2)?;
    assert!(message.contains("another process uses this data directory"), "{message}");

    let mut other = Cluster::prepare(1)?;
    other.node_mut("n1").set("data_dir", data.as_str());
    let outcome = other.node_mut("n1").start_in_vain(&["--found"])?;
    assert!(outcome.failure(2)?.contains("belongs to cluster"), "{outcome}");
    other.finish()?;
    assert_eq!(cluster.trellis(&["incr", "k"])?.answer()?, "6");
    cluster.finish()
}

#[test]
fn a_log_that_rotted_is_refused_with_the_place() -> Result<()> {
    let mut cluster = Cluster::start(1)?;
    for _ in 0..20 {
        cluster.trellis(&["incr", "k"])?.answer()?;
    }
    let node = cluster.node_mut("n1");
    node.stop()?;
    let segment = first_segment(&node.data_dir().join("wal"))?;
    let mut bytes = fs::read(&segment)?;
    let middle = bytes.iter().rposition(|byte| *byte != 0).expect("a log with records is not all zeros") / 2;
    bytes[middle] ^= 0x40;
    fs::write(&segment, bytes)?;
    let outcome = node.start_in_vain(&[])?;
    let message = outcome.failure(2)?;
    let name = segment.file_name().expect("a segment has a name").to_string_lossy().into_owned();
    assert!(message.contains(&name) && message.contains("hint:"), "{message}");
    cluster.finish()
}

fn first_segment(wal: &std::path::Path) -> Result<std::path::PathBuf> {
    let mut files = fs::read_dir(wal)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort_unstable();
    let is_segment =
        |path: &&std::path::PathBuf| path.extension().is_some_and(|extension| extension == "log");
    files.iter().find(is_segment).cloned().ok_or_else(|| anyhow::anyhow!("no segment among {files:?}"))
}
