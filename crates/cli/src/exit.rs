//! Why a command failed: what to print and which code to exit with.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;
use trellis_wal::tools::Verdict;

/// The documented exit codes, apart from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The answer is no: the key is absent.
    No,
    /// Bad usage or configuration.
    Usage,
    /// No endpoint can be reached or is ready.
    Unreachable,
    /// TLS or permission refused.
    Denied,
    /// The server rejected the request.
    Rejected,
    /// Timed out; a write may or may not have happened.
    TimedOut,
    /// Overloaded, or at a limit.
    Overloaded,
    /// What a tool found in the files of a log, whose codes are those of `trellis_wal::tools`.
    Log(Verdict),
    /// Bad usage of such a tool, of which 2 says that something is damaged; the EX_USAGE of BSD.
    LogUsage,
    /// A bug.
    Internal,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::No => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Denied => 4,
            Self::Rejected => 5,
            Self::TimedOut => 6,
            Self::Overloaded => 7,
            Self::Log(verdict) => verdict.exit_code(),
            Self::LogUsage => 64,
            Self::Internal => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failed command, told in three parts: what failed, why, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hint: Option<String>,
    /// The name of the failure in the server's catalogue.
    pub(crate) reason: Option<&'static str>,
    pub(crate) details: BTreeMap<String, String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, message, causes: Vec::new(), hint: None, reason: None, details: BTreeMap::new() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Takes an error and what it came from.
    pub(crate) fn of(exit: Exit, error: &dyn Error) -> Self {
        let mut failure = Self::new(exit, error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            failure = failure.cause(cause);
            source = cause.source();
        }
        failure
    }

    pub(crate) fn cause(mut self, cause: impl ToString) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The form for people: one part a line, each behind its name.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("error: {}", self.message);
        for cause in &self.causes {
            write!(text, "\ncause: {cause}").expect("writing to a string cannot fail");
        }
        if let Some(hint) = &self.hint {
            write!(text, "\nhint: {hint}").expect("writing to a string cannot fail");
        }
        text
    }

    /// The form for programs: one object under `error`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        json!({ "error": {
            "message": self.message,
            "causes": self.causes,
            "hint": self.hint,
            "reason": self.reason,
            "details": self.details,
            "exit": self.exit.code(),
        }})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_cause_and_the_next_step() {
        let failure = Failure::new(Exit::Unreachable, "cannot reach any endpoint of context \"prod\"")
            .cause("10.0.0.1:7400: connection refused")
            .cause("10.0.0.2:7400: connection refused")
            .hint("trellis context show prod");
        assert_eq!(
            failure.to_text(),
            "error: cannot reach any endpoint of context \"prod\"\n\
             cause: 10.0.0.1:7400: connection refused\n\
             cause: 10.0.0.2:7400: connection refused\n\
             hint: trellis context show prod"
        );
    }

    #[test]
    fn a_failure_in_json_carries_reason_details_and_exit_code() {
        let mut failure = Failure::new(Exit::Rejected, "no");
        failure.reason = Some("WRONG_TYPE");
        failure.details.insert("actual".to_owned(), "pn-counter".to_owned());
        assert_eq!(
            failure.to_json(),
            json!({ "error": {
                "message": "no", "causes": [], "hint": null, "reason": "WRONG_TYPE",
                "details": { "actual": "pn-counter" }, "exit": 5,
            }})
        );
    }
}
