//! Commands: what they print, and how they end.

use std::fmt;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

/// A command that ran to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// None when a signal ended it.
    pub code: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Outcome {
    /// Runs a command to its end, with an empty standard input.
    ///
    /// # Errors
    ///
    /// When it cannot be started. That it fails is no error here.
    pub fn of(command: &mut Command) -> Result<Self> {
        let output = command.stdin(Stdio::null()).output();
        Ok(output.with_context(|| format!("{command:?} cannot be started"))?.into())
    }

    /// What it printed, without the line break at the end.
    ///
    /// # Errors
    ///
    /// When it did not exit with 0.
    pub fn answer(&self) -> Result<&str> {
        ensure!(self.code == Some(0), "the command failed: {self}");
        Ok(self.stdout.trim_end_matches('\n'))
    }

    /// What it printed, from JSON.
    ///
    /// # Errors
    ///
    /// When it did not exit with 0, or did not print what is asked for.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.answer()?).with_context(|| format!("unexpected JSON: {self}"))
    }

    /// What it printed to standard error when it failed as it should: with `code` and an `error:`, and without a panic.
    ///
    /// # Errors
    ///
    /// When it ended in any other way.
    pub fn failure(&self, code: i32) -> Result<&str> {
        ensure!(self.code == Some(code), "exit code {code} was expected: {self}");
        ensure!(self.stderr.contains("error:"), "a failure names its error: {self}");
        ensure!(!self.stderr.contains("panicked"), "a failure is no panic: {self}");
        Ok(&self.stderr)
    }

    /// The same under `-o json`: standard error is one JSON object.
    ///
    /// # Errors
    ///
    /// When it ended in any other way.
    pub fn failure_json(&self, code: i32) -> Result<serde_json::Value> {
        ensure!(self.code == Some(code), "exit code {code} was expected: {self}");
        serde_json::from_str(&self.stderr).with_context(|| format!("unexpected JSON: {self}"))
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "exit code {code}")?,
            None => write!(f, "ended by a signal")?,
        }
        write!(f, "\nstdout: {}\nstderr: {}", self.stdout, self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_asked_for_an_answer_or_for_a_failure() {
        let done = Outcome { code: Some(0), stdout: "5\n".to_owned(), stderr: String::new() };
        assert_eq!(done.answer().unwrap(), "5");
        assert_eq!(done.json::<u8>().unwrap(), 5);
        assert!(done.failure(5).is_err());
        let failed = Outcome { code: Some(5), stdout: String::new(), stderr: "error: no\n".to_owned() };
        assert!(failed.answer().is_err());
        assert!(failed.failure(2).is_err());
        assert_eq!(failed.failure(5).unwrap(), "error: no\n");
    }
}
