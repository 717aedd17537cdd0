//! A cluster is cut in halves: how long it takes to be whole again when nothing cuts it any more.

use std::time::Duration;

use crate::contender::{Kind, Sight, Start};
use crate::crash::WARM_UP;
use crate::table::{Row, Scale, moments};

pub(crate) const HEADER: &[&str] = &[
    "N",
    "cut",
    "contender",
    "runs",
    "whole again",
    "deaths after the end of the cut",
    "bytes of each member",
];

/// Members, seconds of the cut, runs.
pub(crate) fn cells(scale: Scale) -> &'static [(usize, u64, u64)] {
    match scale {
        Scale::Quick => &[(8, 60, 20), (64, 60, 5), (256, 60, 2)],
        Scale::Full => &[
            (8, 30, 40),
            (8, 60, 40),
            (8, 300, 20),
            (64, 60, 20),
            (64, 300, 10),
            (256, 60, 5),
            (256, 300, 3),
            (1000, 60, 1),
        ],
    }
}

pub(crate) fn measure(kind: &Kind, (count, cut, runs): (usize, u64, u64)) -> Row {
    let (mut times, mut deaths, mut bytes) = (Vec::new(), 0, 0);
    let runs = kind.runs(runs, count);
    for seed in 0..runs {
        let mut cluster = (kind.start)(&Start { count, seed, loss: 0.0, is_warm: true });
        cluster.run_for(WARM_UP);
        cluster.split_at(count / 2);
        cluster.run_for(Duration::from_secs(cut));
        cluster.heal();
        let (healed, before) = (cluster.elapsed(), cluster.load().bytes);
        while !cluster.is_whole() && cluster.elapsed() < healed + WINDOW {
            cluster.run_for(Duration::from_millis(100));
        }
        times.push(Some(cluster.elapsed() - healed).filter(|_| cluster.is_whole()));
        bytes += (cluster.load().bytes - before) / count as u64;
        cluster.run_for(Duration::from_secs(30));
        deaths += cluster.seen_since(healed).iter().filter(|it| it.what == Sight::Down).count();
    }
    vec![
        count.to_string(),
        format!("{cut} s"),
        kind.name.to_owned(),
        runs.to_string(),
        moments(&mut times, WINDOW),
        deaths.to_string(),
        format!("{:.1} KB", bytes as f64 / runs as f64 / 1000.0),
    ]
}

const WINDOW: Duration = Duration::from_secs(400);
