//! 10: after a failed write or sync nothing is acknowledged any more, given or told (R17).

use trellis_replication::{Gossip, Message, PushReply, SyncReply};

use super::{Held, Violation};
use crate::sim::host::Host;

pub(super) fn message(host: u8, from: &Host, message: &Message) -> Held {
    let is_refusal = matches!(
        message,
        Message::PushReply(PushReply::Refused(_)) | Message::SyncReply(SyncReply::Refused(_))
    );
    if is_refusal || !has_failed(from) {
        return Ok(());
    }
    Err(violation(host, format!("still says {message:?}")))
}

/// That it is there may be told, and whom it knows.
pub(super) fn gossip(host: u8, from: &Host, gossip: &Gossip) -> Held {
    if gossip.digests.is_empty() || !has_failed(from) {
        return Ok(());
    }
    Err(violation(host, format!("still tells digests of {} slots", gossip.digests.len())))
}

pub(super) fn reply(host: u8, from: &Host) -> Held {
    if has_failed(from) { Err(violation(host, "still answers writes".to_owned())) } else { Ok(()) }
}

fn has_failed(host: &Host) -> bool {
    host.process.as_ref().is_some_and(|process| process.has_failed)
}

fn violation(host: u8, detail: String) -> Violation {
    let detail = format!("n{}, whose log failed, {detail}", host + 1);
    Violation { invariant: "a_failed_log_says_nothing", hosts: vec![host], detail }
}
