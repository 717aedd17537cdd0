//! That a caller has the lead in hand: the thread of the syncer does not leave before it.

use super::Queue;
use super::state::State;
use crate::sync::MutexGuard;

/// A caller that has the lead in hand, until it no longer has, however that ends.
pub(super) struct Leading<'a>(&'a Queue);

impl<'a> Leading<'a> {
    pub(super) fn begin(queue: &'a Queue, mut state: MutexGuard<'_, State>) -> Self {
        state.leading += 1;
        Self(queue)
    }

    /// Ends it and returns the lock, which a caller takes next: so it costs none of its own.
    pub(super) fn end(self) -> MutexGuard<'a, State> {
        let queue = self.0;
        std::mem::forget(self);
        over(queue)
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        drop(over(self.0));
    }
}

/// Notes that a caller has laid the lead back, or that it is gone with all that it held.
fn over(queue: &Queue) -> MutexGuard<'_, State> {
    let mut state = queue.state.lock();
    state.leading -= 1;
    if !state.is_lent {
        queue.work.notify_one();
    }
    state
}
