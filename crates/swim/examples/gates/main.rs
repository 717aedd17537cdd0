//! The gates: what the crate promises, measured in simulated clusters. Prints a table, fails when one is missed.
//!
//! ```text
//! cargo run --release -p trellis-swim --example gates [-- --full] [--only crash]
//! ```
//!
//! The quick form takes less than a minute; `--full` adds clusters of 1,000 members and more runs of each.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/simulation/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/simulation/name.rs"]
mod name;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/simulation/network.rs"]
mod network;
#[path = "../../tests/simulation/node.rs"]
mod node;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/simulation/record.rs"]
mod record;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/simulation/tap.rs"]
mod tap;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/simulation/view.rs"]
mod view;

mod bootstrap;
mod crash;
mod mass;
mod partition;
mod quiet;
mod slow;
mod table;
mod wan;

use std::process::ExitCode;
use std::time::Instant;

use crate::table::Table;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_full = arguments.iter().any(|argument| argument == "--full");
    let value_of = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1).map(String::as_str)
    };
    if !switch_off(value_of("--off")) {
        return ExitCode::FAILURE;
    }
    let only = value_of("--only");
    let mut table = Table::new();
    for (name, measure) in GATES {
        if only.is_none_or(|only| only == *name) {
            let began = Instant::now();
            measure(&mut table, is_full);
            eprintln!("{name}: {:.1} s", began.elapsed().as_secs_f64());
        }
    }
    table.print_sum();
    if table.is_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Switches a rule off, which only a build with `--cfg trellis_fault` can.
#[cfg(trellis_fault)]
fn switch_off(rule: Option<&str>) -> bool {
    let is_known = trellis_swim::fault::switch_off(rule);
    if !is_known {
        eprintln!("no such rule: {rule:?}; {:?}", trellis_swim::fault::TIMING_RULES);
    }
    is_known
}

#[cfg(not(trellis_fault))]
fn switch_off(rule: Option<&str>) -> bool {
    if rule.is_some() {
        eprintln!("rules can be switched off with RUSTFLAGS='--cfg trellis_fault' only");
    }
    rule.is_none()
}

type Gate = fn(&mut Table, bool);

const GATES: &[(&str, Gate)] = &[
    ("crash", crash::measure),
    ("mass", mass::measure),
    ("quiet", quiet::measure),
    ("slow", slow::measure),
    ("bootstrap", bootstrap::measure),
    ("partition", partition::measure),
    ("wan", wan::measure),
];
