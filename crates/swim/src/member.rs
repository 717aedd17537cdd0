//! What is known of one member, and the order in which such knowledge supersedes itself.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// Names a member for as long as the cluster lives; restarts and address changes keep it.
///
/// The encoded form takes 1 to [`ID_BYTES_MAX`] bytes, and `decode` inverts `encode`.
pub trait MemberId: Clone + Ord + Hash + Debug {
    /// Appends the encoded id.
    fn encode(&self, into: &mut Vec<u8>);

    /// Reads an id that fills `bytes` exactly; `None` when they are not one.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

impl MemberId for u64 {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl MemberId for String {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().filter(|id| !id.is_empty()).map(str::to_owned)
    }
}

/// Everything that the cluster says of one member.
///
/// Records of one id are totally ordered by (epoch, incarnation, state, address, metadata), and the greater one
/// holds: merging is a join (associative, commutative, idempotent), so members that have seen the same records
/// in any order agree. Only the member itself raises its epoch and incarnation; others raise the state.
/// The derived order compares ids first; [`Member::merge`] is the join.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member<I> {
    /// Who.
    pub id: I,
    /// Grows with every start of the member's process.
    pub epoch: u64,
    /// Grows within an epoch, when the member refutes a word of its death or changes its metadata.
    pub incarnation: u64,
    /// How it is said to be.
    pub state: State,
    /// Where it answers, at most [`ADDR_BYTES_MAX`] bytes.
    pub addr: Arc<str>,
    /// What its host wants all others to know, at most [`META_BYTES_MAX`] bytes; one value per incarnation.
    pub meta: Arc<[u8]>,
}

impl<I: MemberId> Member<I> {
    /// Whether it takes part: alive or suspected.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Alive | State::Suspect)
    }

    /// The join of two records of one id: the greater one.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }

    pub(crate) fn stamp(&self) -> (u64, u64) {
        (self.epoch, self.incarnation)
    }

    /// Whether it is such as messages can tell.
    pub(crate) fn is_within_limits(&self) -> bool {
        let mut id = Vec::new();
        self.id.encode(&mut id);
        (1..=ID_BYTES_MAX).contains(&id.len())
            && self.epoch <= EPOCH_MAX
            && self.incarnation <= INCARNATION_MAX
            && self.addr.len() <= ADDR_BYTES_MAX
            && self.meta.len() <= META_BYTES_MAX
    }
}

/// How a member is said to be, in the order in which one state supersedes another at an equal incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It answers.
    Alive,
    /// It did not answer someone, and has some seconds to say otherwise.
    Suspect,
    /// It was silent for too long.
    Dead,
    /// It said that it goes.
    Left,
}

/// What a process says of itself when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local<I> {
    /// Its name, the one that its links prove.
    pub id: I,
    /// Greater than in any earlier start of this member, as far as the host can tell; at most [`EPOCH_MAX`], and
    /// best less than 2^42 above the last, as wall-clock milliseconds are: of a greater leap only this member
    /// itself is believed. It is raised when others remember a greater one, though not beyond half of
    /// [`EPOCH_MAX`] at one leap.
    pub epoch: u64,
    /// Where others reach it, 1 to [`ADDR_BYTES_MAX`] bytes.
    pub addr: String,
    /// What others are to know of it, at most [`META_BYTES_MAX`] bytes.
    pub meta: Vec<u8>,
}

/// The longest encoded id, in bytes.
pub const ID_BYTES_MAX: usize = 64;
/// The longest address, in bytes: a DNS name with a port.
pub const ADDR_BYTES_MAX: usize = 261;
/// The longest metadata, in bytes.
pub const META_BYTES_MAX: usize = 512;
/// The greatest epoch, of the own as of others. A member that is known by it rises by incarnations.
pub const EPOCH_MAX: u64 = 1 << 62;
/// The greatest incarnation, of the own as of others; the epoch grows in place of a greater one.
pub const INCARNATION_MAX: u64 = 1 << 48;
/// By so much an epoch may be above the known one when others tell of it: more than a century of milliseconds. A member
/// whose host leaps further, or counts in smaller units, is believed when it says so itself.
pub(crate) const EPOCH_JUMP_MAX: u64 = 1 << 42;
/// By so much an incarnation may be above the known one when others tell of it.
pub(crate) const INCARNATION_JUMP_MAX: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::{Arbitrary, Gen, quickcheck};

    #[test]
    fn a_state_supersedes_at_the_same_incarnation_and_yields_to_a_higher_one() {
        let alive = record(1, 4, State::Alive);
        let dead = record(1, 4, State::Dead);
        let refuted = record(1, 5, State::Alive);
        let restarted = record(2, 0, State::Alive);
        assert_eq!(alive.clone().merge(dead.clone()), dead);
        assert_eq!(dead.merge(refuted.clone()), refuted);
        assert_eq!(restarted.clone().merge(refuted), restarted);
        assert_eq!(alive.merge(record(1, 4, State::Left)).state, State::Left);
    }

    quickcheck! {
        fn merging_is_associative_commutative_and_idempotent(a: Record, b: Record, c: Record) -> bool {
            let (a, b, c) = (a.0, b.0, c.0);
            let left = a.clone().merge(b.clone()).merge(c.clone());
            let right = a.clone().merge(b.clone().merge(c));
            left == right && a.clone().merge(b.clone()) == b.merge(a.clone()) && a.clone().merge(a.clone()) == a
        }
    }

    #[derive(Clone, Debug)]
    struct Record(Member<String>);

    impl Arbitrary for Record {
        fn arbitrary(g: &mut Gen) -> Self {
            let state = *g.choose(&[State::Alive, State::Suspect, State::Dead, State::Left]).unwrap();
            Self(record(u64::arbitrary(g) % 3, u64::arbitrary(g) % 3, state))
        }
    }

    fn record(epoch: u64, incarnation: u64, state: State) -> Member<String> {
        Member {
            id: "b".to_owned(),
            epoch,
            incarnation,
            state,
            addr: format!("b:{epoch}").into(),
            meta: incarnation.to_le_bytes().as_slice().into(),
        }
    }
}
