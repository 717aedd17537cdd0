//! `trellis snapshot`: the snapshots of a node, taken or looked at one by one.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Value, json};
use trellis_rpc::SnapshotTaken;
use trellis_wal::tools::{SnapshotView, Verdict, inspect_snapshot, verify_snapshot};
use trellis_wal::{Disk, FileDisk, OpenError, SnapshotDamage};

use crate::args::{self, Global};
use crate::connect::{self, Caller};
use crate::exit::{Exit, Failure};
use crate::output::{Answer, Report, columns, human_bytes, human_millis};
use crate::wal::{
    FALL_BACK, MEND_THE_DISK, UNREADABLE, USE_A_NEWER_RELEASE, open_log, snapshot_facts, unreadable,
    verify_command,
};

pub(crate) fn run(command: args::Snapshot, global: &Global) -> Result<Answer, Failure> {
    match command {
        args::Snapshot::Take => connect::call(global, take),
        args::Snapshot::Verify { place } => look(&place.path, false),
        args::Snapshot::Inspect { place } => look(&place.path, true),
    }
}

/// Judges snapshots, or shows what is in them.
fn look(path: &Path, has_chunks: bool) -> Result<Answer, Failure> {
    let (disk, names) = find(path)?;
    let seen: Vec<_> = names.iter().map(|name| Seen::look(&disk, name, has_chunks)).collect();
    let Some(worst) = seen.iter().map(|seen| seen.view.verdict()).max() else {
        return Ok(Answer::new(Snapshots(seen)).note(format!("note: {} has none", disk.path().display())));
    };
    let hint = seen.iter().find(|seen| seen.view.verdict() == worst).and_then(|seen| next_step(&seen.view));
    let has_none_left = !path.is_file() && seen.iter().all(|seen| seen.view.outcome.is_err());
    let hint = match hint {
        Some(FALL_BACK) if has_none_left => Some(format!(
            "{} tells whether the log reaches back so far that a start needs none",
            verify_command(path)
        )),
        hint => hint.map(str::to_owned),
    };
    // To inspect is not to judge.
    let exit = if has_chunks { Verdict::Clean } else { worst };
    let answer = Answer::new(Snapshots(seen)).exit(Exit::Log(exit));
    Ok(match hint {
        Some(hint) => answer.note(format!("hint: {hint}")),
        None => answer,
    })
}

async fn take(caller: &Caller) -> Result<Answer, Failure> {
    let answered = caller.ask(caller.client().take_snapshot()).await.map_err(unanswered)?;
    Ok(Answer::new(Taken { node: answered.node, snapshot: answered.body }))
}

/// Of a call that ran out of time, what that means for a snapshot: it is no write of a key.
fn unanswered(failure: Failure) -> Failure {
    if failure.exit != Exit::TimedOut {
        return failure;
    }
    let message = "no answer in time: the node may go on with the snapshot".to_owned();
    Failure { message, ..failure }
        .hint("wait for it with --timeout 10m, or look for it: trellis status -o json shows the newest one")
}

/// A snapshot that was just taken.
struct Taken {
    node: String,
    snapshot: SnapshotTaken,
}

impl Report for Taken {
    fn plain(&self) -> String {
        let SnapshotTaken { start_lsn, bytes, duration_millis } = self.snapshot;
        let (size, time) = (human_bytes(bytes), human_millis(duration_millis));
        format!("{} holds a snapshot up to LSN {start_lsn}: {size}, taken in {time}\n", self.node)
    }

    fn table(&self) -> String {
        let SnapshotTaken { start_lsn, bytes, duration_millis } = self.snapshot;
        let row =
            [self.node.clone(), start_lsn.to_string(), human_bytes(bytes), human_millis(duration_millis)];
        columns(["NODE", "LSN", "SIZE", "TIME"], [row])
    }

    fn json(&self) -> Value {
        let SnapshotTaken { start_lsn, bytes, duration_millis } = self.snapshot;
        json!({ "node": self.node, "startLsn": start_lsn, "bytes": bytes, "durationMillis": duration_millis })
    }
}

