//! A small log on a disk in memory, and what it should hold.

use trellis_wal::{Config, Disk, Log, Lsn, MemoryDisk, OpenError, OpenSeed, RecoveryReport, Syncer, open};

/// A log whose segments hold some twenty of the records of [`payload`].
pub(crate) const CONFIG: Config = Config {
    segment_bytes: 4096 + 1536,
    record_bytes_max: 200,
    pending_bytes_max: 8192,
    batch_bytes_max: 768,
};

pub(crate) const SEED: OpenSeed = OpenSeed { log_uuid: [7; 16], salt: 11 };

/// A log in use, and what it held when it was opened.
pub(crate) struct Node<D: Disk = MemoryDisk> {
    pub(crate) log: Log,
    pub(crate) syncer: Syncer<D>,
    pub(crate) held: Vec<(Lsn, Vec<u8>)>,
    pub(crate) report: RecoveryReport,
}

impl<D: Disk> Node<D> {
    /// Opens the log and reads all of it.
    pub(crate) fn open(disk: &D) -> Result<Self, OpenError> {
        let opened = open(disk.clone(), CONFIG, SEED)?;
        let held = opened.records.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { log: opened.log, syncer: opened.syncer, held, report: opened.report })
    }

    /// Appends the records of [`payload`] up to `last`, without a sync.
    pub(crate) fn append_to(&self, last: u64) {
        for number in self.log.last().as_u64() + 1..=last {
            assert_eq!(self.log.enqueue(&payload(number)), Ok(Lsn::from_u64(number)));
        }
    }

    /// Appends the records of [`payload`] up to `last` as one atomic batch, without a sync.
    pub(crate) fn append_batch_to(&self, last: u64) {
        let records: Vec<_> = (self.log.last().as_u64() + 1..=last).map(payload).collect();
        let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
        assert_eq!(self.log.enqueue_batch(&records), Ok(Lsn::from_u64(last)));
    }

    /// Appends the records up to `last` in groups of five, each made durable on its own.
    pub(crate) fn write_to(&mut self, last: u64) {
        while self.log.last().as_u64() < last {
            self.append_to(last.min(self.log.last().as_u64() + 5));
            self.syncer.sync_once().unwrap();
        }
    }
}

/// A payload for every position, of lengths from 0 to 96.
pub(crate) fn payload(number: u64) -> Vec<u8> {
    (0..number * 37 % 97).map(|index| (number * 31 + index * 7) as u8).collect()
}

/// What a log holds whose records are those of [`payload`].
pub(crate) fn records_to(last: u64) -> Vec<(Lsn, Vec<u8>)> {
    (1..=last).map(|number| (Lsn::from_u64(number), payload(number))).collect()
}

/// The names of the log's segments, oldest first.
pub(crate) fn segments(disk: &MemoryDisk) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.starts_with("wal-")).collect()
}
