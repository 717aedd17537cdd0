//! G5: members whose inbox is slow, which are no reason to call others dead.

use std::time::Duration;

use trellis_swim::Config;

use crate::cluster::{Cluster, SECOND};
use crate::record::What;
use crate::table::Table;

pub(crate) fn measure(table: &mut Table, is_full: bool) {
    let runs = if is_full { 5 } else { 1 };
    let cells: &[(usize, u32)] = if is_full {
        &[(1, 16), (4, 8), (4, 16), (8, 16), (16, 4), (16, 8), (16, 16), (32, 2), (32, 4), (32, 16)]
    } else {
        &[(4, 8), (16, 8), (32, 4)]
    };
    for (slow_count, seconds) in cells {
        let (mut healthy, mut slow) = (0, 0);
        for seed in 0..runs {
            let mut cluster = Cluster::warm(128, 77 + seed, Config::default());
            cluster.run_for(10 * SECOND);
            for index in 0..*slow_count {
                cluster.slow(index, *seconds * SECOND);
            }
            cluster.run_for(if is_full { 180 } else { 60 } * SECOND);
            let deaths = cluster.record.of(What::Dead, Duration::ZERO).copied();
            let (of_slow, of_healthy): (Vec<_>, Vec<_>) =
                deaths.partition(|it| (it.subject as usize) < *slow_count);
            healthy += of_healthy.len();
            slow += of_slow.len();
        }
        let of = format!("N=128 {slow_count} by {seconds} s");
        table.check(("G5", &of, "deaths of healthy members"), healthy.to_string(), "0", healthy == 0);
        table.note(("G5", &of, "deaths of slow members"), slow.to_string());
    }
}
