//! One thread that writes and syncs: what the disk gives to whoever asks it for nothing else.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use rustix::fs::{FallocateFlags, fallocate};

use crate::append::Sample;

/// Writes `at_once` records with a checksum each into an allocated file, and syncs, again and again.
pub(crate) fn bare(directory: &Path, record: &[u8], at_once: usize, duration: Duration) -> Result<Sample> {
    let file = File::create(directory.join("bare"))?;
    fallocate(&file, FallocateFlags::empty(), 0, FILE_BYTES)?;
    file.sync_all()?;
    let mut buffer = Vec::new();
    let mut latency = Histogram::new(3)?;
    let (mut offset, mut records) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < duration {
        let begun = Instant::now();
        buffer.clear();
        for _ in 0..at_once {
            frame(record, records, &mut buffer);
            records += 1;
        }
        if offset + buffer.len() as u64 > FILE_BYTES {
            offset = 0;
        }
        file.write_all_at(&buffer, offset)?;
        file.sync_data()?;
        offset += buffer.len() as u64;
        latency.record(begun.elapsed().as_nanos() as u64)?;
    }
    Ok(Sample { per_second: records as f64 / started.elapsed().as_secs_f64(), latency })
}

/// As many bytes as a record of ours takes.
fn frame(record: &[u8], number: u64, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&crc32c::crc32c(record).to_le_bytes());
    buffer.extend_from_slice(&(record.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&number.to_le_bytes());
    buffer.extend_from_slice(&[0; 8]);
    buffer.extend_from_slice(record);
    buffer.resize(buffer.len().next_multiple_of(8), 0);
}

const FILE_BYTES: u64 = 64 << 20;
