//! `trellis wal`: what a person does with the log of a node that is stopped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use trellis_wal::tools::{self, DataLoss, Finding, RepairError, Verdict, Verification};
use trellis_wal::{Disk, FileDisk, Lsn, OpenError};

use self::report::{Contents, Repair, Verified};
use crate::args::{self, Global};
use crate::exit::{Exit, Failure};
use crate::output::Answer;

pub(crate) use self::report::snapshot_facts;

mod dump;
mod report;

pub(crate) fn run(command: args::Wal, global: &Global) -> Result<Answer, Failure> {
    match command {
        args::Wal::Inspect { place } => inspect(&place.dir),
        args::Wal::Dump { place, from, to, payload } => {
            let lsns = Lsn::from_u64(from)..=to.map_or(Lsn::MAX, Lsn::from_u64);
            let disk = open_log(&place.dir)?;
            dump::print(&disk, lsns, payload, global.output, &mut io::stdout().lock())
        }
        args::Wal::Verify { place } => verify(&place.dir),
        args::Wal::Repair { place, truncate_after, accept_data_loss } => {
            let consent = if accept_data_loss { DataLoss::Accepted } else { DataLoss::Refused };
            repair(&place.dir, Lsn::from_u64(truncate_after), consent)
        }
    }
}

fn inspect(directory: &Path) -> Result<Answer, Failure> {
    let disk = open_log(directory)?;
    let inspection = tools::inspect(&disk).map_err(|error| unreadable(disk.path(), &error))?;
    Ok(Answer::new(Contents(inspection)))
}

fn verify(directory: &Path) -> Result<Answer, Failure> {
    let disk = open_log(directory)?;
    let verification = tools::verify(&disk, |_| {});
    let verdict = verification.verdict();
    let hint = next_step(&verification, directory);
    let is_cut = hint.as_ref().is_some_and(|hint| hint.starts_with(REPAIR));
    let mut answer = Answer::new(Verified { verification, hint: hint.clone() }).exit(Exit::Log(verdict));
    if let Some(hint) = hint {
        answer = answer.note(format!("hint: {hint}"));
    }
    Ok(if is_cut { answer.note(WHAT_A_REPAIR_KEEPS) } else { answer })
}

/// What to do about the worst of what was found.
fn next_step(verification: &Verification, directory: &Path) -> Option<String> {
    let findings = &verification.findings;
    let log_errors = findings.iter().filter_map(|finding| match finding {
        Finding::Log(error) => Some(error),
        _ => None,
    });
    if let Some(error) = log_errors.max_by_key(|error| Verdict::of_error(error)) {
        return Some(match error {
            // Of a log that is lost from its first record on there is nothing to keep.
            OpenError::Corrupt { .. } | OpenError::EndMissing { .. }
                if verification.readable_to > Lsn::ZERO =>
            {
                repair_command(directory, verification.readable_to)
            }
            OpenError::Corrupt { .. } | OpenError::EndMissing { .. } | OpenError::NoSnapshot { .. } => {
                START_AFRESH.to_owned()
            }
            OpenError::UnsupportedFormat { .. } => USE_A_NEWER_RELEASE.to_owned(),
            _ => MEND_THE_DISK.to_owned(),
        });
    }
    if findings.iter().any(|finding| matches!(finding, Finding::Snapshot(_))) {
        return Some(FALL_BACK.to_owned());
    }
    let is_torn = findings.iter().any(|finding| matches!(finding, Finding::TornTail { .. }));
    is_torn.then(|| {
        "start the node: it sets the tail aside in quarantine/; of a node that runs, a record half written looks so"
            .to_owned()
    })
}

fn repair(directory: &Path, truncate_after: Lsn, consent: DataLoss) -> Result<Answer, Failure> {
    // Looked at first, so that nothing is made where no log is.
    let path = open_log(directory)?.path().to_owned();
    let refused = |error: RepairError| refused(directory, truncate_after, &error);
    let disk = FileDisk::new(&path).map_err(|error| Failure::of(UNREADABLE, &error).hint(RUN_AS_THE_NODE))?;
    let plan = tools::repair(disk, truncate_after, consent).map_err(refused)?;
    let is_done = !plan.taken.is_empty();
    let answer = Answer::new(Repair { plan, quarantine: path.join("quarantine") });
    Ok(if is_done {
        answer.note(
            "hint: start the node; what the log lost comes back from the others, as far as they have it",
        )
    } else {
        answer
    })
}

