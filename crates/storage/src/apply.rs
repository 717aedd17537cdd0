//! Local operations: each becomes a dot and a delta, or is refused and changes nothing.

use std::borrow::Cow;

use trellis_crdt::{Atom, CounterError, Delta, Dot, Entry, Hlc, Kind, ReplicaId, Value};

use crate::batch::Undo;
use crate::elements::{ElementCursor, elements_of};
use crate::error::OperationError;
use crate::fault;
use crate::key::{is_valid_key, is_valid_value};
use crate::operation::{Change, Operation, Outcome, Total};
use crate::slot::{Held, SlotState, Subject, exists};

type Answer = Result<(Vec<Change>, Outcome), OperationError>;

/// Whose dots a write takes, and how much one step of a deletion looks at.
#[derive(Clone, Copy)]
pub(crate) struct Writer {
    pub(crate) slot: u8,
    pub(crate) origin: ReplicaId,
    pub(crate) delete_elements_max: usize,
}

/// What is done to one atom.
#[derive(Clone, Copy)]
enum Edit<'a> {
    Increment(i64),
    /// Writes a register.
    Write(&'a [u8], Hlc),
    /// Adds an element, or enables a flag.
    Enable,
    /// Removes an element, or disables a flag.
    Disable,
    /// Deletes what there is.
    Delete(Hlc),
}

impl SlotState {
    pub(crate) fn apply(
        &mut self,
        operation: &Operation<'_>,
        writer: Writer,
        stamp: impl FnOnce() -> Hlc,
    ) -> Answer {
        let key = operation.key();
        if !is_valid_key(key) {
            return Err(OperationError::InvalidKey { bytes: key.len() });
        }
        match *operation {
            Operation::Increment { kind, amount, .. } => self.increment(key, kind, amount, writer),
            Operation::Set { kind, value, .. } => self.set(key, kind, value, writer, stamp),
            Operation::Add { kind, element, .. } => self.add(key, kind, element, writer),
            Operation::Remove { kind, element, .. } => self.remove(key, kind, element, writer),
            Operation::Switch { kind, enabled, .. } => self.switch(key, kind, enabled, writer),
            Operation::Delete { kind, from, .. } => self.delete(key, kind, from, writer, stamp),
        }
    }

    fn increment(&mut self, key: &str, kind: Kind, amount: i64, writer: Writer) -> Answer {
        if !kind.is_counter() {
            return Err(OperationError::NotApplicable { kind });
        }
        if kind == Kind::GCounter && amount < 0 {
            return Err(OperationError::NegativeAmount { amount });
        }
        let subject = self.writable(key, kind, None)?;
        if amount == 0 && !fault::is_off("R18 nothing comes of nothing") {
            let held = subject.handle.map(|handle| self.atoms.record(handle).value(&self.origins));
            let total = held.as_ref().and_then(counter_total).unwrap_or(Total::from(0));
            return Ok((Vec::new(), Outcome::Counter(total)));
        }
        let (change, total) = self.write(&subject, writer, Edit::Increment(amount), counter_total)?;
        Ok((vec![change], Outcome::Counter(total.expect("what was incremented is a counter"))))
    }

    fn set(
        &mut self,
        key: &str,
        kind: Kind,
        bytes: &[u8],
        writer: Writer,
        stamp: impl FnOnce() -> Hlc,
    ) -> Answer {
        if !kind.is_register() {
            return Err(OperationError::NotApplicable { kind });
        }
        check_value(bytes)?;
        let subject = self.writable(key, kind, None)?;
        self.mint(writer)?;
        let stamp = if kind == Kind::LwwRegister { stamp() } else { Hlc::ZERO };
        let (change, ()) = self.write(&subject, writer, Edit::Write(bytes, stamp), |_| ())?;
        Ok((vec![change], Outcome::Set))
    }

    fn add(&mut self, key: &str, kind: Kind, element: &[u8], writer: Writer) -> Answer {
        if !kind.is_set() {
            return Err(OperationError::NotApplicable { kind });
        }
        check_value(element)?;
        let subject = self.writable(key, kind, Some(element))?;
        let was_member = self.has_content(&subject);
        let (change, ()) = self.write(&subject, writer, Edit::Enable, |_| ())?;
        Ok((vec![change], Outcome::Added { was_member }))
    }

    fn remove(&mut self, key: &str, kind: Kind, element: &[u8], writer: Writer) -> Answer {
        if kind != Kind::OrSet {
            return Err(OperationError::NotApplicable { kind });
        }
        check_value(element)?;
        let subject = self.writable(key, kind, Some(element))?;
        if !self.has_content(&subject) {
            return Ok((Vec::new(), Outcome::Removed { was_member: false }));
        }
        let (change, ()) = self.write(&subject, writer, Edit::Disable, |_| ())?;
        Ok((vec![change], Outcome::Removed { was_member: true }))
    }

