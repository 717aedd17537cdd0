//! G1 to G3: one member of a cluster crashes.

use std::time::Duration;

use trellis_swim::Config;

use crate::cluster::{Cluster, SECOND};
use crate::record::What;
use crate::table::{Table, percentile, seconds};

/// What the crashes of one size and loss gave.
#[derive(Default)]
struct Crashes {
    first_suspected: Vec<Duration>,
    first_dead: Vec<Duration>,
    all_know: Vec<Duration>,
    runs: usize,
    complete: usize,
    /// By how much the earliest death came before its time.
    early: Duration,
    early_count: usize,
    false_deaths: usize,
    identity_changes: usize,
    node_hours: f64,
}

pub(crate) fn measure(table: &mut Table, is_full: bool) {
    let sizes: &[(usize, u64)] =
        if is_full { &[(8, 200), (64, 100), (256, 40), (1000, 8)] } else { &[(8, 40), (64, 40), (256, 8)] };
    for (count, runs) in sizes {
        for loss in [0.0, 0.05, 0.2] {
            let of = format!("N={count} loss={:.0} %", loss * 100.0);
            measure_cell(table, &of, (*count, loss, *runs), &Config::default());
        }
    }
    for (count, runs) in sizes.iter().filter(|(count, _)| (64..500).contains(count)) {
        measure_cell(table, &format!("N={count} fast"), (*count, 0.0, *runs), &Config::fast());
    }
}

fn measure_cell(table: &mut Table, of: &str, (count, loss, runs): (usize, f64, u64), config: &Config) {
    let mut crashes = Crashes::default();
    for seed in 0..runs {
        crash(count, loss, seed, config, &mut crashes);
    }
    report(table, of, loss, config, &mut crashes);
}

fn report(table: &mut Table, of: &str, loss: f64, config: &Config, crashes: &mut Crashes) {
    let Crashes { runs, complete, early_count, early, .. } = *crashes;
    // With the fast settings the least time of a suspicion that came late is what decides.
    let bound = (config.dead_after + 2 * SECOND).max(SECOND * 13 / 2 + config.suspicion_min);
    let bound = bound + if loss > 0.1 { 1 } else { 0 } * SECOND;
    let slowest = percentile(&mut crashes.first_suspected, 1.0);
    let shown = seconds(&mut crashes.first_suspected);
    table.check(("G1", of, "first suspicion"), shown, "<= 6 s", slowest <= 6 * SECOND);
    table.note(("G1", of, "first death"), seconds(&mut crashes.first_dead));
    let late = percentile(&mut crashes.all_know, 0.99);
    let shown = seconds(&mut crashes.all_know);
    table.check(("G1", of, "all know"), shown, format!("p99 <= {} s", bound.as_secs_f64()), late <= bound);
    let shown = format!("{complete}/{runs}");
    table.check(("G1", of, "all know within 30 s"), shown, "all", complete == runs);
    let shown = format!("{early_count}, worst by {early:?}");
    table.check(("G1", of, "deaths before their time"), shown, "0", early_count == 0);
    let shown = format!("{} in {:.1} node-hours", crashes.false_deaths, crashes.node_hours);
    let allowed = if loss > 0.1 { crashes.node_hours / 100.0 } else { 0.0 };
    let is_kept = crashes.false_deaths as f64 <= allowed.round();
    table.check(("G2", of, "false deaths"), shown, format!("<= {allowed:.0}"), is_kept);
    let changes = crashes.identity_changes;
    table.check(("G3", of, "identities changed"), changes.to_string(), "0", changes == 0);
}

fn crash(count: usize, loss: f64, seed: u64, config: &Config, crashes: &mut Crashes) {
    let mut cluster = Cluster::warm(count, 1000 * count as u64 + seed, config.clone());
    cluster.network.loss = loss;
    let jitter = cluster.random_millis(2000);
    cluster.run_for(10 * SECOND + jitter);
    let victim = cluster.random_index();
    let crashed = cluster.elapsed();
    cluster.crash(victim);
    cluster.run_for(WINDOW);
    crashes.runs += 1;
    crashes.node_hours += count as f64 * cluster.elapsed().as_secs_f64() / 3600.0;
    count_deaths(&cluster, victim, crashed, crashes);
    let epochs = cluster.epochs().into_iter();
    crashes.identity_changes += epochs.filter(|epoch| *epoch != START_EPOCH).count();
}

fn count_deaths(cluster: &Cluster, victim: usize, crashed: Duration, crashes: &mut Crashes) {
    let deadline = cluster.record.last_heard(victim) + cluster.config.dead_after;
    let subject = cluster.name(victim).0;
    let about = |what: What| {
        let all = cluster.record.of(what, crashed).filter(move |it| it.subject == subject);
        all.map(|it| it.at).collect::<Vec<_>>()
    };
    let (suspected, dead) = (about(What::Suspected), about(What::Dead));
    crashes.first_suspected.push(suspected.iter().min().map_or(WINDOW, |at| *at - crashed));
    crashes.first_dead.push(dead.iter().min().map_or(WINDOW, |at| *at - crashed));
    let is_complete = dead.len() == cluster.count() - 1;
    crashes.complete += usize::from(is_complete);
    let last = dead.iter().max().filter(|_| is_complete);
    crashes.all_know.push(last.map_or(WINDOW, |at| *at - crashed));
    crashes.early_count += dead.iter().filter(|at| **at < deadline).count();
    let earliest = dead.iter().map(|at| deadline.saturating_sub(*at)).max().unwrap_or_default();
    crashes.early = crashes.early.max(earliest);
    let all_deaths = cluster.record.of(What::Dead, Duration::ZERO);
    crashes.false_deaths += all_deaths.filter(|it| it.subject != subject).count();
}

/// How long is waited for all to know.
const WINDOW: Duration = Duration::from_secs(30);
/// All start in the first millisecond, and only a new process may take another epoch.
const START_EPOCH: u64 = crate::cluster::EPOCH_BASE;
