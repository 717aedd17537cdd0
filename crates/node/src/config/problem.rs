//! What is wrong with a configuration, and where it was said.

use std::fmt;
use std::path::PathBuf;

/// Everything that is wrong with a configuration: at least one problem, in the order of the layers, then of the
/// settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        assert!(!problems.is_empty(), "an error names at least one problem");
        Self { problems }
    }

    /// The problems; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(formatter, "the configuration has a problem")?,
            count => write!(formatter, "the configuration has {count} problems")?,
        }
        for problem in &self.problems {
            write!(formatter, "\n  {problem}")?;
            if let Some(hint) = problem.hint() {
                write!(formatter, "\n    hint: {hint}")?;
            }
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {cause}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The file is not TOML, or a flag is not `key=value`. Settings of that layer are not looked at.
    #[error("{origin}: {cause}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser said.
        cause: String,
    },
    /// There is no such setting.
    #[error("{origin}: there is no setting {key}")]
    UnknownKey {
        /// What was written, as a dotted path.
        key: String,
        /// Where.
        origin: Origin,
        /// The setting that was probably meant.
        suggestion: Option<&'static str>,
    },
    /// The value is of another type.
    #[error("{origin}: {key} must be {expected}, not {found}")]
    WrongType {
        /// The setting.
        key: &'static str,
        /// Where.
        origin: Origin,
        /// What is there.
        found: String,
        /// What should be there, with an example.
        expected: &'static str,
    },
    /// The value cannot stand, by itself or beside another setting.
    #[error("{origin}: {key} {rule}")]
    Rule {
        /// The setting.
        key: &'static str,
        /// Where it was said.
        origin: Origin,
        /// What must hold.
        rule: String,
        /// What to write, where that can be said.
        hint: Option<String>,
    },
}

impl Problem {
    /// What to do about it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { suggestion: Some(key), .. } => Some(format!("did you mean {key}?")),
            Self::Rule { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}

/// Where a setting was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: its default holds.
    Default,
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where it can be found.
        line: Option<usize>,
    },
    /// In an environment variable of this name.
    Env(String),
    /// In a flag, as it was written.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(formatter, "default"),
            Self::File { path, line: Some(line) } => write!(formatter, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(formatter, "{}", path.display()),
            Self::Env(name) => write!(formatter, "environment variable {name}"),
            Self::Flag(text) => write!(formatter, "flag --set {text}"),
        }
    }
}
