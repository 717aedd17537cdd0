//! 8: every queue and buffer stays within its bound.

use trellis_node::core::Phase;

use super::{Held, Violation};
use crate::sim::host::Host;
use crate::sim::plan::Limits;

/// The greatest fill that was seen, for those who want to know how near the bounds a history came.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) early_max: usize,
}

impl Bounds {
    pub(super) fn limit(&mut self, limits: &Limits) {
        self.early_max = limits.storage.early_max_per_slot;
    }

    pub(super) fn early(&self, host: u8, count: usize, slot: u8) -> Held {
        within(host, &format!("early dots of slot {slot}"), count, self.early_max)
    }

    /// Where nothing beyond the clock was merged, nothing beyond it is remembered.
    pub(super) fn settled(&self, host: u8, early: usize, slot: u8) -> Held {
        within(host, &format!("early dots of slot {slot}, which is settled,"), early, 0)
    }
}

/// Looks at all queues and buffers of a host.
pub(super) fn check(host: u8, target: &Host, hosts: usize, limits: &Limits) -> Held {
    let Some(process) = &target.process else { return Ok(()) };
    let backlog = process.core.backlog();
    let replication = &limits.replication;
    let (record, delta) = (limits.wal.record_bytes_max as usize, 4096 + 96);
    // What a handler enqueues after it has seen room; and a chunk of a transfer, the next of which is asked for when this
    // one is durable. The clocks of empty slots count nothing in a chunk, and a guest adopts all of them.
    let clocks = if process.core.phase() == Phase::Guest { 256 * 48 } else { 0 };
    let log = limits.wal.pending_bytes_max + record + replication.chunk_bytes + clocks;
    // To and from each peer one stream of each kind, and those that end while others begin.
    let links = hosts * 8 + 8;
    for (what, count, limit) in [
        ("bytes that wait for the log", process.core.log().pending_bytes(), log),
        ("bytes of the ring", backlog.replication.ring_bytes, replication.ring_bytes.max(delta)),
        ("bytes in flight", backlog.replication.in_flight_bytes_max, replication.window_bytes + delta),
        ("ranges asked for", backlog.replication.wanted_max, replication.wanted_max),
        ("transfers taken", backlog.replication.pulls, 1),
        ("transfers given", backlog.replication.donations, replication.donations_max + hosts),
        ("streams", backlog.replication.links, links),
        ("scans", backlog.scans, replication.donations_max + hosts),
        ("messages held for the log", backlog.held_messages, links * 64),
        ("calls", backlog.calls, hosts * 64 + 64),
        ("pings of others", backlog.deferred_pings, 1024),
        ("outputs that nobody polled", backlog.replication.outputs, 0),
        ("effects that nobody performed", backlog.effects, 0),
        ("members", process.core.look_at_peers(|_, swim| swim.members().count()), hosts),
    ] {
        within(host, what, count, limit)?;
    }
    Ok(())
}

fn within(host: u8, what: &str, count: usize, limit: usize) -> Held {
    if count <= limit {
        return Ok(());
    }
    let detail = format!("n{} has {count} {what}, {limit} at most", host + 1);
    Err(Violation { invariant: "everything_is_bounded", hosts: vec![host], detail })
}
