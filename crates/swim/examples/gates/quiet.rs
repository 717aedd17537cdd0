//! G4 and G8: what a cluster costs in which nothing happens, and one with a bad network.

use trellis_swim::Config;

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
fn load(count: usize, loss: f64, seconds: u32) -> [f64; 3] {
    let mut cluster = Cluster::warm(count, count as u64, Config::default());
    cluster.network.loss = loss;
    cluster.run_for(15 * SECOND);
    cluster.is_measured = true;
    let before = cluster.load;
    cluster.run_for(seconds * SECOND);
    let after = cluster.load;
    let share = 1.0 / (count as f64 * f64::from(seconds));
    [
        (after.messages - before.messages) as f64 * share,
        (after.bytes - before.bytes) as f64 * share,
        (after.taken - before.taken).as_secs_f64() * 1e6 * share,
    ]
}
