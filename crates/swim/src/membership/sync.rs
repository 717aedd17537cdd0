//! Anti-entropy: digests on every message, and where they differ an exchange of the buckets that do.
//!
//! The one that begins sends its digests and is told the other's records in the buckets that differ, page by page;
//! then it tells its own in them, without those that turned out to be the same.

use std::sync::Arc;
use std::time::Duration;

use super::Swim;
use super::output::Purpose;
use super::update::Via;
use crate::codec;
use crate::fault;
use crate::member::MemberId;
use crate::member_list::{Entry, Slot};
use crate::message::{Ask, Body, Header, Update};
use crate::output::TransmitKind;

/// How far an exchange is that this member has begun.
#[derive(Clone, Debug)]
pub(super) struct Exchange<I> {
    /// The address, when it was tried as a seed.
    pub(super) seed: Option<Arc<str>>,
    /// Names the exchange.
    number: u64,
    /// Those that differ, once that is known.
    buckets: u16,
    stage: Stage<I>,
}

#[derive(Clone, Debug)]
enum Stage<I> {
    /// The other is to say what differs.
    Compare,
    /// It is to tell what comes after this member.
    Pull(I),
    /// It is to be told what comes after this member.
    Push(Option<I>),
    /// It was told the last.
    Pushed,
}

impl<I: MemberId> Swim<I> {
    /// What a digest that came with a reply is good for.
    ///
    /// While there is news, digests differ anyway, and the news will make them equal. When it does not for a while,
    /// as where a lot is lost, an exchange does.
    pub(super) fn compare_digest(&mut self, slot: Slot, header: Header) {
        if header.digest == self.members.digest() {
            self.agreed = self.now;
            return;
        }
        let is_quiet = header.is_quiet && self.news.is_empty();
        let is_overdue = self.now >= self.agreed + self.config.sync_interval * PATIENCE_HALVES / 2;
        let is_due = self.synced.is_none_or(|synced| self.now >= synced + self.config.sync_interval);
        let is_off = fault::is_off("digests are compared");
        if (is_quiet || is_overdue) && is_due && self.is_running() && !is_off {
            self.synced = Some(self.now);
            self.exchange(self.addr_of(slot), None);
        }
    }

    /// Begins an exchange of state.
    pub(super) fn exchange(&mut self, to: (Arc<str>, Option<Slot>), seed: Option<Arc<str>>) {
        if !self.has_room() {
            return;
        }
        self.counters.syncs += 1;
        let number = self.counters.syncs;
        self.send_page(to, Exchange { seed, number, buckets: 0, stage: Stage::Compare });
    }

    fn send_page(&mut self, to: (Arc<str>, Option<Slot>), exchange: Exchange<I>) {
        self.counters.sync_pages += 1;
        let deadline = self.now + 2 * self.config.probe_interval;
        // Its bytes are those of compose_page.
        self.send(to, TransmitKind::Sync, Purpose::Exchange(exchange), Body::Gossip, deadline);
    }

    /// Writes the next page of an exchange, and notes how far that is.
    pub(super) fn compose_page(&mut self, into: &mut Vec<u8>, exchange: &mut Exchange<I>) {
        let ask = match &exchange.stage {
            Stage::Compare => Ask::Differing(*self.members.buckets()),
            Stage::Pull(id) => Ask::After { buckets: exchange.buckets, id: id.clone() },
            Stage::Push(_) | Stage::Pushed => Ask::Nothing,
        };
        into.clear();
        let body = Body::Sync { instance: self.instance, ask };
        codec::encode_head(into, self.cluster, self.header(false), &body);
        codec::encode_record(into, self.members.local(), Duration::ZERO, None, &[]);
        if let Stage::Push(after) = &exchange.stage {
            let (buckets, number) = (exchange.buckets, exchange.number);
            let is_wanted = |entry: &Entry<I>| is_to_tell(entry, buckets, number);
            let last = self.add_page(into, after.as_ref(), is_wanted);
            exchange.stage = last.map_or(Stage::Pushed, |last| Stage::Push(Some(last)));
        }
    }

    /// Writes the answer to a page. Neither changes the own state nor depends on what came with it.
    pub(super) fn compose_state(&mut self, into: &mut Vec<u8>, ask: &Ask<I>) {
        let (differing, after) = match ask {
            Ask::Differing(theirs) => {
                let pairs = theirs.iter().zip(self.members.buckets()).enumerate();
                let differing = pairs.filter(|(_, (theirs, ours))| theirs != ours);
                (differing.fold(0, |set, (bucket, _)| set | 1 << bucket), None)
            }
            Ask::After { buckets, id } => (*buckets, Some(id)),
            Ask::Nothing => (0, None),
        };
        self.counters.sync_pages += 1;
        into.clear();
        // The head says whether there is more, which is known when the page is full.
        let mut records = Vec::new();
        let more_after = self.add_page(&mut records, after, |entry| is_in(differing, entry));
        let body = Body::State { instance: self.instance, differing, more_after };
        codec::encode_head(into, self.cluster, self.header(false), &body);
        codec::encode_record(into, self.members.local(), Duration::ZERO, None, &[]);
        into.extend_from_slice(&records);
    }

