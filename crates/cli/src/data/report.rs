//! How answers about keys are printed.

use std::ops::Deref;

use serde_json::{Value, json};

use crate::output::{Report, columns, json_value, plain_value, printable};

/// A counter's value.
pub(super) struct Counter {
    pub(super) key: String,
    /// Not known after a write.
    pub(super) kind: Option<String>,
    pub(super) value: i64,
    pub(super) is_exact: bool,
}

impl Report for Counter {
    fn plain(&self) -> String {
        format!("{}\n", self.value)
    }

    fn table(&self) -> String {
        columns(["KEY", "VALUE"], [[self.key.clone(), self.value.to_string()]])
    }

    fn json(&self) -> Value {
        let Self { key, kind, value, is_exact } = self;
        let mut json = json!({ "key": key, "value": value, "exact": is_exact });
        if let Some(kind) = kind {
            json["kind"] = json!(kind);
        }
        json
    }
}

/// A register's values: one of an lww-register, one or more of an mv-register.
pub(super) struct Register<B> {
    pub(super) key: String,
    pub(super) kind: Option<String>,
    pub(super) values: Vec<B>,
}

impl<B: Deref<Target = [u8]>> Report for Register<B> {
    fn plain(&self) -> String {
        self.values.iter().map(|value| format!("{}\n", plain_value(value))).collect()
    }

    fn table(&self) -> String {
        columns(["KEY", "VALUE"], self.values.iter().map(|value| [self.key.clone(), plain_value(value)]))
    }

    fn json(&self) -> Value {
        let Self { key, kind, values } = self;
        match (kind.as_deref(), values.as_slice()) {
            (Some("lww-register"), [value]) => {
                json!({ "key": key, "kind": kind, "value": json_value(value) })
            }
            _ => {
                let values: Vec<Value> = values.iter().map(|value| json_value(value)).collect();
                json!({ "key": key, "kind": kind, "values": values })
            }
        }
    }
}

/// There is no such key.
pub(super) struct Absent {
    pub(super) key: String,
}

impl Report for Absent {
    fn plain(&self) -> String {
        String::new()
    }

    fn table(&self) -> String {
        columns(["KEY", "VALUE"], [])
    }

    fn json(&self) -> Value {
        json!({ "key": self.key, "exists": false })
    }
}

/// A register was written: nothing to say, but for programs.
pub(super) struct Written {
    pub(super) key: String,
}

impl Report for Written {
    fn plain(&self) -> String {
        String::new()
    }

    fn table(&self) -> String {
        String::new()
    }

    fn json(&self) -> Value {
        json!({ "key": self.key })
    }
}

/// Keys that were to be deleted, and whether each was there.
pub(super) struct Deletion {
    pub(super) keys: Vec<(String, bool)>,
}

impl Deletion {
    fn count(&self) -> usize {
        self.keys.iter().filter(|(_, existed)| *existed).count()
    }
}

impl Report for Deletion {
    fn plain(&self) -> String {
        format!("{}\n", self.count())
    }

    fn table(&self) -> String {
        let yes_or_no = |existed: bool| if existed { "yes" } else { "no" }.to_owned();
        columns(["KEY", "EXISTED"], self.keys.iter().map(|(key, existed)| [key.clone(), yes_or_no(*existed)]))
    }

    fn json(&self) -> Value {
        let keys = self.keys.iter().map(|(key, existed)| json!({ "key": key, "existed": existed }));
        json!({ "deleted": self.count(), "keys": keys.collect::<Vec<_>>() })
    }
}

/// Keys with their kinds, a key once for each.
pub(super) struct Listing {
    pub(super) keys: Vec<(String, &'static str)>,
}

impl Report for Listing {
    fn plain(&self) -> String {
        self.keys.iter().map(|(key, _)| format!("{}\n", printable(key))).collect()
    }

    fn table(&self) -> String {
        columns(["KEY", "KIND"], self.keys.iter().map(|(key, kind)| [key.clone(), (*kind).to_owned()]))
    }

    fn json(&self) -> Value {
        let keys = self.keys.iter().map(|(key, kind)| json!({ "key": key, "kind": kind }));
        json!({ "keys": keys.collect::<Vec<_>>() })
    }
}
