//! Layers, problems and where they come from.

use std::fs;
use std::time::Duration;

use super::*;
use crate::config::{LimitsConfig, SwimPreset};

#[test]
fn later_layers_win_over_earlier_ones() {
    let node = Scratch::new(MINIMAL);
    let mut sources = node.sources();
    sources.env = vec![env("WAL__SEGMENT_BYTES", "128MiB"), env("SHARDS", "3"), env("NAME", "007")];
    sources.flags = vec!["shards=5".to_owned(), "limits.drain_timeout=1m 30s".to_owned()];
    let config = Config::load(&sources).unwrap();

    assert_eq!(config.name, "007");
    assert_eq!(config.shards, 5);
    assert_eq!(config.wal.segment_bytes, 128 << 20);
    assert_eq!(config.limits.drain_timeout, Duration::from_secs(90));
    assert_eq!(
        config.limits,
        LimitsConfig { drain_timeout: Duration::from_secs(90), ..LimitsConfig::default() }
    );
}

#[test]
fn a_file_alone_is_enough_and_its_relative_paths_start_at_its_directory() {
    let node = Scratch::new(MINIMAL);
    let config = Config::load_file(&node.file()).unwrap();
    assert_eq!(config.data_dir, node.0.path().join("data"));
    assert_eq!(config.tls.ca, Path::new("/etc/trellis/ca.crt"));
    assert_eq!(config.swim.preset, SwimPreset::Fast);
    assert_eq!(config.peer.bind_address(), "127.0.0.1:7500");
    assert_eq!(config.peer.advertised(), "127.0.0.1:7500");
}

#[test]
fn seeds_are_a_list_or_a_string_with_commas() {
    let node = Scratch::new(MINIMAL);
    let expected = ["10.0.0.1:7500", "n2:7500"];
    for text in ["10.0.0.1:7500,n2:7500", " 10.0.0.1:7500 , n2:7500,"] {
        let sources = Sources { env: vec![env("SEEDS", text)], ..node.sources() };
        assert_eq!(Config::load(&sources).unwrap().seeds, expected);
    }
    let node = Scratch::new(&format!("seeds = [\"10.0.0.1:7500\", \"n2:7500\"]\n{MINIMAL}"));
    assert_eq!(Config::load_file(&node.file()).unwrap().seeds, expected);
}

