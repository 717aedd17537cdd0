//! The queue under every order in which its threads can run, within bounds: no wake-up is lost, whoever syncs.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p trellis-wal --lib --release interleavings --target-dir target/loom`. Time does
//! not pass here, so that nothing is saved by a pause that ends: a caller who is forgotten is a deadlock, which loom
//! reports. A disk is not needed: what leads is a stand-in that only says what is durable.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::Mutex;
use loom::thread;

use crate::batch::Batch;
use crate::config::Config;
use crate::error::{AppendError, PoisonCause, SyncError};
use crate::lsn::Lsn;
use crate::queue::{Admission, Duty, Lead, Queue, Wake};

#[test]
fn callers_that_lead_and_the_thread_leave_no_record_behind() {
    explore(|| {
        let log = Running::start(Fake::default());
        let callers = [log.appender(), log.appender()];
        callers.into_iter().for_each(|caller| assert!(caller.join().unwrap().is_ok()));
        log.end(2);
    });
}

#[test]
fn a_record_that_nobody_waits_for_is_synced_whoever_leads_meanwhile() {
    explore(|| {
        let log = Running::start(Fake::default());
        let caller = log.appender();
        log.queue.push(&[b"b"], Admission::Always).unwrap();
        // A waiter who never leads: it is told by whoever syncs.
        while log.told.lock().unwrap().last() != Some(&Ok(Lsn::from_u64(2))) {
            thread::yield_now();
        }
        assert!(caller.join().unwrap().is_ok());
        log.end(2);
    });
}

#[test]
fn a_failure_reaches_who_waits_and_is_told_once() {
    explore(|| {
        let log = Running::start(Fake { fails_after: Some(0), ..Fake::default() });
        let callers = [log.appender(), log.appender()];
        // It leaves only when whoever failed has told.
        log.thread.join().unwrap();
        assert!(matches!(log.told.lock().unwrap()[..], [Err(SyncError::Poisoned(_))]));
        for caller in callers {
            assert!(caller.join().unwrap().is_err());
        }
    });
}

#[test]
fn a_log_that_is_closed_under_its_callers_settles_every_one() {
    explore(|| {
        let log = Running::start(Fake::default());
        let callers = [log.appender(), log.appender()];
        log.queue.close();
        let kept = callers.into_iter().filter_map(|caller| caller.join().unwrap().ok()).count();
        log.end(kept);
    });
}

#[test]
fn a_full_disk_keeps_callers_waiting_until_the_thread_tries_again() {
    explore(|| {
        let log = Running::start(Fake { is_full_at: Some(0), ..Fake::default() });
        let caller = log.appender();
        // The pause does not end here by itself; it ends early when somebody closes the log.
        while log.told.lock().unwrap().first() != Some(&Err(SyncError::DiskFull)) {
            thread::yield_now();
        }
        log.queue.close();
        assert!(caller.join().unwrap().is_ok());
        log.end(1);
    });
}

#[test]
fn callers_that_wait_for_room_are_all_let_in() {
    explore(|| {
        // Room for one record of 24 bytes at a time.
        let log = Running::start_with(Fake::default(), 24);
        let callers = [log.appender(), log.appender()];
        callers.into_iter().for_each(|caller| assert!(caller.join().unwrap().is_ok()));
        log.end(2);
    });
}

/// At most three switches where a thread could have gone on: enough for every lost wake-up that was tried.
fn explore(test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.max_branches = 20_000;
    model.check(test);
}

type Told = Arc<Mutex<Vec<Result<Lsn, SyncError>>>>;

/// A log with its thread.
struct Running {
    queue: Arc<Queue>,
    told: Told,
    thread: thread::JoinHandle<()>,
}

impl Running {
    fn start(fake: Fake) -> Self {
        Self::start_with(fake, 1 << 20)
    }

