//! Callers that wait for room in memory, first come, first served.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::gate::Gate;

/// Who waits for room, and what was promised to those who have not used it yet.
///
/// Room is promised by bytes and in order, so that neither a long record nor a slow caller is overtaken for ever.
#[derive(Debug, Default)]
pub(crate) struct Room {
    waiting: BTreeMap<u64, (usize, Arc<Gate<()>>)>,
    ticket_next: u64,
    promised_bytes: usize,
}

impl Room {
    /// Takes a place at the end.
    pub(crate) fn enter(&mut self, bytes: usize) -> Ticket {
        let gate = Arc::new(Gate::new());
        let number = self.ticket_next;
        self.ticket_next += 1;
        self.waiting.insert(number, (bytes, Arc::clone(&gate)));
        Ticket { number, bytes, gate }
    }

    /// Gives a ticket back, used or not.
    pub(crate) fn leave(&mut self, ticket: &Ticket) {
        if self.waiting.remove(&ticket.number).is_none() {
            self.promised_bytes -= ticket.bytes;
        }
    }

    /// Promises `free` bytes to those in front; the gates are to be opened.
    pub(crate) fn promise(&mut self, free: usize) -> Vec<Arc<Gate<()>>> {
        let mut promised = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && self.promised_bytes.saturating_add(first.get().0) <= free
        {
            let (bytes, gate) = first.remove();
            self.promised_bytes += bytes;
            promised.push(gate);
        }
        promised
    }

    /// Returns the bytes that are promised and not used.
    pub(crate) fn promised_bytes(&self) -> usize {
        self.promised_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// A place among those who wait for room.
#[derive(Debug)]
pub(crate) struct Ticket {
    number: u64,
    bytes: usize,
    /// Opened when there is room, or never will be.
    pub(crate) gate: Arc<Gate<()>>,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn room_is_promised_in_order_and_a_long_record_is_not_overtaken() {
        let mut room = Room::default();
        let tickets: Vec<_> = [60, 100, 10].map(|bytes| room.enter(bytes)).into();
        assert_eq!((room.promise(90).len(), room.promised_bytes()), (1, 60));
        assert_eq!(room.promise(90).len(), 0);
        // Whoever gives up makes room for the next, promised or not.
        room.leave(&tickets[0]);
        room.leave(&tickets[1]);
        assert_eq!((room.promise(90).len(), room.promised_bytes()), (1, 10));
        room.leave(&tickets[2]);
        assert!(room.is_empty() && room.promised_bytes() == 0);
    }
}
