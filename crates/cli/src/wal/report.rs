//! What the tools found, in every format.

use std::path::PathBuf;

use serde_json::{Value, json};
use trellis_wal::tools::{
    Finding, Inspection, RepairPlan, SegmentEnd, SegmentView, SnapshotView, Verification,
};
use trellis_wal::{Lsn, OpenError};

use crate::output::{Report, columns, human_bytes};

/// What a directory holds.
pub(crate) struct Contents(pub(crate) Inspection);

impl Report for Contents {
    fn plain(&self) -> String {
        self.0.to_string()
    }

    fn table(&self) -> String {
        let Inspection { segments, snapshots, others, quarantine } = &self.0;
        let rows = segments.iter().map(segment_row).chain(snapshots.iter().map(snapshot_row));
        let rows = rows.chain(others.iter().map(|name| row([name, "", "", "", ""])));
        let kept = quarantine.iter().map(|name| row([&format!("quarantine/{name}"), "", "", "", ""]));
        columns(["FILE", "LSN", "TO", "SIZE", "STATE"], rows.chain(kept))
    }

    fn json(&self) -> Value {
        let Inspection { segments, snapshots, others, quarantine } = &self.0;
        json!({
            "segments": segments.iter().map(segment_facts).collect::<Vec<_>>(),
            "snapshots": snapshots.iter().map(snapshot_facts).collect::<Vec<_>>(),
            "others": others,
            "quarantine": quarantine,
        })
    }
}

fn segment_row(segment: &SegmentView) -> [String; 5] {
    let SegmentView { name, facts } = segment;
    match facts {
        Ok(facts) => {
            let last = facts.last_lsn.map_or("unknown".to_owned(), |last| last.to_string());
            let end = facts.end.map_or("followed by another".to_owned(), |end| end.to_string());
            row([name, &facts.first_lsn.to_string(), &last, &human_bytes(facts.file_bytes), &end])
        }
        Err(error) => {
            let error = error.to_string();
            row([name, "", "", "", error.strip_prefix(&format!("{name} ")).unwrap_or(&error)])
        }
    }
}

fn segment_facts(segment: &SegmentView) -> Value {
    let SegmentView { name, facts } = segment;
    match facts {
        Ok(facts) => json!({
            "file": name,
            "log": uuid(&facts.log_uuid),
            "number": facts.number,
            "fileBytes": facts.file_bytes,
            "madeBytes": facts.made_bytes,
            "firstLsn": facts.first_lsn.as_u64(),
            "lastLsn": facts.last_lsn.map(Lsn::as_u64),
            "end": facts.end.map(|end| end.to_string()),
            "recordsBehind": facts.end.and_then(|end| match end {
                SegmentEnd::NoRecord { records_behind, .. } => Some(records_behind),
                _ => None,
            }),
            "recordsEndAt": facts.end.and_then(|end| match end {
                SegmentEnd::Open { offset } | SegmentEnd::NoRecord { offset, .. } => Some(offset),
                SegmentEnd::Closed | SegmentEnd::Rotated => None,
            }),
        }),
        Err(error) => json!({ "file": name, "error": error.to_string() }),
    }
}

fn snapshot_row(snapshot: &SnapshotView) -> [String; 5] {
    let SnapshotView { name, outcome } = snapshot;
    match outcome {
        Ok(info) => {
            let (start, end) = (info.start.to_string(), info.end.to_string());
            row([name, &start, &end, &human_bytes(info.file_bytes), "whole"])
        }
        Err(damage) => row([name, "", "", "", &damage.to_string()]),
    }
}

/// A snapshot in JSON.
pub(crate) fn snapshot_facts(snapshot: &SnapshotView) -> Value {
    let SnapshotView { name, outcome } = snapshot;
    let verdict = snapshot.verdict().to_string();
    match outcome {
        Ok(info) => json!({
            "file": name,
            "verdict": verdict,
            "log": uuid(&info.log_uuid),
            "startLsn": info.start.as_u64(),
            "endLsn": info.end.as_u64(),
            "chunks": info.chunks,
            "payloadBytes": info.payload_bytes,
            "fileBytes": info.file_bytes,
        }),
        Err(damage) => json!({ "file": name, "verdict": verdict, "error": damage.to_string() }),
    }
}

/// All that is wrong with a log.
pub(crate) struct Verified {
    pub(crate) verification: Verification,
    pub(crate) hint: Option<String>,
}

impl Report for Verified {
    fn plain(&self) -> String {
        format!("{}\n", self.verification)
    }

