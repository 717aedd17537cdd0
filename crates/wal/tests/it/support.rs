//! A small log on a disk in memory, and what it should hold.

use std::fs;
use std::path::Path;

use trellis_wal::{
    Config, Disk, Log, Lsn, MemoryDisk, OpenError, OpenSeed, RecoveryReport, SnapshotError, SnapshotInfo,
    Snapshots, Syncer, open, recover,
};

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

/// A log in use with its snapshots, and what both held together when it was opened.
///
/// The snapshots hold the records themselves, so that snapshot and log can be compared with what was appended.
pub(crate) struct Store<D: Disk = MemoryDisk> {
    pub(crate) node: Node<D>,
    pub(crate) snapshots: Snapshots<D>,
}

impl<D: Disk> Store<D> {
    /// Opens the log behind its newest snapshot and reads both.
    pub(crate) fn open(disk: &D) -> Result<Self, OpenError> {
        let recovered = recover(disk.clone(), CONFIG, SEED, |_| {})?;
        let mut held = Vec::new();
        if let Some(mut snapshot) = recovered.snapshot {
            while let Some(chunk) = snapshot.next_chunk().unwrap() {
                held.extend(records_in(chunk));
            }
        }
        let opened = recovered.opened;
        held.extend(opened.records.collect::<Result<Vec<_>, _>>()?);
        let node = Node { log: opened.log, syncer: opened.syncer, held, report: opened.report };
        Ok(Self { node, snapshots: recovered.snapshots })
    }

    /// Appends up to `last` as [`Node::write_to`] does and takes a snapshot of all of it.
    pub(crate) fn write_and_snapshot(&mut self, last: u64) -> Result<SnapshotInfo, SnapshotError> {
        self.node.write_to(last);
        self.snapshot(last)
    }

    /// Takes a snapshot of the records up to `start`.
    pub(crate) fn snapshot(&self, start: u64) -> Result<SnapshotInfo, SnapshotError> {
        let mut writer = self.snapshots.begin(Lsn::from_u64(start))?;
        for chunk in chunks_to(start) {
            writer.append_chunk(&chunk)?;
        }
        writer.finish(&self.node.log, Lsn::from_u64(start))
    }
}

/// The chunks of a snapshot of the records up to `last`, seven records to a chunk.
pub(crate) fn chunks_to(last: u64) -> Vec<Vec<u8>> {
    let numbers: Vec<_> = (1..=last).collect();
    numbers
        .chunks(7)
        .map(|numbers| {
            let mut chunk = Vec::new();
            for &number in numbers {
                chunk.extend_from_slice(&number.to_le_bytes());
                chunk.push(payload(number).len() as u8);
                chunk.extend_from_slice(&payload(number));
            }
            chunk
        })
        .collect()
}

fn records_in(mut chunk: &[u8]) -> Vec<(Lsn, Vec<u8>)> {
    let mut records = Vec::new();
    while let Some((number, rest)) = chunk.split_first_chunk() {
        let (payload, rest) = rest[1..].split_at(usize::from(rest[0]));
        records.push((Lsn::from_u64(u64::from_le_bytes(*number)), payload.to_vec()));
        chunk = rest;
    }
    records
}

/// How a log of sixty durable records was left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// In the middle of work: nothing says that the last group was durable.
    Unattested,
    /// Idle.
    Attested,
    /// Closed.
    Sealed,
}

/// A log of sixty records, those from 31 to 35 an atomic batch.
pub(crate) fn log_of_sixty(end: End) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.write_to(30);
    node.append_batch_to(35);
    node.syncer.sync_once().unwrap();
    node.write_to(60);
    match end {
        End::Unattested => {}
        End::Attested => node.syncer.attest().unwrap(),
        End::Sealed => node.syncer.seal().unwrap(),
    }
    disk
}

/// The bytes that records of the log occupy.
pub(crate) fn framed_bytes(numbers: std::ops::RangeInclusive<u64>) -> usize {
    numbers.map(|number| 24 + payload(number).len().next_multiple_of(8)).sum()
}

/// Flips one bit of one byte of a file.
pub(crate) fn flip(disk: &MemoryDisk, name: &str, offset: usize) {
    let mut bytes = disk.contents(name).unwrap();
    bytes[offset] ^= 1 << (offset % 8);
    disk.overwrite(name, &bytes);
}

/// A payload for every position, of lengths from 0 to 96.
pub(crate) fn payload(number: u64) -> Vec<u8> {
    (0..number * 37 % 97).map(|index| (number * 31 + index * 7) as u8).collect()
}

/// What a log holds whose records are those of [`payload`].
pub(crate) fn records_to(last: u64) -> Vec<(Lsn, Vec<u8>)> {
    (1..=last).map(|number| (Lsn::from_u64(number), payload(number))).collect()
}

/// The names of the snapshots, oldest first.
pub(crate) fn snapshots(disk: &MemoryDisk) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.ends_with(".snap")).collect()
}

/// The files of a directory and what is in them, by name.
pub(crate) fn listing(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The names of the log's segments, oldest first.
pub(crate) fn segments(disk: &MemoryDisk) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.starts_with("wal-")).collect()
}
