//! What was measured beside what was promised.

use std::time::Duration;

/// Lines in the order they were measured.
pub(crate) struct Table {
    lines: Vec<Line>,
}

struct Line {
    gate: &'static str,
    of: String,
    what: String,
    measured: String,
    promised: String,
    is_kept: Option<bool>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// Adds a figure that has to keep a promise.
    pub(crate) fn check(
        &mut self,
        (gate, of, what): (&'static str, &str, &str),
        measured: impl Into<String>,
        promised: impl Into<String>,
        is_kept: bool,
    ) {
        let (measured, promised) = (measured.into(), promised.into());
        let (of, what) = (of.to_owned(), what.to_owned());
        self.add(Line { gate, of, what, measured, promised, is_kept: Some(is_kept) });
    }

    /// Adds a figure that is good to know.
    pub(crate) fn note(&mut self, (gate, of, what): (&'static str, &str, &str), measured: impl Into<String>) {
        let (of, what, measured) = (of.to_owned(), what.to_owned(), measured.into());
        self.add(Line { gate, of, what, measured, promised: String::new(), is_kept: None });
    }

    pub(crate) fn is_passed(&self) -> bool {
        self.lines.iter().all(|line| line.is_kept != Some(false))
    }

    /// Ends the table, which was printed line by line.
    pub(crate) fn print_sum(&self) {
        let missed = self.lines.iter().filter(|line| line.is_kept == Some(false)).count();
        println!("{missed} missed of {}", self.lines.iter().filter(|line| line.is_kept.is_some()).count());
    }

    fn add(&mut self, line: Line) {
        let Line { gate, of, what, measured, promised, is_kept } = &line;
        let verdict = match is_kept {
            Some(true) => "ok",
            Some(false) => "MISSED",
            None => "",
        };
        println!("| {gate} | {of:<17} | {what:<28} | {measured:<32} | {promised:<11} | {verdict:<6} |");
        self.lines.push(line);
    }
}

/// The value below which this share of all lies; of few values the 99th percentile is nearly the greatest.
pub(crate) fn percentile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let place = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1));
    values.get(place - 1).copied().unwrap_or_default()
}

/// Median and 99th percentile in seconds.
pub(crate) fn seconds(values: &mut [Duration]) -> String {
    let [median, high] = [0.5, 0.99].map(|share| percentile(values, share).as_secs_f64());
    format!("p50 {median:.2} p99 {high:.2} s")
}
