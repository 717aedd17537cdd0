//! What is printed for each answer about keys.

use serde_json::json;

use super::*;
use crate::output::Report;

#[test]
fn a_counter_prints_its_value_alone() {
    let report = Counter {
        key: "counter1".to_owned(),
        kind: Some("pn-counter".to_owned()),
        value: -5,
        is_exact: true,
    };
    assert_eq!(report.plain(), "-5\n");
    assert_eq!(report.table(), "KEY       VALUE\ncounter1  -5\n");
    assert_eq!(report.json(), json!({ "key": "counter1", "kind": "pn-counter", "value": -5, "exact": true }));
}

#[test]
fn a_counter_beyond_its_range_is_told_beside_the_answer() {
    let report = |is_exact| Counter { key: "k".to_owned(), kind: None, value: i64::MAX, is_exact };
    assert_eq!(counter(report(true)).notes(), Vec::<String>::new());
    assert_eq!(counter(report(false)).notes().len(), 1);
    assert_eq!(counter(report(false)).plain(), "9223372036854775807\n");
}

#[test]
fn an_lww_register_has_a_value_and_an_mv_register_has_values() {
    let register = |kind: &str, values: &[&'static [u8]]| Register {
        key: "k".to_owned(),
        kind: Some(kind.to_owned()),
        values: values.to_vec(),
    };
    let lww = register("lww-register", &[b"red"]);
    assert_eq!((lww.plain().as_str(), lww.table().as_str()), ("red\n", "KEY  VALUE\nk    red\n"));
    assert_eq!(lww.json(), json!({ "key": "k", "kind": "lww-register", "value": "red" }));
    let mv = register("mv-register", &[b"red", &[0xff]]);
    assert_eq!(mv.plain(), "red\n\\xff\n");
    assert_eq!(
        mv.json(),
        json!({ "key": "k", "kind": "mv-register", "values": ["red", { "base64": "/w==" }] })
    );
}

#[test]
fn an_absent_key_prints_nothing_and_its_answer_is_no() {
    let answer = answer_to_get(&ask(None), KeyContent::default()).unwrap();
    assert_eq!(answer.plain(), "");
    assert_eq!(answer.json(), json!({ "key": "k", "exists": false }));
    assert_eq!(format!("{:?}", answer.exit_code()), format!("{:?}", std::process::ExitCode::from(1)));
}

#[test]
fn a_key_of_several_kinds_lists_them_and_asks_to_choose() {
    let kinds = || ["pn-counter", "lww-register"].map(|kind| kind.parse().unwrap()).to_vec();
    let failure = answer_to_get(&ask(None), KeyContent { kinds: kinds(), value: None }).unwrap_err();
    assert_eq!(failure.exit, Exit::Rejected);
    assert_eq!(failure.message, "\"k\" holds several values: pn-counter, lww-register");
    assert_eq!(failure.hint.as_deref(), Some("choose one with --kind pn-counter"));

    let value = Some(KeyValue::Counter { value: 3, is_exact: true });
    let answer = answer_to_get(&ask(Some("pn-counter")), KeyContent { kinds: kinds(), value }).unwrap();
    assert_eq!(answer.plain(), "3\n");
    let other = answer_to_get(&ask(Some("mv-register")), KeyContent { kinds: kinds(), value: None }).unwrap();
    assert_eq!(other.json()["exists"], false);
}

#[test]
fn a_deletion_counts_what_was_there() {
    let report = Deletion { keys: vec![("a".to_owned(), true), ("b".to_owned(), false)] };
    assert_eq!(report.plain(), "1\n");
    assert_eq!(report.table(), "KEY  EXISTED\na    yes\nb    no\n");
    let keys = json!([{ "key": "a", "existed": true }, { "key": "b", "existed": false }]);
    assert_eq!(report.json(), json!({ "deleted": 1, "keys": keys }));
}

#[test]
fn keys_are_listed_one_a_line() {
    let report = Listing { keys: vec![("a\nb".to_owned(), "g-counter"), ("c".to_owned(), "lww-register")] };
    assert_eq!(report.plain(), "a\\nb\nc\n");
    assert_eq!(report.table(), "KEY   KIND\na\\nb  g-counter\nc     lww-register\n");
    assert_eq!(report.json()["keys"][0], json!({ "key": "a\nb", "kind": "g-counter" }));
}

#[test]
fn a_written_register_says_nothing_but_to_programs() {
    let report = Written { key: "k".to_owned() };
    assert_eq!((report.plain(), report.table()), (String::new(), String::new()));
    assert_eq!(report.json(), json!({ "key": "k" }));
}

#[test]
fn the_least_amount_cannot_be_subtracted() {
    let write = args::Write { durability: args::Durability::Synced, replicas: 1 };
    let arguments = args::Increment { key: "k".to_owned(), amount: i64::MIN, kind: None, write };
    assert_eq!(decrement(&arguments, &args::tests::flags()).unwrap_err().exit, Exit::Usage);
}

#[test]
fn a_value_from_standard_input_is_read_up_to_a_byte_beyond_the_limit() {
    assert_eq!(read_value(&mut &b"red\n"[..]).unwrap(), b"red\n");
    let length = read_value(&mut io::repeat(1)).unwrap().len();
    assert_eq!(u64::try_from(length).unwrap(), VALUE_BYTES_MAX + 1);
}

fn ask(kind: Option<&str>) -> args::Get {
    args::Get { key: "k".to_owned(), kind: kind.map(str::to_owned) }
}
