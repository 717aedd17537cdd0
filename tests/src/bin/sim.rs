//! Runs histories of the simulator; `cargo xtask sim` builds it without the runtime and starts it.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use trellis_tests::sim::{Campaign, Failure, Plan, Profile, Report, STEPS_TOLD, run_history, shrink};

/// Histories of simulated clusters: the code that ships, over a network and disks that lie.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
struct Cli {
    /// Run this history alone and print the hash of its trace; without it, many from seed 0 on.
    #[arg(long)]
    seed: Option<u64>,
    /// The first of many seeds.
    #[arg(
        long,
        default_value_t = 0,
        conflicts_with = "seed",
        value_parser = clap::value_parser!(u64).range(..=FIRST_MAX)
    )]
    first: u64,
    /// How many histories.
    #[arg(
        long,
        default_value_t = 2_000,
        conflicts_with = "seed",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    count: u64,
    /// Run for so many minutes at most; without --count as many histories as fit.
    #[arg(long, conflicts_with = "seed", value_parser = parse_minutes)]
    minutes: Option<f64>,
    /// What kind of trouble: calm, lossy, disk, churn, mixed, or all of them by turns.
    #[arg(long, default_value_t = Profile::All)]
    profile: Profile,
    /// Look for a shorter history that fails in the same way.
    #[arg(long)]
    shrink: bool,
    /// Keep these requests of the history only: numbers and ranges as in 1,3-5, or none.
    #[arg(long, requires = "seed", value_parser = parse_numbers)]
    requests: Option<Numbers>,
    /// Keep these faults of the history only.
    #[arg(long, requires = "seed", value_parser = parse_numbers)]
    faults: Option<Numbers>,
    /// Start with so many hosts; by default as many as the seed says.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=9))]
    hosts: Option<u8>,
    /// Print every step of the history.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Threads; by default one for each core.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Switch each rule that can be off off in turn, and look for a scenario or a seed that notices.
    #[arg(long)]
    controls: bool,
    /// Switch one rule off, to see what a control saw; with --controls, look for who notices this one only.
    #[arg(long, value_name = "RULE")]
    off: Option<String>,
}

/// Numbers of a plan.
#[derive(Clone, Debug)]
struct Numbers(BTreeSet<usize>);

fn parse_numbers(text: &str) -> Result<Numbers, String> {
    if text == "none" {
        return Ok(Numbers(BTreeSet::new()));
    }
    let number = |part: &str| part.trim().parse::<usize>().map_err(|_| format!("{part:?} is no number"));
    let mut numbers = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last || last > NUMBER_MAX {
            return Err(format!(
                "{part:?} is no range: the first is at most the last, that at most {NUMBER_MAX}"
            ));
        }
        numbers.extend(first..=last);
    }
    Ok(Numbers(numbers))
}

fn parse_minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse::<f64>().map_err(|_| format!("{text:?} is no number"))?;
    if minutes > 0.0 && minutes <= MINUTES_MAX {
        Ok(minutes)
    } else {
        Err(format!("more than 0 and at most {MINUTES_MAX}"))
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A panic of the code under test is told with its seed, not by the hook.
    std::panic::set_hook(Box::new(|_| {}));
    if let Err(error) = switch_off(cli.off.as_deref()) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    if cli.controls {
        return controls(&cli);
    }
    match cli.seed {
        Some(seed) => one(seed, &cli),
        None => many(&cli),
    }
}

fn one(seed: u64, cli: &Cli) -> ExitCode {
    let mut plan = Plan::of(seed, cli.profile, cli.hosts);
    plan.keep(cli.requests.as_ref().map(|kept| &kept.0), cli.faults.as_ref().map(|kept| &kept.0));
    println!(
        "seed {seed}: {} hosts, {} requests, {} faults, profile {}",
        plan.hosts,
        plan.requests.len(),
        plan.faults.len(),
        plan.profile
    );
    let history = run_history(plan, if cli.trace { usize::MAX } else { STEPS_TOLD });
    if cli.trace {
        history.last_steps.iter().for_each(|step| println!("{step}"));
    }
    println!("{} steps in {:.3} virtual seconds", history.steps, history.micros as f64 / 1e6);
    println!("trace {:016x}", history.hash);
    let Some(violation) = history.violation else { return ExitCode::SUCCESS };
    let kept = cli.requests.is_some() || cli.faults.is_some();
    let whole = Plan::of(seed, cli.profile, cli.hosts);
    let all_or = |kept: Option<&Numbers>, all: BTreeSet<usize>| kept.map_or(all, |kept| kept.0.clone());
    let requests =
        all_or(cli.requests.as_ref(), whole.requests.iter().map(|request| request.index).collect());
    let faults = all_or(cli.faults.as_ref(), whole.faults.iter().map(|fault| fault.index).collect());
    let failure = Failure {
        seed,
        profile: cli.profile,
        violation,
        step: history.steps,
        micros: history.micros,
        kept: kept.then_some((requests, faults)),
        hosts: cli.hosts,
        last_steps: history.last_steps,
    };
    fail(failure, cli)
}

