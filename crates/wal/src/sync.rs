//! The locks of the queue: parking_lot's, or in the tests that try all interleavings those of loom.

#[cfg(all(test, loom))]
pub(crate) use loom::thread::yield_now;
#[cfg(not(all(test, loom)))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, loom)))]
pub(crate) use std::thread::yield_now;

#[cfg(all(test, loom))]
pub(crate) use self::under_loom::{Condvar, Mutex, MutexGuard};

/// The part of parking_lot's interface that is used, over loom's types.
#[cfg(all(test, loom))]
mod under_loom {
    use std::ops::{Deref, DerefMut};
    use std::time::Duration;

    use ::loom::sync as loom;

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().expect("a panic ends the test")))
        }
    }

    /// Empty only while its thread waits.
    pub(crate) struct MutexGuard<'a, T>(Option<loom::MutexGuard<'a, T>>);

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect("the lock is held")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("the lock is held")
        }
    }

    #[derive(Debug)]
    pub(crate) struct Condvar(loom::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::Condvar::new())
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let held = guard.0.take().expect("the lock is held");
            guard.0 = Some(self.0.wait(held).expect("a panic ends the test"));
        }

        /// Time does not pass here: whoever relies on it to be woken never is, which loom then finds.
        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _limit: Duration) -> Waited {
            self.wait(guard);
            Waited
        }
    }

    pub(crate) struct Waited;

    impl Waited {
        pub(crate) fn timed_out(&self) -> bool {
            false
        }
    }
}