/// Why a log was not repaired, and which command comes nearest to what was wanted.
fn refused(directory: &Path, truncate_after: Lsn, error: &RepairError) -> Failure {
    let failure = |exit| Failure::of(exit, error);
    match error {
        RepairError::WouldLose(plan) => {
            let refusal = format!("refusing to lose what is behind LSN {truncate_after} without consent");
            let failure = Failure::new(Exit::LogUsage, refusal);
            let failure = plan.taken.iter().fold(failure, Failure::cause);
            failure.hint(repair_command(directory, truncate_after))
        }
        RepairError::Locked => {
            failure(UNREADABLE).cause("a running node has it locked").hint("stop the node, then repair")
        }
        RepairError::NotReadable { readable_to } => {
            failure(Exit::LogUsage).hint(repair_command(directory, *readable_to))
        }
        RepairError::InsideBatch { before, .. } => {
            failure(Exit::LogUsage).hint(repair_command(directory, *before))
        }
        RepairError::NoSnapshot { .. } => failure(Exit::Log(Verdict::Corrupt)).hint(START_AFRESH),
        RepairError::Damaged(error) => {
            failure(Exit::Log(Verdict::of_error(error))).hint(verify_command(directory))
        }
        RepairError::DiskFull => failure(UNREADABLE).hint("make room, then repair; nothing was changed"),
        RepairError::Disk { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            failure(UNREADABLE).hint(RUN_AS_THE_NODE)
        }
        RepairError::Disk { .. } => failure(UNREADABLE).hint("mend the disk, then repair in the same way"),
        _ => failure(UNREADABLE),
    }
}

/// Opens the log of a data directory, or in its folder itself, to look at it.
pub(crate) fn open_log(directory: &Path) -> Result<FileDisk, Failure> {
    let path = log_folder(directory);
    let absent = || {
        Failure::new(UNREADABLE, format!("there is no log in {}", directory.display()))
            .hint("name the data_dir of a node, or the wal/ in it")
    };
    let disk = FileDisk::read_only(path).map_err(|error| absent().cause(error))?;
    let names = disk.list().map_err(|error| absent().cause(error))?;
    // The lock is there from the first opening on, whatever became of the rest.
    let is_log =
        names.iter().any(|name| name == "LOCK" || name.starts_with("wal-") || name.starts_with("snap-"));
    is_log.then_some(disk).ok_or_else(absent)
}

fn log_folder(directory: &Path) -> PathBuf {
    let folder = directory.join("wal");
    if fs::metadata(&folder).is_ok_and(|found| found.is_dir()) { folder } else { directory.to_owned() }
}

pub(crate) fn unreadable(path: &Path, error: &OpenError) -> Failure {
    let failure = Failure::of(Exit::Log(Verdict::of_error(error)), error);
    let message = format!("{}: {}", path.display(), failure.message);
    Failure { message, ..failure }.hint(MEND_THE_DISK)
}

/// The command that verifies the log in a directory.
pub(crate) fn verify_command(directory: &Path) -> String {
    format!("trellis wal verify {}", directory.display())
}

fn repair_command(directory: &Path, truncate_after: Lsn) -> String {
    let directory = directory.display();
    format!("{REPAIR} {directory} --truncate-after {truncate_after} --accept-data-loss")
}

const REPAIR: &str = "trellis wal repair";
const WHAT_A_REPAIR_KEEPS: &str = "note: that keeps what the log holds up to there, and a copy of the rest; what is lost comes \
                                   back from the other nodes, as far as they have it";
pub(crate) const UNREADABLE: Exit = Exit::Log(Verdict::Unreadable);
pub(crate) const MEND_THE_DISK: &str = "copy the directory to a disk that can be read, or mend this one";
pub(crate) const USE_A_NEWER_RELEASE: &str = "use the release that wrote it, or a newer one";
pub(crate) const FALL_BACK: &str =
    "start the node: it takes an older snapshot and more of the log, which hold the same";
const RUN_AS_THE_NODE: &str = "run it as the user of the node, who owns the files";
const START_AFRESH: &str =
    "move the data directory aside and start: the node joins afresh and takes over what its peers have";

#[cfg(test)]
mod tests;