fn many(cli: &Cli) -> ExitCode {
    let threads = cli.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from);
    let limit = cli.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let is_default_count = !std::env::args().any(|argument| argument.starts_with("--count"));
    let count = if limit.is_some() && is_default_count { u64::MAX } else { cli.count };
    let campaign = Campaign {
        first: cli.first,
        count,
        limit,
        profile: cli.profile,
        hosts: cli.hosts,
        threads,
        shows_progress: true,
    };
    let report = campaign.run();
    print(&report, threads);
    if let Some(failure) = report.failure {
        return fail(failure, cli);
    }
    let missing = report.coverage.missing(cli.profile);
    let is_profile_judged = matches!(cli.profile, Profile::All | Profile::Disk);
    let is_judged = is_profile_judged && report.histories >= HISTORIES_THAT_COVER;
    if is_judged && !missing.is_empty() {
        println!("never met: {}", missing.join(", "));
        return ExitCode::FAILURE;
    }
    if is_judged {
        println!("everything that is built was met");
    }
    ExitCode::SUCCESS
}

fn print(report: &Report, threads: usize) {
    for (what, count) in report.coverage.iter() {
        println!("{count:>12}  {what}");
    }
    let seconds = report.elapsed.as_secs_f64();
    let rate = report.histories as f64 / seconds;
    println!(
        "{} histories, {:.0} virtual hours, {} steps in {seconds:.1} s: {rate:.0} histories a second, {:.0} of one core",
        report.histories,
        report.seconds / 3600.0,
        report.steps,
        rate / threads as f64
    );
}

fn fail(failure: Failure, cli: &Cli) -> ExitCode {
    println!("FAILED with seed {}", failure.seed);
    tell(&failure, cli);
    if cli.shrink {
        println!("looking for a shorter history …");
        tell(&shrink(failure, SHRINKING_RUNS), cli);
    }
    ExitCode::FAILURE
}

fn tell(failure: &Failure, cli: &Cli) {
    let off = cli.off.as_ref().map(|rule| format!(" --off {rule:?}")).unwrap_or_default();
    println!("{failure}again      {}{off}", failure.command());
}

#[cfg(trellis_fault)]
fn controls(cli: &Cli) -> ExitCode {
    if trellis_tests::sim::run_controls(cli.first, cli.off.as_deref()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(trellis_fault)]
fn switch_off(rule: Option<&str>) -> Result<(), String> {
    let is_known = rule.is_none_or(trellis_tests::sim::switch_off);
    if is_known { Ok(()) } else { Err("no rule of this name: --controls lists them".to_owned()) }
}

#[cfg(not(trellis_fault))]
fn switch_off(rule: Option<&str>) -> Result<(), String> {
    match rule {
        None => Ok(()),
        Some(_) => Err("no rule can be switched off in this build; use `cargo xtask sim --off …`".to_owned()),
    }
}

#[cfg(not(trellis_fault))]
fn controls(_: &Cli) -> ExitCode {
    eprintln!("error: no rule can be switched off in this build; use `cargo xtask sim --controls`");
    ExitCode::FAILURE
}

/// Fewer histories need not meet everything.
const HISTORIES_THAT_COVER: u64 = 5_000;
const SHRINKING_RUNS: usize = 4_000;
/// Whatever is counted on from there stays a seed.
const FIRST_MAX: u64 = u64::MAX / 2;
/// More than any plan has requests.
const NUMBER_MAX: usize = 100_000;
/// A year.
const MINUTES_MAX: f64 = 525_600.0;
