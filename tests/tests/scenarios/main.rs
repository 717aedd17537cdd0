//! Every scenario as a test of its own, under its name.

use std::process::Command;

use trellis_tests::sim::scenarios::ALL;
use trellis_tests::{Held, for_all_scenarios};

macro_rules! tested {
    ($($module:ident: $($name:ident),+;)+) => {
        $($(
            #[test]
            fn $name() -> Held {
                perform(stringify!($name))
            }
        )+)+
    };
}

for_all_scenarios!(tested);

#[test]
fn no_two_scenarios_have_one_name() {
    let mut names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Nothing of a process, such as an address or the order of a map, is in a trace.
#[test]
fn one_seed_has_one_trace_in_whatever_process() {
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_trellis-sim")).args(["--seed", "7"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (one, other) = (run(), run());
    assert!(one.contains("\ntrace "), "{one}");
    assert_eq!(one, other);
}

#[test]
fn numbers_that_make_no_history_are_refused() {
    for arguments in [
        ["--minutes", "-1"],
        ["--minutes", "NaN"],
        ["--count", "0"],
        ["--threads", "0"],
        ["--seed=7", "--faults=5-1"],
        ["--seed=7", "--requests=0-99999999999"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_trellis-sim")).args(arguments).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.starts_with("error: "), "{told}");
    }
}

fn perform(name: &str) -> Held {
    let (_, scenario) = ALL.iter().find(|(known, _)| *known == name).expect("the list has every scenario");
    scenario()
}
