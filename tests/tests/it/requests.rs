//! Requests that cannot be done, and those at the edge of what can.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use trellis_rpc::{Client, ClientConfig, ClientError, ErrorKind, Reason, SetRegister};
use trellis_tests::{Cluster, free_port};

use crate::load::endpoint;

#[test]
fn every_refusal_names_its_reason_and_leaves_the_key_alone() -> Result<()> {
    let cluster = Cluster::start(1)?;
    cluster.trellis(&["set", "greeting", "hello"])?.answer()?;
    cluster.trellis(&["incr", "visits", "5"])?.answer()?;
    cluster.trellis(&["incr", "grown", "5", "--kind", "g-counter"])?.answer()?;
    let long = "k".repeat(1025);
    for (words, reason) in [
        (&["incr", ""][..], "INVALID_KEY"),
        (&["get", ""], "INVALID_KEY"),
        (&["incr", &long], "INVALID_KEY"),
        (&["get", &long], "INVALID_KEY"),
        (&["incr", "greeting"], "WRONG_TYPE"),
        (&["set", "visits", "x"], "WRONG_TYPE"),
        (&["incr", "grown", "--", "-1"], "WRONG_TYPE"),
        (&["incr", "grown", "--kind", "g-counter", "--", "-1"], "INVALID_ARGUMENT"),
    ] {
        let outcome = cluster.trellis(&[&["-o", "json"], words].concat())?;
        let error = outcome.failure_json(5)?;
        assert_eq!(error["error"]["reason"], reason, "{words:?}: {outcome}");
        assert_eq!(error["error"]["exit"], 5);
        let plain = cluster.trellis(words)?;
        assert!(!plain.failure(5)?.is_empty() && plain.stdout.is_empty(), "{plain}");
    }
    assert_eq!(cluster.trellis(&["get", "greeting"])?.answer()?, "hello");
    assert_eq!((cluster.counter("n1", "visits")?, cluster.counter("n1", "grown")?), (5, 5));
    cluster.finish()
}

#[test]
fn a_key_of_1024_bytes_is_as_good_as_any() -> Result<()> {
    let cluster = Cluster::start(1)?;
    let key = "é".repeat(512);
    assert_eq!(cluster.trellis(&["incr", &key, "3"])?.answer()?, "3");
    assert_eq!(cluster.counter("n1", &key)?, 3);
    cluster.finish()
}

#[test]
fn adding_nothing_answers_the_value_and_makes_no_key() -> Result<()> {
    let cluster = Cluster::start(1)?;
    assert_eq!(cluster.trellis(&["incr", "k", "0"])?.answer()?, "0");
    assert_eq!(cluster.trellis(&["get", "k"])?.code, Some(1));
    cluster.trellis(&["incr", "k", "4"])?.answer()?;
    assert_eq!(cluster.trellis(&["incr", "k", "0"])?.answer()?, "4");
    cluster.finish()
}

#[test]
fn the_ends_of_int64_can_be_added_and_what_is_beyond_is_said_to_be() -> Result<()> {
    let mut cluster = Cluster::start(1)?;
    let (max, min) = (i64::MAX.to_string(), i64::MIN.to_string());
    assert_eq!(cluster.trellis(&["incr", "k", &max])?.answer()?, max);
    assert_eq!(cluster.trellis(&["incr", "k", &min])?.answer()?, "-1");
    assert_eq!(cluster.trellis(&["incr", "k", &max])?.answer()?, (i64::MAX - 1).to_string());

    // What was added fills 64 bits but for 1; what was subtracted has room for as much again less 1.
    assert_eq!(cluster.trellis(&["incr", "k"])?.answer()?, max);
    let outcome = cluster.trellis(&["incr", "k"])?;
    assert!(outcome.failure(5)?.contains("hint:"), "{outcome}");
    let outcome = cluster.trellis(&["-o", "json", "incr", "k"])?;
    let error = outcome.failure_json(5)?;
    assert_eq!(error["error"]["reason"], "COUNTER_OVERFLOW");
    assert_eq!(cluster.trellis(&["get", "k"])?.answer()?, max);

    cluster.trellis(&["incr", "high", &max])?.answer()?;
    let beyond = cluster.trellis(&["incr", "high", "1"])?;
    assert_eq!(beyond.answer()?, max);
    assert!(beyond.stderr.contains("beyond int64"), "{beyond}");

    let node = cluster.node_mut("n1");
    node.kill()?;
    node.start(&[])?;
    node.await_ready()?;
    assert_eq!(cluster.trellis(&["get", "k"])?.answer()?, max);
    cluster.finish()
}

#[test]
fn values_and_messages_over_the_limit_are_refused_and_the_connection_lives_on() -> Result<()> {
    let cluster = Cluster::start(1)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tls = Arc::new(cluster.tls("app")?);
    let client = Client::new(vec![endpoint(cluster.node("n1"))], tls, ClientConfig::default());
    let set = |bytes: usize| -> Result<(), ClientError> {
        let value = Bytes::from(vec![b'x'; bytes]);
        let request = SetRegister { key: "k".to_owned(), value, ..SetRegister::default() };
        runtime.block_on(client.set_register(request)).map(|_| ())
    };
    set(1 << 20)?;
    for (bytes, reason) in [(2 << 20, Reason::ValueTooLarge), (5 << 20, Reason::MessageTooLarge)] {
        let error = set(bytes).expect_err("a value beyond 1 MiB is refused");
        assert_eq!(error.reason, Some(reason), "{error:?}");
        assert!(matches!(error.kind, ErrorKind::Rejected | ErrorKind::Overloaded), "{error:?}");
        set(3)?;
    }
    assert_eq!(cluster.trellis(&["get", "k"])?.answer()?, "xxx");
    cluster.finish()
}

#[test]
fn exit_codes_tell_the_next_step() -> Result<()> {
    let cluster = Cluster::start(1)?;
    let absent = cluster.trellis(&["get", "nothing"])?;
    assert_eq!((absent.code, absent.stdout.as_str()), (Some(1), ""));

    assert_eq!(cluster.trellis(&["incr"])?.code, Some(2));
    assert_eq!(cluster.trellis(&["incr", "k", "much"])?.code, Some(2));
    assert_eq!(cluster.trellis(&["--context", "elsewhere", "get", "k"])?.code, Some(2));

    let nobody = format!("127.0.0.1:{}", free_port()?);
    let outcome = cluster.trellis(&["--endpoints", &nobody, "get", "k"])?;
    let message = outcome.failure(3)?;
    assert!(message.contains(&nobody) && message.contains("hint:"), "{message}");

    let mute = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = mute.local_addr()?.to_string();
    let outcome = cluster.trellis(&["--endpoints", &address, "--timeout", "300ms", "get", "k"])?;
    assert!(matches!(outcome.code, Some(3 | 6)), "{outcome}");
    assert!(outcome.stderr.contains("hint:"), "{outcome}");
    cluster.finish()
}
