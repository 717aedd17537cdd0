//! What is told once to all who wait for it, threads and tasks alike.

use std::fmt;

#[cfg(not(all(test, loom)))]
use std::sync::OnceLock;

#[cfg(all(test, loom))]
use self::under_loom::OnceLock;

/// A value that comes once. Threads that wait are woken by one call of the system for all of them, and take no lock
/// after it; tasks are woken one by one.
pub(crate) struct Gate<T> {
    value: OnceLock<T>,
    #[cfg(feature = "async")]
    tasks: crate::sync::Mutex<tasks::Tasks>,
}

impl<T> Gate<T> {
    pub(crate) fn new() -> Self {
        Self {
            value: OnceLock::new(),
            #[cfg(feature = "async")]
            tasks: crate::sync::Mutex::new(tasks::Tasks::default()),
        }
    }

    /// Gives the value, which is the first, and wakes all who wait. Not for a thread that holds a lock.
    pub(crate) fn open(&self, value: T) {
        let is_first = self.value.set(value).is_ok();
        assert!(is_first, "a gate is opened once");
        #[cfg(feature = "async")]
        self.wake_tasks();
    }

    /// Blocks the thread until there is a value.
    pub(crate) fn wait(&self) -> &T {
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
            // A value that is missed here comes after its waker is in place: whoever opens sets it first.
            let mut tasks = this.gate.tasks.lock();
            if let Some(value) = this.gate.value.get() {
                this.place = None;
                return Poll::Ready(value.clone());
            }
            let waker = Some(context.waker().clone());
            match this.place {
                Some(place) => tasks.places[place] = waker,
                None => {
                    this.place = Some(match tasks.free.pop() {
                        Some(place) => {
                            tasks.places[place] = waker;
                            place
                        }
                        None => {
                            tasks.places.push(waker);
                            tasks.places.len() - 1
                        }
                    });
                }
            }
            Poll::Pending
        }
    }

    impl<T> Drop for Opening<T> {
        fn drop(&mut self) {
            let Some(place) = self.place else { return };
            let mut tasks = self.gate.tasks.lock();
            // Once the gate is open there are no places.
            if let Some(waker) = tasks.places.get_mut(place) {
                *waker = None;
                tasks.free.push(place);
            }
        }
    }
}

/// The part of the standard library's `OnceLock` that is used, over loom's types.
#[cfg(all(test, loom))]
mod under_loom {
    use loom::sync::{Condvar, Mutex};

    pub(super) struct OnceLock<T> {
        value: Mutex<Option<&'static T>>,
        is_set: Condvar,
    }

    impl<T> OnceLock<T> {
        pub(super) fn new() -> Self {
            Self { value: Mutex::new(None), is_set: Condvar::new() }
        }

        pub(super) fn set(&self, value: T) -> Result<(), T> {
            let mut held = self.value.lock().expect("a panic ends the test");
            if held.is_some() {
                return Err(value);
            }
            // Leaked: a test ends soon, and a reference into loom's lock cannot be handed out.
            *held = Some(Box::leak(Box::new(value)));
            drop(held);
            self.is_set.notify_all();
            Ok(())
        }

        #[cfg(feature = "async")]
        pub(super) fn get(&self) -> Option<&T> {
            *self.value.lock().expect("a panic ends the test")
        }

        pub(super) fn wait(&self) -> &T {
            let mut held = self.value.lock().expect("a panic ends the test");
            loop {
                if let Some(value) = *held {
                    return value;
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
    use std::task::{Context, Poll, Waker};

    use super::*;

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
