//! One source of settings: a file, the environment, or the flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem};

/// The settings of one source, by dotted path, each with where it was said.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) name: &'static str,
    /// Values are strings whatever the type of the setting.
    pub(super) is_text: bool,
    /// Where relative paths start.
    pub(super) base: Option<PathBuf>,
    pub(super) settings: BTreeMap<String, (Value, Origin)>,
}

impl Layer {
    /// Reads TOML. `is_setting` says whether a path is a setting, below which nothing is looked for.
    pub(super) fn file(path: &Path, is_setting: impl Fn(&str) -> bool) -> Result<Self, Problem> {
        let unreadable =
            |error: std::io::Error| Problem::Unreadable { path: path.to_owned(), cause: error.to_string() };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let syntax = |error: toml::de::Error| {
            let line = error.span().map(|span| line_of(&text, span.start));
            let origin = Origin::File { path: path.to_owned(), line };
            Problem::Syntax { origin, cause: error.message().trim().replace('\n', " ") }
        };
        let values: Dict = toml::from_str(&text).map_err(syntax)?;
        let spans = DeTable::parse(&text).map_err(syntax)?;
        let mut lines = BTreeMap::new();
        collect_lines("", spans.get_ref(), &text, &mut lines);

        let mut settings = BTreeMap::new();
        flatten("", values, &is_setting, &mut |key, value| {
            let line = lines.get(&key).copied();
            settings.insert(key, (value, Origin::File { path: path.to_owned(), line }));
        });
        Ok(Self { name: "file", is_text: false, base: path.parent().map(Path::to_owned), settings })
    }

    /// Takes the variables `TRELLIS_CFG__SECTION__KEY`.
    pub(super) fn env(variables: &[(String, String)]) -> Self {
        let setting = |(name, text): &(String, String)| {
            let key = name.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase().replace("__", ".");
            Some((key, (Value::from(text.as_str()), Origin::Env(name.clone()))))
        };
        Self::text("environment", variables.iter().filter_map(setting).collect())
    }

    /// Takes flags of the form `section.key=value`; the last of one key holds.
    pub(super) fn flags(flags: &[String], problems: &mut Vec<Problem>) -> Self {
        let mut settings = BTreeMap::new();
        for flag in flags {
            let origin = Origin::Flag(flag.clone());
            match flag.split_once('=') {
                Some((key, value)) => {
                    settings.insert(key.trim().to_owned(), (Value::from(value), origin));
                }
                None => problems.push(Problem::Syntax { origin, cause: "must be key=value".to_owned() }),
            }
        }
        Self::text("flags", settings)
    }

    fn text(name: &'static str, settings: BTreeMap<String, (Value, Origin)>) -> Self {
        Self { name, is_text: true, base: None, settings }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let mut data = Dict::new();
        for (key, (value, _)) in &self.settings {
            nest(&mut data, key, value.clone());
        }
        Ok(Profile::Default.collect(data))
    }
}

/// Walks the tables down to settings and to whatever is no table.
fn flatten(
    prefix: &str,
    table: Dict,
    is_setting: &impl Fn(&str) -> bool,
    found: &mut impl FnMut(String, Value),
) {
    for (name, value) in table {
        let key = join(prefix, &name);
        match value {
            Value::Dict(_, inner) if !is_setting(&key) => flatten(&key, inner, is_setting, found),
            value => found(key, value),
        }
    }
}

fn collect_lines(prefix: &str, table: &DeTable<'_>, text: &str, lines: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let key = join(prefix, name.get_ref());
        lines.insert(key.clone(), line_of(text, Spanned::span(name).start));
        if let DeValue::Table(inner) = value.get_ref() {
            collect_lines(&key, inner, text, lines);
        }
    }
}

/// Puts a value at a dotted path. A value that stands where a table is needed gives way.
fn nest(table: &mut Dict, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let entry = table.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if !matches!(entry, Value::Dict(..)) {
                *entry = Value::from(Dict::new());
            }
            if let Value::Dict(_, inner) = entry {
                nest(inner, rest, value);
            }
        }
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

pub(super) const ENV_PREFIX: &str = "TRELLIS_CFG__";
