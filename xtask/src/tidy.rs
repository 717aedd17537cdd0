//! House style that no lint of the compiler knows: what each source file must have and must not contain.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace::files_below;

/// Names every rule that a source file of the workspace breaks, with file and line.
pub(crate) fn violations(root: &Path) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for folder in FOLDERS {
        for path in files_below(&root.join(folder))? {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if !relative.ends_with(".rs") || GENERATED.iter().any(|prefix| relative.starts_with(prefix)) {
                continue;
            }
            let text = fs::read_to_string(&path).with_context(|| format!("{relative} cannot be read"))?;
            violations.extend(violations_in(&relative, &text));
        }
    }
    Ok(violations)
}

fn violations_in(path: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    if !text.starts_with("//!") {
        violations.push(format!("{path}:1: a file begins with `//!` and a sentence on its duty"));
    }
    let is_test_file = path.contains("/tests/") || path.ends_with("/tests.rs");
    let code = if is_test_file { text } else { without_trailing_tests(text) };
    let lines = code.lines().count();
    if lines > LINES_MAX && !LONG_FILES.iter().any(|(long, _)| *long == path) {
        violations.push(format!("{path}: {lines} lines of code; split it by duty ({LINES_MAX} at most)"));
    }
    for (number, line) in text.lines().enumerate() {
        for banned in BANNED.iter().filter(|banned| line.contains(**banned)) {
            violations.push(format!("{path}:{}: `{banned}` never reaches main", number + 1));
        }
    }
    let is_pure = PURE.iter().any(|prefix| path.starts_with(prefix));
    if !is_pure || is_test_file {
        return violations;
    }
    for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for effect in EFFECTS.iter().filter(|effect| contains_word(line, effect)) {
            violations.push(format!("{path}:{}: `{effect}` in a crate without effects", number + 1));
        }
    }
    violations
}

/// Whether a line contains this and no longer word that begins with it.
fn contains_word(line: &str, word: &str) -> bool {
    let ends = line.match_indices(word).map(|(start, _)| start + word.len());
    ends.map(|end| &line[end..]).any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The file up to its own module of tests, which is the last thing in it.
fn without_trailing_tests(text: &str) -> &str {
    ["\n#[cfg(test)]\nmod tests", "\n#[cfg(all(test"]
        .iter()
        .filter_map(|start| text.rfind(start))
        .min()
        .map_or(text, |end| &text[..=end])
}

const FOLDERS: &[&str] = &["crates", "tests", "xtask", "fuzz"];
/// Written by `cargo xtask codegen`.
const GENERATED: &[&str] = &["crates/rpc/src/pb/", "crates/node/src/pb/"];
/// Nothing here reads a clock, draws randomness, opens a file or socket, spawns or awaits.
const PURE: &[&str] = &[
    "crates/crdt/src/",
    "crates/storage/src/",
    "crates/swim/src/",
    "crates/replication/src/",
    "crates/node/src/core",
];
const EFFECTS: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::thread",
    "tokio",
    "rand::rng",
    "thread_rng",
    "from_os_rng",
    ".await",
];
/// Spelt in halves, so that this file does not contain them.
const BANNED: &[&str] =
    &[concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME"), concat!("#[ig", "nore")];
const LINES_MAX: usize = 500;
/// Files that may be longer, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::root;

    #[test]
    fn the_workspace_is_tidy() {
        assert_eq!(violations(root()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn every_file_that_may_be_long_exists_and_says_why() {
        for (path, reason) in LONG_FILES {
            assert!(root().join(path).is_file(), "{path}");
            assert!(!reason.is_empty(), "{path}");
        }
    }

    #[test]
    fn a_file_without_a_sentence_on_its_duty_is_named() {
        assert_eq!(
            violations_in("crates/wal/src/x.rs", "use std::fs;\n"),
            ["crates/wal/src/x.rs:1: a file begins with `//!` and a sentence on its duty"]
        );
    }

    #[test]
    fn an_effect_in_pure_code_is_named_and_one_in_its_tests_or_comments_is_not() {
        let text = "//! Pure.\n// No tokio here.\nlet now = Instant::now();\n\n#[cfg(test)]\nmod tests {\n use std::fs;\n}\n";
        assert_eq!(
            violations_in("crates/crdt/src/x.rs", text),
            ["crates/crdt/src/x.rs:3: `Instant::now` in a crate without effects"]
        );
        assert_eq!(violations_in("crates/node/src/core/x.rs", text).len(), 1);
        assert_eq!(violations_in("crates/node/src/runtime/x.rs", text).len(), 0);
        assert_eq!(violations_in("crates/crdt/src/x/tests.rs", text).len(), 0);
    }

    #[test]
    fn a_name_that_only_begins_like_an_effect_is_none() {
        let text = "//! Pure.\nuse rand::rngs::SmallRng;\nself.await_replicas();\n";
        assert_eq!(violations_in("crates/swim/src/x.rs", text), Vec::<String>::new());
        assert_eq!(violations_in("crates/swim/src/x.rs", "//! Pure.\nlet mut rng = rand::rng();\n").len(), 1);
    }

    #[test]
    fn a_file_is_measured_without_its_trailing_tests() {
        let code = format!("//! Long.\n{}", "x\n".repeat(LINES_MAX - 1));
        let tests = format!("\n#[cfg(test)]\nmod tests {{\n{}}}\n", "y\n".repeat(200));
        assert_eq!(violations_in("crates/wal/src/x.rs", &format!("{code}{tests}")).len(), 1);
        let code = code.replacen("x\n", "", 1);
        assert_eq!(violations_in("crates/wal/src/x.rs", &format!("{code}{tests}")), Vec::<String>::new());
    }

    #[test]
    fn what_never_reaches_main_is_named_in_tests_as_well() {
        for banned in BANNED {
            let text = format!("//! One.\n\n#[cfg(test)]\nmod tests {{\n    {banned}\n}}\n");
            assert_eq!(violations_in("tests/src/x.rs", &text).len(), 1, "{banned}");
        }
    }
}
