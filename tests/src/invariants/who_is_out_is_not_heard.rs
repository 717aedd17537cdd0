//! A guest gives and acknowledges nothing (R12); of a removed node and of a process that has a successor nothing is taken
//! (R14); neither counts for a write (R15).

use trellis_replication::{Message, NodeId, PushReply, PushRequest, Roster, SyncReply};
use trellis_wal::Lsn;

use super::{Held, Violation};
use crate::sim::host::{Host, Process};

/// What a node says that is not a member yet.
pub(super) fn said(host: u8, from: &Host, message: &Message) -> Held {
    let gives = match message {
        Message::PushRequest(PushRequest::Hello(_) | PushRequest::Deltas(_))
        | Message::PushReply(PushReply::Hello(_) | PushReply::Acked(_)) => true,
        Message::SyncReply(reply) => !matches!(reply, SyncReply::Refused(_)),
        _ => false,
    };
    if gives && from.directory.durable.recovery.guest_of().is_some() {
        return Err(violation(host, format!("n{} is a guest and says {message:?}", host + 1)));
    }
    Ok(())
}

/// Whether whoever knows this roster takes nothing from this process.
pub(super) fn is_out(roster: &Roster, node: NodeId, from: &Process) -> bool {
    let newest = roster.newest_replica(node);
    let own = roster.replicas.get(&from.replica).map(|owner| (owner.epoch, from.replica));
    let has_successor = newest.zip(own).is_some_and(|((replica, epoch), own)| (epoch, replica) > own);
    roster.removed.contains(&node) || has_successor
}

/// Something of one who is out arrived, and the log went from one end to another.
pub(super) fn heard(host: u8, from: &'static str, before: Lsn, after: Lsn) -> Held {
    if before == after {
        return Ok(());
    }
    Err(violation(host, format!("n{} takes what {from} says, which is removed or has a successor", host + 1)))
}

fn violation(host: u8, detail: String) -> Violation {
    Violation { invariant: "who_is_out_is_not_heard", hosts: vec![host], detail }
}
