//! The gates: what the crate promises, measured in simulated clusters. Prints a table, fails when one is missed.
//!
//! ```text
//! cargo run --release -p trellis-swim --example gates [-- --full] [--only crash]
//! cargo run --release -p trellis-swim --example gates -- --only accuracy --node-hours 50000 --threads 2
//! ```
//!
//! The quick form takes less than a minute; `--full` adds clusters of 1,000 members and more runs of each. The gate
//! `accuracy` goes on for as long as it is told: `--first-seed` gives it runs that were not seen yet.

#[path = "../../tests/simulation/agenda.rs"]
mod agenda;
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

mod accuracy;
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

use crate::accuracy::Effort;
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
    let Some(effort) = effort(is_full, value_of) else {
        eprintln!("--node-hours, --first-seed and --threads are numbers, and there is a thread at least");
        return ExitCode::FAILURE;
    };
    let only = value_of("--only");
    let mut table = Table::new();
    for (name, measure) in GATES {
        if only.is_none_or(|only| only == *name) {
            let began = Instant::now();
            measure(&mut table, is_full, effort);
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

/// What [`accuracy`] is told, or else what suits the form.
fn effort<'a>(is_full: bool, value_of: impl Fn(&str) -> Option<&'a str>) -> Option<Effort> {
    let number = |name, or: u64| value_of(name).map_or(Some(or), |value| value.parse().ok());
    let node_hours = number("--node-hours", if is_full { 300 } else { 50 })? as f64;
    let threads = number("--threads", 1)?;
    let first_seed = number("--first-seed", 0)?;
    (threads > 0).then_some(Effort { node_hours, first_seed, threads: threads as usize })
}

type Gate = fn(&mut Table, bool, Effort);

const GATES: &[(&str, Gate)] = &[
    ("crash", |table, is_full, _| crash::measure(table, is_full)),
    ("mass", |table, is_full, _| mass::measure(table, is_full)),
    ("accuracy", |table, _, effort| accuracy::measure(table, effort)),
    ("quiet", |table, is_full, _| quiet::measure(table, is_full)),
    ("slow", |table, is_full, _| slow::measure(table, is_full)),
    ("bootstrap", |table, is_full, _| bootstrap::measure(table, is_full)),
    ("partition", |table, is_full, _| partition::measure(table, is_full)),
    ("wan", |table, is_full, _| wan::measure(table, is_full)),
];
