//! One member of a cluster crashes: who notices when, and who else is harmed.

use std::time::Duration;

use rand::Rng;

use crate::contender::{Kind, Renewals, Seen, Sight, Start};
use crate::table::{Row, Scale, moments, percent};

pub(crate) const HEADER: &[&str] = &[
    "N",
    "loss",
    "contender",
    "runs",
    "first suspicion",
    "first death",
    "all know",
    "complete",
    "false deaths in node-hours",
    "identity changes (without a death)",
];

pub(crate) fn cells(scale: Scale) -> &'static [(usize, f64, u64)] {
    match scale {
        Scale::Quick => &[
            (8, 0.0, 40),
            (8, 0.05, 40),
            (8, 0.2, 40),
            (64, 0.0, 20),
            (64, 0.05, 20),
            (64, 0.2, 10),
            (256, 0.0, 4),
            (256, 0.05, 4),
            (256, 0.2, 2),
        ],
        Scale::Full => &[
            (8, 0.0, 200),
            (8, 0.05, 200),
            (8, 0.2, 200),
            (64, 0.0, 40),
            (64, 0.05, 40),
            (64, 0.2, 40),
            (256, 0.0, 20),
            (256, 0.05, 20),
            (256, 0.2, 10),
            (1000, 0.0, 4),
            (1000, 0.05, 2),
            (1000, 0.2, 1),
        ],
    }
}

/// Of all runs of one kind in one cell.
#[derive(Default)]
struct Crashes {
    first_suspected: Vec<Option<Duration>>,
    first_down: Vec<Option<Duration>>,
    all_know: Vec<Option<Duration>>,
    false_deaths: usize,
    renewals: Renewals,
    node_hours: f64,
}

pub(crate) fn measure(kind: &Kind, (count, loss, runs): (usize, f64, u64)) -> Row {
    let mut crashes = Crashes::default();
    let runs = kind.runs(runs, count);
    for seed in 0..runs {
        crash(kind, Start { count, seed, loss, is_warm: true }, &mut crashes);
    }
    let complete = crashes.all_know.iter().flatten().count();
    let suspected =
        if kind.suspects { moments(&mut crashes.first_suspected, WINDOW) } else { "-".to_owned() };
    vec![
        count.to_string(),
        percent(loss),
        kind.name.to_owned(),
        runs.to_string(),
        suspected,
        moments(&mut crashes.first_down, WINDOW),
        moments(&mut crashes.all_know, WINDOW),
        format!("{complete}/{runs}"),
        format!("{} in {:.1}", crashes.false_deaths, crashes.node_hours),
        format!("{} ({})", crashes.renewals.all, crashes.renewals.unprovoked),
    ]
}

fn crash(kind: &Kind, start: Start, crashes: &mut Crashes) {
    let mut rng = start.rng();
    let mut cluster = (kind.start)(&start);
    cluster.run_for(WARM_UP);
    let (begun, renewed) = (cluster.elapsed(), cluster.renewals());
    cluster.run_for(Duration::from_millis(rng.random_range(0..2000)));
    let victim = rng.random_range(0..start.count);
    let crashed = cluster.elapsed();
    cluster.crash(victim);
    let all_know = loop {
        cluster.run_for(LOOK);
        let all_know = all_know(&cluster.seen_since(Duration::ZERO), victim, start.count);
        if all_know.is_some() || cluster.elapsed() >= crashed + WINDOW {
            break all_know.map(|at| at.saturating_sub(crashed));
        }
    };
    let first = |what| {
        let seen = cluster.seen_since(crashed).into_iter();
        seen.filter(|it| it.subject == victim && it.what == what).map(|it| it.at - crashed).min()
    };
    crashes.first_suspected.push(first(Sight::Suspected));
    crashes.first_down.push(first(Sight::Down));
    crashes.all_know.push(all_know);
    // The victim's deaths before its crash are false as well.
    let seen = cluster.seen_since(begun).into_iter();
    let is_false = |it: &Seen| it.what == Sight::Down && (it.subject != victim || it.at < crashed);
    crashes.false_deaths += seen.filter(is_false).count();
    let renewals = cluster.renewals();
    crashes.renewals.all += renewals.all - renewed.all;
    crashes.renewals.unprovoked += renewals.unprovoked - renewed.unprovoked;
    crashes.node_hours += start.count as f64 * (cluster.elapsed() - begun).as_secs_f64() / 3600.0;
}

/// When the last of the others called the victim down, if none of them takes it for up any more. That may have been
/// before it crashed, of a member that others gave up without reason.
fn all_know(seen: &[Seen], victim: usize, count: usize) -> Option<Duration> {
    let mut told = vec![None; count];
    for it in seen.iter().filter(|it| it.subject == victim && it.observer != victim) {
        match it.what {
            Sight::Down => told[it.observer] = Some(it.at),
            Sight::Up => told[it.observer] = None,
            Sight::Suspected => {}
        }
    }
    let others = (0..count).filter(|observer| *observer != victim);
    others.map(|observer| told[observer]).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// All have found their rhythm by then.
pub(crate) const WARM_UP: Duration = Duration::from_secs(30);
/// How long is waited for all to know.
const WINDOW: Duration = Duration::from_secs(120);
/// A run goes on for a multiple of this, so that false deaths have time to happen.
const LOOK: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_know_when_the_last_has_said_so_and_nobody_takes_it_back() {
        let down = |seconds, observer| Seen {
            at: Duration::from_secs(seconds),
            observer,
            subject: 0,
            what: Sight::Down,
        };
        let up = |seconds, observer| Seen { what: Sight::Up, ..down(seconds, observer) };
        assert_eq!(all_know(&[down(5, 1)], 0, 3), None);
        assert_eq!(all_know(&[down(5, 1), down(9, 2)], 0, 3), Some(Duration::from_secs(9)));
        assert_eq!(all_know(&[down(5, 1), down(9, 2), up(10, 1)], 0, 3), None);
        assert_eq!(
            all_know(&[down(5, 1), up(6, 1), down(9, 2), down(11, 1)], 0, 3),
            Some(Duration::from_secs(11))
        );
    }
}
