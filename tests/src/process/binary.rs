//! The binary under test.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;

/// Builds `trellis` once in this process, in the profile and target directory of the running test, and returns its path.
///
/// # Errors
///
/// When the build fails; a second call fails the same way without building again.
pub fn trellis_binary() -> Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BINARY.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow!("trellis cannot be built: {error}"))
}

/// The root of the workspace that is tested.
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in a folder of the workspace")
}

fn build() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "trellis-cli", "--bin", "trellis"]);
    command.args(["--message-format", "json-render-diagnostics", "--profile", PROFILE]);
    if let Some(directory) = target_directory() {
        command.arg("--target-dir").arg(directory);
    }
    command.current_dir(workspace_root()).stdin(Stdio::null());
    let output = command.output().context("cargo cannot be started")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    executable(&output.stdout).context("cargo did not say where the binary is")
}

/// The target directory in which the running test was built: cargo marks its root. None if it was moved elsewhere.
pub fn target_directory() -> Option<PathBuf> {
    let test = env::current_exe().ok()?;
    test.ancestors().find(|directory| directory.join("CACHEDIR.TAG").exists()).map(Path::to_owned)
}

fn executable(messages: &[u8]) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let lines = messages.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok()?.executable).next_back()
}

const PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_where_cargo_says_last() {
        let messages = b"{\"reason\":\"compiler-artifact\",\"executable\":null}\n{\"executable\":\"/t/trellis\"}\n{\"success\":true}\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/t/trellis")));
        assert_eq!(executable(b"warning: nothing"), None);
    }

    #[test]
    fn the_root_is_that_of_the_workspace() {
        assert!(workspace_root().join("Cargo.lock").exists());
    }
}
