//! The table, and the same for programs.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use crate::Measurement;
use crate::load::Sample;
use crate::machine::Machine;

/// All measurements; the first is the one that the others are held against.
#[derive(Debug)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug, PartialEq)]
struct Row {
    name: &'static str,
    per_second: f64,
    per_second_min: f64,
    per_second_max: f64,
    p50_millis: f64,
    p99_millis: f64,
    /// The median of the rounds' ratios to the first measurement.
    ratio: f64,
    aim: Option<f64>,
}

impl Report {
    pub(crate) fn new(measurements: Vec<Measurement>) -> Self {
        let base: Vec<f64> = measurements.first().map(|first| rates(&first.samples)).unwrap_or_default();
        let rows = measurements.iter().map(|Measurement { name, samples, aim, .. }| {
            let rates = rates(samples);
            let ratios = rates.iter().zip(&base).map(|(rate, base)| rate / base).collect();
            let millis = |quantile: f64| {
                let micros = samples.iter().map(|sample| sample.latency.value_at_quantile(quantile) as f64);
                median(micros.collect()) / 1000.0
            };
            Row {
                name,
                per_second_min: rates.iter().copied().fold(f64::INFINITY, f64::min),
                per_second_max: rates.iter().copied().fold(0.0, f64::max),
                per_second: median(rates),
                p50_millis: millis(0.5),
                p99_millis: millis(0.99),
                ratio: median(ratios),
                aim: *aim,
            }
        });
        Self { rows: rows.collect() }
    }

    /// One object, on one line.
    pub(crate) fn json(&self, machine: &Machine) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "name": row.name,
                "perSecond": row.per_second,
                "perSecondMin": row.per_second_min,
                "perSecondMax": row.per_second_max,
                "p50Millis": row.p50_millis,
                "p99Millis": row.p99_millis,
                "ratioToEcho": row.ratio,
                "aim": row.aim,
            })
        });
        json!({ "machine": machine.json(), "measurements": rows.collect::<Vec<_>>() })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["", "CALLS/S", "MIN-MAX", "P50 MS", "P99 MS", "OF ECHO", "AIM"]);
        for row in &self.rows {
            let aim =
                row.aim.map(|aim| format!("{aim:.2} {}", if row.ratio >= aim { "met" } else { "missed" }));
            table.add_row([
                row.name.to_owned(),
                format!("{:.0}", row.per_second),
                format!("{:.0}-{:.0}", row.per_second_min, row.per_second_max),
                format!("{:.2}", row.p50_millis),
                format!("{:.2}", row.p99_millis),
                format!("{:.2}", row.ratio),
                aim.unwrap_or_default(),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "{table}")
    }
}

pub(crate) fn rates(samples: &[Sample]) -> Vec<f64> {
    samples.iter().map(|sample| sample.per_second).collect()
}

/// Of an even number of values, the upper of the two in the middle; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_value_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(vec![2.0, 1.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
