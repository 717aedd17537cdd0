//! Opening a log: which records it holds, what was torn, and when to refuse.
//!
//! A record is *attested* when a later one, a seal or the next segment's header says that it was durable by
//! then. Damage to attested records is refused; whatever else is unreadable at the end is a torn tail, which
//! no one was promised, or in the last group before a crash may have been: then the tail is not certain.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::config::Config;
use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, OpenError, Operation};
use crate::fault;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::queue::Queue;
use crate::reader::SegmentReader;
use crate::record::{Kind, RecordHeader};
use crate::replay::{Records, Span};
use crate::segment::{Predecessor, SEGMENT_HEADER_BYTES, parse_file_name};
use crate::syncer::Syncer;
use crate::writer::{OpenSeed, Place, WriteError, Writer, is_no_space};

/// An open log: what it held, and the two ends of what it will hold.
pub struct Opened<D: Disk> {
    /// The handle to append through.
    pub log: Log,
    /// The one writer, for a thread of its own.
    pub syncer: Syncer<D>,
    /// The records there were, to be read to the end before the log is used.
    pub records: Records<D>,
    /// What was found.
    pub report: RecoveryReport,
}

/// What an opening found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The identity of the log, fixed when its first segment is made.
    pub log_uuid: [u8; 16],
    /// The last record; [`Lsn::ZERO`] if the log is empty.
    pub last: Lsn,
    /// How many segments there were.
    pub segments: usize,
    /// Whether no durable record can be missing at the end.
    ///
    /// If not, records that were acknowledged in the last moments may be gone: whoever told others of them
    /// must not reuse their identities. The doubt is reported at every opening until a record is appended.
    pub tail_certain: bool,
    /// How many records nothing attested. They were logged again and are durable.
    pub relogged: u64,
    /// Bytes of the torn tail that were set aside.
    pub torn_bytes: u64,
    /// The name in `quarantine/` of the copy of these bytes.
    pub quarantined: Option<String>,
}

/// Opens the log in a directory, and makes one if there is none. Blocks on the disk.
///
/// Takes the directory's lock, checks that the segments follow each other, and reads the last of them.
/// Records that nothing attests are logged again before this returns, as an earlier failed sync can have
/// left them readable and not durable. The time grows with the last segment and the number of segments; the
/// rest is read by [`Opened::records`].
///
/// # Errors
///
/// [`OpenError`]; the log is as it was, except after [`OpenError::Write`].
pub fn open<D: Disk>(mut disk: D, config: Config, seed: OpenSeed) -> Result<Opened<D>, OpenError> {
    config.validate()?;
    let unreadable = |source| OpenError::Read { file: String::new(), offset: 0, source };
    if !disk.lock().map_err(unreadable)? {
        return Err(OpenError::Locked);
    }
    let names = disk.list().map_err(unreadable)?;
    let Chain { followed: mut spans, last } = check_chain(&disk, &names)?;
    let mut report = RecoveryReport {
        log_uuid: last.as_ref().map_or(seed.log_uuid, |last| last.header().log_uuid),
        last: Lsn::ZERO,
        segments: spans.len() + usize::from(last.is_some()),
        tail_certain: true,
        relogged: 0,
        torn_bytes: 0,
        quarantined: None,
    };
    let tail = last.map(|last| Tail::read(last, config.record_bytes_max)).transpose()?;
    remove_unfinished(&disk, &names)?;

    let seed = OpenSeed { log_uuid: report.log_uuid, ..seed };
    let place = tail.as_ref().map_or(Place::FIRST, Tail::next_place);
    let mut writer = Writer::new(disk.clone(), config.segment_bytes, seed, place);
    if let Some(mut tail) = tail {
        report.last = tail.last;
        report.tail_certain = tail.is_certain();
        if let Some(torn) = tail.torn.clone() {
            report.torn_bytes = torn.end - torn.start;
            report.quarantined = Some(quarantine(&disk, &mut tail.reader, torn)?);
        }
        spans.extend(tail.attested_span());
        if !tail.unattested.is_empty() {
            report.relogged = tail.last.since(tail.attested);
            relog(&mut tail, &mut writer, config.record_bytes_max)?;
            let (name, end) = writer.position().expect("a segment was made for the records logged again");
            spans.push(Span { name: name.to_owned(), end, last: tail.last });
        }
    }
    let queue = Arc::new(Queue::new(&config, report.last));
    let records = Records::new(disk, spans, config.record_bytes_max);
    let log = Log::new(Arc::clone(&queue));
    Ok(Opened { log, syncer: Syncer::new(writer, queue, &config, report.last), records, report })
}

