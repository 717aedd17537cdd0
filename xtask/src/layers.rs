//! The edges that the crate graph may have. A further edge is a reviewed decision and one line here.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::workspace::{cargo, output_of};

/// Each package with those of ours that it may depend on, for whatever purpose.
const ALLOWED: &[(&str, &[&str])] = &[
    // What only benches depend on; of ours it knows nothing, or it could not be measured against.
    ("trellis-yardsticks", &[]),
    ("trellis-crdt", &["trellis-yardsticks"]),
    ("trellis-wal", &[]),
    ("trellis-swim", &[]),
    ("trellis-storage", &["trellis-crdt", "trellis-yardsticks"]),
    ("trellis-replication", &["trellis-crdt"]),
    ("trellis-rpc", &["trellis-crdt", "trellis-replication"]),
    (
        "trellis-node",
        &[
            "trellis-crdt",
            "trellis-wal",
            "trellis-swim",
            "trellis-storage",
            "trellis-replication",
            "trellis-rpc",
        ],
    ),
    ("trellis-cli", &["trellis-node", "trellis-rpc", "trellis-wal"]),
    (
        "trellis-tests",
        &[
            "trellis-crdt",
            "trellis-wal",
            "trellis-swim",
            "trellis-storage",
            "trellis-replication",
            "trellis-rpc",
            "trellis-node",
            "trellis-cli",
        ],
    ),
    ("xtask", &[]),
    ("xtask-codegen", &[]),
    ("xtask-bench", &["trellis-rpc", "trellis-tests"]),
];

/// Package → those of ours that it depends on, by any kind of dependency, as cargo sees it.
pub(crate) type Edges = BTreeMap<String, Vec<String>>;

/// Reads the edges from `cargo metadata`.
pub(crate) fn edges() -> Result<Edges> {
    let json = output_of(&mut cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]))?;
    parse(&json)
}

/// Names every edge that is not allowed and every package that the table does not know.
pub(crate) fn violations(edges: &Edges) -> Vec<String> {
    let mut violations = Vec::new();
    for (package, dependencies) in edges {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == package) else {
            violations.push(format!("{package} is not in the table of xtask/src/layers.rs"));
            continue;
        };
        for dependency in dependencies.iter().filter(|name| !allowed.contains(&name.as_str())) {
            violations.push(format!("{package} must not depend on {dependency} (xtask/src/layers.rs)"));
        }
    }
    violations
}

fn parse(json: &[u8]) -> Result<Edges> {
    let metadata: Metadata = serde_json::from_slice(json).context("cargo metadata gave unexpected JSON")?;
    let edges = metadata.packages.into_iter().map(|package| {
        // What lies in the workspace is a path; everything else comes from a registry.
        let ours = package.dependencies.into_iter().filter(|dependency| dependency.path.is_some());
        let mut names: Vec<String> = ours.map(|dependency| dependency.name).collect();
        names.sort_unstable();
        names.dedup();
        (package.name, names)
    });
    Ok(edges.collect())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    path: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_has_allowed_edges_only() {
        assert_eq!(violations(&edges().unwrap()), Vec::<String>::new());
    }

    #[test]
    fn the_table_knows_exactly_the_packages_of_the_workspace() {
        let mut known: Vec<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
        known.sort_unstable();
        assert_eq!(edges().unwrap().keys().collect::<Vec<_>>(), known);
    }

    #[test]
    fn the_table_has_no_cycle() {
        let position = |name: &str| ALLOWED.iter().position(|(package, _)| *package == name).unwrap();
        for (package, allowed) in ALLOWED {
            for dependency in *allowed {
                assert!(position(dependency) < position(package), "{package} stands before {dependency}");
            }
        }
    }

    #[test]
    fn a_made_up_edge_and_a_made_up_package_are_named() {
        let json = br#"{"packages": [
            {"name": "trellis-swim", "dependencies": [
                {"name": "thiserror", "path": null},
                {"name": "trellis-crdt", "path": "crates/crdt"}]},
            {"name": "trellis-util", "dependencies": []},
            {"name": "trellis-storage", "dependencies": [{"name": "trellis-crdt", "path": "crates/crdt"}]}]}"#;
        assert_eq!(
            violations(&parse(json).unwrap()),
            [
                "trellis-swim must not depend on trellis-crdt (xtask/src/layers.rs)",
                "trellis-util is not in the table of xtask/src/layers.rs",
            ]
        );
    }
}
