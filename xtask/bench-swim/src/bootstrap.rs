//! Members that know the first only become one cluster.

use std::time::Duration;

use crate::contender::{Kind, Start};
use crate::table::{Row, Scale, moments, percent};

pub(crate) const HEADER: &[&str] =
    &["N", "loss", "contender", "runs", "all know all", "bytes of each member until then"];

pub(crate) fn cells(scale: Scale) -> &'static [(usize, f64, u64)] {
    match scale {
        Scale::Quick => &[
            (8, 0.0, 20),
            (8, 0.05, 20),
            (64, 0.0, 10),
            (64, 0.05, 10),
            (256, 0.0, 3),
            (256, 0.05, 3),
            (256, 0.2, 1),
        ],
        Scale::Full => &[
            (8, 0.0, 40),
            (8, 0.05, 40),
            (8, 0.2, 40),
            (64, 0.0, 20),
            (64, 0.05, 20),
            (64, 0.2, 20),
            (256, 0.0, 8),
            (256, 0.05, 8),
            (256, 0.2, 4),
            (1000, 0.0, 2),
            (1000, 0.05, 1),
        ],
    }
}

/// From the start of the first on.
pub(crate) fn measure(kind: &Kind, (count, loss, runs): (usize, f64, u64)) -> Row {
    let (mut times, mut bytes) = (Vec::new(), 0);
    let runs = kind.runs(runs, count);
    for seed in 0..runs {
        let mut cluster = (kind.start)(&Start { count, seed, loss, is_warm: false });
        while !cluster.is_whole() && cluster.elapsed() < WINDOW {
            cluster.run_for(Duration::from_millis(100));
        }
        times.push(Some(cluster.elapsed()).filter(|_| cluster.is_whole()));
        bytes += cluster.load().bytes / count as u64;
    }
    vec![
        count.to_string(),
        percent(loss),
        kind.name.to_owned(),
        runs.to_string(),
        moments(&mut times, WINDOW),
        format!("{:.1} KB", bytes as f64 / runs as f64 / 1000.0),
    ]
}

const WINDOW: Duration = Duration::from_secs(300);
