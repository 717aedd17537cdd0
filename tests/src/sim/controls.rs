//! Negative controls: each rule that can be switched off is switched off in turn, and a scenario or a seed must notice.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::campaign::Campaign;
use super::plan::Profile;
use super::scenarios::{self, Scenario};

/// One crate's rules, and how one of them is switched off.
struct Crate {
    name: &'static str,
    rules: &'static [&'static str],
    switch_off: fn(Option<&str>) -> bool,
}

/// Switches each rule off in turn, or this one only, and looks for a scenario and a seed that notice. Returns whether each was noticed by
/// one of them, and none by anything while all are on.
pub fn run_controls(first: u64, only: Option<&str>) -> bool {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    println!("{} rules can be switched off", CRATES.iter().map(|owner| owner.rules.len()).sum::<usize>());
    for owner in CRATES {
        (owner.switch_off)(None);
    }
    if let Some(scenario) = noticing_scenarios(threads).first() {
        println!("FAILED   with all rules on: scenario {scenario}");
        return false;
    }
    let mut missed = Vec::new();
    for owner in CRATES {
        for rule in owner.rules.iter().filter(|rule| only.is_none_or(|only| only == **rule)) {
            let started = Instant::now();
            assert!((owner.switch_off)(Some(rule)), "a rule of the list can be switched off");
            let by_scenarios = noticing_scenarios(threads);
            let rounds = if by_scenarios.is_empty() { LONG_SEARCH } else { SEARCH };
            let by_seed = noticing_seed(first, rounds, threads);
            (owner.switch_off)(None);
            let seconds = started.elapsed().as_secs_f64();
            let is_noticed = by_seed.is_ok() || !by_scenarios.is_empty();
            let verdict = if is_noticed { "caught" } else { "MISSED" };
            println!("{verdict}   {}: {rule} ({seconds:.1} s)", owner.name);
            println!("           {}", tell_seed(&by_seed));
            println!("           {}", tell_scenarios(&by_scenarios));
            if !is_noticed {
                missed.push(*rule);
            }
        }
    }
    match missed.as_slice() {
        [] => println!("every rule is missed when it is off"),
        missed => println!("not noticed: {}", missed.join(", ")),
    }
    missed.is_empty()
}

/// Switches a rule off for good; false if no crate knows it.
pub fn switch_off(rule: &str) -> bool {
    CRATES.iter().any(|owner| (owner.switch_off)(Some(rule)))
}

struct Noticed {
    seed: u64,
    profile: Profile,
    histories: u64,
    invariant: &'static str,
}

fn tell_seed(noticed: &Result<Noticed, u64>) -> String {
    match noticed {
        Ok(noticed) => format!(
            "seed {} of profile {}, after {} histories: {}",
            noticed.seed, noticed.profile, noticed.histories, noticed.invariant
        ),
        Err(histories) => format!("no seed in {histories} histories"),
    }
}

fn tell_scenarios(names: &[&str]) -> String {
    match names {
        [] => "no scenario".to_owned(),
        [only] => format!("scenario {only}"),
        few if few.len() <= NAMED => format!("scenarios {}", few.join(", ")),
        [many @ ..] => {
            format!("scenarios {}, and {} others", many[..NAMED].join(", "), many.len() - NAMED)
        }
    }
}

/// Performs every scenario; returns those that do not hold, in the order of the list.
fn noticing_scenarios(threads: usize) -> Vec<&'static str> {
    let (next, noticed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((name, perform)) = scenarios::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !holds((name, *perform)) {
                        noticed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(*name);
                    }
                }
            });
        }
    });
    let noticed = noticed.into_inner().unwrap_or_default();
    scenarios::ALL.iter().map(|(name, _)| *name).filter(|name| noticed.contains(name)).collect()
}

fn holds((_, perform): Scenario) -> bool {
    catch_unwind(AssertUnwindSafe(perform)).is_ok_and(|held| held.is_ok())
}

/// Searches profile by profile, a few histories of each first; or says how many it took in vain.
fn noticing_seed(first: u64, rounds: &[u64], threads: usize) -> Result<Noticed, u64> {
    let mut histories = 0;
    for count in rounds {
        for profile in Profile::EACH.into_iter().rev() {
            let campaign = Campaign {
                first,
                count: *count,
                limit: None,
                profile,
                hosts: None,
                threads,
                shows_progress: false,
            };
            let report = campaign.run();
            if let Some(failure) = report.failure {
                let (seed, invariant) = (failure.seed, failure.violation.invariant);
                // The lowest seed that fails: all below it were run to their end.
                histories += seed - first + 1;
                return Ok(Noticed { seed, profile, histories, invariant });
            }
            histories += report.histories;
        }
    }
    Err(histories)
}

/// Scenarios that are named where many notice.
const NAMED: usize = 6;
/// Histories of each profile, in one round after the other; few in vain, as a scenario has noticed already.
const SEARCH: &[u64] = &[30, 100];
/// The same where no scenario has noticed.
const LONG_SEARCH: &[u64] = &[30, 1_000];

const CRATES: &[Crate] = &[
    Crate { name: "wal", rules: trellis_wal::fault::RULES, switch_off: trellis_wal::fault::switch_off },
    Crate {
        name: "wal",
        rules: trellis_wal::fault::SNAPSHOT_RULES,
        switch_off: trellis_wal::fault::switch_off,
    },
    Crate { name: "swim", rules: trellis_swim::fault::RULES, switch_off: trellis_swim::fault::switch_off },
    Crate { name: "crdt", rules: trellis_crdt::fault::RULES, switch_off: trellis_crdt::fault::switch_off },
    Crate {
        name: "storage",
        rules: trellis_storage::fault::RULES,
        switch_off: trellis_storage::fault::switch_off,
    },
    Crate {
        name: "replication",
        rules: trellis_replication::fault::RULES,
        switch_off: trellis_replication::fault::switch_off,
    },
    Crate {
        name: "node",
        rules: trellis_node::core::fault::RULES,
        switch_off: trellis_node::core::fault::switch_off,
    },
];
