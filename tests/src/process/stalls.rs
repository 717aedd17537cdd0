//! How late this machine is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// A thread that asks to be woken every millisecond, and remembers when it was woken late and by how much.
///
/// What is promised of a cluster in seconds is promised on a machine that runs a process when it is due. Where this
/// thread waited for a processor, so did nodes, and a bound that is widened by what it saw fails for the nodes only.
#[derive(Debug)]
pub struct Stalls {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    seen: Mutex<Vec<Stall>>,
}

#[derive(Clone, Copy, Debug)]
struct Stall {
    end: SystemTime,
    length: Duration,
}

impl Stalls {
    /// Starts to watch.
    pub fn watch() -> Self {
        let shared = Arc::new(Shared::default());
        let watching = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while !watching.is_over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                thread::sleep(TICK);
                let length = asked.elapsed().saturating_sub(TICK);
                if length >= STALL_MIN {
                    let stall = Stall { end: SystemTime::now(), length };
                    watching.seen.lock().unwrap_or_else(PoisonError::into_inner).push(stall);
                }
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// How much later than on an idle machine something may have happened that began at `from` and was there at
    /// `until`: the longest stalls in between, as many as it takes wake-ups in a row. Nothing on an idle machine.
    pub fn allowance(&self, from: SystemTime, until: SystemTime) -> Duration {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        longest(seen.iter().filter(|stall| stall.end >= from && stall.end <= until + stall.length))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn longest<'a>(stalls: impl Iterator<Item = &'a Stall>) -> Duration {
    let mut lengths: Vec<Duration> = stalls.map(|stall| stall.length).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    lengths.iter().take(WAKE_UPS).sum()
}

const TICK: Duration = Duration::from_millis(1);
/// Below this a timer of the system is on time. It also bounds what is remembered: so many stalls at most in a second.
const STALL_MIN: Duration = Duration::from_millis(5);
/// The longest chain of wake-ups behind a change that everyone must hear of: a probe is due, its helpers get the request,
/// ask, get no answer, the prober counts the time out, later the verdict is due, and it is told in two steps, of which each
/// wakes the sender's task, the receiver's and the one that writes its log.
const WAKE_UPS: usize = 12;

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn the_longest_stalls_count_and_as_many_as_there_are_wake_ups() {
        let stall = |millis| Stall { end: UNIX_EPOCH, length: Duration::from_millis(millis) };
        let mut stalls: Vec<Stall> = (0..WAKE_UPS).map(|_| stall(10)).collect();
        assert_eq!(longest(stalls.iter()), Duration::from_millis(10 * WAKE_UPS as u64));
        stalls.push(stall(50));
        assert_eq!(longest(stalls.iter()), Duration::from_millis(10 * WAKE_UPS as u64 + 40));
    }

    #[test]
    fn a_stall_counts_where_it_falls_into_the_time_asked_for() {
        let stalls = Stalls::watch();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let seen = [(10, 100), (20, 200)]
            .map(|(end, millis)| Stall { end: at(end), length: Duration::from_millis(millis) });
        stalls.shared.seen.lock().unwrap().extend(seen);
        assert_eq!(stalls.allowance(at(5), at(15)), Duration::from_millis(100));
        assert_eq!(stalls.allowance(at(15), at(20)), Duration::from_millis(200));
        assert_eq!(stalls.allowance(at(5), at(25)), Duration::from_millis(300));
        assert_eq!(stalls.allowance(at(25), at(26)), Duration::ZERO);
    }
}
