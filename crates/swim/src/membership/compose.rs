//! What a message is made of: who speaks, what the receiver must hear first, the news that fits, and broadcasts in
//! the room that is left.

use std::time::Duration;

use super::Swim;
use crate::codec;
use crate::dissemination::retransmits;
use crate::fault;
use crate::member::{MemberId, State};
use crate::member_list::{Entry, Slot};
use crate::message::{Body, Header};

/// What a message carries besides its body and news.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras {
    /// The own record.
    pub(super) own: bool,
    /// The receiver's record.
    pub(super) receiver: bool,
    /// The wish to be told the receiver's record, though it is not known here at all.
    pub(super) wants: bool,
}

impl<I: MemberId> Swim<I> {
    /// Writes a message in place of what `into` held.
    ///
    /// A receiver that is thought of as anything but alive is told so first, in every message (Lifeguard's buddy
    /// system): it shall refute that as early as can be.
    pub(super) fn compose(&mut self, into: &mut Vec<u8>, body: &Body<I>, to: Option<Slot>, extras: Extras) {
        into.clear();
        let lacks_record = to.is_some_and(|slot| self.lacks_record_of(slot));
        codec::encode_head(into, self.cluster, self.header(extras.wants || lacks_record), body);
        let receiver = to.map(|slot| self.members.at(slot));
        if let Some(entry) = receiver.filter(|entry| extras.receiver || is_accused(entry)) {
            self.encode(into, entry);
        }
        let limit = self.config.gossip_bytes_max;
        let tells_own = extras.own && into.len() + codec::RECORD_BYTES_MAX <= limit;
        if tells_own {
            codec::encode_record(into, self.members.local(), Duration::ZERO, None, &[]);
        }
        if !self.news.is_empty() {
            self.add_news(into, to, tells_own);
        }
        if let (false, Some(slot)) = (self.broadcasts.is_empty(), to) {
            if self.members.at(slot).member.is_up() {
                self.add_broadcasts(into, slot);
            }
        }
    }

    fn add_news(&mut self, into: &mut Vec<u8>, to: Option<Slot>, told_own: bool) {
        let mut sent = std::mem::take(&mut self.sent_news);
        let mut kept = None;
        let peers_up_count = self.members.peers_up_count();
        while let Some(item) = self.news.pop() {
            // The receiver was told above what it does not know of itself. Nobody else is to be told in a pair.
            if Some(item.slot) == to && !fault::is_off("a suspect is told first") {
                if peers_up_count == 1 {
                    sent.push(item);
                } else {
                    kept = Some(item);
                }
                continue;
            } else if told_own && item.slot == Slot::LOCAL {
                sent.push(item);
                continue;
            }
            let start = into.len();
            self.encode(into, self.members.at(item.slot));
            if into.len() > self.config.gossip_bytes_max {
                into.truncate(start);
                self.news.put_back(item);
                break;
            }
            sent.push(item);
        }
        let limit = retransmits(self.config.retransmit_factor, peers_up_count + 1);
        for item in sent.drain(..) {
            self.news.on_sent(item, limit);
        }
        kept.into_iter().for_each(|item| self.news.put_back(item));
        self.sent_news = sent;
    }

    pub(super) fn encode(&self, into: &mut Vec<u8>, entry: &Entry<I>) {
        let accusers = entry.suspicion.as_ref().map_or(&[][..], |suspicion| &suspicion.accusers);
        let sign = entry.sign_told().map(|sign| sign.id.as_ref()).or_else(|| self.own_sign(entry));
        codec::encode_record(into, &entry.member, entry.age(self.now), sign, accusers);
    }

    pub(super) fn header(&self, wants_record: bool) -> Header {
        let (epoch, incarnation) = self.local().stamp();
        let (digest, is_quiet) = (self.members.digest(), self.news.is_empty());
        Header { epoch, incarnation, digest, wants_record, is_quiet }
    }

    /// Whether a member has said of itself something newer than what is recorded.
    pub(super) fn lacks_record_of(&self, slot: Slot) -> bool {
        let entry = self.members.at(slot);
        entry.member.stamp() < entry.stamp_seen
    }
}

fn is_accused<I>(entry: &Entry<I>) -> bool {
    let is_off = fault::is_off("a suspect is told first") && entry.member.state == State::Suspect;
    entry.member.state != State::Alive && !is_off
}
