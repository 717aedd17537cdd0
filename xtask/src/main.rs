//! Local clusters and checks: `cargo xtask cluster 3`, `cargo xtask check`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod check;
mod cluster;
mod layers;
mod sim;
mod tidy;
mod workspace;

/// Tools of the workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run a cluster of N nodes on this machine, or act on the one that runs.
    Cluster(cluster::Arguments),
    /// Check everything that CI checks; writes nothing but build output.
    Check {
        /// And then what takes an hour: 200 kills, 20,000 histories of each profile, every control.
        #[arg(long)]
        long: bool,
    },
    /// Format, and apply what clippy can fix.
    Fix,
    /// Measure a release build against a bare echo over the same mutual TLS; with `wal` the log against others, with
    /// `swim` membership against others in one simulation.
    Bench {
        /// Passed on; `--help` lists them, and `wal --help` or `swim --help` those of the other two.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run histories of simulated clusters, and say which seed breaks what.
    #[command(disable_help_flag = true)]
    Sim {
        /// Passed on; `--help` lists them, and `--controls` shows that the simulator notices each rule that is off.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Generate the code of proto/.
    Codegen {
        /// Compare only; fail and name the files that differ.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("cause: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Cluster(arguments) => cluster::run(arguments),
        Task::Check { long } => {
            check::check()?;
            if long { check::check_long() } else { Ok(()) }
        }
        Task::Fix => check::fix(),
        Task::Bench { arguments } => bench(&arguments),
        Task::Sim { arguments } => sim::run(&arguments),
        Task::Codegen { check } => check::codegen(check),
    }
}

/// Runs a bench, a package of its own so that nothing else pays for compiling it.
fn bench(arguments: &[String]) -> Result<()> {
    let with_rivals = arguments.split_first().and_then(|(first, rest)| {
        let (_, manifest) = BENCHES_WITH_RIVALS.iter().find(|(name, _)| name == first)?;
        Some((["--manifest-path", *manifest, "--target-dir", "target"], rest))
    });
    let (package, arguments) =
        with_rivals.unwrap_or((["--package", "xtask-bench", "--features", "run"], arguments));
    let words = [&["run", "--quiet", "--release"], &package[..], &["--"]].concat();
    workspace::run(workspace::cargo(&words).args(arguments))
}

/// Of workspaces of their own, for the sake of what they measure against.
const BENCHES_WITH_RIVALS: &[(&str, &str)] =
    &[("wal", "xtask/bench-wal/Cargo.toml"), ("swim", "xtask/bench-swim/Cargo.toml")];

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn everything_after_sim_is_passed_on() {
        let line = ["xtask", "sim", "--seed", "7", "--help"];
        let Task::Sim { arguments } = Cli::try_parse_from(line).unwrap().task else { panic!("not sim") };
        assert_eq!(arguments, ["--seed", "7", "--help"]);
    }

    #[test]
    fn everything_after_bench_is_passed_on_and_the_benches_with_rivals_exist() {
        let line = ["xtask", "bench", "wal", "--rounds", "3"];
        let Task::Bench { arguments } = Cli::try_parse_from(line).unwrap().task else { panic!("not bench") };
        assert_eq!(arguments, ["wal", "--rounds", "3"]);
        for (_, manifest) in BENCHES_WITH_RIVALS {
            assert!(workspace::root().join(manifest).is_file(), "{manifest}");
        }
    }

    #[test]
    fn a_check_is_short_unless_it_is_told_otherwise() {
        let is_long = |line: &[&str]| match Cli::try_parse_from(line).unwrap().task {
            Task::Check { long } => long,
            task => panic!("not check: {task:?}"),
        };
        assert!(!is_long(&["xtask", "check"]));
        assert!(is_long(&["xtask", "check", "--long"]));
    }

    #[test]
    fn a_cluster_is_asked_for_by_its_size_or_by_a_verb() {
        for line in [
            "cluster 3",
            "cluster 3 --detach --dir d",
            "cluster stop --dir d",
            "cluster kill n2",
            "cluster wipe",
        ] {
            let words = std::iter::once("xtask").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
        for line in ["cluster", "cluster 0", "cluster 33", "cluster three", "cluster kill"] {
            let words = std::iter::once("xtask").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
