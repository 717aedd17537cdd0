//! What is known of one member, and what is told apart by a hash of it.

use std::time::{Duration, Instant};

use crate::evidence::Sign;
use crate::member::{Member, MemberId, State};
use crate::suspicion::Suspicion;

/// A member's record and what this process alone knows of it.
#[derive(Debug)]
pub(crate) struct Entry<I> {
    pub(crate) member: Member<I>,
    pub(super) id_hash: u64,
    pub(super) content_hash: u64,
    /// When the state last changed here.
    pub(crate) since: Instant,
    /// When its current process was last heard, by a message of its own or through a helper.
    pub(crate) heard: Option<Instant>,
    /// While it is suspected.
    pub(crate) suspicion: Option<Suspicion<I>>,
    /// The greatest stamp that a message of it bore.
    pub(crate) stamp_seen: (u64, u64),
    /// When it was last told the own record, or asked for its record, at its or our wish.
    pub(crate) told: Option<Instant>,
    /// When it was last probed because a link broke.
    pub(crate) hinted: Option<Instant>,
    /// The exchange of state in which it was last found to be the same on both sides.
    pub(crate) agreed_in: u64,
    /// It joined here, and is not told on before it has answered a ping.
    pub(crate) is_unproven: bool,
    /// It is to be forgotten soon, and is no part of the digest.
    pub(crate) is_retired: bool,
    /// It is suspected, its time is over, and the host has not said whether it is dead.
    pub(crate) is_unreachable: bool,
    /// When this process of it became known as up.
    up_since: Instant,
}

impl<I: MemberId> Entry<I> {
    pub(super) fn new(member: Member<I>, now: Instant) -> Self {
        let mut bytes = Vec::new();
        member.id.encode(&mut bytes);
        Self {
            id_hash: hash_of(FIRST, &bytes),
            content_hash: content_hash(&member.addr, &member.meta),
            stamp_seen: (0, 0),
            member,
            since: now,
            heard: None,
            suspicion: None,
            told: None,
            hinted: None,
            agreed_in: 0,
            is_unproven: false,
            is_retired: false,
            is_unreachable: false,
            up_since: now,
        }
    }

    pub(super) fn replace(&mut self, member: Member<I>, now: Instant) {
        if member.is_up() && (!self.member.is_up() || member.epoch != self.member.epoch) {
            self.up_since = now;
            self.heard = None;
        }
        if member.state != self.member.state || member.epoch != self.member.epoch {
            self.since = now;
        }
        (self.is_retired, self.is_unproven, self.is_unreachable) = (false, false, false);
        self.content_hash = content_hash(&member.addr, &member.meta);
        self.member = member;
    }

    /// Whether it is up and not known to be out of reach.
    pub(crate) fn is_reachable(&self) -> bool {
        self.member.is_up() && !self.is_unreachable
    }

    /// Of those that are not up, how long it is kept where there is no room for all.
    pub(crate) fn rank(&self) -> Rank<'_, I> {
        Rank {
            is_in_digest: !self.is_retired,
            is_dead: self.member.state == State::Dead,
            epoch: self.member.epoch,
            id: &self.member.id,
        }
    }

    /// The newest evidence of life that this process holds or was told of.
    pub(crate) fn evidence(&self) -> Instant {
        self.sign_told().map_or(self.own_evidence(), |sign| sign.at)
    }

    /// A member that was not heard here counts as heard when it became known.
    pub(crate) fn own_evidence(&self) -> Instant {
        self.heard.unwrap_or(self.up_since)
    }

    /// The newest evidence of life that others told of, when it is newer than the own one.
    pub(crate) fn sign_told(&self) -> Option<&Sign<I>> {
        let newest = self.suspicion.as_ref()?.signs.newest()?;
        // Who has heard nothing itself has little to say against it.
        let is_newer = newest.at > self.own_evidence() || self.heard.is_none();
        is_newer.then_some(newest)
    }

    /// What is told of the record's age: of a suspect that of the newest evidence of its life, else that of the
    /// state.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        let from = if self.member.is_up() { self.evidence() } else { self.since };
        now.saturating_duration_since(from)
    }

    /// Of address and metadata.
    pub(crate) fn content_hash(&self) -> u64 {
        self.content_hash
    }

    pub(crate) fn bucket(&self) -> usize {
        (self.id_hash >> 60) as usize
    }

    pub(super) fn hash(&self) -> u64 {
        if self.is_retired {
            return 0;
        }
        let state = match self.member.state {
            State::Alive | State::Suspect => 1,
            State::Dead => 2,
            State::Left => 3,
        };
        let Member { epoch, incarnation, .. } = self.member;
        let stamp = mix(mix(self.id_hash ^ epoch).wrapping_add(incarnation));
        mix(mix(stamp ^ self.content_hash).wrapping_add(state))
    }
}

/// Which of the dead and departed are kept where there is no room for all: the greatest. It depends on what all members
/// are told, so those that have heard of the same members keep the same ones, and their digests agree.
///
/// Those go first that others forget soon, then the departed, whom nobody is looking for, then those that have started
/// earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank<'a, I> {
    pub(crate) is_in_digest: bool,
    pub(crate) is_dead: bool,
    pub(crate) epoch: u64,
    pub(crate) id: &'a I,
}

pub(crate) fn content_hash(addr: &str, meta: &[u8]) -> u64 {
    hash_of(hash_of(FIRST, addr.as_bytes()), meta)
}

/// Words of eight bytes, the last one filled up with its length.
fn hash_of(start: u64, bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8);
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let hash = words.fold(start, |hash, chunk| mix(hash ^ word(chunk)));
    mix(mix(hash ^ u64::from_le_bytes(last)) ^ bytes.len() as u64)
}

/// Spreads every bit over all (the finalizer of Steele, Lea, Flood: SplitMix, 2014).
fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const FIRST: u64 = 0xcbf2_9ce4_8422_2325;
