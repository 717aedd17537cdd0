//! The page and the tests name the same claims.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

#[test]
fn every_claim_of_the_page_is_a_test_and_every_test_a_claim() {
    let Some(page) = page() else { return };
    let sources = [
        include_str!("counters.rs"),
        include_str!("every_kind.rs"),
        include_str!("flags.rs"),
        include_str!("registers.rs"),
        include_str!("sets.rs"),
    ];
    let tests = BTreeSet::from_iter(sources.into_iter().flat_map(tests_in));
    let mut named = BTreeSet::new();
    for claim in claims(&page) {
        let (_, reference) = claim.rsplit_once('(').unwrap_or_else(|| panic!("no test is named: {claim}"));
        let names = Vec::from_iter(reference.split('`').skip(1).step_by(2));
        match *names {
            [name] => assert!(named.insert(name.to_owned()), "{name} is named twice"),
            [file, name] => {
                let text =
                    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
                assert!(text.contains(&format!("fn {name}(")), "{file} has no {name}");
            }
            _ => panic!("one test is named, with its file or without: {claim}"),
        }
    }
    assert_eq!(named, tests);
}

#[test]
fn every_kind_has_a_section_with_pictures_and_claims() {
    let Some(page) = page() else { return };
    for kind in trellis_crdt::Kind::ALL {
        let start = page.find(&format!("\n## {kind}\n")).unwrap_or_else(|| panic!("{kind} has no section"));
        let section = page[start + 1..].split("\n## ").next().unwrap_or_default();
        assert!(section.contains("```text") && !claims(section).is_empty(), "{kind}");
    }
}

/// Returns the page, which a package of the crate by itself does not hold, and which an interpreter has no file for.
pub(crate) fn page() -> Option<String> {
    if cfg!(miri) {
        return None;
    }
    let docs = root().join("docs");
    let page = docs.join("crdt-semantics.md");
    docs.is_dir()
        .then(|| fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display())))
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Returns what stands behind a dash, each in one line.
fn claims(page: &str) -> Vec<String> {
    let mut claims = Vec::<String>::new();
    let mut is_within = false;
    for line in page.lines() {
        if let Some(claim) = line.strip_prefix("- ") {
            claims.push(claim.to_owned());
            is_within = true;
        } else if is_within && line.starts_with("  ") {
            let claim = claims.last_mut().expect("a line goes on only within a claim");
            *claim = format!("{claim} {}", line.trim());
        } else {
            is_within = false;
        }
    }
    claims
}

fn tests_in(source: &str) -> Vec<String> {
    let functions = source.split("#[test]\nfn ").skip(1);
    functions.filter_map(|function| function.split('(').next()).map(str::to_owned).collect()
}
