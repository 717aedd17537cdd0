//! Having the processor fetch what the next operations need, for all of them at once.

use std::hint::black_box;

use crate::key::slot_of;
use crate::keyspace::Keyspace;

impl Keyspace {
    /// Looks at what operations on these keys, or merges of deltas to them, will read first.
    ///
    /// Changes nothing. Each of them waits for memory three times in a row, for a place in a table, a handle, and a
    /// record; looked at beforehand, in three passes, these waits overlap among the keys. Worth its while for some
    /// ten to a hundred keys that are about to be used, where the keyspace is larger than the caches.
    ///
    /// Source: Chen, Ailamaki, Gibbons, Mowry, "Improving hash join performance through prefetching", 2004, group
    /// prefetching; with loads in place of prefetches.
    pub fn warm<'k>(&self, keys: impl IntoIterator<Item = &'k str>) {
        let mut places = [(0_u8, 0_u32); GROUP];
        let mut keys = keys.into_iter();
        loop {
            let mut count = 0;
            for (place, key) in places.iter_mut().zip(&mut keys) {
                let slot = slot_of(key);
                *place = (slot, self.position_of(key));
                count += 1;
            }
            let places = &places[..count];
            for pass in [Pass::Table, Pass::Handle, Pass::Record] {
                let met = places.iter().map(|(slot, position)| self.slot(*slot).peek(*position, pass));
                black_box(met.fold(0, usize::wrapping_add));
            }
            if count < GROUP {
                return;
            }
        }
    }
}

/// How far a look goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Table,
    Handle,
    Record,
}

/// More than a processor has loads under way.
const GROUP: usize = 32;
