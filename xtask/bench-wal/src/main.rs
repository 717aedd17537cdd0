//! What trellis-wal does in a second, against other logs and against a bare thread on the same disk.
//!
//! All contenders take turns in every round, every second round in the opposite order, so that a machine that gets slower
//! or faster meanwhile does so for all of them; a ratio is the median of the ratios of the rounds. Every turn has a log
//! of its own in a fresh directory.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tempfile::TempDir;

use crate::append::Appends;
use crate::contenders::{LEFT_OUT, chosen};
use crate::machine::Watch;
use crate::tasks::Tasks;

mod append;
mod contenders;
mod enqueue;
mod recovery;
mod rotation;
mod table;
mod tasks;
mod unreserved;

#[path = "../../yardsticks/src/machine.rs"]
mod machine;

/// Measures trellis-wal against okaywal, raft-engine, fjall and a bare thread that writes and syncs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench wal", max_term_width = 100)]
struct Cli {
    /// Rounds through all measurements; medians are of so many values.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Milliseconds of each turn of a contender that appends.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    millis: u64,
    /// How many threads append, each waiting for its own record.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64,256")]
    threads: Vec<usize>,
    /// Contenders that append beside trellis-wal and the bare thread, by name; all without it.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    against: Option<Vec<String>>,
    /// MB of the log that trellis-wal recovers; 0 leaves recovery out.
    #[arg(long, default_value_t = 500)]
    recovery_mb: u64,
    /// MB of the logs that the others recover: some need half a minute to write 500.
    #[arg(long, default_value_t = 64)]
    rival_mb: u64,
    /// Where the logs are: on the disk that is to be measured.
    #[arg(long, value_name = "DIR", default_value = "target/bench-wal")]
    dir: PathBuf,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    fs::create_dir_all(&cli.dir).with_context(|| format!("{} cannot be made", cli.dir.display()))?;
    let home = TempDir::new_in(&cli.dir)?;
    let watch = Watch::start();

    let mut appends = Appends::new(&cli.threads, chosen(cli.against.as_deref()));
    for round in 0..cli.rounds {
        appends.round(round, home.path(), Duration::from_millis(cli.millis))?;
        eprintln!("appends: round {} of {}", round + 1, cli.rounds);
    }
    let mut tasks = Tasks::new(chosen(cli.against.as_deref()));
    for round in 0..cli.rounds {
        tasks.round(round, home.path(), Duration::from_millis(cli.millis))?;
        eprintln!("tasks: round {} of {}", round + 1, cli.rounds);
    }
    let rotation = rotation::measure(cli.rounds, home.path(), Duration::from_millis(cli.millis))?;
    println!("{}\n", watch.tell());
    println!("{}", appends.table());
    println!("{}", appends.latency());
    println!("{}\n{rotation}", tasks.tell());

    println!("{}", enqueue::measure(cli.rounds, home.path())?);
    if cli.recovery_mb > 0 {
        let watch = Watch::start();
        let table = recovery::measure(cli.rounds, home.path(), cli.recovery_mb << 20, cli.rival_mb << 20)?;
        println!("\n{table}\n{}", watch.tell());
    }
    if !LEFT_OUT.is_empty() {
        println!("left out of this build: {}", LEFT_OUT.join(", "));
    }
    Ok(())
}
