//! What is told once to all who wait for it, threads and tasks alike.

use std::fmt;

use self::once::Once;

/// A value that comes once. Threads that wait are woken by one call of the system for all of them, and take no lock
/// after it; tasks are woken one by one.
pub(crate) struct Gate<T> {
    value: Once<T>,
    #[cfg(feature = "async")]
    tasks: crate::sync::Mutex<tasks::Tasks>,
}

impl<T: Clone> Gate<T> {
    pub(crate) fn new() -> Self {
        Self {
            value: Once::new(),
            #[cfg(feature = "async")]
            tasks: crate::sync::Mutex::new(tasks::Tasks::default()),
        }
    }

    /// Gives the value, which is the first, and wakes all who wait. Not for a thread that holds a lock.
    pub(crate) fn open(&self, value: T) {
        let is_first = self.value.set(value);
        assert!(is_first, "a gate is opened once");
        #[cfg(feature = "async")]
        self.wake_tasks();
    }

    /// Blocks the thread until there is a value.
    pub(crate) fn wait(&self) -> T {
        self.value.wait()
    }
}

impl<T> fmt::Debug for Gate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

#[cfg(feature = "async")]
mod tasks {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use super::Gate;

    /// The wakers of the tasks that wait. A place is used again, so that tasks which come and go leave nothing.
    #[derive(Debug, Default)]
    pub(super) struct Tasks {
        places: Vec<Option<Waker>>,
        free: Vec<usize>,
    }

    impl<T: Clone> Gate<T> {
        /// Waits for the value as a task.
        pub(crate) fn opening(self: Arc<Self>) -> Opening<T> {
            Opening { gate: self, place: None }
        }
    }

    impl<T> Gate<T> {
        pub(super) fn wake_tasks(&self) {
            let Tasks { places, .. } = std::mem::take(&mut *self.tasks.lock());
            places.into_iter().flatten().for_each(Waker::wake);
        }

        #[cfg(test)]
        pub(crate) fn places(&self) -> usize {
            self.tasks.lock().places.len()
        }
    }

    /// Comes to the value of a gate. Dropping it gives its place up.
    pub(crate) struct Opening<T> {
        gate: Arc<Gate<T>>,
        place: Option<usize>,
    }

    impl<T: Clone> Future for Opening<T> {
        type Output = T;

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
            let this = self.get_mut();
            // What a waker does when it is cloned or dropped is its runtime's affair, and so not done under the lock.
            let waker = context.waker().clone();
            let mut tasks = this.gate.tasks.lock();
            // A value that is missed here comes after its waker is in place: whoever opens sets it first.
            if let Some(value) = this.gate.value.get() {
                this.place = None;
                return Poll::Ready(value);
            }
            let replaced = tasks.keep(waker, &mut this.place);
            drop(tasks);
            drop(replaced);
            Poll::Pending
        }
    }

    impl<T> Drop for Opening<T> {
        fn drop(&mut self) {
            let Some(place) = self.place else { return };
            let left = self.gate.tasks.lock().leave(place);
            drop(left);
        }
    }

    impl Tasks {
        /// Keeps a waker at its place or at a free one, and returns the one that was there.
        fn keep(&mut self, waker: Waker, place: &mut Option<usize>) -> Option<Waker> {
            let place = *place.get_or_insert_with(|| {
                self.free.pop().unwrap_or_else(|| {
                    self.places.push(None);
                    self.places.len() - 1
                })
            });
            self.places[place].replace(waker)
        }

        /// Gives a place up and returns the waker there. Once the gate is open there are no places.
        fn leave(&mut self, place: usize) -> Option<Waker> {
            let left = self.places.get_mut(place)?.take();
            self.free.push(place);
            left
        }
    }
}

/// A value that is set once, over the standard library.
#[cfg(not(all(test, loom)))]
mod once {
    use std::sync::OnceLock;

    pub(super) struct Once<T>(OnceLock<T>);

    impl<T: Clone> Once<T> {
        pub(super) fn new() -> Self {
            Self(OnceLock::new())
        }

        /// Returns whether there was no value before.
        pub(super) fn set(&self, value: T) -> bool {
            self.0.set(value).is_ok()
        }

        #[cfg(feature = "async")]
        pub(super) fn get(&self) -> Option<T> {
            self.0.get().cloned()
        }

        pub(super) fn wait(&self) -> T {
            self.0.wait().clone()
        }
    }
}

/// The same over loom's types.
#[cfg(all(test, loom))]
mod once {
    use loom::sync::{Condvar, Mutex};

    pub(super) struct Once<T> {
        value: Mutex<Option<T>>,
        is_set: Condvar,
    }

    impl<T: Clone> Once<T> {
        pub(super) fn new() -> Self {
            Self { value: Mutex::new(None), is_set: Condvar::new() }
        }

        pub(super) fn set(&self, value: T) -> bool {
            let before = self.value.lock().expect("a panic ends the test").replace(value);
            self.is_set.notify_all();
            before.is_none()
        }

        #[cfg(feature = "async")]
        pub(super) fn get(&self) -> Option<T> {
            self.value.lock().expect("a panic ends the test").clone()
        }

        pub(super) fn wait(&self) -> T {
            let mut held = self.value.lock().expect("a panic ends the test");
            loop {
                if let Some(value) = &*held {
                    return value.clone();
                }
                held = self.is_set.wait(held).expect("a panic ends the test");
            }
        }
    }
}

#[cfg(all(test, feature = "async", not(loom)))]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    use super::*;

    #[test]
    fn no_waker_is_dropped_under_the_lock() {
        struct Last(Arc<Gate<u8>>);
        impl Wake for Last {
            fn wake(self: Arc<Self>) {}
        }
        impl Drop for Last {
            fn drop(&mut self) {
                // As a runtime may, whose task ends with its last waker and gives up what it waited for.
                assert!(!self.0.tasks.is_locked());
            }
        }
        let gate = Arc::new(Gate::new());
        let mut opening = Box::pin(Arc::clone(&gate).opening());
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Last(Arc::clone(&gate))));
            assert_eq!(opening.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        }
        drop(opening);
    }

    #[test]
    fn tasks_that_come_and_go_leave_no_places_behind() {
        let gate = Arc::new(Gate::new());
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(Arc::clone(&gate).opening());
        assert_eq!(first.as_mut().poll(&mut context), Poll::Pending);
        for _ in 0..100 {
            let mut other = Box::pin(Arc::clone(&gate).opening());
            assert_eq!(other.as_mut().poll(&mut context), Poll::Pending);
            assert_eq!(other.as_mut().poll(&mut context), Poll::Pending);
        }
        assert_eq!(gate.places(), 2);
        gate.open(7);
        assert_eq!(first.as_mut().poll(&mut context), Poll::Ready(7));
        assert_eq!(gate.places(), 0);
    }
}
