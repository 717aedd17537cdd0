//! The README names the tests of each fault, and they exist.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_fault_has_its_row_and_every_test_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let rows: Vec<_> =
        readme.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()).collect();
    assert_eq!(rows.len(), 18);
    let sources = sources(vec![root.join("src"), root.join("tests")]);
    for row in rows {
        let named: Vec<_> = row.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
        assert!(!named.is_empty() || row.contains("xtask"), "{row}");
        for name in named {
            let (module, test) = name.rsplit_once("::").unwrap();
            let is_there = match test {
                "*" => sources.iter().any(|(path, _)| path.file_stem().unwrap() == module),
                _ => sources.iter().any(|(_, text)| text.contains(&format!("fn {test}("))),
            };
            assert!(is_there, "{name}");
        }
    }
}

fn sources(mut folders: Vec<PathBuf>) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    files
}
