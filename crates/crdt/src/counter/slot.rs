//! What one actor counted, and how much of it was reset.

use alloc::vec::Vec;

use crate::codec::{Reader, write_varint};
use crate::error::{CounterError, DecodeError};

/// What one actor has counted, and how much of that was reset since.
///
/// All parts only grow within a generation, a reset part never beyond its amount: `reset_p <= p`, `reset_n <= n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The seq of the increment that started the slot; the seq of the owner, from 1.
    pub generation: u64,
    /// The seq of the owner's last increment: with the owner, the dot of the slot. A reset does not change it.
    pub seq: u64,
    /// All that was added.
    pub p: u64,
    /// All that was subtracted.
    pub n: u64,
    /// How much of `p` was reset.
    pub reset_p: u64,
    /// How much of `n` was reset.
    pub reset_n: u64,
}

impl Slot {
    /// Starts a slot at the increment with this seq.
    pub(super) const fn start(seq: u64) -> Self {
        Self { generation: seq, seq, p: 0, n: 0, reset_p: 0, reset_n: 0 }
    }

    /// Returns the slot after an increment by `amount` under `seq`.
    pub(super) fn increment(self, seq: u64, amount: i64) -> Result<Self, CounterError> {
        let held = if amount < 0 { self.n } else { self.p };
        let sum = held.checked_add(amount.unsigned_abs()).ok_or(CounterError::Overflow { held, amount })?;
        let (p, n) = if amount < 0 { (self.p, sum) } else { (sum, self.n) };
        Ok(Self { seq, p, n, ..self })
    }

    /// Takes back all that is in the slot.
    pub(super) fn reset(&mut self) {
        self.reset_p = self.p;
        self.reset_n = self.n;
    }

    /// Joins another view of the same actor's slot: the higher generation, else the maximum of each part.
    pub(super) fn join(&mut self, other: &Self) {
        if self.generation < other.generation {
            *self = *other;
        } else if self.generation == other.generation {
            self.seq = self.seq.max(other.seq);
            self.p = self.p.max(other.p);
            self.n = self.n.max(other.n);
            self.reset_p = self.reset_p.max(other.reset_p);
            self.reset_n = self.reset_n.max(other.reset_n);
        }
    }

    /// Tells whether all that the actor counted was reset, so that the slot adds nothing.
    pub const fn is_fully_reset(&self) -> bool {
        self.p == self.reset_p && self.n == self.reset_n
    }

    /// Returns what the slot adds to the counter.
    pub fn value(&self) -> i128 {
        i128::from(self.p - self.reset_p) - i128::from(self.n - self.reset_n)
    }

    /// Appends all but the dot: a form byte that names the parts which are not zero, how far the generation is behind
    /// the seq, then those parts.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let has_reset = self.reset_p > 0 || self.reset_n > 0;
        let form = flag(self.p > 0, HAS_P) | flag(self.n > 0, HAS_N) | flag(has_reset, HAS_RESET);
        out.push(form);
        write_varint(out, self.seq - self.generation);
        for amount in [self.p, self.n] {
            if amount > 0 {
                write_varint(out, amount);
            }
        }
        if has_reset {
            for (amount, reset) in [(self.p, self.reset_p), (self.n, self.reset_n)] {
                if amount > 0 {
                    write_varint(out, reset);
                }
            }
        }
    }

    /// Reads the slot whose dot has this seq; `known` are the bits that its form may have.
    #[inline]
    pub(super) fn decode(seq: u64, known: u8, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let form = input.u8()?;
        if form & !known != 0 {
            return Err(DecodeError::UnsupportedForm { form });
        }
        let behind = input.varint()?;
        let generation =
            seq.checked_sub(behind).filter(|first| *first > 0).ok_or(DecodeError::ImpossibleSlot)?;
        let mut amount = |bit| if form & bit == 0 { Ok(0) } else { nonzero(input) };
        let (p, n) = (amount(HAS_P)?, amount(HAS_N)?);
        let mut reset = |amount| if form & HAS_RESET == 0 || amount == 0 { Ok(0) } else { input.varint() };
        let (reset_p, reset_n) = (reset(p)?, reset(n)?);
        if reset_p > p || reset_n > n {
            return Err(DecodeError::ImpossibleSlot);
        }
        if form & HAS_RESET != 0 && reset_p == 0 && reset_n == 0 {
            return Err(DecodeError::ZeroPart);
        }
        Ok(Self { generation, seq, p, n, reset_p, reset_n })
    }
}

fn flag(is_set: bool, bit: u8) -> u8 {
    if is_set { bit } else { 0 }
}

fn nonzero(input: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match input.varint()? {
        0 => Err(DecodeError::ZeroPart),
        amount => Ok(amount),
    }
}

// The bits of a form byte. 0x08 is reserved for a slot that was absorbed by the owner's successor: it will name the
// successor's replica and generation.
const HAS_P: u8 = 0x01;
const HAS_N: u8 = 0x02;
const HAS_RESET: u8 = 0x04;
/// What the slot of a g-counter may have.
pub(super) const G_FORM: u8 = HAS_P | HAS_RESET;
/// What the slot of a pn-counter may have.
pub(super) const PN_FORM: u8 = HAS_P | HAS_N | HAS_RESET;
