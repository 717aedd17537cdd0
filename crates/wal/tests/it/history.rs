//! Any history of appends, snapshots, removals, failures and restarts keeps what was acknowledged.

use std::io::ErrorKind;

use quickcheck::{QuickCheck, quickcheck};
use trellis_wal::tools::{Verdict, verify};
use trellis_wal::{Fault, Lsn, MemoryDisk, Operation, SnapshotWriter};

use crate::support::{Store, chunks_to, flip, records_to, snapshots};

quickcheck! {
    fn any_history_keeps_every_acknowledged_record(steps: Vec<u16>) -> bool {
        play(&steps);
        true
    }
}

#[test]
fn long_histories_keep_every_acknowledged_record_as_well() {
    fn keeps(steps: Vec<u16>) -> bool {
        let found = play(&steps);
        found.acknowledged <= found.held
    }
    let mut check = QuickCheck::new().tests(60);
    check = check.rng(quickcheck::Gen::new(400));
    check.quickcheck(keeps as fn(Vec<u16>) -> bool);
}

/// Plays a history and checks the log after every restart.
fn play(steps: &[u16]) -> Found {
    let disk = MemoryDisk::new();
    let store = Store::open(&disk).unwrap();
    let mut history = History { disk, store: Some(store), draft: None, acknowledged: 0, is_rotten: false };
    steps.iter().for_each(|&step| history.take(step));
    history.restart(true, 1);
    Found { acknowledged: history.acknowledged, held: history.store().node.log.last().as_u64() }
}

struct Found {
    acknowledged: u64,
    held: u64,
}

struct History {
    disk: MemoryDisk,
    /// `None` only while it restarts.
    store: Option<Store>,
    /// A snapshot that is being written, and how many of its chunks are.
    draft: Option<(SnapshotWriter<MemoryDisk>, u64, usize)>,
    acknowledged: u64,
    /// One snapshot at most rots.
    is_rotten: bool,
}

impl History {
    fn take(&mut self, step: u16) {
        let argument = u64::from(step >> 5);
        let last = self.store().node.log.last().as_u64();
        match step % 32 {
            0..=5 if !self.is_poisoned() => self.store().node.append_to(last + argument % 7 + 1),
            6..=7 if !self.is_poisoned() => self.store().node.append_batch_to(last + argument % 6 + 1),
            8..=14 => self.sync(),
            15 => drop(self.store().node.syncer.attest()),
            16 => self.draft = self.begin(),
            17..=19 => self.write_chunk(),
            20..=21 => self.finish(),
            22 => {
                // A snapshot of all that is durable, in one go.
                self.draft = self.begin();
                while self
                    .draft
                    .as_ref()
                    .is_some_and(|(_, start, written)| *written < chunks_to(*start).len())
                {
                    self.write_chunk();
                }
                self.finish();
            }
            23..=24 => drop(self.store().snapshots.retain()),
            25 => self.restart(false, step),
            26 => self.restart(true, step),
            27 => {
                let operations =
                    [Operation::Write, Operation::Sync, Operation::SyncDirectory, Operation::Rename];
                let operation = operations[argument as usize % 4];
                self.disk.inject(Fault {
                    operation,
                    after: (argument >> 2) as usize % 4,
                    kind: ErrorKind::Other,
                });
            }
            28 => {
                self.disk.cut_power_after(argument as usize % 9);
                self.sync();
                self.write_chunk();
                self.finish();
                drop(self.store().snapshots.retain());
                self.restart(true, step);
            }
            29 => self.disk.limit_bytes((argument % 2 == 0).then_some(20_000 + argument * 8)),
            30 => self.rot(argument),
            _ => {}
        }
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    fn is_poisoned(&mut self) -> bool {
        self.store().node.log.poisoned().is_some()
    }

    fn sync(&mut self) {
        let _ = self.store().node.syncer.sync_once();
        self.acknowledged = self.acknowledged.max(self.store().node.log.durable().as_u64());
    }

    fn begin(&mut self) -> Option<(SnapshotWriter<MemoryDisk>, u64, usize)> {
        self.draft = None;
        let start = self.store().node.log.durable();
        Some((self.store().snapshots.begin(start).ok()?, start.as_u64(), 0))
    }

    fn write_chunk(&mut self) {
        if let Some((writer, start, written)) = &mut self.draft
            && let Some(chunk) = chunks_to(*start).get(*written)
        {
            *written += 1;
            if writer.append_chunk(chunk).is_err() {
                self.draft = None;
            }
        }
    }

    fn finish(&mut self) {
        if let Some((writer, start, written)) = self.draft.take()
            && written == chunks_to(start).len()
        {
            let _ = writer.finish(&self.store().node.log, Lsn::from_u64(start));
        }
    }

    fn rot(&mut self, argument: u64) {
        if let Some(newest) = snapshots(&self.disk).pop()
            && !self.is_rotten
        {
            let bytes = self.disk.contents(&newest).unwrap().len();
            flip(&self.disk, &newest, argument as usize * 97 % bytes);
            self.is_rotten = true;
        }
    }

    /// Starts the process again, and the machine as well if `is_cut`.
    fn restart(&mut self, is_cut: bool, choice: u16) {
        (self.draft, self.store) = (None, None);
        self.disk = match is_cut {
            true => {
                let names = self.disk.unsynced_names();
                let kept = if names == 0 { 0 } else { usize::from(choice) % (names + 1) };
                self.disk.crash(kept, |sector| (sector.index + usize::from(choice)) % 3 != 0)
            }
            false => self.disk.clone(),
        };
        self.disk.limit_bytes(None);
        let found = verify(&self.disk, |_| {});
        let most = if self.is_rotten { Verdict::Corrupt } else { Verdict::TornTail };
        assert!(found.verdict() <= most, "{found}");
        let store = self.open();
        let held = store.node.held.len() as u64;
        assert!(held >= self.acknowledged, "{held} of {} records", self.acknowledged);
        assert_eq!(store.node.held, records_to(held));
        let again = Store::open(&self.disk.crash(0, |_| false)).unwrap();
        assert_eq!(again.node.held, store.node.held, "what is served survives");
        self.acknowledged = held;
        self.store = Some(store);
    }

    /// Opens the log; faults that are left over from before may need a second attempt.
    fn open(&self) -> Store {
        for _ in 0..40 {
            if let Ok(store) = Store::open(&self.disk) {
                return store;
            }
        }
        Store::open(&self.disk).unwrap()
    }
}
