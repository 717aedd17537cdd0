//! G7: a cluster is cut in halves, and whole again soon after the cut is mended.

use trellis_swim::State;

use crate::cluster::{Cluster, SECOND};
use crate::table::{Table, percentile, seconds};

pub(crate) fn measure(table: &mut Table, is_full: bool) {
    let cells: &[(usize, u32, u64)] = if is_full {
        &[(8, 30, 20), (8, 300, 20), (64, 30, 10), (64, 300, 10), (256, 60, 5), (256, 300, 3), (1000, 60, 1)]
    } else {
        &[(8, 30, 10), (64, 30, 5), (256, 60, 1)]
    };
    for (count, cut, runs) in cells {
        let (mut times, mut deaths, mut bytes) = (Vec::new(), 0, 0);
        for seed in 0..*runs {
            let mut cluster = Cluster::warm(*count, seed, trellis_swim::Config::default());
            cluster.run_for(5 * SECOND);
            cluster.network.split_at(count / 2);
            cluster.run_for(*cut * SECOND);
            assert_eq!(cluster.state_at(0, count - 1), Some(State::Dead), "the halves gave each other up");
            cluster.network.heal();
            let healed = cluster.elapsed();
            let before = cluster.load.bytes;
            let took = cluster.await_for(100 * SECOND, SECOND / 10, Cluster::agrees_all_alive);
            times.push(took.unwrap_or(100 * SECOND));
            bytes += (cluster.load.bytes - before) / *count as u64;
            cluster.run_for(30 * SECOND);
            deaths += cluster.record.deaths_since(healed);
        }
        let of = format!("N={count} cut {cut} s");
        let slowest = percentile(&mut times, 1.0);
        let shown = format!("{}, {} KB", seconds(&mut times), bytes / runs / 1000);
        table.check(("G7", &of, "one cluster again"), shown, "<= 15 s", slowest <= 15 * SECOND);
        table.check(("G7", &of, "deaths after it"), deaths.to_string(), "0", deaths == 0);
    }
}
