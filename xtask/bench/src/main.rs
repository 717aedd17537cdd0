//! What a node does in a second, as a share of what a bare echo does.
//!
//! Two things bound a call: the transport, measured by an echo over the same mutual TLS with the same messages, and the
//! disk, measured by bare syncs. One client drives all servers in turn, round by round, so that a machine that gets
//! slower or faster meanwhile does so for all of them; a ratio is the median of the ratios of the rounds.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;
use trellis_tests::{Cluster, target_directory};

use crate::echo::{Echo, EchoArguments};
use crate::load::{Call, Lines, Sample};
use crate::machine::Machine;
use crate::report::Report;
use crate::snapshot::SnapshotArguments;

mod echo;
mod load;
mod machine;
mod report;
mod snapshot;
mod wire;

/// Measures nodes against a bare echo: 64 calls in flight on 4 connections.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Cli {
    /// Rounds through all measurements; medians are of so many values.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The bare echo; started by the bench itself, in a process of its own like a node.
    #[command(hide = true)]
    Echo(EchoArguments),
    /// What a node does while it takes snapshots, one after the other, against the same node that takes none.
    Snapshot(SnapshotArguments),
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.part {
        Some(Part::Echo(arguments)) => runtime.block_on(echo::serve(arguments)),
        Some(Part::Snapshot(arguments)) => {
            snapshot::bench(&runtime, &arguments, cli.rounds, Duration::from_secs(cli.seconds))
        }
        None => bench(&runtime, cli.rounds, Duration::from_secs(cli.seconds)),
    }
}

fn bench(runtime: &Runtime, rounds: u32, duration: Duration) -> Result<()> {
    let machine = look_at_machine()?;
    let mut one = Cluster::prepare(1)?;
    one.found()?;
    let mut three = Cluster::prepare(3)?;
    three.found()?;
    let echo = Echo::start(&one.tls_files("n1"))?;
    let measurements = runtime.block_on(async {
        let echo = Lines::open([echo.port()], &one.tls_files("app")).await?;
        let single = Lines::open([one.node("n1").ports().client], &one.tls_files("app")).await?;
        let ports = ["n1", "n2", "n3"].map(|name| three.node(name).ports().client);
        let spread = Lines::open(ports, &three.tls_files("app")).await?;
        Ok::<_, anyhow::Error>([
            Measurement::new("bare echo", &echo, Call::Increment, None),
            Measurement::new("one node, durable increments", &single, Call::Increment, Some(0.3)),
            Measurement::new("one node, reads", &single, Call::Get, Some(0.5)),
            Measurement::new("three nodes, durable increments", &spread, Call::Increment, None),
            Measurement::new("three nodes, reads", &spread, Call::Get, None),
        ])
    })?;
    let report = runtime.block_on(measure(measurements, rounds, duration))?;
    print!("{report}");
    println!("{}", report.json(&machine));
    one.finish()?;
    three.finish()
}

/// Looks at the machine and tells what it sees.
fn look_at_machine() -> Result<Machine> {
    let parent = target_directory().context("the bench runs in a target directory")?.join("bench");
    fs::create_dir_all(&parent)?;
    let machine = Machine::look(&parent)?;
    println!("{machine}");
    Ok(machine)
}

/// One line of the table.
#[derive(Debug)]
struct Measurement {
    name: &'static str,
    lines: Lines,
    call: Call,
    /// The share of the echo that is aimed at.
    aim: Option<f64>,
    samples: Vec<Sample>,
}

impl Measurement {
    fn new(name: &'static str, lines: &Lines, call: Call, aim: Option<f64>) -> Self {
        Self { name, lines: lines.clone(), call, aim, samples: Vec::new() }
    }
}

async fn measure<const N: usize>(
    mut measurements: [Measurement; N],
    rounds: u32,
    duration: Duration,
) -> Result<Report> {
    for round in 1..=rounds {
        for measurement in &mut measurements {
            let sample = measurement.lines.drive(measurement.call, duration).await;
            let sample = sample.with_context(|| format!("{} failed", measurement.name))?;
            eprintln!("round {round} of {rounds}: {}, {:.0} a second", measurement.name, sample.per_second);
            measurement.samples.push(sample);
        }
    }
    Ok(Report::new(measurements.into()))
}