/// The directory and the snapshots in it that are meant.
fn find(path: &Path) -> Result<(FileDisk, Vec<String>), Failure> {
    if path.is_file()
        && let Some(name) = path.file_name().and_then(OsStr::to_str)
    {
        let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let disk = FileDisk::read_only(directory).map_err(|error| Failure::of(UNREADABLE, &error))?;
        return Ok((disk, vec![name.to_owned()]));
    }
    let disk = open_log(path)?;
    let names = disk.list().map_err(|source| {
        unreadable(disk.path(), &OpenError::Read { file: String::new(), offset: 0, source })
    })?;
    let names = names.into_iter().filter(|name| name.starts_with("snap-") && name.ends_with(".snap"));
    Ok((disk, names.collect()))
}

fn next_step(view: &SnapshotView) -> Option<&'static str> {
    Some(match view.outcome.as_ref().err()? {
        SnapshotDamage::UnsupportedFormat { .. } => USE_A_NEWER_RELEASE,
        SnapshotDamage::Unreadable { .. } => MEND_THE_DISK,
        _ => FALL_BACK,
    })
}

/// A snapshot, and its chunks up to what is damaged if they were asked for.
struct Seen {
    view: SnapshotView,
    chunks: Option<Vec<Chunk>>,
}

struct Chunk {
    index: u64,
    offset: u64,
    bytes: usize,
}

impl Seen {
    fn look(disk: &FileDisk, name: &str, has_chunks: bool) -> Self {
        if !has_chunks {
            return Self { view: verify_snapshot(disk, name), chunks: None };
        }
        let mut chunks = Vec::new();
        let view = inspect_snapshot(disk, name, |chunk| {
            chunks.push(Chunk { index: chunk.index, offset: chunk.offset, bytes: chunk.payload.len() });
        });
        Self { view, chunks: Some(chunks) }
    }

    fn chunks(&self) -> &[Chunk] {
        self.chunks.as_deref().unwrap_or_default()
    }
}

/// Snapshots, oldest first.
struct Snapshots(Vec<Seen>);

impl Report for Snapshots {
    fn plain(&self) -> String {
        let lines = self.0.iter().flat_map(|seen| {
            let chunks = seen.chunks().iter().map(|Chunk { index, offset, bytes }| {
                format!("  chunk {index} offset {offset}: {bytes} bytes\n")
            });
            std::iter::once(format!("{}\n", seen.view)).chain(chunks)
        });
        lines.collect()
    }

    fn table(&self) -> String {
        let rows = self.0.iter().flat_map(|seen| {
            let SnapshotView { name, outcome } = &seen.view;
            let whole = match outcome {
                Ok(info) => [
                    name.clone(),
                    info.start.to_string(),
                    info.end.to_string(),
                    info.chunks.to_string(),
                    human_bytes(info.file_bytes),
                    "whole".to_owned(),
                ],
                Err(damage) => {
                    let empty = String::new;
                    [name.clone(), empty(), empty(), empty(), empty(), damage.to_string()]
                }
            };
            let chunks = seen.chunks().iter().map(|Chunk { index, offset, bytes }| {
                let (size, state) = (human_bytes(*bytes as u64), format!("at offset {offset}"));
                [format!("  chunk {index}"), String::new(), String::new(), String::new(), size, state]
            });
            std::iter::once(whole).chain(chunks)
        });
        columns(["SNAPSHOT", "LSN", "TO", "CHUNKS", "SIZE", "STATE"], rows)
    }

    fn json(&self) -> Value {
        let snapshots = self.0.iter().map(|seen| {
            let mut object = snapshot_facts(&seen.view);
            if let Some(chunks) = &seen.chunks {
                let chunks = chunks.iter().map(|Chunk { index, offset, bytes }| {
                    json!({ "index": index, "offset": offset, "bytes": bytes })
                });
                object["chunkList"] = chunks.collect();
            }
            object
        });
        json!({ "snapshots": snapshots.collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests;
