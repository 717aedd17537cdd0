//! Puts the layers together: defaults, file, environment, flags, each over the one before.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::value::Value;

use super::Config;
use super::fields::fields;
use super::layer::{ENV_PREFIX, Layer};
use super::problem::{ConfigErrors, Origin, Problem};

/// Where a configuration comes from. Later fields win over earlier ones, and all over the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables, name and value; only those that begin with `TRELLIS_CFG__` count, and
    /// `TRELLIS_CFG__WAL__SEGMENT_BYTES` is `wal.segment_bytes`.
    pub env: Vec<(String, String)>,
    /// Settings of the form `section.key=value`.
    pub flags: Vec<String>,
}

impl Sources {
    /// Takes the environment from this process.
    pub fn with_process_env(file: Option<PathBuf>, flags: Vec<String>) -> Self {
        let is_ours = |(name, _): &(String, String)| name.starts_with(ENV_PREFIX);
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let env =
            std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).filter(is_ours).collect();
        Self { file, env, flags }
    }
}

impl Config {
    /// Reads all layers and checks the outcome.
    ///
    /// # Errors
    ///
    /// All problems at once: what cannot be read, unknown settings in every layer, values of the wrong type, and
    /// what [`Config::validate`] finds in the outcome. The last is left out while a layer cannot be read, since
    /// what is missing then is not missing there.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut problems = Vec::new();
        let paths = setting_paths();
        let is_setting = |key: &str| paths.contains(&key);
        let mut layers = Vec::new();
        let mut is_whole = true;
        if let Some(path) = &sources.file {
            match Layer::file(path, is_setting) {
                Ok(layer) => layers.push(layer),
                Err(problem) => {
                    problems.push(problem);
                    is_whole = false;
                }
            }
        }
        layers.push(Layer::env(&sources.env));
        layers.push(Layer::flags(&sources.flags, &mut problems));

        let mut figment = Figment::new();
        for layer in &mut layers {
            problems.extend(take_unknown(layer, &paths));
            figment = figment.merge(&*layer);
        }
        let mut config = Self::default();
        let mut mistyped = Vec::new();
        for (key, field) in fields(&mut config) {
            let (Some(layer), Ok(value)) = (layer_of(&figment, &layers, key), figment.find_value(key)) else {
                continue;
            };
            if let Err(expected) = field.set(&value, layer.is_text, layer.base.as_deref()) {
                let origin = layer.settings[key].1.clone();
                problems.push(Problem::WrongType { key, origin, found: describe(&value), expected });
                mistyped.push(key);
            }
        }
        if is_whole {
            let violations = config.validate().err().unwrap_or_default();
            for violation in violations.into_iter().filter(|violation| !mistyped.contains(&violation.key)) {
                let layer = layer_of(&figment, &layers, violation.key);
                let origin = layer.map_or(Origin::Default, |layer| layer.settings[violation.key].1.clone());
                problems.push(Problem::Rule {
                    key: violation.key,
                    origin,
                    rule: violation.rule,
                    hint: violation.hint,
                });
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigErrors::new(problems)) }
    }

    /// Checks a file alone, without the environment: what `load` would say of it.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn load_file(path: &Path) -> Result<Self, ConfigErrors> {
        Self::load(&Sources { file: Some(path.to_owned()), ..Sources::default() })
    }
}

/// Removes from a layer whatever is no setting, and says so.
fn take_unknown(layer: &mut Layer, paths: &[&'static str]) -> Vec<Problem> {
    let mut problems = Vec::new();
    layer.settings.retain(|key, (_, origin)| {
        let is_known = paths.contains(&key.as_str());
        if !is_known {
            let (key, origin, suggestion) = (key.clone(), origin.clone(), suggestion(key, paths));
            problems.push(Problem::UnknownKey { key, origin, suggestion });
        }
        is_known
    });
    problems
}

/// The layer whose value of a setting holds, if any does.
fn layer_of<'a>(figment: &Figment, layers: &'a [Layer], key: &str) -> Option<&'a Layer> {
    let metadata = figment.find_metadata(key)?;
    layers.iter().find(|layer| layer.name == metadata.name)
}

fn describe(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "a list".to_owned(),
        other => other.to_actual().to_string(),
    }
}

/// The setting that was probably meant: the same name in another section, the first of a section, or the one that
/// is spelt most alike.
fn suggestion(key: &str, paths: &[&'static str]) -> Option<&'static str> {
    let last = |path: &'static str| path.rsplit('.').next() == Some(key);
    let of_section = |path: &'static str| path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    let alike = || {
        let distance = |path: &'static str| (strsim::damerau_levenshtein(key, path), path);
        let (distance, path) = paths.iter().copied().map(distance).min()?;
        (distance <= 1 + key.len() / 4).then_some(path)
    };
    let named = paths.iter().copied().find(|path| last(path) || of_section(path));
    named.or_else(alike)
}

fn setting_paths() -> Vec<&'static str> {
    fields(&mut Config::default()).into_iter().map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests;
