//! Local operations: each becomes a dot and a delta, or is refused and changes nothing.

use trellis_crdt::{CounterError, Dot, Hlc, Kind, ReplicaId, Value};

use crate::atom::encode_delta;
use crate::error::OperationError;
use crate::fault;
use crate::key::{is_valid_key, is_valid_value};
use crate::operation::{Change, Operation, Outcome, Total};
use crate::slot::{SlotState, Subject};

impl SlotState {
    pub(crate) fn apply(
        &mut self,
        operation: &Operation<'_>,
        slot: u8,
        origin: ReplicaId,
        stamp: impl FnOnce() -> Hlc,
    ) -> Result<(Vec<Change>, Outcome), OperationError> {
        let key = operation.key();
        if !is_valid_key(key) {
            return Err(OperationError::InvalidKey { bytes: key.len() });
        }
        let writer = Writer { slot, origin };
        match *operation {
            Operation::Increment { kind, amount, .. } => self.increment(key, kind, amount, writer),
            Operation::Set { kind, value, .. } => self.set(key, kind, value, writer, stamp),
            Operation::Delete { kind, .. } => self.delete(key, kind, writer, stamp),
        }
    }

    fn increment(
        &mut self,
        key: &str,
        kind: Kind,
        amount: i64,
        writer: Writer,
    ) -> Result<(Vec<Change>, Outcome), OperationError> {
        if !matches!(kind, Kind::GCounter | Kind::PnCounter) {
            return Err(OperationError::NotApplicable { kind });
        }
        if kind == Kind::GCounter && amount < 0 {
            return Err(OperationError::NegativeAmount { amount });
        }
        let subject = self.writable(key, kind)?;
        if amount == 0 && !fault::is_off("R18 nothing comes of nothing") {
            let held = subject.handle.and_then(|handle| counter_total(&self.atom(handle).value));
            return Ok((Vec::new(), Outcome::Counter(held.unwrap_or(Total::from(0)))));
        }
        let dot = self.mint(writer)?;
        let (change, total) = self.write(subject, dot, |value| {
            let delta = match value {
                Value::GCounter(counter) => counter.increment(dot, amount).map(Value::GCounter),
                Value::PnCounter(counter) => counter.increment(dot, amount).map(Value::PnCounter),
                _ => return Err(OperationError::NotApplicable { kind }),
            };
            let delta = delta.map_err(|error| refused(&error, amount))?;
            Ok((delta, counter_total(value)))
        })?;
        let total = total.expect("what was incremented is a counter");
        Ok((vec![change], Outcome::Counter(total)))
    }

    fn set(
        &mut self,
        key: &str,
        kind: Kind,
        bytes: &[u8],
        writer: Writer,
        stamp: impl FnOnce() -> Hlc,
    ) -> Result<(Vec<Change>, Outcome), OperationError> {
        if !matches!(kind, Kind::LwwRegister | Kind::MvRegister) {
            return Err(OperationError::NotApplicable { kind });
        }
        if !is_valid_value(bytes) {
            return Err(OperationError::ValueTooLarge { bytes: bytes.len() });
        }
        let subject = self.writable(key, kind)?;
        let dot = self.mint(writer)?;
        let (change, ()) = self.write(subject, dot, |value| match value {
            Value::LwwRegister(register) => {
                Ok((Value::LwwRegister(register.set(dot, stamp(), bytes.to_vec().into())), ()))
            }
            Value::MvRegister(register) => {
                Ok((Value::MvRegister(register.set(dot, bytes.to_vec().into())), ()))
            }
            _ => Err(OperationError::NotApplicable { kind }),
        })?;
        Ok((vec![change], Outcome::Set))
    }

    fn delete(
        &mut self,
        key: &str,
        kind: Option<Kind>,
        writer: Writer,
        stamp: impl FnOnce() -> Hlc,
    ) -> Result<(Vec<Change>, Outcome), OperationError> {
        let kinds = match kind {
            Some(kind) => {
                let subject = self.writable(key, kind)?;
                let exists = subject.handle.is_some_and(|handle| self.atom(handle).exists());
                if exists { vec![kind] } else { Vec::new() }
            }
            None => self.kinds_of(key),
        };
        if kinds.is_empty() {
            return Ok((Vec::new(), Outcome::Deleted { existed: false }));
        }
        // The one thing that can refuse a deletion does so before the first of several changes.
        self.mint(writer)?;
        let mut stamp = Some(stamp);
        let mut changes = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let dot = self.mint(writer)?;
            let (change, ()) = self.write(self.subject(key, kind), dot, |value| match value {
                Value::GCounter(counter) => Ok((Value::GCounter(counter.reset(dot)), ())),
                Value::PnCounter(counter) => Ok((Value::PnCounter(counter.reset(dot)), ())),
                Value::LwwRegister(register) => {
                    let stamp = stamp.take().expect("a key has one atom of each kind");
                    Ok((Value::LwwRegister(register.delete(dot, stamp())), ()))
                }
                Value::MvRegister(register) => Ok((Value::MvRegister(register.clear(dot)), ())),
                _ => Err(OperationError::NotApplicable { kind }),
            })?;
            changes.push(change);
        }
        Ok((changes, Outcome::Deleted { existed: true }))
    }

    /// Changes one atom under a minted dot, which the clock takes at once: own dots have no gaps.
    fn write<T>(
        &mut self,
        subject: Subject<'_>,
        dot: Dot,
        mutate: impl FnOnce(&mut Value<'static>) -> Result<(Value<'static>, T), OperationError>,
    ) -> Result<(Change, T), OperationError> {
        let superseded = subject.handle.map_or(0, |handle| self.atom(handle).list().get(dot.actor));
        let (changed, answer) = self.change(subject, vec![(dot, superseded)], |value, _| mutate(value))?;
        self.clock.raise(dot.actor, dot.seq);
        Ok((Change { seq: dot.seq, delta: encode_delta(dot, subject.key, changed) }, answer))
    }

    fn mint(&self, writer: Writer) -> Result<Dot, OperationError> {
        let Writer { slot, origin } = writer;
        let seq = self.next_seq(origin).ok_or(OperationError::DotTaken { slot, origin })?;
        Ok(Dot::new(origin, seq))
    }

    /// Looks up the atom to write; refuses a kind that the key lacks while it holds content of another.
    fn writable<'a>(&self, key: &'a str, kind: Kind) -> Result<Subject<'a>, OperationError> {
        let key_hash = self.hash.of_key(key);
        let (mut handle, mut exists, mut others) = (None, false, Vec::new());
        for (found, atom) in self.atoms_of(key, key_hash) {
            if atom.kind() == kind {
                (handle, exists) = (Some(found), atom.exists());
            } else if atom.exists() {
                others.push(atom.kind());
            }
        }
        if !exists && !others.is_empty() {
            others.sort_unstable();
            return Err(OperationError::WrongKind { actual: others, requested: kind });
        }
        Ok(Subject { key, key_hash, kind, handle })
    }
}

/// Whose dots a write takes.
#[derive(Clone, Copy)]
struct Writer {
    slot: u8,
    origin: ReplicaId,
}

/// A counter's value; `None` for what is none.
pub(crate) fn counter_total(value: &Value) -> Option<Total> {
    match value {
        Value::GCounter(counter) => Some(Total::from(counter.value())),
        Value::PnCounter(counter) => Some(Total::from(counter.value())),
        _ => None,
    }
}

fn refused(error: &CounterError, amount: i64) -> OperationError {
    match error {
        CounterError::Negative { .. } => OperationError::NegativeAmount { amount },
        _ => OperationError::CounterOverflow { amount },
    }
}
