//! Streams of deltas as hints for SWIM: one that breaks has its member asked out of turn, one that opens proves nothing.

use trellis_replication::{LinkEvent, LinkId, LinkKind};
use trellis_swim::Link;

use super::{Control, Host};
use crate::core::fault;

impl Control {
    /// Notes whose stream this is, from when it is dialled or was accepted. Streams of state end as a matter of course and
    /// are no hint.
    pub(super) fn watch_link(&mut self, link: LinkId, peer: &str, kind: LinkKind) {
        if matches!(kind, LinkKind::PushOut | LinkKind::PushIn) {
            self.push_peers.insert(link, peer.to_owned());
        }
    }

    /// Forgets a stream that this node closes by itself.
    pub(super) fn forget_link(&mut self, link: LinkId) {
        if !fault::is_off("8 streams that ended are forgotten") {
            self.push_peers.remove(&link);
        }
    }

    /// Tells SWIM that a stream opened or broke.
    pub(super) fn hint_at_link(&mut self, host: &Host<'_>, link: LinkId, event: &LinkEvent) {
        let now = host.now.instant;
        match event {
            LinkEvent::Opened => {
                if let Some(peer) = self.push_peers.get(&link) {
                    self.swim.handle_link(peer, Link::Up, now);
                }
            }
            LinkEvent::Closed => {
                if let Some(peer) = self.push_peers.remove(&link) {
                    self.swim.handle_link(&peer, Link::Down, now);
                }
            }
            _ => {}
        }
    }
}
