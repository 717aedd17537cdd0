//! Rows of Markdown that are printed as they come, and percentiles.

use std::time::Duration;

pub(crate) type Row = Vec<String>;

/// How many runs of what sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Quick,
    Full,
}

pub(crate) fn print_header(title: &str, header: &[&str]) {
    println!("\n{title}\n\n| {} |", header.join(" | "));
    let rules = header.iter().map(|name| if *name == "contender" { "---" } else { "--:" });
    println!("|{}|", rules.collect::<Vec<_>>().join("|"));
}

pub(crate) fn print_row(row: &Row) {
    println!("| {} |", row.join(" | "));
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// Median and 99th percentile in seconds; of a hundred or fewer the latter is the greatest. What has not happened
/// within the window counts as more than that.
pub(crate) fn moments(times: &mut [Option<Duration>], window: Duration) -> String {
    times.sort_unstable_by_key(|time| time.unwrap_or(Duration::MAX));
    let shown = [0.5, 0.99].map(|share| {
        let place = (times.len() as f64 * share).ceil() as usize;
        match times.get(place.max(1) - 1) {
            Some(Some(time)) => format!("{:.1}", time.as_secs_f64()),
            _ => format!("> {}", window.as_secs()),
        }
    });
    format!("{} / {} s", shown[0], shown[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_happened_is_later_than_all_that_has() {
        let window = Duration::from_secs(120);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(moments(&mut [None, seconds(3), seconds(2)], window), "3.0 / > 120 s");
        assert_eq!(moments(&mut [seconds(3), seconds(1), seconds(2)], window), "2.0 / 3.0 s");
        assert_eq!(moments(&mut [], window), "> 120 / > 120 s");
    }
}
