//! Generates the Rust code of `proto/`, which is checked in, so that nobody who builds the workspace needs `protoc`.
//!
//! `xtask-codegen` writes `crates/rpc/src/pb/`; `xtask-codegen --check` only compares, and fails with the names of
//! the files that differ.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use prost::Message;
use prost_build::Module;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = root.join(TARGET);
    let files = generate(&root.join("proto"))?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            write(&target, &files)?;
            println!("{} files in {TARGET} are up to date", files.len());
            Ok(ExitCode::SUCCESS)
        }
        ["--check"] => Ok(check(&target, &files)?),
        _ => bail!("usage: xtask-codegen [--check]"),
    }
}

/// Returns what belongs into the target directory: file name → content. The same for the same `proto/`.
fn generate(proto: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut sources = Vec::new();
    collect_sources(proto, &mut sources)?;
    sources.sort();
    ensure!(!sources.is_empty(), "no .proto file below {}", proto.display());

    let mut set = protox::compile(&sources, [proto]).context("the protocol files do not compile")?;
    let mut files: BTreeMap<String, Vec<u8>> =
        generate_modules(&set.file)?.into_iter().map(|(name, code)| (name, code.into_bytes())).collect();
    files.insert(DESCRIPTOR.to_owned(), encode_without_comments(&mut set));
    Ok(files)
}

fn collect_sources(directory: &Path, sources: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect_sources(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            sources.push(path);
        }
    }
    Ok(())
}

/// Returns the Rust module of each package: file name → code.
fn generate_modules(files: &[FileDescriptorProto]) -> Result<BTreeMap<String, String>> {
    let services = tonic_prost_build::configure().build_transport(false).service_generator();
    let mut config = prost_build::Config::new();
    config.bytes(["."]).service_generator(services);
    let requests =
        files.iter().map(|file| (Module::from_protobuf_package_name(file.package()), file.clone())).collect();
    let modules = config.generate(requests).context("no code for the protocol files")?;
    Ok(modules.into_iter().map(|(module, code)| (module.to_file_name_or("lib"), code)).collect())
}

/// Server reflection needs the descriptors and not where each one stands in its file.
fn encode_without_comments(set: &mut FileDescriptorSet) -> Vec<u8> {
    for file in &mut set.file {
        file.source_code_info = None;
    }
    set.encode_to_vec()
}

fn write(target: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    fs::create_dir_all(target).with_context(|| format!("cannot make {}", target.display()))?;
    for (name, content) in files {
        let path = target.join(name);
        if fs::read(&path).ok().as_ref() != Some(content) {
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    for name in stray_files(target, files)? {
        fs::remove_file(target.join(&name)).with_context(|| format!("cannot remove {TARGET}/{name}"))?;
    }
    Ok(())
}

fn check(target: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<ExitCode> {
    let mut different: Vec<String> = files
        .iter()
        .filter(|(name, content)| fs::read(target.join(name)).ok().as_ref() != Some(content))
        .map(|(name, _)| name.clone())
        .collect();
    different.extend(stray_files(target, files)?);
    if different.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: the generated code is not that of proto/");
    for name in &different {
        eprintln!("  {TARGET}/{name}");
    }
    eprintln!("hint: cargo xtask codegen");
    Ok(ExitCode::FAILURE)
}

/// Returns the names of the files in `target` that no package generates.
fn stray_files(target: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<String>> {
    if !target.exists() {
        return Ok(Vec::new());
    }
    let mut stray = Vec::new();
    for entry in fs::read_dir(target).with_context(|| format!("cannot list {}", target.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !files.contains_key(&name) {
            stray.push(name);
        }
    }
    stray.sort();
    Ok(stray)
}

const TARGET: &str = "crates/rpc/src/pb";
const DESCRIPTOR: &str = "descriptor.bin";
