//! What commands print: plain for eyes and pipes, tables, JSON.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::exit::Exit;

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The value alone.
    #[default]
    Plain,
    /// Columns under a header.
    Table,
    /// One JSON document.
    Json,
}

/// An answer that can be printed in every format.
pub(crate) trait Report {
    /// Lines without decoration, each with its line feed; empty if there is nothing to say.
    fn plain(&self) -> String;

    /// Columns under a header.
    fn table(&self) -> String;

    /// One document.
    fn json(&self) -> Value;
}

/// What a command has to say when it did not fail.
#[derive(Default)]
pub(crate) struct Answer {
    report: Option<Box<dyn Report>>,
    /// Lines for standard error, beside the answer.
    notes: Vec<String>,
    /// What the program exits with, if not with 0.
    exit: Option<Exit>,
}

impl Answer {
    pub(crate) fn new(report: impl Report + 'static) -> Self {
        Self { report: Some(Box::new(report)), ..Self::default() }
    }

    /// An answer that exits with 1.
    pub(crate) fn no(report: impl Report + 'static) -> Self {
        Self::new(report).exit(Exit::No)
    }

    /// An answer that exits so.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = Some(exit);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.exit.map_or(ExitCode::SUCCESS, ExitCode::from)
    }

    /// Prints it. A reader that has gone away is no error: it has seen enough.
    pub(crate) fn print(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        let Some(report) = &self.report else { return Ok(()) };
        let text = match format {
            Format::Plain => report.plain(),
            Format::Table => report.table(),
            Format::Json => format!("{:#}\n", report.json()),
        };
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            outcome => outcome,
        }
    }

    #[cfg(test)]
    pub(crate) fn json(&self) -> Value {
        self.report.as_ref().map_or(Value::Null, |report| report.json())
    }

    #[cfg(test)]
    pub(crate) fn plain(&self) -> String {
        self.report.as_ref().map_or_else(String::new, |report| report.plain())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = self.report.as_ref().map(|report| report.json());
        formatter
            .debug_struct("Answer")
            .field("report", &json)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

/// Lays out columns without lines, two blanks apart; what is no printable text is escaped.
pub(crate) fn columns<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Text with its control characters escaped, so that it stays on its line.
pub(crate) fn printable(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// A value for eyes and pipes: as it is when it is UTF-8, else with escapes.
pub(crate) fn plain_value(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// A value in JSON: a string when it is UTF-8, else an object with `base64`.
pub(crate) fn json_value(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// A number of bytes in at most six characters, in powers of 1024.
pub(crate) fn human_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes}B") } else { format!("{value:.1}{unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1}TiB")
}

/// A time in its greatest unit, and in seconds below a minute.
pub(crate) fn human_millis(millis: u64) -> String {
    match millis / 1000 {
        0 => format!("{millis}ms"),
        seconds @ 1..=119 => format!("{seconds}s"),
        seconds @ 120..=7199 => format!("{}min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_with_their_text() {
        let rows = [["n1 *", "alive", ""], ["n2", "suspect", "3ms"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            columns(["NODE", "STATE", "LAG"], rows),
            "NODE  STATE    LAG\nn1 *  alive\nn2    suspect  3ms\n"
        );
    }

    #[test]
    fn a_value_that_is_no_utf8_is_escaped_in_plain_and_base64_in_json() {
        assert_eq!(plain_value("naïve".as_bytes()), "naïve");
        assert_eq!(json_value("naïve".as_bytes()), json!("naïve"));
        assert_eq!(plain_value(&[0xff, b'a', 0]), "\\xffa\\x00");
        assert_eq!(json_value(&[0xff, b'a', 0]), json!({ "base64": "/2EA" }));
    }

    #[test]
    fn a_key_cannot_forge_a_line() {
        assert_eq!(printable("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(columns(["KEY"], [["a\nb".to_owned()]]), "KEY\na\\nb\n");
    }

    #[test]
    fn sizes_and_times_are_short() {
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (1228, "1.2KiB"), (6 << 20, "6.0MiB"), (5 << 40, "5.0TiB")]
        {
            assert_eq!(human_bytes(bytes), text);
        }
        for (millis, text) in
            [(4, "4ms"), (41_000, "41s"), (150_000, "2min"), (7_200_000, "2h"), (864_000_000, "10d")]
        {
            assert_eq!(human_millis(millis), text);
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
        struct Broken(io::ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let answer = Answer::new(Version);
        assert!(answer.print(Format::Plain, &mut Broken(io::ErrorKind::BrokenPipe)).is_ok());
        assert!(answer.print(Format::Plain, &mut Broken(io::ErrorKind::StorageFull)).is_err());
    }
}
