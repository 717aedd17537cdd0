//! The next segment's file, made ahead of its use.

use std::sync::Arc;
use std::time::Duration;

use crate::disk::{Disk, DiskFile};
use crate::queue::{DISK_FULL_PAUSE, IDLE_BEFORE_CHORES};
use crate::segment::SPARE_NAME;
use crate::sync::{Condvar, Mutex};

/// Makes spare files and keeps one; clones keep the same one.
///
/// Nothing depends on a spare: where making one fails, for lack of space or for whatever reason, the segment is made
/// when it is needed, and a fault that lasts is met then.
pub(crate) struct Spares<D: Disk> {
    disk: D,
    segment_bytes: u64,
    shared: Arc<Shared<D::File>>,
}

impl<D: Disk> Clone for Spares<D> {
    fn clone(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        Self { disk: self.disk.clone(), segment_bytes: self.segment_bytes, shared }
    }
}

impl<D: Disk> Spares<D> {
    pub(crate) fn new(disk: D, segment_bytes: u64) -> Self {
        let shared = Shared {
            state: Mutex::new(State { spare: Spare::NotWanted, has_failed: false, has_maker: false }),
            changed: Condvar::new(),
        };
        Self { disk, segment_bytes, shared: Arc::new(shared) }
    }

    /// Asks for a spare, as the segment before it is filled to a good part.
    pub(crate) fn want(&self) {
        let mut state = self.shared.state.lock();
        if matches!(state.spare, Spare::NotWanted) {
            (state.spare, state.has_failed) = (Spare::Wanted, false);
            self.shared.changed.notify_all();
        }
    }

    /// Takes the spare, empty and with its space taken, if there is one. Waits while one is being made.
    pub(crate) fn take(&self) -> Option<D::File> {
        let mut state = self.shared.state.lock();
        while matches!(state.spare, Spare::Making) {
            self.shared.changed.wait(&mut state);
        }
        match std::mem::replace(&mut state.spare, Spare::NotWanted) {
            Spare::Ready(file) => Some(file),
            Spare::Ended => {
                state.spare = Spare::Ended;
                None
            }
            Spare::NotWanted | Spare::Wanted | Spare::Making => None,
        }
    }

    /// Makes a spare if one is wanted, and returns whether there is one.
    pub(crate) fn make(&self) -> bool {
        let mut state = self.shared.state.lock();
        if !matches!(state.spare, Spare::Wanted) {
            return matches!(state.spare, Spare::Ready(_));
        }
        state.spare = Spare::Making;
        drop(state);
        let mut making = Making { shared: &self.shared, made: None };
        making.made = self.make_file();
        making.made.is_some()
    }

    /// Returns after how long one is to be made by a thread that has other duties, if one is wanted.
    pub(crate) fn due(&self) -> Option<Duration> {
        let state = self.shared.state.lock();
        let is_due = matches!(state.spare, Spare::Wanted) && !state.has_maker;
        is_due.then_some(if state.has_failed { DISK_FULL_PAUSE } else { IDLE_BEFORE_CHORES })
    }

    /// Leaves the making to a thread that has no other duty.
    pub(crate) fn leave_to_maker(&self) {
        self.shared.state.lock().has_maker = true;
    }

    /// Ends what [`Spares::leave_to_maker`] began.
    pub(crate) fn take_from_maker(&self) {
        self.shared.state.lock().has_maker = false;
    }

    /// Makes each spare as soon as it is wanted, until the log ends. After a failure it tries again every 500 ms.
    pub(crate) fn make_all(&self) {
        let mut state = self.shared.state.lock();
        loop {
            match state.spare {
                Spare::Ended => return,
                Spare::Wanted => {
                    drop(state);
                    let is_made = self.make();
                    state = self.shared.state.lock();
                    if !is_made && !matches!(state.spare, Spare::Ended) {
                        self.shared.changed.wait_for(&mut state, DISK_FULL_PAUSE);
                    }
                }
                Spare::NotWanted | Spare::Making | Spare::Ready(_) => self.shared.changed.wait(&mut state),
            }
        }
    }

    /// Ends the making, and removes what is not needed any more. Waits while one is being made.
    pub(crate) fn end(&self) {
        let spare = self.take();
        self.shared.state.lock().spare = Spare::Ended;
        self.shared.changed.notify_all();
        if spare.is_some() {
            self.remove();
        }
    }

    fn make_file(&self) -> Option<D::File> {
        let made = self.disk.create(SPARE_NAME).and_then(|mut file| {
            file.allocate(self.segment_bytes)?;
            // The length is durable before the first record, whose sync then has only the record to write.
            file.sync()?;
            Ok(file)
        });
        if made.is_err() {
            self.remove();
        }
        made.ok()
    }

    /// Removes the file. It is never read: one that stays is replaced, or removed by the next opening.
    fn remove(&self) {
        let _ = self.disk.remove(SPARE_NAME);
    }
}

struct Shared<F> {
    state: Mutex<State<F>>,
    changed: Condvar,
}

struct State<F> {
    spare: Spare<F>,
    /// Whether the last attempt failed.
    has_failed: bool,
    has_maker: bool,
}

enum Spare<F> {
    /// There is no segment that it could follow soon.
    NotWanted,
    Wanted,
    Making,
    Ready(F),
    Ended,
}

/// A spare that is being made, or was not if its thread panicked.
struct Making<'a, F> {
    shared: &'a Shared<F>,
    made: Option<F>,
}

impl<F> Drop for Making<'_, F> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.has_failed = self.made.is_none();
        state.spare = self.made.take().map_or(Spare::Wanted, Spare::Ready);
        self.shared.changed.notify_all();
    }
}