    fn switch(&mut self, key: &str, kind: Kind, enabled: bool, writer: Writer) -> Answer {
        if !kind.is_flag() {
            return Err(OperationError::NotApplicable { kind });
        }
        let subject = self.writable(key, kind, None)?;
        if kind == Kind::EwFlag && !enabled && !self.has_content(&subject) {
            return Ok((Vec::new(), Outcome::Switched { enabled }));
        }
        let edit = if enabled { Edit::Enable } else { Edit::Disable };
        let (change, enabled) = self.write(&subject, writer, edit, exists)?;
        Ok((vec![change], Outcome::Switched { enabled }))
    }

    fn delete(
        &mut self,
        key: &str,
        kind: Option<Kind>,
        from: ElementCursor,
        writer: Writer,
        stamp: impl FnOnce() -> Hlc,
    ) -> Answer {
        // Once a deletion is under way, what it has left of the kind may be removals alone.
        if let Some(kind) = kind
            && from == ElementCursor::START
        {
            self.writable(key, kind, kind.is_set().then_some(&[][..]))?;
        }
        let Doomed { atoms: doomed, existed, next } =
            self.doomed(key, kind, from, writer.delete_elements_max);
        if doomed.is_empty() {
            return Ok((Vec::new(), Outcome::Deleted { existed: false, next }));
        }
        // The one thing that can refuse a deletion does so before the first of several changes.
        let first = self.mint(writer)?;
        if first.seq.checked_add(doomed.len() as u64).is_none() {
            return Err(OperationError::DotTaken { slot: writer.slot, origin: writer.origin });
        }
        let deletes_lww = doomed.iter().any(|(kind, _)| *kind == Kind::LwwRegister);
        let stamp = if deletes_lww { stamp() } else { Hlc::ZERO };
        let mut changes = Vec::with_capacity(doomed.len());
        for (kind, element) in doomed {
            let subject = self.subject(key, kind, element.as_deref());
            let (change, ()) = self.write(&subject, writer, Edit::Delete(stamp), |_| ())?;
            changes.push(change);
        }
        Ok((changes, Outcome::Deleted { existed, next }))
    }

    /// The atoms with content that one step of a deletion takes, and where the next one begins.
    fn doomed(&self, key: &str, kind: Option<Kind>, from: ElementCursor, elements_max: usize) -> Doomed {
        let (mut doomed, mut existed, mut sets) = (Vec::new(), false, Vec::new());
        for (_, held) in self.entries_of(key, self.hash.of_name(key.as_bytes())) {
            match held {
                _ if kind.is_some_and(|kind| kind != held.kind()) => {}
                Held::Atom(record) => {
                    if from == ElementCursor::START && !record.value(&self.origins).is_empty() {
                        existed |= self.exists(&held);
                        doomed.push((record.kind, None));
                    }
                }
                Held::Set(set) if set.existing > 0 => sets.push(set),
                Held::Set(_) => {}
            }
        }
        doomed.sort_unstable();
        let (elements, next) = elements_of(&sets, from, elements_max);
        for (kind, handle) in elements {
            let record = self.atoms.record(handle);
            if !record.value(&self.origins).is_empty() {
                existed = true;
                doomed.push((kind, Some(record.name.into())));
            }
        }
        Doomed { atoms: doomed, existed, next }
    }

