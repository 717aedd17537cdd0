//! Writes the fixtures of version 1 that are missing: `cargo run -p trellis-crdt --example write_fixtures`.
//!
//! One that exists is never written again, and one that differs from what this version encodes is an error: the bytes
//! of a version do not change. A new form of bytes is a new version, with a folder of its own.

use std::path::Path;
use std::{fs, io};

#[path = "../tests/fixtures/values.rs"]
mod values;

fn main() -> io::Result<()> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/v1"));
    fs::create_dir_all(folder)?;
    for fixture in values::all() {
        let text = fixture.text();
        let path = folder.join(format!("{}.hex", fixture.name));
        match fs::read_to_string(&path) {
            Ok(held) if held == text => {}
            Ok(_) => return Err(io::Error::other(format!("{} is other bytes", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::write(&path, text)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