/// The segments of a log, as their headers tell.
struct Chain<F> {
    /// Where the records end of all segments but the last.
    followed: Vec<Span>,
    last: Option<SegmentReader<F>>,
}

/// Opens the segments and checks that they follow each other.
fn check_chain<D: Disk>(disk: &D, names: &[String]) -> Result<Chain<D::File>, OpenError> {
    let mut followed = Vec::new();
    let mut previous: Option<SegmentReader<D::File>> = None;
    for name in names {
        let Some(first_lsn) = parse_file_name(name) else { continue };
        let segment = SegmentReader::open(disk, name)?;
        let header = segment.header();
        let lsns = first_lsn..=header.predecessor.last_lsn.max(first_lsn);
        if header.first_lsn != first_lsn {
            return Err(segment.corrupt(lsns, Damage::Chain));
        }
        match &previous {
            None if header.number != 1 => {
                let lsns = Lsn::ZERO.next()..=header.predecessor.last_lsn;
                return Err(segment.corrupt(lsns, Damage::PredecessorMissing));
            }
            Some(previous) if !header.continues(previous.header()) => {
                let lsns = previous.header().first_lsn..=header.predecessor.last_lsn;
                return Err(segment.corrupt(lsns, Damage::Chain));
            }
            Some(previous) => followed.push(Span::before(previous.name(), header)),
            None => {}
        }
        previous = Some(segment);
    }
    Ok(Chain { followed, last: previous })
}

/// What the last segment holds.
struct Tail<F> {
    reader: SegmentReader<F>,
    /// The last record of the last whole unit.
    last: Lsn,
    /// Up to where the records are attested, and the byte after these.
    attested: Lsn,
    attested_end: u64,
    /// The units after that: the last LSN of each and the byte after it.
    unattested: VecDeque<(Lsn, u64)>,
    is_sealed: bool,
    /// The bytes at the end that are no records.
    torn: Option<Range<u64>>,
}

impl<F: DiskFile> Tail<F> {
    /// Reads the segment and judges its end.
    fn read(reader: SegmentReader<F>, record_bytes_max: u32) -> Result<Self, OpenError> {
        let attested = reader.header().predecessor.last_lsn;
        let mut tail = Self {
            last: attested,
            attested,
            attested_end: SEGMENT_HEADER_BYTES as u64,
            unattested: VecDeque::new(),
            is_sealed: false,
            torn: None,
            reader,
        };
        let mut whole_end = tail.attested_end;
        while let Some(record) = tail.reader.next(record_bytes_max)? {
            if record.is_unit_end {
                whole_end = tail.reader.offset();
                tail.last = record.lsn;
                // A seal or an attestation that can be read is not for that durable: its sync may have failed. What a
                // later segment says of this one must not count on it.
                if !record.kind.is_control() {
                    tail.unattested.push_back((tail.last, whole_end));
                }
            }
            tail.on_attested(record.attested);
            match record.kind {
                Kind::SealRotated => {
                    let lsns = record.lsn.next()..=Lsn::MAX;
                    return Err(tail.reader.corrupt(lsns, Damage::SuccessorMissing));
                }
                Kind::SealClosed => {
                    tail.is_sealed = true;
                    return Ok(tail);
                }
                Kind::Data | Kind::BatchPart | Kind::Attest => {}
            }
        }
        tail.judge_end(whole_end)?;
        if fault::is_off("an unattested tail is logged again") {
            tail.on_attested(tail.last);
        }
        Ok(tail)
    }

    fn on_attested(&mut self, attested: Lsn) {
        while let Some(&(lsn, end)) = self.unattested.front()
            && lsn <= attested
        {
            (self.attested, self.attested_end) = (lsn, end);
            self.unattested.pop_front();
        }
    }

