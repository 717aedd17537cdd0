//! What clients read: the answer, with the LSN that must be durable before it is given (invariant 4).

use trellis_crdt::{Kind, VersionVector};
use trellis_storage::{Cursor, ElementCursor, ElementsPage, ListPage, Read, slot_of};
use trellis_wal::Lsn;

use super::{Core, Phase, RequestError};

impl Core {
    /// Reads a key; the answer is due once the returned LSN is durable.
    ///
    /// # Errors
    ///
    /// When the node is a guest or removed, or the key is not valid.
    pub fn read(&self, key: &str, kind: Option<Kind>) -> Result<(Read, Option<Lsn>), RequestError> {
        self.check_readable()?;
        let shard = self.shard(slot_of(key)).lock();
        let read = shard.keyspace().read(key, kind)?;
        Ok((read, shard.undurable(key)))
    }

    /// Tells whether an element is in a set, and the dots behind the answer; due once the returned LSN is durable.
    ///
    /// # Errors
    ///
    /// When the node is a guest or removed, the key is not valid, or the kind has no elements.
    pub fn contains(
        &self,
        key: &str,
        kind: Kind,
        element: &[u8],
    ) -> Result<((bool, VersionVector), Option<Lsn>), RequestError> {
        self.check_readable()?;
        let shard = self.shard(slot_of(key)).lock();
        let told = shard.keyspace().contains(key, kind, element)?;
        Ok((told, shard.undurable(key)))
    }

    /// Reads elements of a set from a cursor on; the page is due once the returned LSN is durable.
    ///
    /// A page ends after `examine_max` elements looked at or `bytes_max` bytes found, so it may hold few or none and
    /// have a next. Other pages may be of another moment: what is there throughout comes exactly once.
    ///
    /// # Errors
    ///
    /// As for [`contains`](Self::contains).
    pub fn elements(
        &self,
        key: &str,
        kind: Kind,
        cursor: ElementCursor,
        examine_max: usize,
        bytes_max: usize,
    ) -> Result<(ElementsPage, Option<Lsn>), RequestError> {
        self.check_readable()?;
        let shard = self.shard(slot_of(key)).lock();
        let page = shard.keyspace().elements(key, kind, cursor, examine_max, bytes_max)?;
        Ok((page, shard.undurable(key)))
    }

    /// Lists keys from a cursor on; the answer is due once the returned LSN is durable.
    ///
    /// A page ends with its slot or after `examine_max` keys looked at, so it may hold few or none and have a next.
    ///
    /// # Errors
    ///
    /// When the node is a guest or removed.
    pub fn list(
        &self,
        cursor: Cursor,
        prefix: &str,
        kind: Option<Kind>,
        examine_max: usize,
        out_max: usize,
    ) -> Result<(ListPage, Option<Lsn>), RequestError> {
        self.check_readable()?;
        let shard = self.shard(cursor.slot()).lock();
        let page = shard.keyspace().list_slot(cursor, prefix, kind, examine_max, out_max);
        Ok((page, shard.last_pending()))
    }

    fn check_readable(&self) -> Result<(), RequestError> {
        match self.shared.phase() {
            Phase::Serving | Phase::Draining | Phase::Failed if self.shared.is_member() => Ok(()),
            phase => Err(RequestError::NotServing(phase)),
        }
    }
}