    fn start_with(fake: Fake, room: usize) -> Self {
        let config = Config {
            segment_bytes: 1 << 20,
            record_bytes_max: 8,
            pending_bytes_max: room,
            batch_bytes_max: room.min(1 << 10),
        };
        let queue = Arc::new(Queue::new(&config, Lsn::ZERO));
        let told = Told::default();
        let lead = FakeLead {
            queue: Arc::clone(&queue),
            told: Arc::clone(&told),
            batch: Batch::default(),
            fake,
            syncs: 0,
            durable: Lsn::ZERO,
            is_ended: false,
        };
        let thread = thread::spawn({
            let queue = Arc::clone(&queue);
            move || run(&queue, Box::new(lead))
        });
        Self { queue, told, thread }
    }

    fn appender(&self) -> thread::JoinHandle<Result<Lsn, AppendError>> {
        let queue = Arc::clone(&self.queue);
        thread::spawn(move || {
            let appended = queue.append(&[b""]);
            if let Ok(lsn) = &appended {
                assert!(queue.durable() >= *lsn);
            }
            appended
        })
    }

    fn end(self, records: usize) {
        self.queue.close();
        self.thread.join().unwrap();
        assert_eq!(self.queue.durable(), Lsn::from_u64(records as u64));
        let told = self.told.lock().unwrap();
        let durable: Vec<_> = told.iter().filter_map(|synced| synced.as_ref().ok()).collect();
        assert!(durable.is_sorted() && durable.len() <= records);
        assert_eq!(durable.last().map_or(0, |lsn| lsn.as_u64()), records as u64);
    }
}

/// The loop of `Syncer::run`, without chores: time does not pass.
fn run(queue: &Queue, lead: Box<dyn Lead>) {
    queue.lend(lead);
    loop {
        match queue.wait_for_duty() {
            Duty::Sync(lead) => queue.lead(lead),
            Duty::Chores(idle, _) => idle.into_iter().for_each(|lead| queue.lay_back(lead, false)),
            Duty::End(lead) => {
                lead.end();
                break;
            }
            Duty::Leave(_) => break,
        }
    }
    drop(queue.recall());
}

/// What goes wrong, if anything does, by number of the sync.
#[derive(Clone, Copy, Default)]
struct Fake {
    fails_after: Option<usize>,
    is_full_at: Option<usize>,
}

struct FakeLead {
    queue: Arc<Queue>,
    told: Told,
    batch: Batch,
    fake: Fake,
    syncs: usize,
    durable: Lsn,
    is_ended: bool,
}

impl Lead for FakeLead {
    fn sync_group(&mut self) -> Result<Wake, SyncError> {
        let number = self.syncs;
        self.syncs += 1;
        let synced = if self.fake.is_full_at == Some(number) {
            Err(SyncError::DiskFull)
        } else if self.fake.fails_after.is_some_and(|after| number >= after) {
            Err(self.queue.poison(PoisonCause::Abandoned).into())
        } else {
            if self.batch.is_empty() {
                self.queue.take(&mut self.batch);
            }
            let group = self.batch.complete_group(u64::MAX, 0, self.durable);
            self.durable = group.last;
            Ok(self.queue.on_durable(group.last, &mut self.batch))
        };
        let told = synced.as_ref().map(|_| self.durable).map_err(Clone::clone);
        self.told.lock().unwrap().push(told);
        synced
    }

    fn attest(&mut self) -> Result<(), SyncError> {
        Ok(())
    }

    fn end(mut self: Box<Self>) {
        while self.durable < self.queue.last() {
            match self.sync_group() {
                Ok(wake) => wake.now(),
                Err(_) => return,
            }
        }
        self.is_ended = true;
    }

    fn tell_failure(&mut self) {}

    fn chores(&self) -> Option<Duration> {
        None
    }
}

impl Drop for FakeLead {
    fn drop(&mut self) {
        self.queue.on_syncer_gone(self.is_ended);
    }
}