#[test]
fn all_problems_of_all_layers_are_told_at_once_with_their_places() {
    let node = Scratch::new(
        "name = \"n1\"\ndata_dir = \"data\"\nsegment_bytes = 3\n\n[wal]\nsegment_bites = \"64MiB\"\nrecord_bytes_max = 5\n\n[peer]\nlisten = \"here\"\n",
    );
    let mut sources = node.sources();
    sources.env = vec![env("SWIM__PROBE_INTERVALL", "1s"), env("SWIM__PROBE_TIMEOUT", "3 parsecs")];
    sources.flags = vec!["shards=0".to_owned(), "tls.ca".to_owned(), "wall=1".to_owned()];
    let errors = Config::load(&sources).unwrap_err();

    let file = node.file().display().to_string();
    let expected = format!(
        "the configuration has 13 problems
  flag --set tls.ca: must be key=value
  {file}:3: there is no setting segment_bytes
    hint: did you mean wal.segment_bytes?
  {file}:6: there is no setting wal.segment_bites
    hint: did you mean wal.segment_bytes?
  environment variable TRELLIS_CFG__SWIM__PROBE_INTERVALL: there is no setting swim.probe_intervall
    hint: did you mean swim.probe_interval?
  flag --set wall=1: there is no setting wall
  {file}:7: wal.record_bytes_max must be a size with its unit, such as \"64MiB\", not signed int `5`
  environment variable TRELLIS_CFG__SWIM__PROBE_TIMEOUT: swim.probe_timeout must be a time with its unit, such as \"500ms\", not \"3 parsecs\"
  default: tls.ca must be set
    hint: make one with: trellis certs init
  default: tls.cert must be set
    hint: make one with: trellis certs node NAME
  default: tls.key must be set
    hint: make one with: trellis certs node NAME
  flag --set shards=0: shards must be 1 to 256, not 0
  default: client.advertise must be set, because client.listen = \":7400\" names no host
    hint: client.advertise = \"HOST:PORT\", where others reach this node
  {file}:10: peer.listen must be host:port or :port with a port from 1 to 65535"
    );
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line_and_hides_no_other_problem() {
    let node = Scratch::new("name = \"n1\"\n\n[wal\n");
    let sources = Sources { env: vec![env("NAMES", "x")], ..node.sources() };
    let errors = Config::load(&sources).unwrap_err();
    let [Problem::Syntax { origin, .. }, Problem::UnknownKey { key, suggestion, .. }] = errors.problems()
    else {
        panic!("a syntax error and an unknown key: {errors}");
    };
    assert_eq!(*origin, Origin::File { path: node.file(), line: Some(3) });
    assert_eq!((key.as_str(), *suggestion), ("names", Some("name")));
}

#[test]
fn a_file_that_is_not_there_is_told_by_name() {
    let sources = Sources { file: Some(PathBuf::from("/nowhere/node.toml")), ..Sources::default() };
    let errors = Config::load(&sources).unwrap_err();
    assert!(matches!(errors.problems(), [Problem::Unreadable { path, .. }] if path.ends_with("node.toml")));
}

#[test]
fn a_section_that_is_given_a_plain_value_is_told_with_a_setting_of_that_section() {
    let node = Scratch::new(&MINIMAL.replace("[swim]\npreset = \"fast\"", ""));
    let sources = Sources { flags: vec!["swim=fast".to_owned()], ..node.sources() };
    let errors = Config::load(&sources).unwrap_err();
    let [Problem::UnknownKey { key, suggestion, .. }] = errors.problems() else {
        panic!("one problem: {errors}")
    };
    assert_eq!((key.as_str(), *suggestion), ("swim", Some("swim.preset")));
}

#[test]
fn a_time_is_measured_against_the_preset_that_it_goes_with() {
    let problems_of = |preset: &str, flags: &[&str]| {
        let node = Scratch::new(&MINIMAL.replace("fast", preset));
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        match Config::load(&Sources { flags, ..node.sources() }) {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        }
    };
    assert_eq!(problems_of("wan", &["swim.probe_timeout=2s"]), "");
    assert!(problems_of("fast", &["swim.probe_timeout=2s"]).contains("at most swim.probe_interval"));
    assert!(problems_of("wan", &["swim.probe_interval=6s"]).contains("swim.probe_interval"));
    assert!(problems_of("wan", &["swim.dead_after=5s"]).contains("at least twice swim.probe_interval"));
    assert!(problems_of("far", &[]).contains("\"fast\" or \"wan\""));
}

#[test]
fn other_variables_of_the_same_program_are_no_settings() {
    let node = Scratch::new(MINIMAL);
    let env = vec![("TRELLIS_CONTEXT".to_owned(), "prod".to_owned()), ("PATH".to_owned(), "/bin".to_owned())];
    assert_eq!(Config::load(&Sources { env, ..node.sources() }), Config::load_file(&node.file()));
}

#[test]
fn every_setting_can_be_said_by_an_environment_variable() {
    for key in setting_paths() {
        let node = Scratch::new(MINIMAL);
        let name = key.to_ascii_uppercase().replace('.', "__");
        let sources = Sources { env: vec![env(&name, "\u{1}")], ..node.sources() };
        let unknown = |problem: &Problem| matches!(problem, Problem::UnknownKey { .. });
        let problems =
            Config::load(&sources).map_or_else(|errors| errors.problems().to_vec(), |_| Vec::new());
        assert!(!problems.iter().any(unknown), "{key}: {problems:?}");
    }
}

#[test]
fn relations_between_settings_are_checked() {
    for (flag, key) in [
        ("wal.segment_bytes=16MiB", "wal.segment_bytes"),
        ("wal.segment_bytes=5GiB", "wal.segment_bytes"),
        ("wal.batch_bytes_max=16MiB", "wal.batch_bytes_max"),
        ("wal.pending_bytes_max=1MiB", "wal.pending_bytes_max"),
        ("swim.probe_timeout=2s", "swim.probe_timeout"),
        ("swim.probe_interval=4s", "swim.dead_after"),
        ("swim.dead_after=3s", "swim.dead_after"),
        ("replication.window_bytes=1KiB", "replication.window_bytes"),
        ("replication.ring_bytes=1MiB", "replication.ring_bytes"),
        ("replication.gossip_fanout=0", "replication.gossip_fanout"),
        ("limits.connections=0", "limits.connections"),
        ("limits.memory=1KiB", "limits.memory"),
        ("name=a/b", "name"),
        ("seeds=127.0.0.1:7500", "seeds"),
        ("seeds=:7500", "seeds"),
        ("peer.listen=127.0.0.1:0", "peer.listen"),
        ("peer.listen=127.0.0.1:7400", "peer.listen"),
        ("peer.advertise=0.0.0.0:7500", "peer.advertise"),
    ] {
        let node = Scratch::new(MINIMAL);
        let errors = Config::load(&Sources { flags: vec![flag.to_owned()], ..node.sources() }).unwrap_err();
        let [Problem::Rule { key: found, .. }] = errors.problems() else { panic!("{flag}: {errors}") };
        assert_eq!(*found, key, "{flag}");
    }
}

#[test]
fn the_example_in_deploy_is_a_valid_configuration() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/node.example.toml");
    let config = Config::load_file(&example).unwrap();
    assert_eq!(config.name, "n1");
}

#[test]
fn the_example_in_deploy_names_every_setting_with_its_default() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/node.example.toml");
    let uncommented: String = fs::read_to_string(example)
        .unwrap()
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let node = Scratch::new(&uncommented);
    let layer = Layer::file(&node.file(), |_| false).unwrap();
    let named: Vec<&str> = layer.settings.keys().map(String::as_str).collect();
    let mut expected = setting_paths();
    expected.sort_unstable();
    assert_eq!(named, expected);

    let config = Config::load_file(&node.file()).unwrap();
    let default = Config::default();
    assert_eq!(
        (config.shards, &config.wal, &config.replication),
        (default.shards, &default.wal, &default.replication)
    );
    assert_eq!(LimitsConfig { memory: None, ..config.limits }, default.limits);
}

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new(text: &str) -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        fs::write(scratch.file(), text).unwrap();
        scratch
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("node.toml")
    }

    fn sources(&self) -> Sources {
        Sources { file: Some(self.file()), ..Sources::default() }
    }
}

fn env(name: &str, value: &str) -> (String, String) {
    (format!("{ENV_PREFIX}{name}"), value.to_owned())
}

const MINIMAL: &str = r#"
name = "n1"
data_dir = "data"

[client]
listen = "127.0.0.1:7400"

[peer]
listen = "127.0.0.1:7500"

[tls]
ca = "/etc/trellis/ca.crt"
cert = "/etc/trellis/n1.crt"
key = "/etc/trellis/n1.key"

[swim]
preset = "fast"
"#;
