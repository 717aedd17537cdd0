//! 8: every queue and buffer stays within its bound.

use trellis_node::core::{Backlog, Phase};

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
    let record = limits.wal.record_bytes_max as usize;
    // What a handler enqueues after it has seen room; and a chunk of a transfer, the next of which is asked for when this
    // one is durable. The clocks of empty slots count nothing in a chunk, and a guest adopts all of them.
    let clocks = if process.core.phase() == Phase::Guest { 256 * 48 } else { 0 };
    let log = limits.wal.pending_bytes_max + record + limits.replication.chunk_bytes + clocks;
    within(host, "bytes that wait for the log", process.core.log().pending_bytes(), log)?;
    within(host, "members", process.core.look_at_peers(|_, swim| swim.members().count()), hosts)?;
    check_backlog(host, &process.core.backlog(), hosts, limits)
}

fn check_backlog(host: u8, backlog: &Backlog, hosts: usize, limits: &Limits) -> Held {
    let (replication, delta) = (&limits.replication, 4096 + 96);
    // To and from each peer one stream of each kind, and those that end while others begin.
    let links = hosts * 8 + 8;
    for (what, count, limit) in [
        ("bytes of the ring", backlog.replication.ring_bytes, replication.ring_bytes.max(delta)),
        ("bytes in flight", backlog.replication.in_flight_bytes_max, replication.window_bytes + delta),
        ("ranges asked for", backlog.replication.wanted_max, replication.wanted_max),
        ("transfers taken", backlog.replication.pulls, 1),
        ("transfers given", backlog.replication.donations, replication.donations_max + hosts),
        ("streams", backlog.replication.links, links),
        // Nothing is remembered of a stream that replication knows no more.
        ("streams of deltas", backlog.push_streams, backlog.replication.links),
        // Whoever there is has one of the hosts' names; a node that serves the world keeps some strangers as well.
        ("peers", backlog.replication.peers, hosts),
        ("addresses", backlog.addresses, hosts),
        ("hashes of gossip", backlog.gossip_hashes, hosts),
        ("clocks", backlog.clocks, hosts),
        ("scans", backlog.scans, replication.donations_max + hosts),
        ("messages held for the log", backlog.held_messages, links * 64),
        ("calls", backlog.calls, hosts * 64 + 64),
        ("pings of others", backlog.deferred_pings, 1024),
        ("outputs that nobody polled", backlog.replication.outputs, 0),
        ("effects that nobody performed", backlog.effects, 0),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_grows_beyond_its_bound_is_seen_and_named() {
        let limits = Limits::roomy();
        let seen = |backlog: &Backlog| check_backlog(0, backlog, 3, &limits).map_err(|broken| broken.detail);
        let mut full = Backlog { push_streams: 9, addresses: 3, ..Backlog::default() };
        full.replication.links = 9;
        full.replication.peers = 3;
        assert_eq!(seen(&full), Ok(()));
        type Grow = fn(&mut Backlog);
        let grown: [(&str, Grow); 10] = [
            ("streams", |backlog| backlog.replication.links = 33),
            ("streams of deltas", |backlog| backlog.push_streams += 1),
            ("peers", |backlog| backlog.replication.peers += 1),
            ("addresses", |backlog| backlog.addresses += 1),
            ("hashes of gossip", |backlog| backlog.gossip_hashes = 4),
            ("clocks", |backlog| backlog.clocks = 4),
            ("messages held for the log", |backlog| backlog.held_messages = 32 * 64 + 1),
            ("calls", |backlog| backlog.calls = 3 * 64 + 65),
            ("pings of others", |backlog| backlog.deferred_pings = 1025),
            ("effects that nobody performed", |backlog| backlog.effects = 1),
        ];
        for (what, grow) in grown {
            let mut backlog = full;
            grow(&mut backlog);
            let named = |detail: String| detail.contains(&format!(" {what}, "));
            assert!(seen(&backlog).is_err_and(named), "{what}");
        }
    }
}
