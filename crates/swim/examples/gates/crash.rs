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
        if is_full { &[(8, 200), (64, 100), (256, 40), (1000, 8)] } else { &[(8, 40), (64, 40), (256, 12)] };
    for (count, runs) in sizes {
        for loss in [0.0, 0.05, 0.2] {
            let mut crashes = Crashes::default();
            for seed in 0..*runs {
                crash(*count, loss, seed, &mut crashes);
            }
            report(table, &format!("N={count} loss={:.0} %", loss * 100.0), loss, &mut crashes);
        }
    }
}

fn report(table: &mut Table, of: &str, loss: f64, crashes: &mut Crashes) {
    let Crashes { runs, complete, early_count, early, .. } = *crashes;
    let bound = if loss > 0.1 { 13 * SECOND } else { 12 * SECOND };
    let suspected = percentile(&mut crashes.first_suspected, 0.99);
    let shown = seconds(&mut crashes.first_suspected);
    let promised = SECOND * 13 / 2;
    table.check(("G1", of, "first suspicion"), shown, "p99 <= 6.5 s", suspected <= promised);
    table.note(("G1", of, "first death"), seconds(&mut crashes.first_dead));
    let late = percentile(&mut crashes.all_know, 0.99);
    let shown = seconds(&mut crashes.all_know);
    table.check(("G1", of, "all know"), shown, format!("p99 <= {} s", bound.as_secs()), late <= bound);
    let shown = format!("{complete}/{runs}");
    table.check(("G1", of, "all know within 30 s"), shown, "all", complete == runs);
    let shown = format!("{early_count}, worst by {early:?}");
    table.check(("G1", of, "deaths before 10 s of silence"), shown, "0", early_count == 0);
    let shown = format!("{} in {:.1} node-hours", crashes.false_deaths, crashes.node_hours);
    let allowed = if loss > 0.1 { crashes.node_hours / 100.0 } else { 0.0 };
    table.check(
        ("G2", of, "false deaths"),
        shown,
        format!("<= {allowed:.0}"),
        crashes.false_deaths as f64 <= allowed.round(),
    );
    let changes = crashes.identity_changes;
    table.check(("G3", of, "identities changed"), changes.to_string(), "0", changes == 0);
}

fn crash(count: usize, loss: f64, seed: u64, crashes: &mut Crashes) {
    let mut cluster = Cluster::warm(count, 1000 * count as u64 + seed, Config::default());
    cluster.network.loss = loss;
    let jitter = cluster.random_millis(2000);
    cluster.run_for(10 * SECOND + jitter);
    let warm = cluster.elapsed();
    let victim = cluster.random_index();
    let crashed = cluster.elapsed();
    cluster.crash(victim);
    cluster.run_for(30 * SECOND);
    let deadline = cluster.record.last_heard(victim) + cluster.config.dead_after;
    let subject = cluster.name(victim).0;
    let about = |what: What| {
        let all = cluster.record.of(what, crashed).filter(move |it| it.subject == subject);
        all.map(|it| it.at).collect::<Vec<_>>()
    };
    let (suspected, dead) = (about(What::Suspected), about(What::Dead));
    crashes.runs += 1;
    crashes.first_suspected.extend(suspected.iter().min().map(|at| *at - crashed));
    crashes.first_dead.extend(dead.iter().min().map(|at| *at - crashed));
    if dead.len() == count - 1 {
        crashes.complete += 1;
        crashes.all_know.extend(dead.iter().max().map(|at| *at - crashed));
    } else {
        crashes.all_know.push(30 * SECOND);
    }
    crashes.early_count += dead.iter().filter(|at| **at < deadline).count();
    let earliest = dead.iter().map(|at| deadline.saturating_sub(*at)).max().unwrap_or_default();
    crashes.early = crashes.early.max(earliest);
    let all_deaths = cluster.record.of(What::Dead, Duration::ZERO);
    crashes.false_deaths += all_deaths.filter(|it| it.subject != subject).count();
    let running = cluster.running();
    let epochs = running.into_iter().map(|index| cluster.member(index).local().epoch);
    crashes.identity_changes += epochs.filter(|epoch| *epoch != START_EPOCH).count();
    crashes.node_hours += count as f64 * (warm + 30 * SECOND).as_secs_f64() / 3600.0;
}

/// All start in the first millisecond, and only a new process may take another epoch.
const START_EPOCH: u64 = crate::cluster::EPOCH_BASE;
