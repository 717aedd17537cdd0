//! The host's broadcasts: offered, told in what room is left, and taken at most once.

use std::time::Instant;

use super::leave::Phase;
use super::{Swim, Timer};
use crate::broadcast::{Heard, Hearing, Priority, VERSION_MAX};
use crate::codec;
use crate::dissemination::retransmits;
use crate::error::BroadcastError;
use crate::member::MemberId;
use crate::member_list::Slot;
use crate::message::Broadcast;
use crate::output::Event;

impl<I: MemberId> Swim<I> {
    /// Offers a payload to all other members, as rumour: it rides on messages in the room that news of members leaves,
    /// and each member that hears it tells it on as often as a piece of news. At those that it reaches it is an
    /// [`Event::Broadcast`], at most once. Key and payload may be empty; they have at most
    /// [`BROADCAST_KEY_BYTES_MAX`](crate::BROADCAST_KEY_BYTES_MAX) and
    /// [`BROADCAST_PAYLOAD_BYTES_MAX`](crate::BROADCAST_PAYLOAD_BYTES_MAX) bytes.
    ///
    /// A later offer under an equal key replaces an earlier one, wherever that is: no member takes the earlier one
    /// after the later. Offers under different keys, or of different members, come in any order.
    ///
    /// It is best effort. Whoever misses all sendings, joins later, or does not know this member so far never hears of
    /// it, and nobody is told that: a host that must not miss anything compares its own state from time to time. While
    /// nobody is up the offer waits. One that is not told when a departure is
    /// ([`Event::LeaveDrained`]) is lost. When the own epoch is raised, members may hear an offer once more.
    ///
    /// When too much is held, broadcasts of a lower priority give way, and those of the same that were sent already;
    /// [`Counters::broadcasts_dropped`](crate::Counters::broadcasts_dropped) counts them.
    ///
    /// # Errors
    ///
    /// The offer is too long, nothing held gives way to it, or this member has left. Nothing has changed: an earlier
    /// one under the key is still told.
    pub fn offer_broadcast(
        &mut self,
        key: &[u8],
        payload: Vec<u8>,
        priority: Priority,
        now: Instant,
    ) -> Result<(), BroadcastError> {
        self.observe(now);
        if !self.is_running() {
            return Err(BroadcastError::HasLeft);
        }
        self.broadcasts.offer(key, payload, priority, &self.config, &mut self.counters)?;
        self.burst_while_broadcasting();
        Ok(())
    }

    /// Adds broadcasts to a message while there is room. Their receiver is a member that is up, else it is not worth a
    /// sending.
    pub(super) fn add_broadcasts(&mut self, into: &mut Vec<u8>, to: Slot) {
        let mut sent = std::mem::take(&mut self.sent_broadcasts);
        let peers_up_count = self.members.peers_up_count();
        let limit = self.config.gossip_bytes_max;
        let mut misfits = 0;
        for (rank, item) in self.broadcasts.queue() {
            let origin = self.members.at(item.origin);
            let epoch = if item.origin == Slot::LOCAL { origin.member.epoch } else { item.stamp.0 };
            if epoch != origin.member.epoch {
                // Of an earlier process: nobody is told on.
                sent.push((rank, true));
                continue;
            }
            if item.origin == to || item.told_by == to {
                // It knows. Where there may be nobody else, that is as good as telling it.
                if peers_up_count <= 2 {
                    sent.push((rank, false));
                }
                continue;
            } else if origin.is_unproven {
                // Others do not know the origin so far, and would not take it.
                continue;
            }
            let start = into.len();
            let (id, stamp) = (&origin.member.id, (epoch, item.stamp.1));
            codec::encode_broadcast(into, id, stamp, rank.priority(), (&item.key, &item.payload));
            if into.len() > limit {
                into.truncate(start);
                misfits += 1;
                if misfits == MISFITS_MAX || limit.saturating_sub(start) < BROADCAST_BYTES_MIN {
                    break;
                }
                continue;
            }
            self.counters.broadcasts_sent += 1;
            sent.push((rank, false));
        }
        let limit = retransmits(self.config.retransmit_factor, peers_up_count + 1);
        for (rank, is_stale) in sent.drain(..) {
            self.broadcasts.on_sent(rank, if is_stale { 0 } else { limit });
        }
        self.sent_broadcasts = sent;
    }

    /// Takes the broadcasts of a message that `from` has sent.
    pub(super) fn hear_broadcasts(&mut self, from: &I, broadcasts: &[Broadcast<'_, I>]) {
        if broadcasts.is_empty() {
            return;
        }
        let count_max = self.config.broadcasts_max;
        self.counters.broadcasts_refused += broadcasts.len().saturating_sub(count_max) as u64;
        if !self.is_running() {
            return;
        }
        for broadcast in broadcasts.iter().take(count_max) {
            self.hear_broadcast(from, broadcast);
        }
        self.burst_while_broadcasting();
    }

    fn hear_broadcast(&mut self, from: &I, broadcast: &Broadcast<'_, I>) {
        let Broadcast { epoch, version, priority, key, payload, .. } = *broadcast;
        // A process that is not known cannot be told from an earlier one.
        let origin = self.members.slot(&broadcast.origin);
        let Some(origin) = origin.filter(|slot| self.members.at(*slot).member.epoch == epoch) else {
            self.counters.broadcasts_refused += 1;
            return;
        };
        if origin == Slot::LOCAL {
            return self.outdo(version);
        }
        let told_by = self.members.slot(from).unwrap_or(origin);
        let heard = Heard { stamp: (epoch, version), priority, key, payload };
        match self.broadcasts.hear((origin, told_by), heard, &self.config, &mut self.counters) {
            Hearing::First { key, payload } => {
                self.counters.broadcasts_received += 1;
                self.emit(Event::Broadcast { origin: broadcast.origin.clone(), key, payload });
            }
            Hearing::Again => {}
            Hearing::Doubtful => self.counters.broadcasts_refused += 1,
        }
    }

    /// Someone may speak in the own name: what is offered next is above that, by its version or by a new epoch.
    fn outdo(&mut self, version: u64) {
        if version <= OUTDONE_MAX {
            self.broadcasts.outdo(version);
        } else if self.epoch_raised.is_none_or(|raised| self.now >= raised + self.config.probe_interval) {
            self.epoch_raised = Some(self.now);
            self.raise_epoch(self.local().stamp());
        }
    }

    /// Sees to it that bursts go on, or begin again when somebody is up.
    pub(super) fn burst_while_broadcasting(&mut self) {
        let is_idle = self.broadcasts.is_empty() || self.members.peers_up_count() == 0;
        if !is_idle && self.phase != Phase::Gone && !self.timers.is_armed(Timer::Burst) {
            self.timers.arm(Timer::Burst, self.now + self.config.burst_interval);
        }
    }
}

/// Above this version there is no more room below the greatest one for all that is ever offered.
const OUTDONE_MAX: u64 = VERSION_MAX / 2;
/// So many in a row that do not fit, and the message counts as full: the search is not to cost more than it finds.
const MISFITS_MAX: usize = 8;
/// No broadcast's record is shorter.
const BROADCAST_BYTES_MIN: usize = 10;
