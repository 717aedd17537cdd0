//! The first five minutes of the README, as they are written there.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use trellis_tests::{Outcome, await_until, target_directory, trellis_binary, workspace_root};

#[test]
fn the_first_five_minutes_go_as_the_readme_says() -> Result<()> {
    let readme = fs::read_to_string(workspace_root().join("README.md"))?;
    let steps = steps(&readme);
    ensure!(steps.len() >= 5, "the README's script has {} steps", steps.len());

    let machine = Machine::new()?;
    let binary = trellis_binary()?.display();
    let detached = machine.run("", &format!("cargo xtask cluster 3 --detach --bin '{binary}'"))?;
    let printed = detached.answer()?;
    assert!(printed.contains("3/3 members alive"), "{printed}");
    let environment = printed.lines().map(str::trim).find(|line| line.starts_with("export "));
    let environment = environment.context("the line to paste is printed")?;
    let again = machine.run("", &format!("cargo xtask cluster 3 --detach --bin '{binary}'"))?;
    assert!(again.answer()?.contains("running already"), "{again}");

    for step in &steps {
        machine.follow(environment, step)?;
    }
    let stopped = machine.run("", "cargo xtask cluster status")?;
    assert_eq!(stopped.answer()?.matches("not running").count(), 3, "{stopped}");
    Ok(())
}

/// A command of the script, and what the README says it prints; nothing where it says nothing.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    printed: String,
}

/// Reads the console block of the README's section.
fn steps(readme: &str) -> Vec<Step> {
    let section = readme.split("## First five minutes").nth(1).unwrap_or_default();
    let block =
        section.split("```console").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines().filter(|line| !line.is_empty()) {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => {
                let command = command.split(" # ").next().unwrap_or_default().trim_end().to_owned();
                steps.push(Step { command, printed: String::new() });
            }
            (None, Some(step)) => {
                step.printed = (std::mem::take(&mut step.printed) + "\n" + line).trim().to_owned();
            }
            (None, None) => {}
        }
    }
    steps
}

/// A place where `cargo xtask cluster` keeps its cluster apart from that of whoever works here.
struct Machine {
    directory: TempDir,
    path: OsString,
    target: PathBuf,
}

impl Machine {
    fn new() -> Result<Self> {
        let cargo = env::var_os("CARGO").map(PathBuf::from);
        let tools = cargo.as_deref().and_then(Path::parent).map(Path::to_owned);
        let before = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(tools.into_iter().chain(env::split_paths(&before)))?;
        let target = target_directory().context("the test runs in a target directory")?;
        Ok(Self { directory: tempfile::tempdir()?, path, target })
    }

    /// Runs a step and holds it against what the README says. A command that only reads may need a moment until the
    /// node that it asks has heard of the latest write.
    fn follow(&self, environment: &str, step: &Step) -> Result<()> {
        let run = || -> Result<()> {
            let outcome = self.run(environment, &step.command)?;
            let answer = outcome.answer().with_context(|| step.command.clone())?;
            ensure!(step.printed.is_empty() || answer == step.printed, "{step:?}: {outcome}");
            Ok(())
        };
        if !step.command.contains(" get ") {
            return run();
        }
        await_until(&step.command, Duration::from_secs(30), || run().map(Some))?;
        Ok(())
    }

    fn run(&self, environment: &str, command: &str) -> Result<Outcome> {
        let command = match command.strip_prefix("cargo xtask cluster") {
            Some(_) => format!("{command} --dir '{}'", self.directory.path().display()),
            None => command.to_owned(),
        };
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{environment}\n{command}")).current_dir(workspace_root());
        shell.env("PATH", &self.path).env("CARGO_TARGET_DIR", &self.target);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRELLIS_")) {
            shell.env_remove(name);
        }
        Outcome::of(&mut shell)
    }
}

impl Drop for Machine {
    /// The nodes outlive the command that started them, so a test that fails must stop them too.
    fn drop(&mut self) {
        let _ = self.run("", "cargo xtask cluster stop");
    }
}

#[test]
fn a_step_is_a_command_without_its_comment_and_the_lines_below() {
    let readme = "# x\n## First five minutes\ntext\n```console\n$ a b   # why\n5\n6\n$ c\n```\n$ no\n";
    let step =
        |command: &str, printed: &str| Step { command: command.to_owned(), printed: printed.to_owned() };
    assert_eq!(steps(readme), [step("a b", "5\n6"), step("c", "")]);
}
