//! Everything that CI checks, in the order in which it fails fastest.

use anyhow::{Result, bail};

use crate::workspace::{cargo, root, run};
use crate::{layers, sim, tidy};

/// Checks format, lints, generated code, crate edges, house style, and runs all tests. Writes nothing but build output.
pub(crate) fn check() -> Result<()> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    rules()?;
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]))?;
    codegen(true)?;
    run(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    run(&mut cargo(&["test", "--workspace"]))?;
    for package in ["trellis-crdt", "trellis-wal"] {
        run(&mut cargo(&["test", "--package", package, "--all-features"]))?;
    }
    for (package, test, profile) in [
        ("trellis-crdt", "faults", "dev"),
        ("trellis-wal", "controls", "dev"),
        ("trellis-swim", "controls", "release"),
    ] {
        let mut control = cargo(&["test", "--package", package, "--test", test, "--profile", profile]);
        run(control.env("RUSTFLAGS", "--cfg trellis_fault").env("CARGO_TARGET_DIR", "target/fault"))?;
    }
    let mut orders = cargo(&["test", "--package", "trellis-wal", "--lib", "--release", "interleavings"]);
    run(orders.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", "target/loom"))?;
    run(&mut cargo(&["run", "--release", "--package", "trellis-swim", "--example", "gates"]))?;
    println!("all checks passed");
    Ok(())
}

/// The long forms of what is bounded in [`check`]: tests that look for `TRELLIS_LONG` or, in the log,
/// `TRELLIS_WAL_ROUNDS`, and the simulator; and the benches that are workspaces of their own.
pub(crate) fn check_long() -> Result<()> {
    let kills = ["test", "--package", "trellis-tests", "--test", "it", "--", "kills::", "--nocapture"];
    for arguments in [&kills[..], &["test", "--package", "trellis-wal", "--all-features"]] {
        run(cargo(arguments).env("TRELLIS_LONG", "1").env("TRELLIS_WAL_ROUNDS", WAL_ROUNDS))?;
    }
    for profile in PROFILES {
        let arguments = ["--profile", profile, "--count", HISTORIES];
        sim::run(&arguments.map(str::to_owned))?;
    }
    sim::run(&["--controls".to_owned()])?;
    run(&mut cargo(&[
        "run",
        "--release",
        "--package",
        "trellis-swim",
        "--example",
        "gates",
        "--",
        "--full",
    ]))?;
    for bench in ["xtask/bench-wal", "xtask/bench-swim"] {
        let manifest = format!("{bench}/Cargo.toml");
        run(&mut cargo(&["clippy", "--manifest-path", &manifest, "--all-targets", "--", "-D", "warnings"]))?;
    }
    println!("all long checks passed");
    Ok(())
}

/// Formats, and applies what clippy can fix.
pub(crate) fn fix() -> Result<()> {
    let arguments = ["clippy", "--fix", "--allow-dirty", "--allow-staged", "--workspace", "--all-targets"];
    run(&mut cargo(&arguments))?;
    run(&mut cargo(&["fmt", "--all"]))
}

/// Runs the generator, a package of its own so that nothing else pays for compiling it.
pub(crate) fn codegen(is_check: bool) -> Result<()> {
    let mut command = cargo(&["run", "--quiet", "--package", "xtask-codegen", "--"]);
    if is_check {
        command.arg("--check");
    }
    run(&mut command)
}

fn rules() -> Result<()> {
    println!("$ crate edges and house style");
    let mut broken = layers::violations(&layers::edges()?);
    broken.extend(tidy::violations(root())?);
    if broken.is_empty() {
        return Ok(());
    }
    bail!("rules of the house are broken:\n  {}", broken.join("\n  "));
}

/// Those of the simulator, each for itself.
const PROFILES: [&str; 5] = ["disk", "mixed", "churn", "lossy", "calm"];
/// Of kills and power cuts under a log.
const WAL_ROUNDS: &str = "300";
/// Of each profile.
const HISTORIES: &str = "20000";
