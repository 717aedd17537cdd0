//! Networks that are slow: another continent with the default settings, and a satellite with those for a WAN.

use std::ops::Range;
use std::time::Duration;

use trellis_swim::Config;

use crate::cluster::{Cluster, SECOND};
use crate::record::What;
use crate::table::{Table, percentile, seconds};

pub(crate) fn measure(table: &mut Table, is_full: bool) {
    let sizes: &[(usize, u64)] = if is_full { &[(8, 60), (64, 20), (256, 3)] } else { &[(8, 20), (64, 5)] };
    let networks = [("far", 50_000..150_000, Config::default()), ("orbit", 250_000..400_000, Config::wan())];
    for (name, delay, config) in networks {
        for (count, runs) in sizes {
            for loss in [0.0, 0.05] {
                let mut crashes = Crashes::default();
                for seed in 0..*runs {
                    crash(*count, (loss, delay.clone()), seed, &config, &mut crashes);
                }
                let of = format!("{name} N={count} {:.0} %", loss * 100.0);
                report(table, &of, &config, &mut crashes);
            }
        }
    }
}

#[derive(Default)]
struct Crashes {
    suspected: Vec<Duration>,
    all_know: Vec<Duration>,
    /// Of members that lived.
    false_suspicions: usize,
    false_deaths: usize,
    /// Deaths sooner than the silence after the last sign of life that anyone had.
    early_deaths: usize,
    node_hours: f64,
}

fn report(table: &mut Table, of: &str, config: &Config, crashes: &mut Crashes) {
    let bound = 4 * config.probe_interval;
    let slowest = percentile(&mut crashes.suspected, 1.0);
    let (shown, promise) = (seconds(&mut crashes.suspected), format!("<= {} s", bound.as_secs()));
    table.check(("WAN", of, "first suspicion"), shown, promise, slowest <= bound);
    // Where few confirm it, a death waits for longer than the silence.
    let bound = config.dead_after * 3 / 2;
    let slowest = percentile(&mut crashes.all_know, 1.0);
    let (shown, promise) = (seconds(&mut crashes.all_know), format!("<= {} s", bound.as_secs_f64()));
    table.check(("WAN", of, "all know"), shown, promise, slowest <= bound);
    let rate = crashes.false_suspicions as f64 / crashes.node_hours;
    table.note(("WAN", of, "the living suspected"), format!("{rate:.1} per node-hour"));
    let early = crashes.early_deaths;
    table.check(("WAN", of, "deaths before their time"), early.to_string(), "0", early == 0);
    let shown = format!("{} in {:.1} node-hours", crashes.false_deaths, crashes.node_hours);
    table.check(("WAN", of, "false deaths"), shown, "0", crashes.false_deaths == 0);
}

fn crash(count: usize, (loss, delay): (f64, Range<u64>), seed: u64, config: &Config, crashes: &mut Crashes) {
    let mut cluster = Cluster::warm(count, 2000 * count as u64 + seed, config.clone());
    (cluster.network.loss, cluster.network.delay) = (loss, delay);
    let jitter = cluster.random_millis(6000);
    cluster.run_for(60 * SECOND + jitter);
    let (victim, crashed) = (cluster.random_index(), cluster.elapsed());
    cluster.crash(victim);
    cluster.run_for(config.dead_after + 30 * SECOND);
    crashes.node_hours += count as f64 * cluster.elapsed().as_secs_f64() / 3600.0;
    let subject = cluster.name(victim).0;
    let at =
        |what| cluster.record.of(what, crashed).filter(|it| it.subject == subject).map(|it| it.at - crashed);
    crashes.suspected.push(at(What::Suspected).min().unwrap_or(NEVER));
    let is_complete = at(What::Dead).count() == count - 1;
    crashes.all_know.push(at(What::Dead).max().filter(|_| is_complete).unwrap_or(NEVER));
    let of_the_living = |what| {
        let all = cluster.record.of(what, Duration::ZERO);
        all.filter(|it| it.subject != subject || it.at < crashed).count()
    };
    let in_time = cluster.record.last_heard(victim) + config.dead_after - crashed;
    crashes.early_deaths += at(What::Dead).filter(|at| *at < in_time).count();
    // Each of the others hears of a suspicion as well.
    crashes.false_suspicions += of_the_living(What::Suspected) / (count - 1);
    crashes.false_deaths += of_the_living(What::Dead);
}

const NEVER: Duration = Duration::from_secs(999);
