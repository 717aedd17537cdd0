//! The table of all that was compared.

use std::fmt;

use crate::rounds::{Samples, Spread};

/// What a number is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Aim {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {}", Figure(*most)),
            Self::AtLeast(least) => write!(f, ">= {}", Figure(*least)),
        }
    }
}

/// Rows of words, printed in columns.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<[String; COLUMNS]>,
}

impl Table {
    pub(crate) fn new() -> Self {
        let header = ["", "time", "against", "its time", "result", "middle half", "aim", ""];
        Self { rows: vec![header.map(str::to_owned)] }
    }

    /// Adds what came of holding one of the contenders against another, or against nothing.
    pub(crate) fn add(
        &mut self,
        what: &str,
        samples: &Samples,
        ours: usize,
        base: Option<usize>,
        result: Spread,
        aim: Option<Aim>,
    ) {
        let Spread { low, median, high } = result;
        let time = |index: usize| duration(samples.nanos(index).median);
        let verdict = aim.map(|aim| if aim.is_met_by(median) { "met" } else { "missed" });
        self.rows.push([
            what.to_owned(),
            time(ours),
            base.map(|base| samples.name(base).to_owned()).unwrap_or_default(),
            base.map(time).unwrap_or_default(),
            Figure(median).to_string(),
            format!("{} - {}", Figure(low), Figure(high)),
            aim.map(|aim| aim.to_string()).unwrap_or_default(),
            verdict.unwrap_or_default().to_owned(),
        ]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width_of = |column: usize| self.rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: [usize; COLUMNS] = std::array::from_fn(width_of);
        for row in &self.rows {
            let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A number with about three digits that count.
struct Figure(f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = *self;
        match value.abs() {
            below if below < 0.1 => write!(f, "{value:.3}"),
            below if below < 10.0 => write!(f, "{value:.2}"),
            below if below < 100.0 => write!(f, "{value:.1}"),
            _ => write!(f, "{value:.0}"),
        }
    }
}

/// A time, in the unit that suits it.
fn duration(nanos: f64) -> String {
    if nanos < 1000.0 { format!("{} ns", Figure(nanos)) } else { format!("{} us", Figure(nanos / 1000.0)) }
}

const COLUMNS: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Contender, Rounds};

    #[test]
    fn a_row_says_whether_the_median_meets_the_aim() {
        let mut contenders = [("ours", 310), ("crdts", 1240)]
            .map(|(name, nanos)| Contender::timed(name, move |times| Duration::from_nanos(times * nanos)));
        let samples = Rounds { count: 3, turns: 1, times: Some(1) }.measure(&mut contenders);
        let mut table = Table::new();
        let (merge, scan) = (samples.ratio(0, 1), Spread { low: 0.45, median: 0.4999, high: 0.7 });
        table.add("merge", &samples, 0, Some(1), merge, Some(Aim::AtMost(0.5)));
        table.add("scan", &samples, 0, None, scan, Some(Aim::AtLeast(0.6)));
        table.add("other", &samples, 1, None, scan, None);
        assert_eq!(
            table.to_string(),
            "          time  against  its time  result  middle half      aim\n\
             merge   310 ns    crdts   1.24 us    0.25  0.25 - 0.25  <= 0.50     met\n\
             scan    310 ns                       0.50  0.45 - 0.70  >= 0.60  missed\n\
             other  1.24 us                       0.50  0.45 - 0.70\n"
        );
    }
}
