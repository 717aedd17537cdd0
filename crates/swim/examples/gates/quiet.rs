//! G4 and G8: what a cluster costs in which nothing happens, and one with a bad network.

use std::time::{Duration, Instant};

use crate::cluster::{Cluster, SECOND};
use crate::table::Table;

pub(crate) fn measure(table: &mut Table, is_full: bool) {
    let sizes: &[usize] = if is_full { &[8, 64, 256, 1000] } else { &[8, 64, 256] };
    for count in sizes {
        let [messages, bytes, micros] = load(*count, 0.0, if *count > 500 { 60 } else { 120 });
        let of = format!("N={count} loss=0 %");
        let messages_shown = format!("{messages:.2}/s");
        table.check(("G4", &of, "messages per member"), messages_shown, "<= 2.1/s", messages <= 2.1);
        table.check(("G4", &of, "bytes per member"), format!("{bytes:.1}/s"), "<= 60/s", bytes <= 60.0);
        let shown = format!("{micros:.2} us/s");
        match count {
            256 => table.check(("G4", &of, "CPU per member"), shown, "<= 2 us/s", micros <= 2.0),
            1000 => table.check(("G4", &of, "CPU per member"), shown, "<= 5 us/s", micros <= 5.0),
            _ => table.note(("G4", &of, "CPU per member"), shown),
        }
    }
    for count in sizes {
        for loss in [0.05, 0.2] {
            let [messages, bytes, micros] = load(*count, loss, if *count > 500 { 20 } else { 60 });
            let of = format!("N={count} loss={:.0} %", loss * 100.0);
            let shown = format!("{messages:.1} msg, {bytes:.0} B, {micros:.1} us/s");
            if (*count, loss) == (1000, 0.2) {
                table.check(("G8", &of, "load per member"), shown, "<= 100 us/s", micros <= 100.0);
            } else {
                table.note(("G8", &of, "load per member"), shown);
            }
        }
    }
}

/// Messages, bytes and microseconds per member and second.
///
/// The time is that of a member by itself, which is handed once more what it was handed in the cluster: with all the
/// others of a large one in one process, it would mostly wait for memory, and with other processes for its turn.
fn load(count: usize, loss: f64, seconds: u32) -> [f64; 3] {
    let mut cluster = Cluster::new(count as u64);
    cluster.network.loss = loss;
    cluster.tapped = TAPPED;
    cluster.start_warm(count);
    cluster.run_for(15 * SECOND);
    let before = cluster.load;
    let since = cluster.moment();
    cluster.run_for(seconds * SECOND);
    let after = cluster.load;
    let taken = (0..TAPPED).map(|index| time_alone(&cluster, index, since)).sum::<Duration>();
    let per_member = |sum: u64| sum as f64 / (count as f64 * f64::from(seconds));
    [
        per_member(after.messages - before.messages),
        per_member(after.bytes - before.bytes),
        taken.as_secs_f64() * 1e6 / (TAPPED as f64 * f64::from(seconds)),
    ]
}

/// The least of some times: what others cost is in none of them twice.
fn time_alone(cluster: &Cluster, index: usize, since: Instant) -> Duration {
    let tap = cluster.tap(index);
    let times = (0..5).map(|_| {
        let (swim, taken) = tap.replay(since);
        assert_eq!(swim.counters(), cluster.member(index).counters(), "it does the same once more");
        taken
    });
    times.min().unwrap_or_default()
}

const TAPPED: usize = 4;
