//! A cluster in which nothing happens: what it costs, and whom it harms all the same.

use std::time::Duration;

use crate::contender::{Kind, Sight, Start};
use crate::crash::WARM_UP;
use crate::table::{Row, Scale, percent};

pub(crate) const HEADER: &[&str] = &[
    "N",
    "loss",
    "contender",
    "messages/s",
    "bytes/s",
    "CPU us/s",
    "false deaths in node-hours",
    "identity changes (without a death)",
];

/// Members, loss, and for how many seconds.
pub(crate) fn cells(scale: Scale) -> &'static [(usize, f64, u64)] {
    match scale {
        Scale::Quick => &[
            (8, 0.0, 300),
            (8, 0.05, 300),
            (8, 0.2, 300),
            (64, 0.0, 120),
            (64, 0.05, 120),
            (64, 0.2, 120),
            (256, 0.0, 60),
            (256, 0.05, 60),
            (256, 0.2, 60),
        ],
        Scale::Full => &[
            (8, 0.0, 600),
            (8, 0.05, 600),
            (8, 0.2, 600),
            (64, 0.0, 300),
            (64, 0.05, 300),
            (64, 0.2, 300),
            (256, 0.0, 300),
            (256, 0.05, 300),
            (256, 0.2, 300),
            (1000, 0.0, 60),
            (1000, 0.05, 60),
            (1000, 0.2, 20),
        ],
    }
}

/// Per member and second.
pub(crate) fn measure(kind: &Kind, (count, loss, seconds): (usize, f64, u64)) -> Row {
    let mut cluster = (kind.start)(&Start { count, seed: 1, loss, is_warm: true });
    cluster.run_for(WARM_UP);
    let (begun, before, renewed) = (cluster.elapsed(), cluster.load(), cluster.renewals());
    cluster.run_for(Duration::from_secs(seconds));
    let (after, renewals) = (cluster.load(), cluster.renewals());
    let share = 1.0 / (count as f64 * seconds as f64);
    let deaths = cluster.seen_since(begun).iter().filter(|it| it.what == Sight::Down).count();
    vec![
        count.to_string(),
        percent(loss),
        kind.name.to_owned(),
        format!("{:.2}", (after.messages - before.messages) as f64 * share),
        format!("{:.0}", (after.bytes - before.bytes) as f64 * share),
        format!("{:.1}", (after.taken - before.taken).as_secs_f64() * 1e6 * share),
        format!("{deaths} in {:.1}", (count as f64 * seconds as f64) / 3600.0),
        format!("{} ({})", renewals.all - renewed.all, renewals.unprovoked - renewed.unprovoked),
    ]
}
