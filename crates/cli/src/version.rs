//! `trellis version`.

use serde_json::{Value, json};

use crate::output::{Report, columns};

/// The version of this program.
#[derive(Debug)]
pub(crate) struct Version;

impl Report for Version {
    fn plain(&self) -> String {
        format!("trellis {VERSION}\n")
    }

    fn table(&self) -> String {
        columns(["PROGRAM", "VERSION"], [["trellis".to_owned(), VERSION.to_owned()]])
    }

    fn json(&self) -> Value {
        json!({ "version": VERSION })
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
