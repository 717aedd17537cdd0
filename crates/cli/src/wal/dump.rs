//! The records of a log, printed as they are read: a log may be larger than memory.

use std::io::{self, Write};
use std::ops::{ControlFlow, RangeInclusive};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use trellis_wal::tools::{self, Dumped, DumpedRecord};
use trellis_wal::{FileDisk, Lsn};

use super::unreadable;
use crate::exit::{Exit, Failure};
use crate::output::{Answer, Format};

/// Prints all records in `lsns`, and what is between them; `has_payload` asks for what they hold.
///
/// A reader that has gone away is no error: it has seen enough, and the rest of the log is not read.
pub(crate) fn print(
    disk: &FileDisk,
    lsns: RangeInclusive<Lsn>,
    has_payload: bool,
    format: Format,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let out = io::BufWriter::new(out);
    let mut printer = Printer { out, format, has_payload, is_empty: true, outcome: Ok(()) };
    let _ = printer.attempt(Printer::begin);
    tools::dump(disk, lsns, |dumped| printer.attempt(|printer| printer.show(&dumped)))
        .map_err(|error| unreadable(disk.path(), &error))?;
    let _ = printer.attempt(Printer::end);
    match printer.outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Internal, "the records cannot be printed").cause(error))
        }
        _ => Ok(Answer::default()),
    }
}

struct Printer<'a> {
    out: io::BufWriter<&'a mut dyn Write>,
    format: Format,
    has_payload: bool,
    is_empty: bool,
    /// Why nothing is printed any more.
    outcome: io::Result<()>,
}

impl Printer<'_> {
    /// Prints, and says whether there is any use in going on.
    fn attempt(&mut self, print: impl FnOnce(&mut Self) -> io::Result<()>) -> ControlFlow<()> {
        if self.outcome.is_ok() {
            self.outcome = print(self);
        }
        if self.outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Plain => Ok(()),
            Format::Table => self.row(["LSN", "KIND", "BYTES", "ATTESTS", "FILE", "OFFSET", ""]),
            Format::Json => write!(self.out, "["),
        }
    }

    fn show(&mut self, dumped: &Dumped<'_>) -> io::Result<()> {
        let separator = if self.is_empty { "" } else { "," };
        self.is_empty = false;
        match self.format {
            Format::Plain if self.has_payload => writeln!(self.out, "{dumped:#}"),
            Format::Plain => writeln!(self.out, "{dumped}"),
            Format::Table => self.show_row(dumped),
            Format::Json => write!(self.out, "{separator}\n  {}", object(dumped, self.has_payload)),
        }
    }

    fn show_row(&mut self, dumped: &Dumped<'_>) -> io::Result<()> {
        match dumped {
            Dumped::Record(DumpedRecord { file, offset, lsn, attested, kind, payload }) => {
                let held = if self.has_payload { payload } else { &payload[..0] };
                let held: String = held.iter().map(|byte| format!("{byte:02x}")).collect();
                let numbers = [lsn.as_u64(), payload.len() as u64, attested.as_u64(), *offset];
                let [lsn, bytes, attested, offset] = &numbers.map(|number| number.to_string());
                self.row([lsn, &kind.to_string(), bytes, attested, file, offset, &held])
            }
            Dumped::Damage { file, offset, bytes, expected } => {
                let [lsn, bytes, offset] =
                    &[expected.as_u64(), *bytes, *offset].map(|number| number.to_string());
                self.row([lsn, "NO RECORD", bytes, "", file, offset, ""])
            }
            Dumped::Unreadable(_) => writeln!(self.out, "{dumped}"),
        }
    }

    /// Widths that hold what logs have, as nobody knows the longest cell beforehand; a longer one moves its line.
    fn row(&mut self, [lsn, kind, bytes, attests, file, offset, held]: [&str; 7]) -> io::Result<()> {
        let line = format!("{lsn:<12}{kind:<23}{bytes:<10}{attests:<12}{file:<30}{offset:<10}{held}");
        writeln!(self.out, "{}", line.trim_end())
    }

    fn end(&mut self) -> io::Result<()> {
        if self.format == Format::Json {
            writeln!(self.out, "\n]")?;
        }
        self.out.flush()
    }
}

fn object(dumped: &Dumped<'_>, has_payload: bool) -> Value {
    match dumped {
        Dumped::Record(DumpedRecord { file, offset, lsn, attested, kind, payload }) => {
            let mut object = json!({
                "lsn": lsn.as_u64(),
                "kind": kind.to_string(),
                "bytes": payload.len(),
                "attested": attested.as_u64(),
                "file": file,
                "offset": offset,
            });
            if has_payload {
                object["payload"] = json!({ "base64": STANDARD.encode(payload) });
            }
            object
        }
        Dumped::Damage { file, offset, bytes, expected } => json!({
            "lsn": expected.as_u64(), "kind": "no record", "bytes": bytes, "file": file, "offset": offset,
        }),
        Dumped::Unreadable(_) => json!({ "kind": "unreadable", "error": dumped.to_string() }),
    }
}