    /// Appends records while there is room; returns the last one's id, when there are more.
    fn add_page(
        &self,
        into: &mut Vec<u8>,
        after: Option<&I>,
        is_wanted: impl Fn(&Entry<I>) -> bool,
    ) -> Option<I> {
        let limit =
            self.config.page_bytes_max.saturating_sub(codec::HEAD_BYTES_MAX + codec::RECORD_BYTES_MAX);
        let limit = limit.max(codec::RECORD_BYTES_MAX);
        let start = into.len();
        let mut last: Option<&I> = None;
        let mut is_full = false;
        for entry in self.members.after(after).filter(|entry| is_wanted(entry)) {
            if entry.member.id == self.local().id {
                continue;
            }
            if into.len() - start + codec::RECORD_BYTES_MAX > limit && last.is_some() {
                is_full = true;
                break;
            }
            self.encode(into, entry);
            last = Some(&entry.member.id);
        }
        last.filter(|_| is_full).cloned()
    }

    /// Takes a page in; what others are told of it is news.
    pub(super) fn learn_in_exchange(&mut self, from: &I, updates: &[Update<'_, I>]) {
        let is_unknown = self.members.slot(from).is_none();
        self.learn_all(updates, Via::Exchange(from));
        // It can reach this member. Whether it can be reached is to be seen before others are told of it.
        if let (true, Some(slot)) = (is_unknown, self.members.slot(from)) {
            if self.members.at(slot).member.is_up() && self.is_running() {
                self.members.at_mut(slot).is_unproven = true;
                self.news.remove(slot);
                self.probe(slot);
            }
        }
    }

    /// A page has come back: the next one is sent, if there is any.
    pub(super) fn on_state(&mut self, exchange: Exchange<I>, body: &Body<I>, updates: &[Update<'_, I>]) {
        let Body::State { instance, differing, more_after } = body else {
            return;
        };
        let Some(sender) = updates.first() else {
            return;
        };
        if let Some(addr) = &exchange.seed {
            self.seeds.on_answer(addr, &sender.id);
        }
        self.seeds.backoff = self.config.join_backoff;
        if sender.id == self.local().id {
            if *instance != self.instance {
                self.report_conflict(sender.to_member(None));
            }
            return;
        }
        let mut exchange = exchange;
        self.learn_all(updates, Via::Exchange(&sender.id));
        self.note_agreement(updates, exchange.number);
        match exchange.stage {
            Stage::Compare | Stage::Pull(_) => {
                if matches!(exchange.stage, Stage::Compare) {
                    exchange.buckets = *differing;
                }
                // Pages go forward, so an exchange comes to an end whatever the other says.
                let asked_after = match &exchange.stage {
                    Stage::Pull(id) => Some(id),
                    _ => None,
                };
                let more_after = more_after.clone().filter(|id| asked_after.is_none_or(|asked| id > asked));
                exchange.stage = more_after.map_or(Stage::Push(None), Stage::Pull);
            }
            Stage::Push(_) | Stage::Pushed => {}
        }
        let is_done = match &exchange.stage {
            Stage::Pushed => true,
            Stage::Push(after) => !self.has_to_push(&exchange, after.as_ref()),
            Stage::Compare | Stage::Pull(_) => false,
        };
        if let (false, Some(slot)) = (is_done, self.members.slot(&sender.id)) {
            let (to, peer) = self.addr_of(slot);
            self.send_page((exchange.seed.clone().unwrap_or(to), peer), exchange);
        }
    }

    fn note_agreement(&mut self, updates: &[Update<'_, I>], number: u64) {
        for update in updates {
            let Some(slot) = self.members.slot(&update.id) else {
                continue;
            };
            if update.order(self.members.at(slot)).is_eq() {
                self.members.at_mut(slot).agreed_in = number;
            }
        }
    }

    fn has_to_push(&self, exchange: &Exchange<I>, after: Option<&I>) -> bool {
        let is_wanted = |entry: &Entry<I>| is_to_tell(entry, exchange.buckets, exchange.number);
        let mut rest = self.members.after(after).filter(|entry| entry.member.id != self.local().id);
        rest.any(is_wanted)
    }
}

/// Whether a record takes part in an exchange of these buckets. One that is to be forgotten soon does: who holds it as
/// younger learns its age.
fn is_in<I: MemberId>(buckets: u16, entry: &Entry<I>) -> bool {
    buckets & (1 << entry.bucket()) != 0
}

/// Whether the other side, which has told what it knows, lacks a record.
fn is_to_tell<I: MemberId>(entry: &Entry<I>, buckets: u16, number: u64) -> bool {
    is_in(buckets, entry) && entry.agreed_in != number && !entry.is_retired
}

/// After so many half intervals without agreement an exchange is made though there is news.
const PATIENCE_HALVES: u32 = 5;
