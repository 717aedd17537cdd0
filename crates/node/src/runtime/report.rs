//! What the core notices, in the words of the node's own log.

use std::time::Duration;

use trellis_replication::Event;
use trellis_wal::{Lsn, RecoveryReport};

use crate::core::{Notice, Phase};

pub(crate) fn phase(phase: Phase) {
    match phase {
        Phase::Guest => tracing::info!("joining as a guest"),
        Phase::Serving => tracing::info!("serving"),
        Phase::Draining => tracing::info!("draining: no more writes"),
        Phase::Failed => tracing::error!("the log failed: durable keys can be read, nothing can be written"),
        Phase::Removed => {
            tracing::error!(
                "this node was removed from the cluster; wipe its data directory to let it join anew"
            );
        }
    }
}

/// Tells from what a node has started; `noted` is the start of the newest snapshot that its log tells of.
pub(crate) fn recovered(report: &RecoveryReport, noted: Lsn, elapsed: Duration) {
    for rejected in &report.rejected {
        tracing::error!(%rejected, "a snapshot was not used");
    }
    if noted > report.start {
        tracing::error!(start = %noted, "the log tells of a snapshot that is not there, or damaged");
    }
    tracing::info!(
        snapshot = report.snapshot.as_ref().map(|snapshot| snapshot.name.as_str()),
        snapshot_bytes = report.snapshot.as_ref().map(|snapshot| snapshot.file_bytes),
        records = report.records,
        bytes = report.bytes,
        torn_bytes = report.torn_bytes,
        tail_certain = report.tail_certain,
        millis = elapsed.as_millis(),
        "the log is replayed"
    );
}

pub(crate) fn notice(notice: &Notice) {
    match notice {
        Notice::Replication(event) => replication(event),
        Notice::Membership { name, state } => tracing::info!(member = name, state, "membership"),
        Notice::Accused { state } => {
            tracing::warn!(state, "others took this node for gone, and are told otherwise");
        }
        Notice::Late { late } => {
            tracing::warn!(
                millis = late.as_millis(),
                "this process was late, and judges nobody by what it has missed"
            );
        }
        Notice::Isolated { is_isolated: true } => tracing::warn!("no other member is up"),
        Notice::Isolated { is_isolated: false } => tracing::info!("some other member is up again"),
        Notice::Conflict { name, detail } => tracing::error!(name, detail, "identity conflict"),
        Notice::Waiting { detail } => tracing::warn!(detail, "waiting to join"),
        Notice::Diverged { peer, slot } => {
            tracing::error!(
                peer,
                slot,
                "equal clocks and different digests: the state has diverged; reconciling"
            );
        }
        Notice::Unmergeable { slot, detail } => {
            tracing::error!(slot, detail, "a change of a peer was not merged");
        }
        Notice::ClockSkew { ahead_millis, is_beyond: true } => {
            tracing::error!(
                ahead_millis,
                "the wall clock is too far from the others'; register writes are refused"
            );
        }
        Notice::ClockSkew { ahead_millis, is_beyond: false } => {
            tracing::info!(ahead_millis, "the wall clock is within bounds again");
        }
        Notice::Supersedes { node } => tracing::info!(%node, "taking the place of a node that is gone"),
    }
}

fn replication(event: &Event) {
    match event {
        Event::Met { peer, node } => tracing::info!(peer, %node, "met"),
        Event::RefusedBy { peer, refusal } => tracing::warn!(peer, %refusal, "refused by a peer"),
        Event::Refused { peer, refusal } => tracing::warn!(peer, %refusal, "refused a peer"),
        Event::Superseded { name, old, new } => {
            tracing::warn!(name, %old, %new, "a node took the place of a lost one");
        }
        Event::SelfRemoved => tracing::error!("the cluster has removed this node"),
        Event::Joining { founding, donor } => tracing::info!(%founding, donor, "joining"),
        Event::Pulled { peer, slots, entries } => tracing::info!(peer, slots, entries, "caught up"),
        Event::PullFailed { peer } => tracing::warn!(peer, "a transfer broke off; it will be tried again"),
    }
}