    fn table(&self) -> String {
        let Verification { segments, snapshots, records, bytes, readable_to, findings, .. } =
            &self.verification;
        let rows = findings.iter().map(|finding| {
            let Place { file, offset, first, last } = Place::of(finding);
            let [offset, first, last] = &[offset, first, last]
                .map(|number| number.map_or(String::new(), |number| number.to_string()));
            row([&finding.verdict().to_string(), file, offset, first, last, &finding.to_string()])
        });
        let summary = format!(
            "{snapshots} snapshots, {segments} segments, {records} records of {}, readable up to LSN {readable_to}",
            human_bytes(*bytes)
        );
        let summary = row([&self.verification.verdict().to_string(), "", "", "", "", &summary]);
        columns(["VERDICT", "FILE", "OFFSET", "LSN", "TO", "WHAT"], rows.chain([summary]))
    }

    fn json(&self) -> Value {
        let Verification { segments, snapshots, records, bytes, readable_to, tail_certain, findings } =
            &self.verification;
        let verdict = self.verification.verdict();
        let findings = findings.iter().map(|finding| {
            let Place { file, offset, first, last } = Place::of(finding);
            json!({
                "verdict": finding.verdict().to_string(),
                "message": finding.to_string(),
                "file": file,
                "offset": offset,
                "firstLsn": first,
                "lastLsn": last,
            })
        });
        json!({
            "verdict": verdict.to_string(),
            "exit": verdict.exit_code(),
            "segments": segments,
            "snapshots": snapshots,
            "records": records,
            "bytes": bytes,
            "readableTo": readable_to.as_u64(),
            "tailCertain": tail_certain,
            "findings": findings.collect::<Vec<_>>(),
            "hint": self.hint,
        })
    }
}

/// Where something is wrong, as far as it is known.
#[derive(Default)]
struct Place<'a> {
    file: &'a str,
    offset: Option<u64>,
    first: Option<u64>,
    /// Unknown as well when it is all behind the first.
    last: Option<u64>,
}

impl<'a> Place<'a> {
    fn of(finding: &'a Finding) -> Self {
        match finding {
            Finding::Log(OpenError::Corrupt { file, offset, lsns, .. }) => Self {
                file,
                offset: Some(*offset),
                first: Some(lsns.start().as_u64()),
                last: Some(*lsns.end()).filter(|end| *end != Lsn::MAX).map(Lsn::as_u64),
            },
            Finding::Log(OpenError::Read { file, offset, .. }) => {
                Self { file, offset: Some(*offset), ..Self::default() }
            }
            Finding::Log(OpenError::UnsupportedFormat { file, .. }) => Self { file, ..Self::default() },
            Finding::Log(OpenError::EndMissing { last, durable }) => {
                Self { first: Some(last.next().as_u64()), last: Some(durable.as_u64()), ..Self::default() }
            }
            Finding::Log(_) => Self::default(),
            Finding::Snapshot(rejected) => Self { file: &rejected.name, ..Self::default() },
            Finding::TornTail { file, offset, after, .. } => {
                Self { file, offset: Some(*offset), first: Some(after.next().as_u64()), last: None }
            }
            Finding::Unfinished { file } => Self { file, ..Self::default() },
        }
    }
}

/// What was cut off, and where it is kept.
pub(crate) struct Repair {
    pub(crate) plan: RepairPlan,
    pub(crate) quarantine: PathBuf,
}

impl Repair {
    fn copy(&self, name: &str) -> String {
        self.quarantine.join(name).display().to_string()
    }
}

impl Report for Repair {
    fn plain(&self) -> String {
        let RepairPlan { truncate_after, taken } = &self.plan;
        if taken.is_empty() {
            return format!("nothing is behind LSN {truncate_after}: the log is as it was\n");
        }
        let lines = taken.iter().map(|taken| format!("kept {}\n", self.copy(&taken.copy)));
        format!("cut behind LSN {truncate_after}\n{}", lines.collect::<String>())
    }

    fn table(&self) -> String {
        let rows = self.plan.taken.iter().map(|taken| {
            let bytes = taken.range.as_ref().map(|range| format!("{} to {}", range.start, range.end));
            row([&taken.file, &bytes.unwrap_or_else(|| "all".to_owned()), &self.copy(&taken.copy)])
        });
        columns(["FILE", "BYTES", "COPY"], rows)
    }

    fn json(&self) -> Value {
        let taken = self.plan.taken.iter().map(|taken| {
            json!({
                "file": taken.file,
                "from": taken.range.as_ref().map(|range| range.start),
                "to": taken.range.as_ref().map(|range| range.end),
                "copy": self.copy(&taken.copy),
            })
        });
        json!({ "truncateAfter": self.plan.truncate_after.as_u64(), "taken": taken.collect::<Vec<_>>() })
    }
}

fn row<const N: usize>(cells: [&str; N]) -> [String; N] {
    cells.map(str::to_owned)
}

/// A UUID in its usual spelling.
fn uuid(bytes: &[u8; 16]) -> String {
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for index in [20, 16, 12, 8] {
        text.insert(index, '-');
    }
    text
}
