//! Clients that read: keys, elements, pages of sets, and listings.

use trellis_crdt::Kind;
use trellis_storage::{Cursor, ElementCursor, slot_of};
use trellis_wal::Lsn;

use super::World;
use super::clients::{Asked, Stage};
use crate::invariants::{Held, Told};
use crate::sim::agenda::Micros;

impl World {
    pub(super) fn read(&mut self, asked: Asked, key: &'static str, kind: Option<Kind>) -> Held {
        let Some(process) = &self.host(asked.host).process else { return Ok(()) };
        match process.core.read(key, kind) {
            Ok((read, lsn)) => {
                self.coverage.count("reads answered");
                self.give(asked, key, &Told::Key { key, kind, read }, lsn)
            }
            Err(error) => self.on_refused(asked, &error),
        }
    }

    pub(super) fn contains(
        &mut self,
        asked: Asked,
        (key, kind): (&'static str, Kind),
        element: &'static str,
    ) -> Held {
        let Some(process) = &self.host(asked.host).process else { return Ok(()) };
        match process.core.contains(key, kind, element.as_bytes()) {
            Ok(((is_there, _), lsn)) => {
                self.coverage.count(if is_there { "elements found" } else { "elements not found" });
                self.give(asked, key, &Told::Member { key, kind, element, is_there }, lsn)
            }
            Err(error) => self.on_refused(asked, &error),
        }
    }

    /// Reads a set to its end, in pages of two elements or a few bytes.
    pub(super) fn read_elements(&mut self, asked: Asked, key: &'static str, kind: Kind) -> Held {
        let mut next = Some(ElementCursor::START);
        while let Some(cursor) = next {
            let Some(process) = &self.host(asked.host).process else { return Ok(()) };
            let (page, lsn) = match process.core.elements(key, kind, cursor, 2, 30) {
                Ok(answer) => answer,
                Err(error) => return self.on_refused(asked, &error),
            };
            next = page.next;
            self.coverage.count(if next.is_some() { "pages of elements" } else { "last pages of elements" });
            self.give(asked, key, &Told::Page { key, kind, cursor, page }, lsn)?;
        }
        Ok(())
    }

    /// Gives an answer about a key, or has it wait for the log.
    fn give(&mut self, asked: Asked, key: &'static str, told: &Told<'_>, lsn: Option<Lsn>) -> Held {
        let host = asked.host;
        self.checks.read(host, &self.hosts[usize::from(host)], told, lsn)?;
        let last_change = self.checks.last_change(host, key);
        self.answer_when_durable(asked, lsn.unwrap_or(Lsn::ZERO), last_change)
    }

    fn answer_when_durable(&mut self, asked: Asked, until: Lsn, last_change: Lsn) -> Held {
        let Some(process) = &self.host(asked.host).process else { return Ok(()) };
        if until > process.core.log().durable() {
            self.wait(asked, Stage::Read { until, last_change }, READ_PATIENCE);
            return Ok(());
        }
        self.answer_read(asked.host, last_change)
    }

    pub(super) fn answer_read(&self, host: u8, last_change: Lsn) -> Held {
        self.checks.read_is_durable(host, &self.hosts[usize::from(host)], last_change)
    }

    pub(super) fn list(&mut self, asked: Asked, key: &'static str) -> Held {
        let host = asked.host;
        let Some(process) = &self.host(host).process else { return Ok(()) };
        let mut cursor = Cursor::at_slot(slot_of(key));
        let slot = cursor.slot();
        let (mut listed, mut until) = (Vec::new(), Lsn::ZERO);
        while cursor.slot() == slot {
            let Ok((page, lsn)) = process.core.list(cursor, "", None, 2, 2) else { return Ok(()) };
            until = until.max(lsn.unwrap_or(Lsn::ZERO));
            listed.extend(page.keys);
            let Some(next) = page.next else { break };
            cursor = next;
        }
        let last_change = self.checks.last_change_in(host, slot);
        self.coverage.count("listings");
        self.checks.listed(host, &self.hosts[usize::from(host)], slot, &listed)?;
        self.answer_when_durable(asked, until, last_change)
    }
}

/// How long a client waits for what it reads.
const READ_PATIENCE: Micros = 500_000;
