//! What a log had made durable is read back byte for byte, and nothing that was never appended.

use trellis_wal::Lsn;

use super::{Held, Violation};
use crate::sim::directory::Noted;

/// A record beyond what was durable must be one that was appended, in its place. Of a disk whose history is not known
/// (an older copy, or one that lost records that nothing attested) any record is accepted.
pub(super) fn was_submitted(
    host: u8,
    lsn: Lsn,
    bytes: &[u8],
    submitted: &[Noted],
    is_unknown_copy: bool,
) -> Held {
    let is_known = submitted.iter().any(|record| record.lsn == lsn && record.bytes == bytes);
    if is_known || is_unknown_copy {
        return Ok(());
    }
    let detail = format!("n{} finds a record {lsn} in its log that was never appended there", host + 1);
    Err(violation(host, detail))
}

/// Records in the order in which they were appended, without a gap.
pub(super) fn appended(host: u8, records: &[(Lsn, Vec<u8>)], after: Lsn, last: Lsn) -> Held {
    let mut expected = after;
    for (lsn, _) in records {
        expected = expected.next();
        if *lsn != expected {
            return Err(violation(host, format!("n{} appended record {lsn} after {after}", host + 1)));
        }
    }
    if expected == last {
        return Ok(());
    }
    Err(violation(host, format!("n{} appended up to {last}, and {expected} is seen", host + 1)))
}

pub(super) fn violation(host: u8, detail: String) -> Violation {
    Violation { invariant: "logs_give_back_what_was_durable", hosts: vec![host], detail }
}