    /// Tells damage from a torn tail, which starts at `whole_end`, where the reader stopped or before it.
    fn judge_end(&mut self, whole_end: u64) -> Result<(), OpenError> {
        let expected = self.reader.last().next();
        let survey = self.reader.survey()?;
        // Groups are written and synced one after the other. So what a later group attests was synced, and
        // the record that is missing here cannot stand behind other bytes of its own group either.
        if survey.attested >= expected || survey.holds_next {
            let lsns = expected..=survey.attested.max(expected);
            return Err(self.reader.corrupt(lsns, Damage::Record { valid_after: survey.valid }));
        }
        let (found, made) = (self.reader.file_bytes(), self.reader.header().segment_bytes);
        if found < made {
            return Err(self.reader.corrupt(expected..=Lsn::MAX, Damage::Shortened { found, made }));
        }
        let end = survey.end_used.max(self.reader.offset());
        self.torn = (whole_end < end).then_some(whole_end..end);
        Ok(())
    }

    fn is_certain(&self) -> bool {
        self.is_sealed || (self.unattested.is_empty() && self.torn.is_none())
    }

    /// Returns what the next segment says of its place.
    ///
    /// It takes the place of this one if nothing of this one is attested, as the two would have one name.
    fn next_place(&self) -> Place {
        let header = self.reader.header();
        if self.attested < header.first_lsn {
            return Place { number: header.number, predecessor: header.predecessor };
        }
        let (last_lsn, end_offset) = (self.attested, self.attested_end);
        Place {
            number: header.number + 1,
            predecessor: Predecessor { number: header.number, last_lsn, end_offset },
        }
    }

    /// Returns the part of the segment whose records stay where they are.
    fn attested_span(&self) -> Option<Span> {
        (self.attested >= self.reader.header().first_lsn).then(|| Span {
            name: self.reader.name().to_owned(),
            end: self.attested_end,
            last: self.attested,
        })
    }
}

/// Removes what an interrupted making of a file left behind.
fn remove_unfinished<D: Disk>(disk: &D, names: &[String]) -> Result<(), OpenError> {
    for name in names.iter().filter(|name| name.ends_with(".tmp")) {
        disk.remove(name).map_err(|source| OpenError::Write {
            operation: Operation::Remove,
            file: name.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Sets a torn tail aside and returns the name of the copy. The segment itself is not changed.
fn quarantine<D: Disk>(
    disk: &D,
    reader: &mut SegmentReader<D::File>,
    torn: Range<u64>,
) -> Result<String, OpenError> {
    let name = format!("{}-{}", reader.name(), torn.start);
    let bytes = reader.raw(torn)?;
    match disk.quarantine(&name, &bytes) {
        Ok(()) => Ok(name),
        Err(error) if is_no_space(&error) => Err(OpenError::DiskFull),
        Err(source) => Err(OpenError::Write { operation: Operation::Quarantine, file: name, source }),
    }
}

/// Writes the unattested records to a segment of their own.
fn relog<D: Disk>(
    tail: &mut Tail<D::File>,
    writer: &mut Writer<D>,
    record_bytes_max: u32,
) -> Result<(), OpenError> {
    let attested = tail.attested;
    let end = tail.unattested.back().map_or(tail.attested_end, |&(_, end)| end);
    tail.reader.rewind(attested, tail.attested_end);
    let mut records = Vec::new();
    while tail.reader.offset() < end
        && let Some(record) = tail.reader.next(record_bytes_max)?
    {
        if !record.kind.is_control() {
            records.push((record, tail.reader.payload().to_vec()));
        }
    }
    let made = writer.begin_segment(|salt| {
        let mut bytes = Vec::with_capacity((end - tail.attested_end) as usize);
        for (header, payload) in &records {
            // Nothing attests them before the first append, so that the doubt outlives another crash.
            let header = RecordHeader { attested, ..*header };
            header.encode_into(salt, payload, &mut bytes);
        }
        bytes
    });
    made.map_err(|error| match error {
        WriteError::DiskFull => OpenError::DiskFull,
        WriteError::Failed { operation, file, source } => OpenError::Write { operation, file, source },
    })
}
