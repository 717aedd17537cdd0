//! G6: members that know a seed only become one cluster.

use std::time::Duration;

use crate::cluster::{Cluster, SECOND};
use crate::table::{Table, percentile, seconds};

pub(crate) fn measure(table: &mut Table, is_full: bool) {
    let cells: &[(usize, f64, u64, Option<u32>)] = if is_full {
        &[
            (8, 0.0, 10, None),
            (64, 0.0, 10, None),
            (64, 0.05, 10, None),
            (256, 0.0, 8, Some(4)),
            (256, 0.05, 8, None),
            (256, 0.2, 4, Some(20)),
            (1000, 0.0, 2, Some(10)),
            (1000, 0.05, 2, None),
        ]
    } else {
        &[(8, 0.0, 5, None), (64, 0.05, 5, None), (256, 0.0, 3, Some(4)), (256, 0.2, 1, Some(20))]
    };
    for (count, loss, runs, promised) in cells {
        let (mut times, mut bytes) = (Vec::new(), 0);
        for seed in 0..*runs {
            let (took, sent) = bootstrap(*count, *loss, seed);
            times.push(took);
            bytes += sent / *count as u64;
        }
        let of = format!("N={count} loss={:.0} %", loss * 100.0);
        let shown = format!("{}, {} KB", seconds(&mut times), bytes / runs / 1000);
        let slowest = percentile(&mut times, 1.0);
        match promised {
            Some(bound) => {
                let promise = format!("<= {bound} s");
                table.check(("G6", &of, "all know all"), shown, promise, slowest <= *bound * SECOND);
            }
            None => table.note(("G6", &of, "all know all"), shown),
        }
    }
}

/// All start and join the first within one second; how long until all know all, and how many bytes that took.
fn bootstrap(count: usize, loss: f64, seed: u64) -> (Duration, u64) {
    let mut cluster = Cluster::new(seed);
    cluster.network.loss = loss;
    cluster.add(0);
    let pause = SECOND / count as u32;
    for index in 1..count {
        cluster.run_for(pause);
        cluster.add(index as u32);
        cluster.join(index, &[0]);
    }
    let joined = cluster.elapsed();
    let knows_all = |cluster: &Cluster| {
        (0..count)
            .all(|index| cluster.member(index).members().filter(|member| member.is_up()).count() == count)
    };
    let took = cluster.await_for(100 * SECOND, SECOND / 10, knows_all);
    (took.unwrap_or(100 * SECOND) + joined, cluster.load.bytes)
}
