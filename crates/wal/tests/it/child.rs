//! Other processes: a test of this binary, run once more to be killed, cut off or failed by the kernel.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdout, Command, ExitStatus, Stdio};

/// A process that runs one test, and what that test tells.
pub(crate) struct Child {
    process: process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Runs the test `name` on the log at `log`.
    pub(crate) fn run(name: &str, log: &Path) -> Self {
        Self::run_under(&[], name, log, &[])
    }

    /// Does so under another program, which is given the command in its last arguments, with more variables.
    pub(crate) fn run_under(launcher: &[String], name: &str, log: &Path, variables: &[(&str, &str)]) -> Self {
        let binary = std::env::current_exe().unwrap();
        let mut command = match launcher.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        let mut process = command
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(LOG_VARIABLE, log)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Returns what it tells next; `None` when it has ended.
    pub(crate) fn next_told(&mut self) -> Option<String> {
        self.lines.find_map(|line| line.ok()?.strip_prefix(TOLD).map(str::to_owned))
    }

    /// Ends it as SIGKILL does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Of a test that failed; after a wait nothing is left to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the other process: where its log is. A test that is run as one of all has none, and does nothing.
pub(crate) fn log_of_child() -> Option<PathBuf> {
    let log = std::env::var_os(LOG_VARIABLE)?;
    #[cfg(trellis_fault)]
    assert!(trellis_wal::fault::switch_off(std::env::var(RULE_VARIABLE).ok().as_deref()));
    Some(log.into())
}

/// In the other process: tells the first one, whatever the harness prints in between.
pub(crate) fn tell(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{TOLD}{what}").unwrap();
    out.flush().unwrap();
}

/// Returns the number in `told` behind `what`.
pub(crate) fn number_of(told: &str, what: &str) -> Option<u64> {
    told.strip_prefix(what)?.trim().parse().ok()
}

/// How often a test that goes through rounds does so: `usual`, or what the variable `TRELLIS_WAL_ROUNDS` says.
pub(crate) fn rounds(usual: u64) -> u64 {
    let asked = std::env::var("TRELLIS_WAL_ROUNDS").ok().map(|rounds| rounds.parse().unwrap());
    asked.unwrap_or(usual)
}

/// Says why a test is not done on this machine, past the harness, which hides what tests print that pass.
///
/// # Panics
///
/// If the variable `TRELLIS_WAL_SKIPS_NOTHING` is set.
pub(crate) fn skip(test: &str, reason: &str) {
    assert!(std::env::var_os("TRELLIS_WAL_SKIPS_NOTHING").is_none(), "{test} is not done: {reason}");
    writeln!(std::io::stderr().lock(), "skipped: {test}: {reason}").unwrap();
}

/// Names the rule of the log that is off in the other process, in a build that has rules to switch off.
#[cfg(trellis_fault)]
pub(crate) const RULE_VARIABLE: &str = "TRELLIS_WAL_TEST_RULE";
const LOG_VARIABLE: &str = "TRELLIS_WAL_TEST_LOG";
const TOLD: &str = "told: ";