    /// Changes one atom under the next dot, which the clock takes at once: own dots have no gaps. `tell` sees what
    /// the atom holds afterwards.
    fn write<T>(
        &mut self,
        subject: &Subject<'_>,
        writer: Writer,
        edit: Edit<'_>,
        tell: impl FnOnce(&Value<'_>) -> T,
    ) -> Result<(Change, T), OperationError> {
        let dot = self.mint(writer)?;
        let opened = self.open(subject);
        let (mut value, before) = self.read_opened(subject, &opened);
        let changed = match edit.run(dot, &mut value) {
            Ok(changed) => changed,
            Err(error) => {
                self.abandon(subject, opened);
                return Err(error);
            }
        };
        let atom = Atom {
            key: Cow::Borrowed(subject.key),
            kind: subject.kind,
            element: subject.element.map(Cow::Borrowed),
        };
        let delta = Delta { dot, entry: Entry { atom, value: changed } };
        let bytes = delta.encode();
        let told = tell(&value);
        if let Some(undo) = &mut self.undo {
            undo.push(Undo { atom: delta.entry.atom.clone().into_owned(), dot, record: opened.copy() });
        }
        let handle = self.spell(subject, &opened, before, &value);
        self.close(subject.kind, handle, opened);
        self.clock.raise(dot.actor, dot.seq);
        Ok((Change { seq: dot.seq, delta: bytes }, told))
    }

    fn mint(&self, writer: Writer) -> Result<Dot, OperationError> {
        let Writer { slot, origin, .. } = writer;
        let seq = self.next_seq(origin).ok_or(OperationError::DotTaken { slot, origin })?;
        Ok(Dot::new(origin, seq))
    }

    fn has_content(&self, subject: &Subject<'_>) -> bool {
        subject.handle.is_some_and(|handle| !self.atoms.record(handle).value(&self.origins).is_empty())
    }

    /// Looks up the atom to write; refuses a kind that the key lacks while it holds content of another.
    fn writable<'a>(
        &self,
        key: &'a str,
        kind: Kind,
        element: Option<&'a [u8]>,
    ) -> Result<Subject<'a>, OperationError> {
        let hash = self.hash.of_name(key.as_bytes());
        let (mut found, mut others) = (None, Vec::new());
        for (handle, held) in self.entries_of(key, hash) {
            if held.kind() == kind {
                found = Some((handle, held));
            } else if self.exists(&held) {
                others.push(held.kind());
            }
        }
        if !others.is_empty() && !found.is_some_and(|(_, held)| self.exists(&held)) {
            others.sort_unstable();
            return Err(OperationError::WrongKind { actual: others, requested: kind });
        }
        Ok(self.subject_in(key, hash, kind, element, found.map(|(handle, _)| handle)))
    }
}

impl<'a> Edit<'a> {
    /// Changes a value and returns the delta; a value that is refused is as it was.
    fn run(self, dot: Dot, value: &mut Value<'a>) -> Result<Value<'a>, OperationError> {
        let kind = value.kind();
        Ok(match (value, self) {
            (Value::GCounter(counter), Self::Increment(amount)) => {
                Value::GCounter(counter.increment(dot, amount).map_err(|error| refused(&error, amount))?)
            }
            (Value::PnCounter(counter), Self::Increment(amount)) => {
                Value::PnCounter(counter.increment(dot, amount).map_err(|error| refused(&error, amount))?)
            }
            (Value::GCounter(counter), Self::Delete(_)) => Value::GCounter(counter.reset(dot)),
            (Value::PnCounter(counter), Self::Delete(_)) => Value::PnCounter(counter.reset(dot)),
            (Value::LwwRegister(register), Self::Write(bytes, stamp)) => {
                Value::LwwRegister(register.set(dot, stamp, bytes.into()))
            }
            (Value::LwwRegister(register), Self::Delete(stamp)) => {
                Value::LwwRegister(register.delete(dot, stamp))
            }
            (Value::MvRegister(register), Self::Write(bytes, _)) => {
                Value::MvRegister(register.set(dot, bytes.into()))
            }
            (Value::MvRegister(register), Self::Delete(_)) => Value::MvRegister(register.clear(dot)),
            (Value::GSet(element), Self::Enable) => Value::GSet(element.enable(dot)),
            (Value::GSet(element), Self::Delete(_)) => Value::GSet(element.disable(dot)),
            (Value::OrSet(element), Self::Enable) => Value::OrSet(element.enable(dot)),
            (Value::OrSet(element), Self::Disable | Self::Delete(_)) => Value::OrSet(element.disable(dot)),
            (Value::EwFlag(flag), Self::Enable) => Value::EwFlag(flag.enable(dot)),
            (Value::EwFlag(flag), Self::Disable | Self::Delete(_)) => Value::EwFlag(flag.disable(dot)),
            (Value::DwFlag(flag), Self::Enable) => Value::DwFlag(flag.enable(dot)),
            (Value::DwFlag(flag), Self::Disable) => Value::DwFlag(flag.disable(dot)),
            (Value::DwFlag(flag), Self::Delete(_)) => Value::DwFlag(flag.clear(dot)),
            _ => return Err(OperationError::NotApplicable { kind }),
        })
    }
}

/// What one step of a deletion takes.
struct Doomed {
    /// Kind, and of sets the element. None of them is empty; a flag that is disabled is among them.
    atoms: Vec<(Kind, Option<Box<[u8]>>)>,
    /// Whether a reader finds any of them.
    existed: bool,
    /// Where the next step begins.
    next: Option<ElementCursor>,
}

fn check_value(bytes: &[u8]) -> Result<(), OperationError> {
    if is_valid_value(bytes) { Ok(()) } else { Err(OperationError::ValueTooLarge { bytes: bytes.len() }) }
}

/// A counter's value; `None` for what is none.
pub(crate) fn counter_total(value: &Value<'_>) -> Option<Total> {
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
