//! A third of the members fail at one moment, as when a zone loses its power.

use std::time::Duration;

use trellis_swim::Config;

use crate::cluster::{Cluster, SECOND};
use crate::record::What;
use crate::table::{Table, percentile, seconds};

pub(crate) fn measure(table: &mut Table, is_full: bool) {
    let cells: &[(usize, u64)] =
        if is_full { &[(6, 100), (12, 100), (64, 40), (256, 10)] } else { &[(6, 40), (64, 10)] };
    for (count, runs) in cells {
        for loss in [0.0, 0.05] {
            let mut failures = Failures::default();
            (0..*runs).for_each(|seed| fail(*count, loss, seed, &mut failures));
            let of = format!("1/3 of {count}, {:.0} %", loss * 100.0);
            table.note(("G1", &of, "first suspicion"), seconds(&mut failures.suspected));
            let late = percentile(&mut failures.all_know, 0.99);
            let shown = seconds(&mut failures.all_know);
            table.check(("G1", &of, "all know"), shown, "p99 <= 16 s", late <= 16 * SECOND);
            let shown = failures.false_deaths.to_string();
            table.check(("G2", &of, "false deaths"), shown, "0", failures.false_deaths == 0);
        }
    }
}

/// For each that failed: when it was first suspected and when all that are left called it dead.
#[derive(Default)]
struct Failures {
    suspected: Vec<Duration>,
    all_know: Vec<Duration>,
    false_deaths: usize,
}

fn fail(count: usize, loss: f64, seed: u64, failures: &mut Failures) {
    let mut cluster = Cluster::warm(count, 1000 * count as u64 + seed, Config::default());
    cluster.network.loss = loss;
    let jitter = cluster.random_millis(2000);
    cluster.run_for(10 * SECOND + jitter);
    let failed = cluster.elapsed();
    let victims = 0..count / 3;
    victims.clone().for_each(|victim| cluster.crash(victim));
    cluster.run_for(WINDOW);
    let all_deaths = cluster.record.deaths_since(Duration::ZERO);
    let mut deaths_count = 0;
    for victim in victims {
        let subject = cluster.name(victim).0;
        let about = |what| {
            let all = cluster.record.of(what, failed).filter(|it| it.subject == subject);
            all.map(|it| it.at - failed).collect::<Vec<_>>()
        };
        let (suspected, dead) = (about(What::Suspected), about(What::Dead));
        deaths_count += dead.len();
        failures.suspected.push(suspected.into_iter().min().unwrap_or(WINDOW));
        let is_complete = dead.len() == count - count / 3;
        failures.all_know.push(dead.into_iter().max().filter(|_| is_complete).unwrap_or(WINDOW));
    }
    failures.false_deaths += all_deaths - deaths_count;
}

/// How long is waited for all to know.
const WINDOW: Duration = Duration::from_secs(60);
