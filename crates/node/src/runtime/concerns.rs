//! Writes that wait for other nodes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Writes that wait for other nodes, by ticket. Bounded by the number of requests under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concerns {
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>,
    next: Arc<AtomicU64>,
}

impl Concerns {
    /// Takes a ticket; what is returned resolves when the write has reached as many nodes as it asked for.
    pub(crate) fn open(&self) -> (u64, oneshot::Receiver<()>) {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(ticket, sender);
        (ticket, receiver)
    }

    /// Wakes the holder of a ticket.
    pub(crate) fn reached(&self, ticket: u64) {
        if let Some(sender) = self.waiting.lock().remove(&ticket) {
            let _ = sender.send(());
        }
    }

    /// Takes a ticket back; returns false when its holder was woken before.
    pub(crate) fn forget(&self, ticket: u64) -> bool {
        self.waiting.lock().remove(&ticket).is_some()
    }
}
