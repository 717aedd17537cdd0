//! What the command line accepts, refuses, and means.

use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn an_increment_is_one_by_default_and_may_be_negative() {
    for (line, expected) in [
        ("incr counter1", 1),
        ("incr counter1 5", 5),
        ("incr counter1 -5", -5),
        ("incr counter1 -9223372036854775808", i64::MIN),
        ("incr counter1 9223372036854775807", i64::MAX),
    ] {
        let Command::Incr(Increment { key, amount, .. }) = parse(line).command else { panic!("{line}") };
        assert_eq!((key.as_str(), amount), ("counter1", expected), "{line}");
    }
    for line in ["incr", "incr counter1 x", "incr counter1 9223372036854775808", "incr k --kind lww-register"]
    {
        assert_eq!(refuse(line).exit_code(), 2, "{line}");
    }
}

#[test]
fn a_value_may_look_like_a_flag_and_flags_may_follow_it() {
    for (line, expected) in
        [("set k red", "red"), ("set k -5", "-5"), ("set k -", "-"), ("set k -- --kind", "--kind")]
    {
        let Command::Set(Set { value, .. }) = parse(line).command else { panic!("{line}") };
        assert_eq!(value, expected, "{line}");
    }
    let Command::Set(set) = parse("set k red --kind mv-register --durability memory --replicas 2").command
    else {
        panic!("a set");
    };
    assert_eq!((set.value.as_str(), set.kind.as_deref()), ("red", Some("mv-register")));
    assert_eq!((set.write.durability, set.write.replicas), (Durability::Memory, 2));
    refuse("set k red --replicas 0");
}

#[test]
fn global_options_stand_before_or_after_the_verb() {
    for line in ["--node n3 -o json --timeout 250ms get k", "get k --node n3 -o json --timeout 250ms"] {
        let Cli { global, .. } = parse(line);
        assert_eq!((global.node.as_deref(), global.output), (Some("n3"), Format::Json), "{line}");
        assert_eq!(global.timeout, Duration::from_millis(250), "{line}");
    }
    let endpoints = parse("-e 10.0.0.1:7400,n2:7400 status").global.endpoints;
    assert_eq!(endpoints, ["10.0.0.1:7400", "n2:7400"]);
    refuse("--timeout 5 status");
    refuse("-o yaml status");
}

#[test]
fn serve_takes_a_file_and_settings() {
    let Command::Serve(serve) = parse("serve -f node.toml --found --set shards=2 --set name=n1").command
    else {
        panic!("a serve");
    };
    assert_eq!((serve.file, serve.found), (Some(PathBuf::from("node.toml")), true));
    assert_eq!(serve.settings, ["shards=2", "name=n1"]);
}

#[test]
fn certificates_and_contexts_have_their_verbs() {
    for line in [
        "certs init --dir d --cluster c",
        "certs node n1 --host a --host 10.0.0.1",
        "certs client ann --role reader",
        "certs show",
        "certs show n1 --dir d",
        "context ls",
        "context show",
        "context use dev",
        "context add dev --ca a --cert b --key c --member n1=h:1 --member n2=h:2 --use --replace",
    ] {
        parse(line);
    }
    for line in ["certs client ann --role node", "context add dev", "context use", "del", "serve node.toml"] {
        refuse(line);
    }
}

#[test]
fn logs_and_snapshots_have_their_verbs() {
    for line in [
        "wal inspect data",
        "wal dump data/wal",
        "wal dump data --from 5 --to 9 --payload -o json",
        "wal verify data",
        "wal repair data --truncate-after 7",
        "wal repair data --truncate-after 7 --accept-data-loss",
        "snapshot verify data",
        "snapshot inspect data/wal/snap-00000000000000000007.snap",
    ] {
        parse(line);
    }
    for line in ["wal verify", "wal repair data", "wal repair data --truncate-after -1", "snapshot verify"] {
        assert_eq!(refuse(line).exit_code(), 2, "{line}");
    }
}

#[test]
fn the_version_has_a_flag_as_well() {
    for line in ["--version", "-V"] {
        assert_eq!(refuse(line).kind(), clap::error::ErrorKind::DisplayVersion);
    }
}

/// What a command without any global option gets.
pub(crate) fn flags() -> Global {
    Global {
        context: None,
        endpoints: Vec::new(),
        node: None,
        ca: None,
        cert: None,
        key: None,
        timeout: Duration::from_secs(5),
        output: Format::Plain,
    }
}

fn parse(line: &str) -> Cli {
    Cli::try_parse_from(words(line)).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn refuse(line: &str) -> clap::Error {
    Cli::try_parse_from(words(line)).err().unwrap_or_else(|| panic!("{line} was accepted"))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    std::iter::once("trellis").chain(line.split(' '))
}

#[test]
fn who_asks_a_tool_wrongly_does_not_hear_that_the_log_is_damaged() {
    for (line, code) in [
        ("wal verify", 64),
        ("wal", 64),
        ("wal verify data --nonsense", 64),
        ("wal repair data --truncate-after x", 64),
        ("--timeout never wal verify data", 64),
        ("-o csv wal dump data", 64),
        ("snapshot verify", 64),
        ("snapshot nonsense", 64),
        ("get", 2),
        ("set wal", 2),
        ("--context wal get", 2),
        ("nonsense", 2),
        ("", 2),
        ("wal verify --help", 0),
        ("--version", 0),
    ] {
        let arguments: Vec<_> =
            ["trellis"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect();
        let refused = Cli::try_parse_from(&arguments).unwrap_err();
        assert_eq!(refusal(&refused, &arguments).code(), code, "{line}");
    }
}
